"""Export for a labelling model, its answer, and Neuronpedia's explanations: what does not fit is refused, and why."""

from __future__ import annotations

import json

import numpy as np
import pytest

from helpers.features import (
    build_words,
    describe_features,
    export_features,
    read_answer,
    read_explanations,
    read_neuronpedia,
)
from helpers.features.explanations import _check_width
from tests.features.conftest import batch_of
from tests.features.test_labels import store_of

PIECES = ("Ġking", "king", "Ander", "Ġsaid", "no such token")


@pytest.fixture
def tokens(byte_level):
    return batch_of(byte_level, "the king said", "talking to the king", "Anderson said\nto the 世 king")


@pytest.fixture
def table(tmp_path, byte_level, tokens):
    ids = [byte_level.convert_tokens_to_ids(piece) or -1 for piece in PIECES]
    dense = (tokens.token_ids()[:, None] == np.array(ids)).astype(np.float32)
    store = store_of(tmp_path / "s", dense, tokens.row_documents(), tokens_fingerprint=tokens.fingerprint())
    return describe_features(store, build_words(tokens, byte_level))


def exported(path, table, tokens, tokenizer, **options):
    export_features(path, table, tokens, tokenizer, **options)
    return json.loads(path.read_text(encoding="utf-8"))


def answer(path, table, *pairs, **changes):
    head = {"d_sae": table.d_sae, "tokens_fingerprint": table.tokens_fingerprint, "fingerprint": table.fingerprint()}
    entries = [{"id": feature, "label": label} for feature, label in pairs]
    path.write_text(json.dumps(head | {"explained_by": "a reader", "explanations": entries} | changes))
    return path


def test_the_export_says_what_a_labeller_needs(tmp_path, table, tokens, byte_level):
    content = exported(tmp_path / "e.json", table, tokens, byte_level)
    assert [feature["id"] for feature in content["features"]] == [0, 1, 2, 3], "the dead feature is left out"
    king, part, anderson, _ = content["features"]
    assert king["words"] == ["king"] * 3
    assert king["contexts"][0] == {"before": "the", "token": " king", "after": " said", "activation": 1.0}
    assert king["contexts"][2]["before"].endswith("⏎to the 世")
    assert king["density"] == pytest.approx(3 / tokens.n_tokens, rel=1e-6)
    assert part["words"] == ["talking"] and part["contexts"][0]["token"] == "king"
    assert anderson["contexts"][0]["before"] == "", "the first token has nothing before it"
    assert (content["d_sae"], content["tokens_fingerprint"]) == (5, tokens.fingerprint())
    assert "label" in content["task"]
    some = exported(tmp_path / "e.json", table, tokens, byte_level, features=[4, 2], before=1, after=0)
    assert [(feature["id"], len(feature["contexts"])) for feature in some["features"]] == [(4, 0), (2, 1)]


def test_an_export_in_parts_is_the_same_export(tmp_path, table, tokens, byte_level, monkeypatch):
    whole = exported(tmp_path / "e.json", table, tokens, byte_level)
    monkeypatch.setattr("helpers.features.explanations._FEATURES_AT_ONCE", 3)
    assert exported(tmp_path / "e.json", table, tokens, byte_level) == whole
    assert exported(tmp_path / "e.json", table, tokens, byte_level, features=[])["features"] == []


def test_an_export_of_other_tokens_is_refused(tmp_path, table, byte_level):
    with pytest.raises(ValueError, match="not those that the features were described on"):
        export_features(tmp_path / "e.json", table, batch_of(byte_level, "the king"), byte_level)
    assert not (tmp_path / "e.json").exists()


def test_an_export_of_an_absent_feature_is_refused(tmp_path, table, tokens, byte_level):
    with pytest.raises(ValueError, match=r"features must be in \[0, 5\); got 1 to 7"):
        export_features(tmp_path / "e.json", table, tokens, byte_level, features=[1, 7])


def test_an_answer_replaces_labels_and_says_so(tmp_path, table, tokens, byte_level):
    content = exported(tmp_path / "e.json", table, tokens, byte_level)
    head = {name: content[name] for name in ("d_sae", "tokens_fingerprint", "fingerprint")}
    entries = [{"id": 0, "label": "monarchs"}, {"id": "3", "label": "speech"}]  # some models write numbers as texts
    (tmp_path / "a.json").write_text(json.dumps(head | {"explained_by": "some-model", "explanations": entries}))
    found = read_answer(tmp_path / "a.json", table)
    assert found.missing.tolist() == [1, 2], "living features without a label; the dead one is not missed"
    new = found.label(table)
    assert new.labels == ("monarchs", "talking", "Anderson", "speech", "")
    assert new.label_sources == ("some-model", "words", "words", "some-model", "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_sae": 32}, "a dictionary of another width: its d_sae is 32, this one's is 5"),
        ({"tokens_fingerprint": "x"}, "labels other tokens: its tokens_fingerprint is 'x'"),
        ({"fingerprint": "x"}, "labels another dictionary: its fingerprint is 'x'"),
        ({"fingerprint": None}, "labels another dictionary: its fingerprint is None"),
        ({"explanations": None}, 'expected a JSON object with a list "explanations"'),
        ({"explanations": [{"id": 1}]}, r'entry 0 should hold "id" .* and "label"'),
        ({"explanations": ["king"]}, "entry 0 should hold"),
        ({"explanations": [{"id": True, "label": "x"}]}, "entry 0 should hold"),
        ({"explanations": [{"id": "-1x", "label": "x"}]}, "entry 0 should hold"),
    ],
)
def test_answers_to_something_else_are_refused(tmp_path, table, changes, message):
    with pytest.raises(ValueError, match=message):
        read_answer(answer(tmp_path / "a.json", table, (0, "x"), **changes), table)


def test_all_faults_of_an_answer_are_told_at_once_and_nothing_is_lost(tmp_path, table):
    before = table.labels
    path = answer(tmp_path / "a.json", table, (0, "x"), (5, "y"), (1, "z"), (1, "zz"), (2, " "), (-3, "n"), (9, "n"))
    with pytest.raises(ValueError) as refused:
        read_answer(path, table)
    message = str(refused.value)
    assert "3 features not in this dictionary of 5 features (-3, 5, 9)" in message
    assert "1 features named more than once (1)" in message
    assert "1 features without a label (2)" in message
    assert table.labels == before and path.is_file()


def test_files_that_cannot_be_read(tmp_path, table):
    with pytest.raises(ValueError, match="found no such file"):
        read_answer(tmp_path / "none.json", table)
    (tmp_path / "cut.json").write_text('{"d_sae": 5, "explan')
    for read in (read_answer, read_neuronpedia):
        with pytest.raises(ValueError, match="is not JSON .*cut short"):
            read(tmp_path / "cut.json", table)


def neuronpedia(path, *entries, layer="8-res-jb"):
    default = {"modelId": "gpt2-small", "layer": layer, "typeName": "oai_token-act-pair"}
    path.write_text(json.dumps([default | {"index": index, "description": text} for index, text in entries]))
    return path


def test_neuronpedia_explanations(tmp_path, table):
    entries = ("0", "royalty"), ("0", "kings"), ("0", "royalty"), ("2", "surnames "), ("3", "")
    found = read_neuronpedia(neuronpedia(tmp_path / "n.json", *entries), table)
    assert found.texts == {0: ("royalty", "kings"), 2: ("surnames",)}
    assert found.missing.tolist() == [1, 3]
    new = found.label(table)
    assert new.labels[:3] == ("royalty", "talking", "surnames")
    assert new.label_sources[0] == "Neuronpedia gpt2-small 8-res-jb"


def test_neuronpedia_explanations_of_another_width_are_refused_with_both_widths(tmp_path, table):
    path = neuronpedia(tmp_path / "n.json", ("0", "x"), ("24575", "y"))
    with pytest.raises(ValueError, match="a width of at least 24576; this one has 5"):
        read_neuronpedia(path, table)
    path = neuronpedia(tmp_path / "n.json", ("0", "x"), layer="20-gemmascope-res-16k")
    with pytest.raises(ValueError, match="a dictionary of width 16k .*this one has 5"):
        read_neuronpedia(path, table)
    path = neuronpedia(tmp_path / "n.json", ("0", "x"), layer="8-res_fs768-jb")
    with pytest.raises(ValueError, match="a dictionary of width 768 .*this one has 5"):
        read_neuronpedia(path, table)


@pytest.mark.parametrize(
    ("layer", "d_sae", "fits"),
    [
        ("20-gemmascope-res-16k", 16_384, True),
        ("20-gemmascope-res-65k", 65_536, True),
        ("20-gemmascope-res-65k", 16_384, False),
        ("6-res_mid_128k-oai", 131_072, True),
        ("12-gemmascope-res-131k", 131_072, True),
        ("12-gemmascope-res-1m", 1_048_576, True),
        ("8-res_fs768-jb", 768, True),
        ("8-res_fs768-jb", 1536, False),
        ("8-res-jb", 24_576, True),
    ],
)
def test_widths_that_layers_name(layer, d_sae, fits):
    if fits:
        _check_width("n.json", [(0, "x")], layer, d_sae)
        return
    with pytest.raises(ValueError, match=f"this one has {d_sae}"):
        _check_width("n.json", [(0, "x")], layer, d_sae)


def test_neuronpedia_files_of_several_layers(tmp_path, table):
    path = neuronpedia(tmp_path / "n.json", ("0", "x"))
    both = json.loads(path.read_text())
    both.append({"modelId": "gpt2-small", "layer": "9-res-jb", "index": 1, "description": "nine"})
    path.write_text(json.dumps(both))
    with pytest.raises(ValueError, match="found gpt2-small 8-res-jb, gpt2-small 9-res-jb; name one with `layer`"):
        read_neuronpedia(path, table)
    assert read_neuronpedia(path, table, layer="9-res-jb").texts == {1: ("nine",)}
    with pytest.raises(ValueError, match="expected explanations of one layer; found gpt2-small 8-res-jb"):
        read_neuronpedia(path, table, layer="1-res-jb")
    path.write_text('"text"')
    with pytest.raises(ValueError, match="expected Neuronpedia's list of explanations; got str"):
        read_neuronpedia(path, table)
    path.write_text("[]")
    with pytest.raises(ValueError, match="found nothing"):
        read_neuronpedia(path, table)


def test_either_kind_of_file_is_known_by_what_it_holds(tmp_path, table):
    ours = read_explanations(answer(tmp_path / "a.json", table, (0, "kings")), table)
    theirs = read_explanations(neuronpedia(tmp_path / "n.json", (1, "words")), table)
    assert (ours.labels(), ours.source) == ({0: "kings"}, "a reader")
    assert theirs.labels() == {1: "words"} and theirs.source.startswith("Neuronpedia")
    with pytest.raises(ValueError, match="other tokens"):
        read_explanations(answer(tmp_path / "b.json", table, (0, "x"), tokens_fingerprint="0"), table)
