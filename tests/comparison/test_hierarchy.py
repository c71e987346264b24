"""Words become rows as they should, and two models agree only where they do."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from helpers.comparison.analogies import (
    CARRIED,
    STEPS,
    across_models,
    analogy_tests,
    carrying_map,
    method_grids,
    steps_alike,
    within_groups,
)
from helpers.comparison.hierarchy import (
    WordRows,
    found_names,
    hierarchies_agree,
    residual_words,
    shared_nest,
    unembedding_words,
)
from helpers.comparison.hierarchy_controls import known_answers
from helpers.geometry.analogies import Analogy
from helpers.geometry.family_tests import Scale
from helpers.geometry.hierarchy import make_taxonomy, planted_hierarchy
from helpers.nulls.permutation import summarise


class Tokenizer:
    """Every letter is a token, with or without the space before it; the last token is special."""

    def __call__(self, texts, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": [[ord(letter) - 97 for letter in text if letter != " "] for text in texts]}

    def __len__(self):
        return 27


def rotated(rows, seed):
    return rows @ np.linalg.qr(np.random.default_rng(seed).standard_normal((rows.shape[1],) * 2))[0]


@pytest.fixture(scope="module")
def planted():
    return planted_hierarchy(seed=0)


@pytest.fixture(scope="module")
def nest(planted):
    return planted.taxonomy.nest(planted.taxonomy.all_words)


def test_single_tokens_have_rows_of_the_unembedding(monkeypatch):
    monkeypatch.setattr("helpers.comparison.hierarchy.listed_tokens", lambda _, n_vocab: np.arange(n_vocab) < 26)
    weights = torch.randn(4, 27, generator=torch.Generator().manual_seed(0))
    weights[:, 26] = 1e6  # a special token must not count in the covariance
    found = unembedding_words(SimpleNamespace(W_U=weights), Tokenizer(), ["b", "long", "c"])
    assert found.words == ("b", "c")
    everything = unembedding_words(SimpleNamespace(W_U=weights), Tokenizer(), [chr(97 + i) for i in range(26)])
    np.testing.assert_allclose(everything.rows.T @ everything.rows / 26, np.eye(4), atol=1e-6)
    np.testing.assert_array_equal(found.rows, everything.of(["b", "c"]))
    with pytest.raises(ValueError, match="none of 1 words is a single token"):
        unembedding_words(SimpleNamespace(W_U=weights), Tokenizer(), ["long"])
    with pytest.raises(ValueError, match="no row for z"):
        found.of(["z"])


def test_shared_words_are_in_the_order_of_the_taxonomy():
    tree = make_taxonomy({"x": None, "y": None}, {"x": ["a", "b"], "y": ["c"]})
    a = WordRows(("c", "b", "a"), np.array([[3.0], [2.0], [1.0]]))
    b = WordRows(("a", "c"), np.array([[10.0], [30.0]]))
    nest, x, y = shared_nest(tree, a, b)
    assert nest.owners.tolist() == [0, 1] and x.ravel().tolist() == [1, 3] and y.ravel().tolist() == [10, 30]
    with pytest.raises(ValueError, match="none of the 3 words"):
        shared_nest(tree, a, WordRows(("q",), np.ones((1, 1))))


def test_the_same_hierarchy_rotated_agrees_fully(planted, nest):
    found = hierarchies_agree(planted.rows, rotated(planted.rows, 1), nest, n_permutations=99)
    assert all(result.score == pytest.approx(1) and result.p_value == 0.01 for result in found.values())


def test_nested_tables_are_alike_by_shape_alone(planted, nest):
    """The trap: rows without meaning agree over nested sets, and the null that keeps the nesting knows it."""
    rng = np.random.default_rng(3)
    noise_a, noise_b = (rng.standard_normal((nest.n_words, 40)) for _ in "ab")
    found = hierarchies_agree(noise_a, noise_b, nest, n_permutations=199)
    assert found["concepts and kinds"].score > 0.3
    assert found["concepts and kinds"].p_value > 0.05 and found["concepts and kinds"].null_mean > 0.3
    assert abs(found["concepts"].score) < 0.2 and found["concepts"].p_value > 0.02
    undefined = hierarchies_agree(noise_a, noise_b, nest, min_words=9)
    assert list(undefined) == list(found)
    assert all(r.score is None and "0 concepts of 9 words" in r.undefined for r in undefined.values())


def test_one_shared_analogy_is_carried_over_and_noise_is_not():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(300)]
    rows = rng.standard_normal((300, 24))
    rows[:12, :3] *= 4
    rows[12:24] = rows[:12] @ np.linalg.qr(rng.standard_normal((24, 24)))[0] + 0.3 * rng.standard_normal((12, 24))
    a, b = WordRows(tuple(words), rows), WordRows(tuple(words), rotated(rows, 5))
    roles = Analogy("planted", tuple(zip(words[:12], words[12:24], strict=True)), alike=(tuple(words[:6]),))
    found = analogy_tests(a, b, roles, n_permutations=99)
    assert found.inside["a"]["ridge"].p_value == 0.01 and found.within["b"]["ridge"].p_value == 0.01
    assert found.across[CARRIED].p_value == 0.01
    noise = WordRows(tuple(words), rng.standard_normal((300, 24)))
    assert analogy_tests(a, noise, roles, n_permutations=99).across[CARRIED].p_value > 0.05
    grids = method_grids({"rows": [found, found]})
    assert list(grids) == ["a, rows", "b, rows"] and grids["a, rows"].scores.shape == (2, 4)
    assert grids["a, rows"].found[:, 2].all()
    assert grids["a, rows"].scores[0, 2] == found.inside["a"]["ridge"].score
    assert list(within_groups({"rows": [found]}, "cca")) == ["planted, a, rows", "planted, b, rows"]
    assert list(across_models({"rows": [found]})) == [f"planted, rows: {STEPS}", f"planted, rows: {CARRIED}"]


def test_steps_between_any_words_of_like_models_are_alike():
    """The trap: wrong partners have steps that are alike in both models, and only a null that pairs wrongly in both knows."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 12, 30))
    found = steps_alike((x, y), (rotated(x, 1), rotated(y, 1)), n_permutations=199)
    assert found.score == pytest.approx(1) and found.null_mean == pytest.approx(1) and found.p_value == 1
    with pytest.raises(ValueError, match="at least four pairs"):
        steps_alike((x[:3], y[:3]), (x[:3], y[:3]))
    with pytest.raises(ValueError, match="at least four pairs"):
        steps_alike((x, np.ones_like(y)), (x, y))


def test_the_carrying_map_is_the_least_squares_one():
    rng = np.random.default_rng(0)
    x, truth = rng.standard_normal((500, 6)), rng.standard_normal((6, 4))
    np.testing.assert_allclose(carrying_map(x, x @ truth, ridge=0.0), truth, atol=1e-10)
    assert np.abs(carrying_map(x, x @ truth) - truth).max() < 0.1
    with pytest.raises(ValueError, match="rows of the same words"):
        carrying_map(x, x[:3])


def test_means_in_the_residual_stream_need_enough_rows(monkeypatch):
    means = np.random.default_rng(0).standard_normal((9, 3))
    known = SimpleNamespace(known=lambda words, **_: words[:9], means=lambda *_, **__: means)
    monkeypatch.setattr("helpers.comparison.hierarchy.word_directions", lambda *_, **__: known)
    table = SimpleNamespace(words=(), word_ids=np.array([]))
    found = residual_words(None, None, table, list("abcdefghijk"))
    assert found.words == tuple("abcdefghi")
    np.testing.assert_allclose(found.rows.T @ found.rows / 9, np.eye(3), atol=1e-9)


def test_found_names_are_corrected():
    def result(p):
        null = np.r_[np.ones(round(p * 100) - 1), np.zeros(100 - round(p * 100))]
        return summarise(Scale("x"), 0.5, null, 3, {}, null_kind="pairing")

    assert found_names({"sure": result(0.01), "late": result(0.04), "no": result(0.9)}, alpha=0.05) == ["sure"]


def test_the_controls_hold():
    assert all(known_answers(n_permutations=99, seed=1).values())
