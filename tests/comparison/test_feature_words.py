"""Words as rows of the features that fire on them, in one model and through matched features; and all of it opened."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.activations import ActivationStore
from helpers.comparison import load_matched_spaces, load_sides, open_sides
from helpers.comparison.hierarchy import (
    FEATURES,
    MATCHED,
    RESIDUAL,
    UNEMBEDDING,
    feature_words,
    load_word_rows,
    matched_feature_words,
    residual_words,
    unembedding_words,
)
from helpers.features import FeatureTable, build_words, describe_features
from helpers.geometry.hierarchy import fit_whitening
from helpers.matching.pairs import make_pairs
from helpers.models import ModelReference
from helpers.saes import SaeReference
from tests.activations.conftest import small_sae
from tests.comparison.conftest import Left
from tests.comparison.test_matched_sides import D_SAE, Project, two_sides
from tests.features.test_labels import described

WORDS = ("dog", "cat", "owl")
# Feature -> what its five strongest examples fire on. 2 is a dog's with two hits; 5 fires on a word that nobody asks for.
FIRINGS = {
    0: ["dog"] * 5, 1: ["Dog"] * 3 + ["x"] * 2, 2: ["dog"] * 2 + ["x"] * 3, 3: ["cat"] * 5, 4: ["cat"] * 5, 5: ["bird"] * 5,
    6: ["x"] * 5, 7: ["y"] * 5, 8: ["z"] * 5,
}  # fmt: skip
COUNTS = np.array([50, 50, 50, 50, 2, 50, 50, 50, 50])  # 4 is too rare
ALIVE = COUNTS >= 10


@pytest.fixture
def table(tmp_path):
    return described(tmp_path / "s", FIRINGS)


def directions_of(seed: int, d: int = 3) -> np.ndarray:
    directions = np.random.default_rng(seed).normal(size=(len(FIRINGS), d)) + 4
    directions[4] *= 1e4  # a rare feature's direction is noise: it must not whiten, nor stand for its word
    return directions


def test_a_word_is_the_mean_of_its_features_rows(table):
    directions = directions_of(0)
    found = feature_words(table, directions, COUNTS, WORDS)
    white = fit_whitening(directions[ALIVE]).apply(directions)
    assert found.words == ("cat", "dog")  # no feature fires on owls
    assert np.allclose(found.of(["dog"]), white[[0, 1]].mean(axis=0)) and np.allclose(found.of(["cat"]), white[[3]])
    fewer = feature_words(table, directions, COUNTS, WORDS, min_hits=2)
    assert np.allclose(fewer.of(["dog"]), white[[0, 1, 2]].mean(axis=0))
    rare = feature_words(table, directions, COUNTS, WORDS, min_firings=1)
    everything = fit_whitening(directions).apply(directions)
    assert np.allclose(rare.of(["cat"]), everything[[3, 4]].mean(axis=0))


def test_words_without_a_feature_are_refused(table):
    with pytest.raises(ValueError, match="no feature fires on any of 1 words; lower min_hits or min_firings"):
        feature_words(table, directions_of(0), COUNTS, ["owl"])
    with pytest.raises(ValueError, match="lower min_hits or min_firings"):
        feature_words(table, directions_of(0), np.where(np.arange(9) < 5, 2, 50), ["dog", "cat"])


def pairs_of(*pairs: tuple[int, int]):
    settings = {"d_sae_a": 9, "d_sae_b": 9, "direction": "both"}
    ids_a, ids_b = zip(*pairs, strict=True)
    return make_pairs(np.array(ids_a), np.array(ids_b), np.linspace(0.9, 0.5, len(pairs)), settings=settings)


def test_partners_stand_for_the_same_words(table):
    """Pairs are named by a's feature: what b's own features fire on is not asked."""
    a, b = directions_of(0), directions_of(1, d=2)
    pairs = pairs_of((3, 8), (0, 3), (1, 7), (5, 0), (6, 1))
    first, second = matched_feature_words(table, pairs, [(a, ALIVE), (b, ALIVE)], WORDS)
    white_a, white_b = (fit_whitening(rows[ALIVE]).apply(rows) for rows in (a, b))
    assert first.words == second.words == ("cat", "dog")
    assert np.allclose(first.of(["dog"]), white_a[[0, 1]].mean(axis=0)) and np.allclose(first.of(["cat"]), white_a[3])
    assert np.allclose(second.of(["dog"]), white_b[[3, 7]].mean(axis=0)) and np.allclose(second.of(["cat"]), white_b[8])
    with pytest.raises(ValueError, match="no matched feature fires on any of 3 words; lower min_corr or min_hits"):
        matched_feature_words(table, pairs_of((5, 0), (2, 1)), [(a, ALIVE), (b, ALIVE)], WORDS)


@pytest.fixture
def study(tmp_path, tokens, tokenizer, model_folder) -> Project:
    """Notebooks 01 to 04 of one model with two dictionaries."""
    made = Project(tmp_path)
    made.add_model("words", tokenizer)
    acts_a, acts_b = two_sides(tokens.n_tokens)
    made.add_run("main", tokens, a=("words", acts_a), b=("words", acts_b))
    ModelReference("folder", str(model_folder)).save(tmp_path / "model.json")
    made.results["01_language_models", "words"] = Left({}, {"model": tmp_path / "model.json"})
    words = build_words(tokens, tokenizer)
    main = made.results["03_save_activations", "main"]
    for seed, name in enumerate("ab"):
        small_sae(d_sae=D_SAE, seed=seed).save_model(tmp_path / name)
        SaeReference("folder", "blocks.0.hook_resid_post", folder=name).save(tmp_path / f"{name}.json")
        made.results["02_train_saes", name].artifacts["sae"] = tmp_path / f"{name}.json"
        main.artifacts[f"features_{name}"] = tmp_path / f"features_{name}"
        table = describe_features(ActivationStore.open(main.artifacts[f"store_{name}"]), words)
        table.save(main.artifacts[f"features_{name}"])
    return made


def test_all_kinds_of_rows_are_opened_for_both_models(study, tokens, tokenizer, model):
    matching = study.matching()
    study.finish_matching(open_sides(study.read, matching, folder=study.folder / "units"), matching)
    words_of = build_words(tokens, tokenizer)
    counts = np.bincount(words_of.word_ids[words_of.word_ids >= 0], minlength=len(words_of.words))
    frequent = [words_of.words[number] for number in np.argsort(-counts) if words_of.words[number].isalpha()][:40]
    asked = list(dict.fromkeys(word.casefold() for word in frequent))
    options = {"min_hits": 1, "min_firings": 5}
    found = load_word_rows(study.read, "m", asked, min_count=5, min_corr=0.4, **options)
    assert list(found) == [UNEMBEDDING, RESIDUAL, FEATURES, MATCHED]
    sides, spaces = load_sides(study.read, "m"), load_matched_spaces(study.read, "m")
    stores, directions = (sides.store_a, sides.store_b), (spaces.directions_a, spaces.directions_b)
    tables = [FeatureTable.load(study.folder / f"features_{name}") for name in "ab"]
    alive = [np.asarray(store.feature_counts) >= 5 for store in stores]
    partners = list(zip(directions, alive, strict=True))
    expected = {
        UNEMBEDDING: [unembedding_words(model, tokenizer, asked)] * 2,
        RESIDUAL: [
            residual_words(*each, words_of, asked, min_count=5) for each in zip(stores, directions, strict=True)
        ],
        FEATURES: [
            feature_words(t, d, s.feature_counts, asked, **options)
            for t, d, s in zip(tables, directions, stores, strict=True)
        ],
        MATCHED: matched_feature_words(tables[0], spaces.pairs.above(0.4), partners, asked, min_hits=1),
    }
    for kind, sides_found in found.items():
        for side, by_hand in zip(sides_found, expected[kind], strict=True):
            assert side.words == by_hand.words and len(side.words) > 1
            assert np.allclose(side.rows, by_hand.rows, atol=1e-9)
    assert 0 < spaces.pairs.above(0.4).n_pairs < spaces.pairs.n_pairs  # min_corr counts
