"""Maps to look at: a small one whose partners are known, a large one, odd ones."""

from __future__ import annotations

import numpy as np

from helpers.features.cards import CardLabel, FeatureCard, GradedContext, GradedToken, TokenEffect
from helpers.reports.linked_map import LinkedMap, MapSide

NASTY = '<img src=x onerror="document.title=1"> & "quoted", café قلب 🦊 \u202eevil\u202c'
GROUPS = ["animal", "animal", "time", "animal", ""]


def card(dictionary: str, feature: int, label: str, before: tuple[str, ...] = ("the", " old")) -> FeatureCard:
    """A card whose example is the label, after `before` and before " slept"."""
    tokens = [GradedToken(text, 0.0) for text in before]
    tokens += [GradedToken(f" {label}", 8.0), GradedToken(" slept", 2.0)]
    return FeatureCard(
        dictionary=dictionary,
        feature=feature,
        label=CardLabel(label, "top words, 5 of 5 agree" if label else ""),
        n_firings=51,
        n_tokens=1000,
        max_activation=8.0,
        histogram=(30, 12, 6, 3),
        contexts=(GradedContext(tuple(tokens), len(before)),),
        promoted=(TokenEffect(" woof", 1.25),),
        suppressed=(TokenEffect(NASTY, -0.5),),
        partner=None,
        compared=False,
    )


def side(name: str, places: list[tuple[float, float]], first_id: int, labels: list[str], groups: list[str]) -> MapSide:
    """Features `first_id`, `first_id` + 1, ... at these places; each fires on its label."""
    ids = first_id + np.arange(len(places))
    return MapSide(
        name,
        np.array(places),
        ids,
        np.linspace(0.001, 0.2, len(places)),
        labels,
        groups,
        words=[[label] for label in labels],
        cards={int(i): card(name, int(i), label) for i, label in zip(ids, labels, strict=True)},
    )


def small_map() -> LinkedMap:
    """Five points a side on a cross; a's features 10 to 14, b's 20 to 24; 14 has no partner, 21 has two."""
    cross = [(0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)]
    turned = [(y, x) for x, y in cross]
    return LinkedMap(
        side("a", cross, 10, ["dog", "cat", "Monday", "dogs", NASTY], GROUPS),
        side("b", turned, 20, ["dog", "cat", "Monday", "hot dog", "kin"], ["animal", "animal", "time", "food", ""]),
        ids_a=np.array([10, 11, 12, 13, 99]),
        ids_b=np.array([20, 21, 22, 21, 20]),
        corr=np.array([0.9, 0.8, 0.7, 0.6, 0.5], dtype=np.float32),
        title="Cats & <dogs>",
        faithfulness=["a: the map keeps 30% of each feature's 15 nearest."],
    )


def large_map(n: int, *, n_contexts: int = 3, seed: int = 0) -> LinkedMap:
    """`n` points a side in clusters, with cards; b is a moved a, and 70 % of the features have a partner.

    The texts are words drawn at random, which compress worse than any language.
    """
    rng = np.random.default_rng(seed)
    vocabulary = [
        "".join(rng.choice(list("abcdefghijklmnoprstuvw"), size=length)) for length in rng.integers(2, 9, size=3000)
    ]
    contexts = [_random_context(vocabulary, rng) for _ in range(5000)]
    centres = rng.normal(scale=4, size=(80, 2))
    cluster = rng.integers(0, 80, size=n)
    points = centres[cluster] + rng.normal(scale=0.5, size=(n, 2))
    order = rng.permutation(n)
    sides = []
    for name, places, ids in (
        ("a", points, np.arange(n)),
        ("b", (points + rng.normal(scale=0.1, size=(n, 2)))[order], order),
    ):
        labels = [vocabulary[i] for i in rng.integers(0, 3000, size=n)]
        cards = {
            int(i): _random_card(name, int(i), label, vocabulary, contexts, n_contexts, rng)
            for i, label in zip(ids, labels, strict=True)
        }
        groups = [f"group {cluster[i] % 20}" if cluster[i] < 60 else "" for i in ids]
        density = np.exp(rng.uniform(np.log(1e-5), np.log(0.1), size=n))
        sides.append(
            MapSide(
                name,
                places,
                ids,
                density,
                labels,
                groups,
                clusters=cluster[ids],
                words=[[label] for label in labels],
                cards=cards,
            )
        )
    matched = rng.permutation(n)[: int(0.7 * n)]
    corr = rng.uniform(0.3, 1, size=len(matched)).astype(np.float32)
    return LinkedMap(*sides, ids_a=matched, ids_b=matched, corr=corr, title=f"Two maps of {n:,} features")


def _random_context(vocabulary: list[str], rng: np.random.Generator) -> GradedContext:
    words, grades = rng.integers(0, len(vocabulary), size=12), rng.random(12) * (rng.random(12) < 0.2)
    tokens = (
        GradedToken(f" {vocabulary[word]}", 9 * grade) for word, grade in zip(words, grades.tolist(), strict=True)
    )
    return GradedContext(tuple(tokens), 7)


def _random_card(
    name: str,
    feature: int,
    label: str,
    vocabulary: list[str],
    contexts: list[GradedContext],
    n_contexts: int,
    rng: np.random.Generator,
) -> FeatureCard:
    numbers = rng.integers(0, 3000, size=10 + n_contexts).tolist()
    chosen = tuple(contexts[number] for number in numbers[10:])
    effects = [TokenEffect(f" {vocabulary[word]}", word / 1000) for word in numbers[:10]]
    histogram = tuple(rng.integers(0, 100, size=24).tolist())
    return FeatureCard(
        name, feature, CardLabel(label, "top words, 4 of 5 agree"), 10 + numbers[0], 300_000,
        1 + numbers[1] / 400, histogram, chosen, tuple(effects[:5]), tuple(effects[5:]), None, False,
    )  # fmt: skip
