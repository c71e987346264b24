from helpers.corpus import (
    concept_lookup,
    concept_words,
    held_out_corpus,
    kind_lookup,
    probes_of,
    training_corpus,
)
from helpers.params import LocalCorpusParams, StoryWorldParams


def test_local_documents_are_divided_without_rest_or_overlap(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(f"text {i}" for i in range(35)))
    params = LocalCorpusParams(kind="local", path=str(path))
    training, held_out = ([d.text for d in part(params).documents()] for part in (training_corpus, held_out_corpus))
    assert len(held_out) == 4 and len(training) == 31
    assert sorted(training + held_out) == sorted(f"text {i}" for i in range(35))


def test_parts_resume_at_a_document_number(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(f"text {i}" for i in range(35)))
    part = training_corpus(LocalCorpusParams(kind="local", path=str(path)))
    whole = list(part.documents())
    assert list(part.documents(17)) == [d for d in whole if d.index >= 17]


def test_the_world_holds_out_another_sample():
    params = StoryWorldParams(split="x")
    first, second = (part(params).document(0).text for part in (training_corpus, held_out_corpus))
    assert first != second
    assert held_out_corpus(params).split != "x"


def test_only_the_world_knows_answers_and_concepts(tmp_path, world, tokenizer):
    (tmp_path / "t.txt").write_text("some text")
    other = training_corpus(LocalCorpusParams(kind="local", path=str(tmp_path / "t.txt")))
    assert probes_of(other) == [] and concept_lookup(other, tokenizer) is None
    assert len(probes_of(world, n_probes=3)) == 3 * len(world.probe_kinds)
    concept_of = concept_lookup(world, tokenizer)
    monday, bos = tokenizer.convert_tokens_to_ids(" Monday"), tokenizer.bos_token_id
    assert concept_of(monday) == "weekday" and concept_of(bos) is None
    assert kind_lookup(other, tokenizer) is None and concept_words(other) == {}
    kind_of = kind_lookup(world, tokenizer)
    assert kind_of(monday) == "time" and kind_of(bos) is None  # weekday < calendar < time
    assert sorted(concept_words(world)["weekday"])[:2] == ["Friday", "Monday"]
