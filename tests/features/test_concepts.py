"""Groups as sets of features: whole words, case, what became of every word; the known truth counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.corpus import StoryWorld
from helpers.features import (
    ConceptGroup,
    FeatureIndex,
    KnownConcepts,
    WordTable,
    concept_features,
    concept_mass,
    describe_features,
    known_concepts,
    one_sided_groups,
    truth_score,
)
from helpers.features.concepts import ABSENT, NO_EXAMPLE, TOO_FEW_HITS


def words_of(text: str) -> WordTable:
    """One row a word."""
    listed = text.split()
    words = tuple(sorted(set(listed)))
    return WordTable(words, np.array([words.index(word) for word in listed], np.int32))


def store_of(path, words: WordTable, firings: list[dict[int, float]], **options):
    """A store in which feature f has the value firings[f][row]; every row is a document of its own."""
    dense = np.zeros((words.n_tokens, len(firings)))
    for feature, values in enumerate(firings):
        for row, value in values.items():
            dense[row, feature] = value
    rows = np.arange(words.n_tokens)
    with ActivationStore.create(path, d_sae=len(firings), **options) as writer:
        writer.append(scipy.sparse.csr_array(dense), token_ids=words.word_ids, documents=rows, positions=rows)
    return ActivationStore.open(path)


def fires_on(words: WordTable, *chosen: str) -> dict[int, float]:
    """A feature with the strongest activation on the first word, then on the next and so on."""
    rows = [[row for row in range(words.n_tokens) if words.word(row) == word] for word in chosen]
    return {row: float(len(chosen) - place) for place, found in enumerate(rows) for row in found}


def index_of(path, words, firings):
    return FeatureIndex(describe_features(store_of(path, words, firings), words))


TEXT = "king queen prince talking King even may May " * 5 + "duke tower castle"


def test_features_are_found_by_the_groups_words_together(tmp_path):
    words = words_of(TEXT)
    mixed = {0: 9.0, 1: 8.0, 2: 7.0, 3: 6.0, 11: 5.0}  # king, queen, prince, talking, talking
    index = index_of(tmp_path / "s", words, [fires_on(words, "queen"), fires_on(words, "talking"), mixed, {3: 1.0}])
    group = ConceptGroup("royalty", ("king", "queen", "prince"), "exact")
    found = concept_features(index, group)
    assert (found.ids.tolist(), found.hits.tolist(), found.words) == ([0, 2], [5, 3], ("queen", "king"))
    assert found.n_by_word == {"queen": 1, "king": 1}
    assert (found.n, found.largest_share) == (2, 0.5)
    assert concept_features(index, group, min_hits=4).ids.tolist() == [0]
    # "king" was never found in "talking"
    assert concept_features(index, ConceptGroup("k", ("king",)), min_hits=1).ids.tolist() == [2]


def test_case_follows_the_group(tmp_path):
    words = words_of(TEXT)
    index = index_of(tmp_path / "s", words, [fires_on(words, "may"), fires_on(words, "May")])
    assert concept_features(index, ConceptGroup("months", ("May",), "exact")).ids.tolist() == [1]
    assert concept_features(index, ConceptGroup("months", ("May",), "ignore")).ids.tolist() == [0, 1]


def test_what_became_of_every_word_is_told(tmp_path, tokenizer):
    words = words_of(TEXT)
    index = index_of(tmp_path / "s", words, [fires_on(words, "queen"), {0: 3.0, 3: 2.0, 5: 1.0}])
    group = ConceptGroup("royalty", ("queen", "king", "duke", "emperor"), "exact")
    found = concept_features(index, group, words=words)
    assert found.silent == {"king": TOO_FEW_HITS, "duke": NO_EXAMPLE, "emperor": ABSENT}
    assert found.messages == [
        "group 'royalty': 1 of 4 words stand in no context: emperor",
        "group 'royalty': 1 of 4 words are no feature's top token: duke",
        "group 'royalty': 1 of 4 words are top tokens of features that fire as much on other words: king",
    ]
    # without the words of the rows, "in no context" cannot be known and is not claimed
    assert concept_features(index, group).silent["emperor"] == NO_EXAMPLE
    assert concept_features(index, ConceptGroup("q", ("queen",)), words=words, tokenizer=tokenizer).messages == []


def test_words_that_the_tokenizer_splits_are_found_and_named(tmp_path):
    class Pieces:
        """Three letters a token, the space before a word for free."""

        def __call__(self, texts, add_special_tokens):
            assert not add_special_tokens
            return {"input_ids": [list(range(0, len(text.strip()), 3)) for text in texts]}

    words = words_of("\u0645\u0644\u0643\u0629 queen cat " * 5)
    index = index_of(tmp_path / "s", words, [fires_on(words, "\u0645\u0644\u0643\u0629")])
    found = concept_features(
        index, ConceptGroup("g", ("\u0645\u0644\u0643\u0629", "cat")), words=words, tokenizer=Pieces()
    )
    assert found.split == ("\u0645\u0644\u0643\u0629",)
    assert found.ids.tolist() == [0]
    assert (
        found.messages[-1]
        == "group 'g': 1 words are several tokens each and are found as whole words: \u0645\u0644\u0643\u0629"
    )


def test_a_group_without_features_in_one_model(tmp_path):
    words = words_of(TEXT)
    groups = [ConceptGroup("royalty", ("queen",)), ConceptGroup("places", ("tower",)), ConceptGroup("none", ("sea",))]
    firings = {"a": [fires_on(words, "queen")], "b": [{40: 1.0, 41: 2.0, 42: 3.0}, fires_on(words, "queen")]}
    features = {
        model: {group.name: concept_features(index_of(tmp_path / model, words, fired), group) for group in groups}
        for model, fired in firings.items()
    }
    assert one_sided_groups(features) == [
        "group 'places' has no features in a, b",
        "group 'none' has no features in a, b",
    ]
    features["b"]["places"] = features["b"]["royalty"]
    assert one_sided_groups(features)[0] == "group 'places' has no features in a (1 in b)"
    empty = features["a"]["none"]
    assert empty.messages[0] == "group 'none' has no features"
    assert (empty.largest_share, empty.n_by_word) == (0.0, {})


def test_hits_out_of_range(tmp_path):
    words = words_of(TEXT)
    index = index_of(tmp_path / "s", words, [fires_on(words, "queen")])
    with pytest.raises(ValueError, match=r"min_hits must be in \[1, 5\]"):
        concept_features(index, ConceptGroup("g", ("queen",)), min_hits=6)


# ---- known truth


KNOWN = KnownConcepts(
    names=("mammal", "bird", "colour"),
    parents={"mammal": "animal", "bird": "animal", "animal": "living"},
    of={"dog": "mammal", "cat": "mammal", "owl": "bird", "red": "colour"}.get,
)
ANIMALS = ConceptGroup("animals", ("dog",), concepts=("animal",))


def test_concepts_under_a_kind():
    assert KNOWN.under(["animal"]) == {"mammal", "bird"}
    assert KNOWN.under(["living", "colour"]) == {"mammal", "bird", "colour"}
    assert KNOWN.under(["bird"]) == {"bird"}
    assert KNOWN.under([]) == frozenset()
    with pytest.raises(ValueError, match="unknown concept 'animals'; did you mean 'animal'"):
        KNOWN.under(["animals"])
    circle = KnownConcepts(("a",), {"a": "b", "b": "a"}, {}.get)
    assert circle.under(["b"]) == {"a"}


def test_a_features_truth_is_its_whole_activation_not_its_top(tmp_path):
    """Trap: feature 1 is strongest on the dog in all five top examples, and does most of its firing elsewhere."""
    words = words_of("dog " * 5 + "owl red the " * 20)
    often = {row: 1.0 for row in range(5, 65)}
    firings = [{0: 1.0, 5: 1.0, 6: 1.0}, {row: 2.0 for row in range(5)} | often, {}, {6: 3.0}, {0: 1.0, 6: 1.0}]
    store = store_of(tmp_path / "s", words, firings)
    mass = concept_mass(store, words, KNOWN)
    assert mass.mass.tolist() == [[1, 1, 1, 0], [10, 20, 20, 20], [0, 0, 0, 0], [0, 0, 3, 0], [1, 0, 1, 0]]
    assert mass.counts.tolist() == [3, 65, 0, 1, 2]
    np.testing.assert_allclose(mass.share(["animal"]), [2 / 3, 30 / 70, 0, 0, 0.5])
    assert mass.true_features(ANIMALS).tolist() == [0]  # half is not more than half, and a dead feature is in no group
    assert mass.true_features(ANIMALS, min_share=0.4).tolist() == [0, 1, 4]
    assert mass.true_features(ANIMALS, min_share=0.4, min_firings=3).tolist() == [0, 1]
    # the word search is led astray by the top examples, which is what precision shows
    found = concept_features(FeatureIndex(describe_features(store, words)), ANIMALS)
    assert found.ids.tolist() == [1]
    score = truth_score(found.ids, mass.true_features(ANIMALS), n_features=4)
    assert (score.precision, score.recall, score.chance) == (0.0, 0.0, 0.25)


def test_the_mass_equals_a_dense_sum_whatever_the_blocks(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    words = words_of(" ".join(rng.choice(["dog", "cat", "owl", "red", "the"], 300)))
    words = WordTable(words.words, np.where(rng.random(300) < 0.1, -1, words.word_ids).astype(np.int32))
    # multiples of 1/8 are exact in float16 and add exactly in float64; negative values count nothing
    dense = rng.integers(-9, 40, (300, 12)) / 8 * (rng.random((300, 12)) < 0.2)
    firings = [dict(enumerate(column)) for column in dense.T]
    store = store_of(tmp_path / "s", words, firings, signed=True)
    original = ActivationStore.row_blocks
    monkeypatch.setattr(ActivationStore, "row_blocks", lambda self: original(self, block_rows=7))
    mass = concept_mass(store, words, KNOWN)
    concepts = [KNOWN.of(words.word(row)) for row in range(300)]
    expected = [
        [
            sum(max(dense[row, feature], 0) for row in range(300) if concepts[row] == name)
            for name in (*KNOWN.names, None)
        ]
        for feature in range(12)
    ]
    np.testing.assert_array_equal(mass.mass, expected)
    np.testing.assert_array_equal(mass.counts, (dense > 0).sum(axis=0))


def test_scores_by_hand():
    score = truth_score(np.array([1, 2, 3, 4]), np.array([3, 4, 5]), n_features=30)
    assert (score.n_found, score.n_true, score.n_right) == (4, 3, 2)
    assert (score.precision, score.recall, score.chance) == (0.5, pytest.approx(2 / 3), 0.1)
    nothing = truth_score(np.array([], int), np.array([], int), n_features=0)
    assert (nothing.precision, nothing.recall, nothing.chance) == (None, None, 0.0)


def test_what_is_known_of_a_corpus():
    known = known_concepts(StoryWorld())
    assert known is not None
    assert known.of("Monday") == "weekday"
    assert known.under(["calendar"]) == {"weekday", "month", "season"}

    class Texts:
        name = "texts"

        def documents(self, start=0):
            return iter(()[start:])

    assert known_concepts(Texts()) is None


def test_bad_input(tmp_path):
    words = words_of("dog owl")
    store = store_of(tmp_path / "s", words, [{0: 1.0}])
    with pytest.raises(ValueError, match="words must be those of the store's 2 rows; got 3"):
        concept_mass(store, words_of("dog owl red"), KNOWN)
    mass = concept_mass(store, words, KNOWN)
    with pytest.raises(ValueError, match="group 'x' names no concepts"):
        mass.true_features(ConceptGroup("x", ("dog",)))
    with pytest.raises(ValueError, match="unknown concept 'plant'"):
        mass.true_features(ConceptGroup("x", ("oak",), concepts=("plant",)))
    with pytest.raises(ValueError, match=r"min_share must be in \[0, 1\); got 1"):
        mass.true_features(ANIMALS, min_share=1.0)
    with pytest.raises(ValueError, match="found holds a feature twice"):
        truth_score(np.array([1, 1]), np.array([1]), n_features=3)
    with pytest.raises(ValueError, match="true has 2 features, more than the 1"):
        truth_score(np.array([1]), np.array([1, 2]), n_features=1)
    dense = np.ones((2, 3), np.float32)
    with ActivationStore.create(tmp_path / "d", d_sae=3, kind="hidden_pre") as writer:
        writer.append(dense, token_ids=[0, 1], documents=[0, 1], positions=[0, 0])
    with pytest.raises(ValueError, match="needs post-activations"):
        concept_mass(ActivationStore.open(tmp_path / "d"), words, KNOWN)
