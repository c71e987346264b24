"""What features stand for: scores from top examples, and the trap of reading them on the tokens that chose the pairs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.features import top_examples
from helpers.matching import match_features, same_concept_share, same_token_score
from helpers.matching.meanings import SAME_CONCEPT, SAME_TOKENS, Meanings, match_held_out
from tests.matching.conftest import pair_set
from tests.matching.test_quality import pairs_of

N_DOCUMENTS, LENGTH, N_WORDS, N_FEW_WORDS, D_SAE = 300, 10, 400, 60, 250


def write(path, values: np.ndarray, words: np.ndarray, **options) -> ActivationStore:
    rows = np.arange(len(values))
    with ActivationStore.create(path, d_sae=values.shape[1], **options) as writer:
        writer.append(values.astype(np.float32), token_ids=words, documents=rows // LENGTH, positions=rows % LENGTH)
    return ActivationStore.open(path)


@pytest.fixture(scope="module")
def words():
    return np.random.default_rng(9).integers(0, N_WORDS, size=N_DOCUMENTS * LENGTH)


@pytest.fixture(scope="module")
def few_words(words):
    """So few that every word stands in many documents."""
    return words % N_FEW_WORDS


@pytest.fixture(scope="module")
def accidents(tmp_path_factory, words):
    """Two dictionaries of rare features that have nothing to do with each other or with any word."""
    folder = tmp_path_factory.mktemp("accidents")
    n_tokens = len(words)
    stores = []
    for seed, name in enumerate("ab"):
        rng = np.random.default_rng(seed)
        values = rng.random((n_tokens, D_SAE)) * (rng.random((n_tokens, D_SAE)) < 8 / n_tokens)
        stores.append(write(folder / name, values, words))
    return stores


@pytest.fixture(scope="module")
def detectors(tmp_path_factory, few_words):
    """Two dictionaries whose first 30 features each detect one and the same word."""
    folder = tmp_path_factory.mktemp("detectors")
    stores = []
    for seed, name in enumerate("ab"):
        rng = np.random.default_rng(seed)
        values = (few_words[:, None] == np.arange(30)) * rng.uniform(0.5, 1.0, size=(len(few_words), 30))
        stores.append(write(folder / name, values, few_words))
    return stores


def test_checks_are_the_scores_of_the_top_tokens(detectors, few_words):
    examples = [top_examples(store, n_examples=3) for store in detectors]
    meanings = Meanings.of(*examples, few_words, concept_of=lambda token: "even" if token % 2 == 0 else None)
    pairs = pairs_of([0, 1, 2, 4], [0, 1, 4, 3], 30, 30)
    checks = meanings.check(pairs, n_permutations=19, seed=2)
    expected = same_token_score(pairs, *(e.tokens(few_words) for e in examples), n_permutations=19, seed=2)
    assert checks[SAME_TOKENS].score == expected.score == 0.5  # 0 and 1 are matched rightly
    assert (checks[SAME_TOKENS].null == expected.null).all()
    concepts = ["even" if word % 2 == 0 else None for word in range(30)]
    assert checks[SAME_CONCEPT].score == same_concept_share(pairs, concepts, concepts).score == 0.5  # 0-0 and 2-4
    assert set(Meanings.of(*examples, few_words).check(pairs)) == {SAME_TOKENS}


def test_accidents_share_tokens_only_where_they_were_matched(accidents, words):
    """The trap: pairs that are nothing but accidents share their top tokens, because that is how they were chosen."""
    settings = {"method": "one_to_one", "min_firings": 3}
    pairs = match_features(*accidents, **settings)
    meanings = Meanings.of(*(top_examples(store) for store in accidents), words)
    naive = meanings.check(pairs, n_permutations=99)[SAME_TOKENS]
    assert naive.p_value == 0.01 and naive.score > 10 * naive.null_mean
    halves = match_held_out(*accidents, seed=1, **settings)
    assert halves.pairs.n_pairs > 100
    honest = halves.meanings.check(halves.pairs, n_permutations=99)[SAME_TOKENS]
    assert honest.score < naive.score / 5
    assert honest.p_value > 0.01


def test_the_halves_share_no_document_and_each_does_its_part(detectors, few_words):
    halves = match_held_out(*detectors, n_examples=4, share=0.3, seed=5, method="mutual")
    documents = np.arange(len(few_words)) // LENGTH
    assert len(set(documents[halves.matched_on])) == round(0.3 * N_DOCUMENTS)
    assert not set(documents[halves.matched_on]) & set(documents[~halves.matched_on])
    dense = [store.rows(0, store.n_tokens).toarray() for store in detectors]
    expected = match_features(*(scipy.sparse.csr_array(side[halves.matched_on]) for side in dense), method="mutual")
    assert pair_set(halves.pairs) == pair_set(expected)
    assert halves.meanings.tokens_a.shape == (30, 4)
    for side, tokens in zip(dense, (halves.meanings.tokens_a, halves.meanings.tokens_b), strict=True):
        unseen = np.where(halves.matched_on[:, None], 0.0, side)
        np.testing.assert_array_equal(tokens[:, 0], few_words[unseen.argmax(axis=0)])
    assert halves.meanings.check(halves.pairs, n_permutations=19)[SAME_TOKENS].score > 0.9  # real features keep it


def test_stores_of_other_tokens_are_refused(detectors, tmp_path, few_words):
    """Trap: taken rows carry no fingerprint, so the check has to come before."""
    other = write(tmp_path / "c", np.eye(30)[few_words % 30], few_words[::-1])
    with pytest.raises(ValueError, match="disagree on token_ids"):
        match_held_out(detectors[0], other)
    signed = write(tmp_path / "d", np.ones((len(few_words), 3)), few_words, kind="hidden_pre")
    with pytest.raises(ValueError, match="a holds feature_acts, b holds hidden_pre"):
        match_held_out(detectors[0], signed)
