"""Local and Hub texts: the same documents from every format, clear words for every fault."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from helpers.corpus import HubCorpus, LocalCorpus, StoryWorld, open_corpus
from helpers.params import HubCorpusParams, LocalCorpusParams, StoryWorldParams

TEXTS = ["The king smiled.\nThen he slept.", "Ein Märchen, “quoted”.", "  ", "Three."]
KEPT = [TEXTS[0], TEXTS[1], TEXTS[3]]


def write(path: Path, texts: list[str], *, field: str = "text") -> Path:
    if path.suffix == ".txt":
        path.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps({field: text, "n": 1}) for text in texts), encoding="utf-8")
    else:
        pyarrow.parquet.write_table(pyarrow.table({field: texts, "n": [1] * len(texts)}), path, row_group_size=2)
    return path


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_documents(tmp_path: Path, suffix: str) -> None:
    corpus = LocalCorpus(write(tmp_path / f"texts{suffix}", TEXTS))
    assert [document.text for document in corpus.documents()] == KEPT
    assert [document.index for document in corpus.documents()] == [0, 1, 2]
    assert [(document.index, document.text) for document in corpus.documents(2)] == [(2, "Three.")]
    assert list(corpus.documents(5)) == []


def test_another_text_field(tmp_path: Path) -> None:
    for suffix in (".jsonl", ".parquet"):
        path = write(tmp_path / f"texts{suffix}", TEXTS, field="story")
        assert len(list(LocalCorpus(path, text_field="story").documents())) == 3
        with pytest.raises(ValueError, match="'text'.* but story, n; set text_field"):
            list(LocalCorpus(path).documents())


def test_a_folder_is_read_in_name_order(tmp_path: Path) -> None:
    write(tmp_path / "b.txt", ["second"])
    write(tmp_path / "a.jsonl", ["first"])
    (tmp_path / "readme.md").write_text("not a text of the corpus")
    assert [document.text for document in LocalCorpus(tmp_path).documents()] == ["first", "second"]


def test_reading_is_lazy(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "good"}\nnot json\n')
    documents = LocalCorpus(path).documents()
    assert next(documents).text == "good"
    with pytest.raises(ValueError, match="texts.jsonl, line 2 is not"):
        next(documents)


def test_faults_of_local_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is nothing at '.*absent.txt'"):
        LocalCorpus(tmp_path / "absent.txt")
    with pytest.raises(ValueError, match="expected .txt, .jsonl, .parquet files in .* got none"):
        LocalCorpus(tmp_path)
    (tmp_path / "texts.csv").write_text("text\nhello\n")
    with pytest.raises(ValueError, match="a local corpus is .txt, .jsonl, .parquet; got '.*texts.csv'"):
        LocalCorpus(tmp_path / "texts.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"[1, 2]\n", "line 1 is a list"),
        ("b.jsonl", b'{"text": 3}\n', "'text' is a text; got int"),
        ("c.jsonl", b'{"text": null}\n', "'text' is a text; got NoneType"),
        ("d.txt", b"\xff\xfe\x00", "expected UTF-8 text"),
        ("e.parquet", b"not parquet", "expected a parquet file"),
    ],
)
def test_faults_inside_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(LocalCorpus(tmp_path / name).documents())


def test_hub_corpus_reads_a_dataset_folder(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", TEXTS)
    corpus = HubCorpus(str(tmp_path))
    assert [(document.index, document.text) for document in corpus.documents()] == [
        (0, KEPT[0]),
        (1, KEPT[1]),
        (3, KEPT[2]),
    ]
    assert [document.index for document in corpus.documents(2)] == [3]
    with pytest.raises(ValueError, match="has no 'story' but text, n; set text_field"):
        next(HubCorpus(str(tmp_path), text_field="story").documents())
    with pytest.raises(ValueError, match="could not be read .*; check name, config, split"):
        next(HubCorpus(str(tmp_path), split="absent").documents())


def test_hub_corpus_without_a_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*arguments: object, **settings: object) -> None:
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr("datasets.load_dataset", no_network)
    with pytest.raises(
        ValueError, match=r"'some/texts train' could not be read \(Couldn't reach.*connect to the network"
    ):
        next(HubCorpus("some/texts").documents())


def test_open_corpus(tmp_path: Path) -> None:
    world = open_corpus(StoryWorldParams(seed=3, split="b"))
    assert isinstance(world, StoryWorld)
    assert (world.seed, world.split) == (3, "b")
    path = write(tmp_path / "texts.txt", TEXTS)
    assert open_corpus(LocalCorpusParams(kind="local", path=str(path))).name == str(path)
    assert isinstance(open_corpus(HubCorpusParams(kind="hub", name=str(tmp_path))), HubCorpus)


@pytest.mark.parametrize("content", ["", "\n \n\n"])
def test_open_corpus_refuses_an_empty_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "empty.txt").write_text(content)
    with pytest.raises(ValueError, match="expected texts in .*empty.txt; got none"):
        open_corpus(LocalCorpusParams(kind="local", path=str(tmp_path / "empty.txt")))
