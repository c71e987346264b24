"""The two sides of a matching have the same rows, whatever the tokenizers, and are found again by later notebooks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from transformers import PreTrainedTokenizerFast

from helpers.activations import ActivationStore
from helpers.comparison import filter_matching, load_matched_spaces, load_sides, open_sides
from helpers.corpus import StoryWorld, align_rows, concept_lookup, tokenize_corpus, train_bpe_tokenizer
from helpers.features import top_examples
from helpers.matching import match_features
from helpers.matching.meanings import Meanings
from helpers.models import ModelReference
from helpers.params import SaveActivationsParams
from helpers.saes import SaeReference
from tests.activations.conftest import random_activations, small_sae
from tests.activations.test_pooling import WATCHED, store_for_words
from tests.comparison.conftest import Left
from tests.matching.conftest import pair_set
from tests.tiny import CONTEXT, Texts

D_SAE = 40


class Project:
    """Results of notebooks 01 to 03, and of 04 for dictionaries a and b."""

    def __init__(self, folder):
        self.folder, self.results = folder, {}

    def read(self, notebook, run):
        return self.results[notebook, run]

    def add_model(self, name, tokenizer):
        tokenizer.save_pretrained(self.folder / f"model_{name}")
        ModelReference("folder", f"model_{name}").save(self.folder / f"model_{name}.json")
        self.results["01_language_models", name] = Left({}, {"model": self.folder / f"model_{name}.json"})

    def add_run(self, run, tokens, **dictionaries):
        """A run of 03_save_activations; dictionaries: name -> (model, store or activations)."""
        folder = self.folder / run
        tokens.save(folder / "tokens")
        left = {"tokens": folder / "tokens"}
        for name, (model, acts) in dictionaries.items():
            store = acts if isinstance(acts, ActivationStore) else write(folder / f"store_{name}", tokens, acts)
            left |= {f"store_{name}": store.path, f"examples_{name}": folder / f"examples_{name}.npz"}
            top_examples(store, n_examples=3).save(left[f"examples_{name}"])
            self.results["02_train_saes", name] = Left({"model": model, "source": "train", "seed": 0})
        params = SaveActivationsParams(dictionaries=list(dictionaries), corpus={"kind": "story_world"})
        self.results["03_save_activations", run] = Left(params.model_dump(), left)

    def matching(self, *, activations_b="", dictionary_b="b"):
        return {
            "activations": "main", "activations_b": activations_b, "dictionary_a": "a", "dictionary_b": dictionary_b,
        }  # fmt: skip

    def finish_matching(self, sides, matching, units=None):
        """A run of 04_match_features, as the notebook leaves it."""
        pairs = match_features(sides.store_a, sides.store_b, min_firings=4)
        pairs.save(self.folder / "pairs.npz")
        left = {"pairs": self.folder / "pairs.npz"} | ({"units": units} if units else {})
        self.results["04_match_features", "m"] = Left(matching, left)
        return pairs


def write(path, tokens, matrix, **options) -> ActivationStore:
    prints = {"tokens_fingerprint": tokens.fingerprint(), "tokenizer_fingerprint": tokens.tokenizer_fingerprint}
    with ActivationStore.create(path, d_sae=matrix.shape[1], **prints, **options) as writer:
        places = {"documents": tokens.row_documents(), "positions": tokens.row_positions()}
        writer.append(matrix, token_ids=tokens.token_ids(), **places)
    return ActivationStore.open(path)


def two_sides(n_tokens):
    """Activations of which half have a partner, another row order than the column order."""
    a, b = (random_activations(n_tokens, D_SAE, seed=seed).toarray() for seed in (1, 2))
    b[:, :20] = a[:, 20:] * (np.random.default_rng(3).random((n_tokens, 20)) < 0.7)
    return scipy.sparse.csr_array(a), scipy.sparse.csr_array(b)


@pytest.fixture
def project(tmp_path, tokens, tokenizer) -> Project:
    made = Project(tmp_path)
    made.add_model("words", tokenizer)
    acts_a, acts_b = two_sides(tokens.n_tokens)
    made.add_run("main", tokens, a=("words", acts_a), b=("words", acts_b))
    return made


@pytest.fixture(scope="module")
def pieces():
    return train_bpe_tokenizer(StoryWorld(), n_vocab=400, n_documents=200)


def same_cuts(tokenizer) -> PreTrainedTokenizerFast:
    """The same tokens under another fingerprint: BOS is the padding too."""
    names = {"bos_token": tokenizer.bos_token, "pad_token": tokenizer.bos_token, "unk_token": tokenizer.unk_token}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, **names)


def assert_equal_pairs(found, expected):
    np.testing.assert_array_equal(found.ids_a, expected.ids_a)
    np.testing.assert_array_equal(found.ids_b, expected.ids_b)
    np.testing.assert_array_equal(found.corr.view(np.int32), expected.corr.view(np.int32))  # bit for bit


def test_dictionaries_of_one_run_are_opened_where_they_lie(project, tokens, tokenizer):
    matching = project.matching()
    sides = open_sides(project.read, matching, folder=project.folder / "units")
    assert sides.names == ("a", "b") and sides.alignment is None and not (project.folder / "units").exists()
    assert sides.store_b.path == project.folder / "main" / "store_b"
    assert sides.tokens.fingerprint() == tokens.fingerprint()
    assert sides.tokenizer.decode([5]) == tokenizer.decode([5]) and isinstance(sides.corpus, StoryWorld)
    project.finish_matching(sides, matching)
    again = load_sides(project.read, "m")
    assert again.store_a.path == sides.store_a.path and again.alignment is None
    np.testing.assert_array_equal(again.examples[1].rows, sides.examples[1].rows)


def test_a_second_run_with_the_same_tokens_needs_no_alignment(project, tokens):
    project.add_run("other", tokens, c=("words", two_sides(tokens.n_tokens)[1]))
    matching = project.matching(activations_b="other", dictionary_b="c")
    sides = open_sides(project.read, matching, folder=project.folder / "units")
    assert sides.alignment is None and sides.store_b.path == project.folder / "other" / "store_c"
    project.finish_matching(sides, matching)
    assert load_sides(project.read, "m").store_b.path == sides.store_b.path


def test_a_model_against_itself_gives_the_token_level_result_exactly(project, tokens, tokenizer):
    """Through the characters, as if its tokenizer were another: the same pairs, correlations and examples, bit for bit."""
    other = same_cuts(tokenizer)
    again = tokenize_corpus(StoryWorld(), other, context_size=CONTEXT, n_tokens=tokens.n_tokens)
    assert again.tokenizer_fingerprint != tokens.tokenizer_fingerprint
    np.testing.assert_array_equal(again.token_ids(), tokens.token_ids())
    acts_a, acts_b = two_sides(tokens.n_tokens)
    project.add_model("itself", other)
    project.add_run("other", again, a_again=("itself", acts_a), b_again=("itself", acts_b))
    plain = open_sides(project.read, project.matching(), folder=project.folder / "unused")
    for dictionary_b in ("b_again", "a_again"):
        matching = project.matching(activations_b="other", dictionary_b=dictionary_b)
        sides = open_sides(project.read, matching, folder=project.folder / f"units_{dictionary_b}")
        assert sides.alignment["share_one_to_one"] == 1
        assert sides.alignment["lost_share_a"] == sides.alignment["lost_share_b"] == 0
        side = "b" if dictionary_b == "b_again" else "a"
        store_b, examples_b = (plain.store_b, plain.examples[1]) if side == "b" else (plain.store_a, plain.examples[0])
        assert_equal_pairs(match_features(sides.store_a, sides.store_b), match_features(plain.store_a, store_b))
        for found, expected in zip(sides.examples, (plain.examples[0], examples_b), strict=True):
            np.testing.assert_array_equal(found.rows, expected.rows)
        texts = [tokenizer.decode([i]) for i in tokens.token_ids()[:200]]
        assert [sides.tokenizer.decode([i]) for i in sides.tokens.token_ids()[:200]] == texts
    # Itself indeed: every feature that fires finds itself.
    pairs = match_features(sides.store_a, sides.store_b)
    assert pairs.n_pairs == D_SAE and np.array_equal(pairs.ids_a, pairs.ids_b)


def test_one_tokenizer_and_another_number_of_tokens(project, tokens, tokenizer):
    shorter = tokenize_corpus(StoryWorld(), tokenizer, context_size=CONTEXT, n_tokens=2000)
    acts = two_sides(tokens.n_tokens)
    project.add_run("other", shorter, c=("words", acts[1][:2000]))
    matching = project.matching(activations_b="other", dictionary_b="c")
    sides = open_sides(project.read, matching, folder=project.folder / "units")
    assert sides.alignment["n_units"] == sides.tokens.n_tokens == 2000
    first = [write(project.folder / f"first_{n}", shorter, matrix[:2000]) for n, matrix in enumerate(acts)]
    assert_equal_pairs(match_features(sides.store_a, sides.store_b), match_features(*first))


@pytest.fixture
def two_tokenizers(tmp_path, tokens, tokenizer, pieces):
    """Feature f of a fires on a word, feature -1 - f of c on the same word, in pieces."""
    project = Project(tmp_path)
    project.add_model("words", tokenizer)
    project.add_model("pieces", pieces)
    cut = tokenize_corpus(StoryWorld(), pieces, context_size=64, n_tokens=2 * tokens.n_tokens)
    project.add_run("main", tokens, a=("words", store_for_words(tmp_path / "one", tokens, tokenizer, WATCHED)))
    project.add_run("other", cut, c=("pieces", store_for_words(tmp_path / "two", cut, pieces, WATCHED[::-1])))
    return project


def test_everything_downstream_reads_units(two_tokenizers, tokens):
    matching = two_tokenizers.matching(activations_b="other", dictionary_b="c")
    folder = two_tokenizers.folder / "units"
    sides = open_sides(two_tokenizers.read, matching, folder=folder)
    assert 0 < sides.alignment["share_one_to_one"] < 1 < sides.alignment["tokens_per_unit_b"]
    assert sides.store_a.n_tokens == sides.store_b.n_tokens == sides.tokens.n_tokens == sides.alignment["n_units"]
    pairs = two_tokenizers.finish_matching(sides, matching, folder)
    expected = {(f, len(WATCHED) - 1 - f) for f in range(len(WATCHED)) if sides.store_a.feature_counts[f] >= 4}
    assert len(expected) > 2 and pair_set(pairs) == expected
    # Top tokens and concepts are those of whole units, the same ids on both sides.
    concept_of = concept_lookup(sides.corpus, sides.tokenizer)
    meanings = Meanings.of(*sides.examples, sides.store_a.token_ids, concept_of=concept_of)
    np.testing.assert_array_equal(meanings.tokens_a[pairs.ids_a, 0], meanings.tokens_b[pairs.ids_b, 0])
    known = {" was": "auxiliary", ".": "sentence_end"}  # the others are in too few documents for a majority
    for word, concept in known.items():
        feature = WATCHED.index(word)
        assert meanings.concepts_a[feature] == concept == meanings.concepts_b[len(WATCHED) - 1 - feature]

    again = load_sides(two_tokenizers.read, "m")
    assert again.names == ("a", "c") and again.alignment == sides.alignment
    assert again.tokens.fingerprint() == sides.tokens.fingerprint() == again.store_b.manifest.tokens_fingerprint
    ids = sides.tokens.token_ids()[:300]
    assert [again.tokenizer.decode([i]) for i in ids] == [sides.tokenizer.decode([i]) for i in ids]
    for found, saved in zip(sides.examples, again.examples, strict=True):
        np.testing.assert_array_equal(found.rows, saved.rows)


def test_spaces_of_an_aligned_matching_are_those_of_its_units(two_tokenizers):
    """Trap: the stores of notebook 03 have other rows than the pairs were made on."""
    project = two_tokenizers
    matching = project.matching(activations_b="other", dictionary_b="c")
    folder = project.folder / "units"
    sides = open_sides(project.read, matching, folder=folder)
    pairs = project.finish_matching(sides, matching, folder)
    for seed, name in enumerate("ac"):
        small_sae(d_sae=len(WATCHED), seed=seed).save_model(project.folder / f"sae_{name}")
        reference = SaeReference("folder", "blocks.0.hook_resid_post", folder=f"sae_{name}")
        reference.save(project.folder / f"sae_{name}.json")
        project.results["02_train_saes", name].artifacts["sae"] = project.folder / f"sae_{name}.json"
    spaces = load_matched_spaces(project.read, "m")
    assert spaces.store_a.n_tokens == spaces.store_b.n_tokens == sides.alignment["n_units"]
    np.testing.assert_array_equal(spaces.candidates[1], np.flatnonzero(sides.store_b.feature_counts >= 4))
    assert pair_set(spaces.matched_on_first(sides.store_a.n_tokens)) == pair_set(pairs)
    half = spaces.matched_on_first(sides.store_a.n_tokens // 2)
    assert 0 < half.n_pairs <= pairs.n_pairs and pair_set(half) <= pair_set(pairs)


def test_a_run_without_the_dictionary_is_named(project, tokens):
    project.add_run("other", tokens, c=("words", two_sides(tokens.n_tokens)[1]))
    with pytest.raises(
        ValueError, match=r"dictionary_b 'b' is not in 03_save_activations/other, which has c; name.*_b$"
    ):
        open_sides(project.read, project.matching(activations_b="other"), folder=project.folder / "units")
    project.results["03_save_activations", "main"].artifacts.pop("store_a")
    with pytest.raises(ValueError, match=r"dictionary_a 'a' is not in 03_save_activations/main, which has b"):
        open_sides(project.read, project.matching(), folder=project.folder / "units")


def test_samples_that_cannot_be_aligned(two_tokenizers, pieces):
    """No document in common, other texts under the same numbers, tokens saved before their places were kept."""
    project, matching = two_tokenizers, two_tokenizers.matching(activations_b="other", dictionary_b="c")
    later = tokenize_corpus(StoryWorld(), pieces, context_size=64, n_tokens=500, start_document=500)
    spoilt = {
        "batches must share documents; got documents 0 to .* and documents 500 to": later,
        "different texts in the two batches; tokenise the same corpus for both": tokenize_corpus(
            Texts(*["the king"] * 50), pieces, context_size=64, n_tokens=100
        ),
        "batch b does not say where its tokens stand.* earlier version saved it.*03_save_activations": replace(
            tokenize_corpus(StoryWorld(), pieces, context_size=64, n_tokens=500), char_spans=None, text_hashes=None
        ),
    }
    for number, (message, tokens) in enumerate(spoilt.items()):
        acts = random_activations(tokens.n_tokens, D_SAE)
        project.results.pop(("03_save_activations", "other"), None)
        project.add_run(f"other{number}", tokens, c=("pieces", acts))
        with pytest.raises(ValueError, match=message):
            open_sides(
                project.read, matching | {"activations_b": f"other{number}"}, folder=project.folder / f"units{number}"
            )


def test_stores_that_have_no_last_token_to_take(two_tokenizers, pieces, tokens):
    cut = tokenize_corpus(StoryWorld(), pieces, context_size=64, n_tokens=2000)
    dense = write(two_tokenizers.folder / "dense", cut, np.ones((2000, 4), dtype=np.float32), kind="hidden_pre")
    two_tokenizers.add_run("dense_run", cut, d=("pieces", dense))
    with pytest.raises(ValueError, match="only feature_acts that are never negative can be pooled"):
        matching = two_tokenizers.matching(activations_b="dense_run", dictionary_b="d")
        open_sides(two_tokenizers.read, matching, folder=two_tokenizers.folder / "units")


def test_tokens_of_another_tokenizer_than_the_models_are_refused(project, pieces):
    """Trap: ids of one tokenizer decoded by another give words that nothing fired on."""
    project.add_model("words", pieces)
    with pytest.raises(ValueError, match=r"03_save_activations/main were made by another tokenizer than that of model"):
        open_sides(project.read, project.matching(), folder=project.folder / "units")


def test_runs_whose_tokens_changed_after_the_matching_are_refused(project, tokens, tokenizer):
    """Trap: the pairs of common tokens, read on rows that are not common any more."""
    project.add_run("other", tokens, c=("words", two_sides(tokens.n_tokens)[1]))
    matching = project.matching(activations_b="other", dictionary_b="c")
    project.finish_matching(open_sides(project.read, matching, folder=project.folder / "units"), matching)
    shorter = tokenize_corpus(StoryWorld(), tokenizer, context_size=CONTEXT, n_tokens=2000)
    (project.folder / "new").mkdir()
    project.folder = project.folder / "new"
    project.add_run("other", shorter, c=("words", two_sides(2000)[1]))
    with pytest.raises(ValueError, match=r"have become different since; run 04_match_features with run='m' again"):
        load_sides(project.read, "m")


def test_units_cover_what_alignment_says(two_tokenizers, tokens, pieces):
    matching = two_tokenizers.matching(activations_b="other", dictionary_b="c")
    sides = open_sides(two_tokenizers.read, matching, folder=two_tokenizers.folder / "units")
    cut = tokenize_corpus(StoryWorld(), pieces, context_size=64, n_tokens=2 * tokens.n_tokens)
    assert sides.alignment == align_rows(tokens, cut).report()


def test_pairs_are_filtered_by_the_words_of_both_sides(project, tokens, tokenizer):
    """Two features of each side, one fires on full stops and one on another word; both pairs correlate perfectly."""
    stop, word = (tokens.token_ids() == tokenizer(text)["input_ids"][0] for text in (".", " the"))
    assert min(stop.sum(), word.sum()) > 10
    acts = scipy.sparse.csr_array(np.stack([stop, word], axis=1).astype(float) * np.linspace(1, 2, len(stop))[:, None])
    project.add_run("marks", tokens, a=("words", acts), b=("words", acts))
    matching = project.matching() | {"activations": "marks"}
    sides = open_sides(project.read, matching, folder=project.folder / "units")
    pairs = project.finish_matching(sides, matching)
    report = filter_matching(project.read, "m", pairs, min_density=0.0, max_density=1.0)
    assert [step.n_removed for step in report.steps] == [0, 1, 0, 0, 0]
    assert (report.pairs.ids_a.tolist(), report.pairs.ids_b.tolist()) == ([1], [1])
    everything = filter_matching(project.read, "m", pairs, marks=["the"], min_density=0.0, max_density=1.0)
    assert everything.pairs.n_pairs == 0 and everything.messages[-1].endswith("there was no pair left to filter")
    too_dense = filter_matching(project.read, "m", pairs, max_density=0.0)
    assert too_dense.steps[-1].n_removed == 1
