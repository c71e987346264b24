"""Cards as data: every number against the dense matrix, also where ids and rows are not in order."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from helpers.activations import ActivationStore
from helpers.features import (
    LogitEffects,
    build_words,
    describe_features,
    feature_cards,
    feature_columns,
    pair_cards,
    partners_of,
    token_texts,
)
from helpers.features.cards import TokenEffect
from helpers.matching import FeaturePairs
from helpers.matching.pairs import make_pairs
from tests.activations.conftest import random_activations
from tests.features.conftest import batch_of

D_SAE, DEAD, RARE = 12, 4, 7


def store_of(path, matrix, tokens):
    with ActivationStore.create(path, d_sae=matrix.shape[1], tokens_fingerprint=tokens.fingerprint()) as writer:
        writer.append(
            matrix, token_ids=tokens.token_ids(), documents=tokens.row_documents(), positions=tokens.row_positions()
        )
    return ActivationStore.open(path)


def activations(tokens, seed):
    dense = random_activations(tokens.n_tokens, D_SAE, density=0.2, seed=seed).toarray()
    dense[:, DEAD] = 0
    dense[:, RARE] = 0
    dense[[20, 2500], RARE] = 3, 5
    return dense


@pytest.fixture(scope="module")
def dense(tokens):
    return activations(tokens, 0), activations(tokens, 1)


@pytest.fixture(scope="module")
def stores(tokens, dense, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return [store_of(folder / name, matrix, tokens) for name, matrix in zip("ab", dense, strict=True)]


@pytest.fixture(scope="module")
def words(tokens, tokenizer):
    return build_words(tokens, tokenizer)


@pytest.fixture(scope="module")
def tables(stores, words):
    return [describe_features(store, words) for store in stores]


def cards_of(stores, tables, tokens, tokenizer, ids, **options):
    return feature_cards(feature_columns(stores[0], ids), tables[0], tokens, tokenizer, dictionary="a", **options)


def test_every_number_is_that_of_its_own_feature(stores, tables, dense, tokens, tokenizer):
    # Trap: the chosen ids are neither sorted nor their own places.
    ids = [9, 2, 11, 0]
    cards = cards_of(stores, tables, tokens, tokenizer, ids)
    assert list(cards) == ids
    for feature, card in cards.items():
        column = dense[0][:, feature]
        assert (card.feature, card.n_firings, card.max_activation) == (feature, (column > 0).sum(), column.max())
        assert card.density == (column > 0).mean()
        np.testing.assert_array_equal(card.histogram, tables[0].histogram[feature])
        assert sum(card.histogram) == card.n_firings
        assert len(card.contexts) == 5
        for context, row in zip(card.contexts, tables[0].examples.rows[feature], strict=False):
            first = row - context.marked
            rows = np.arange(first, first + len(context.tokens))
            assert [token.activation for token in context.tokens] == column[rows].tolist()
            assert [token.text for token in context.tokens] == token_texts(tokenizer, tokens.token_ids()[rows])
            assert context.tokens[context.marked].activation == column[row] > 0
            assert context.marked <= 9 and len(context.tokens) - context.marked - 1 <= 7


def test_dead_features_and_features_with_few_examples(stores, tables, tokens, tokenizer):
    cards = cards_of(stores, tables, tokens, tokenizer, [DEAD, RARE], n_contexts=5)
    dead, rare = cards[DEAD], cards[RARE]
    assert (dead.n_firings, dead.max_activation, dead.histogram, dead.contexts) == (0, 0.0, (), ())
    assert (dead.label.text, dead.label.source) == ("", "")
    assert len(rare.contexts) == 2
    assert [context.tokens[context.marked].activation for context in rare.contexts] == [5, 3]
    assert sum(rare.histogram) == rare.n_firings == 2
    assert rare.label.source.endswith("of 2 agree")


def test_imported_labels_say_where_they_are_from(stores, tables, tokens, tokenizer):
    table = tables[0].with_labels({3: "numbers"}, source="Neuronpedia")
    cards = feature_cards(feature_columns(stores[0], [2, 3]), table, tokens, tokenizer, dictionary="a")
    assert (cards[3].label.text, cards[3].label.source) == ("numbers", "Neuronpedia")
    assert cards[2].label.text == table.labels[2]
    assert cards[2].label.source == f"top words, {table.hits[2]} of 5 agree"


def test_effects_are_found_by_feature_id(stores, tables, tokens, tokenizer):
    ids, token_ids = np.array([5, 8, 1]), np.arange(12, dtype=np.int32).reshape(2, 3, 2) + 10
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    effects = LogitEffects(ids, token_ids[0], values[0], token_ids[1], -values[1])
    cards = cards_of(stores, tables, tokens, tokenizer, [1, 5], effects=effects)
    names = token_texts(tokenizer, range(10, 22))
    assert cards[1].promoted == (TokenEffect(names[4], 4.0), TokenEffect(names[5], 5.0))
    assert cards[1].suppressed == (TokenEffect(names[10], -10.0), TokenEffect(names[11], -11.0))
    assert cards[5].promoted == (TokenEffect(names[0], 0.0), TokenEffect(names[1], 1.0))
    with pytest.raises(ValueError, match="feature 2 is not among the 3 chosen ones"):
        cards_of(stores, tables, tokens, tokenizer, [2], effects=effects)


def pairs_of(ids_a, ids_b, corr) -> FeaturePairs:
    settings = {"d_sae_a": D_SAE, "d_sae_b": D_SAE, "direction": "b_to_a"}
    return make_pairs(np.array(ids_a), np.array(ids_b), np.array(corr), settings=settings)


def test_partners_are_found_by_feature_id(stores, tables, tokens, tokenizer):
    pairs = pairs_of([3, 0, 11, 3], [1, 9, 5, 2], [0.6, 0.9, 0.8, 0.7])
    # Trap: after a filter, place i of the pairs is another pair.
    for kept in (pairs, pairs.above(0.7)):
        partners = partners_of(kept, side="a", dictionary="b", table=tables[1], link=lambda feature: f"#b-{feature}")
        assert {feature: (p.feature, round(p.corr, 3)) for feature, p in partners.items()} == {
            0: (9, 0.9),
            11: (5, 0.8),
            3: (2, 0.7),  # the stronger of its two
        }
        assert all(p.label == tables[1].labels[p.feature] and p.link == f"#b-{p.feature}" for p in partners.values())
    back = partners_of(pairs, side="b", dictionary="a")
    assert {feature: (p.feature, p.label, p.link) for feature, p in back.items()} == {
        9: (0, "", ""), 5: (11, "", ""), 2: (3, "", ""), 1: (3, "", ""),
    }  # fmt: skip
    cards = cards_of(stores, tables, tokens, tokenizer, [11, 2], partners=partners)
    assert cards[11].partner.feature == 5
    assert cards[2].partner is None and cards[2].compared
    assert not cards_of(stores, tables, tokens, tokenizer, [2])[2].compared
    with pytest.raises(ValueError, match="side must be 'a' or 'b'; got 'c'"):
        partners_of(pairs, side="c", dictionary="a")
    with pytest.raises(ValueError, match="the other side's 12 features; got one of 3"):
        partners_of(pairs, side="a", dictionary="b", table=narrow(tables[1], 3))


def narrow(table, d_sae):
    """The first features of a table."""
    examples = table.examples
    examples = replace(
        examples, rows=examples.rows[:d_sae], values=examples.values[:d_sae], counts=examples.counts[:d_sae]
    )
    arrays = ("top_words", "density", "max_activation", "histogram", "best_word", "hits", "agreement", "labels")
    return replace(table, examples=examples, label_sources=table.label_sources[:d_sae],
                   **{name: getattr(table, name)[:d_sae] for name in arrays})  # fmt: skip


def test_what_does_not_belong_together_is_refused(stores, tables, dense, tokens, tokenizer, tmp_path):
    columns = feature_columns(stores[0], [1, 2])
    for table in (tables[1], narrow(tables[0], 5)):
        with pytest.raises(
            ValueError, match="features does not describe .* take the table that was made from this store"
        ):
            feature_cards(columns, table, tokens, tokenizer, dictionary="a")
    # Trap: rows in another order fire as often as before, but not where the table says.
    order = np.random.default_rng(0).permutation(tokens.n_tokens)
    shuffled = feature_columns(store_of(tmp_path / "s", dense[0][order], tokens), [1, 2])
    np.testing.assert_array_equal(shuffled.store.feature_counts, stores[0].feature_counts)
    with pytest.raises(ValueError, match="fire elsewhere"):
        feature_cards(shuffled, tables[0], tokens, tokenizer, dictionary="a")
    other = replace(tokens, documents=tokens.documents[::-1].copy())
    with pytest.raises(ValueError, match="got another batch of 3000"):
        feature_cards(columns, tables[0], other, tokenizer, dictionary="a")


def test_a_cut_letter_shows_the_strongest_of_its_tokens(byte_level, tmp_path):
    tokens = batch_of(byte_level, "the ملك said")
    dense = np.zeros((tokens.n_tokens, 1))
    assert tokens.n_tokens == 9  # "the", a space, two bytes a letter, " said"
    dense[[2, 3, 4], 0] = 1, 4, 2  # both bytes of the first letter, the first byte of the second
    store = store_of(tmp_path / "s", dense, tokens)
    table = describe_features(store, build_words(tokens, byte_level))
    card = feature_cards(feature_columns(store, [0]), table, tokens, byte_level, dictionary="a")[0]
    (context,) = card.contexts
    assert [(token.text, token.activation) for token in context.tokens if token.activation] == [("م", 4), ("ل", 2)]
    assert context.tokens[context.marked].text == "م"


def test_pair_cards_equal_the_dense_columns(stores, tables, dense, tokens, tokenizer, words):
    columns = [feature_columns(store, ids) for store, ids in zip(stores, ([8, 3, 1], [2, 10, 0]), strict=True)]
    wanted = [(1, 10), (8, 0), (1, 2)]
    cards = pair_cards(
        *columns, wanted, tokens, tokenizer, words, dictionaries=("a", "b"), tables=tables, n_points=10**6
    )
    for (feature_a, feature_b), card in zip(wanted, cards, strict=True):
        a, b = dense[0][:, feature_a], dense[1][:, feature_b]
        assert (card.side_a.feature, card.side_b.feature) == (feature_a, feature_b)
        assert (card.side_a.label, card.side_b.label) == (tables[0].labels[feature_a], tables[1].labels[feature_b])
        assert card.corr == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-12)  # float64 sums of 3,000 values
        rows = np.flatnonzero((a > 0) | (b > 0))
        texts = token_texts(tokenizer, tokens.token_ids()[rows])
        found = [(point.a, point.b, point.context.token) for point in card.points]
        assert found == list(zip(a[rows], b[rows], texts, strict=True))
        expected = brute_force_silent(a, b, words)
        assert [(w.word, w.count, w.n_firings) for w in card.only_a] == [each[:3] for each in expected]
        np.testing.assert_allclose([w.mean for w in card.only_a], [each[3] for each in expected], rtol=1e-12)
        assert [w.word for w in card.only_b] == [each[0] for each in brute_force_silent(b, a, words)]


def brute_force_silent(a, b, words, n_words=6):
    found = []
    for number, word in enumerate(words.words):
        here = (words.word_ids == number) & (a > 0)
        missed = here & (b == 0)
        if missed.any():
            found.append((word, missed.sum(), here.sum(), a[missed].mean()))
    return sorted(found, key=lambda each: -each[1] * each[3])[:n_words]


def test_pair_cards_refuse_other_tokens(stores, dense, tokens, tokenizer, words, tmp_path):
    columns = [feature_columns(store, [1]) for store in stores]
    options = {"dictionaries": ("a", "b")}
    with pytest.raises(ValueError, match="words are of other tokens"):
        pair_cards(*columns, [(1, 1)], tokens, tokenizer, replace(words, tokens_fingerprint="other"), **options)
    with pytest.raises(ValueError, match="feature 2 is not among the 1 chosen ones"):
        pair_cards(*columns, [(1, 2)], tokens, tokenizer, words, **options)
    other = replace(tokens, documents=tokens.documents[::-1].copy())
    stranger = feature_columns(store_of(tmp_path / "s", dense[1], other), [1])
    with pytest.raises(ValueError, match="got another batch of 3000"):
        pair_cards(columns[0], stranger, [(1, 1)], tokens, tokenizer, words, **options)
    with pytest.raises(ValueError, match="got another batch of 3000"):
        pair_cards(*columns, [(1, 1)], other, tokenizer, words, **options)


def test_cards_are_json(stores, tables, tokens, tokenizer, words):
    card = cards_of(stores, tables, tokens, tokenizer, [DEAD, 2])[2]
    told = json.loads(json.dumps(card.to_dict(), allow_nan=False))
    assert told["density"] == card.density
    assert told["contexts"][0]["tokens"][card.contexts[0].marked]["activation"] == card.max_activation
    columns = [feature_columns(store, [DEAD, 2]) for store in stores]
    pairs = pair_cards(*columns, [(DEAD, DEAD), (2, 2)], tokens, tokenizer, words, dictionaries=("a", "b"))
    dead, alive = (json.loads(json.dumps(card.to_dict(), allow_nan=False)) for card in pairs)
    assert dead["corr"] is None and dead["points"] == [] and dead["only_a"] == []
    assert len(alive["points"]) == 400
    assert sum(alive[f"n_{kind}"] for kind in ("both", "only_a", "only_b")) > 400
