"""Families carried to a second model: kept where it has them, lost where it has not."""

import numpy as np
import pytest
import scipy.sparse

from helpers.geometry import cofiring_pairs, compare_families, planted_families, shuffled_firings
from tests.geometry.conftest import pairs_of

QUESTIONS = ("parents", "trees", "groups", "company")
SETTINGS = {"lowest_a": 0.3, "lowest_b": 0.3, "min_jaccard": 0.1, "n_permutations": 99}


def second_model(fires, *, kept, seed):
    """Fires where the first does on the share `kept` of its tokens, all features together: whole tokens fall silent."""
    rng = np.random.default_rng(seed)
    return scipy.sparse.csr_array(fires.multiply(rng.random((fires.shape[0], 1)) < kept))


@pytest.fixture(scope="module")
def kept(planted):
    d_sae = planted.firings.shape[1]
    order = np.random.default_rng(0).permutation(d_sae)
    b = second_model(planted.firings, kept=0.6, seed=1)[:, order]
    pairs = pairs_of(order, np.arange(d_sae), d_sae_a=d_sae, d_sae_b=d_sae)
    found = [cofiring_pairs(fires) for fires in (planted.firings, b)]
    return compare_families(planted.firings, b, pairs, *found, **SETTINGS)


def test_families_of_a_model_that_has_them_are_kept(kept, planted):
    np.testing.assert_array_equal(kept.forest_a.parents, planted.parents)
    assert tuple(kept.results) == QUESTIONS
    for question in QUESTIONS:
        for result in kept.results[question].values():
            assert result.score == pytest.approx(1) and result.p_value == 1 / 100
        assert kept.ceiling[question] == pytest.approx(1)


def test_the_pairs_alone_imply_less(kept):
    """Partners share 60 % of their tokens; drawn at random, child and parent meet on 0.6 * 0.6 and not on 0.6 of them."""
    assert kept.pairs_alone["parents"] < 0.2 and kept.pairs_alone["trees"] < 0.2


def test_families_of_a_model_without_them_are_not_kept(planted):
    """b fires as often, on tokens as busy, but has no families: nothing is kept beyond chance."""
    d_sae = planted.firings.shape[1]
    b = shuffled_firings(planted.firings, seed=5)
    pairs = pairs_of(np.arange(d_sae), np.arange(d_sae), d_sae_a=d_sae, d_sae_b=d_sae)
    found = [cofiring_pairs(fires) for fires in (planted.firings, b)]
    lost = compare_families(planted.firings, b, pairs, *found, **SETTINGS)
    assert len(lost.forest_b.edges) == 0
    for question, row in lost.results.items():
        for result in row.values():
            assert result.score <= 0.05 and result.p_value > 0.05, question


def test_models_with_other_families_of_like_frequency_keep_none():
    """The trap: parents are frequent in both models. Families of other features of the same frequencies are not kept."""
    one, other = (planted_families(seed=seed, n_background=0, n_families=12) for seed in (0, 1))
    d_sae = len(one.parents)
    counts = np.asarray(other.firings.sum(axis=0)).ravel()
    rng = np.random.default_rng(0)
    order = np.lexsort((rng.random(d_sae), np.argsort(np.argsort(counts)) // 24))  # partners of about the same rank
    ranks = np.lexsort((rng.random(d_sae), np.argsort(np.argsort(np.asarray(one.firings.sum(axis=0)).ravel())) // 24))
    pairs = pairs_of(ranks, order, d_sae_a=d_sae, d_sae_b=d_sae)
    found = [cofiring_pairs(planted.firings) for planted in (one, other)]
    lost = compare_families(one.firings, other.firings, pairs, *found, **SETTINGS)
    for question, row in lost.results.items():
        assert row["partners of like frequency"].p_value > 0.01, question


def test_the_table_has_a_row_a_null_and_no_gaps(kept):
    rows = kept.as_text()
    assert len(rows) == 2 * len(QUESTIONS)
    assert all(cell != "" and "nan" not in cell.lower() for row in rows.values() for cell in row.values())
    assert rows["parents, shuffled partners"]["kept"] == "1.000"


def test_a_model_without_any_family_leaves_no_question():
    rng = np.random.default_rng(0)
    fires = scipy.sparse.csr_array(rng.random((2000, 10)) < 0.1, dtype=np.float32)
    pairs = pairs_of(range(10), range(10), d_sae_a=10, d_sae_b=10)
    found = cofiring_pairs(fires)
    nothing = compare_families(fires, fires, pairs, found, found, **SETTINGS)
    assert nothing.results == {} and nothing.as_text() == {}
