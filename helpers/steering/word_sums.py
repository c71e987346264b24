"""Words as a domain plus an index: month + fourth = April. Learnt on a table of words, tried on cells that were left out.

Days, months and numbers are words with a domain (the row of a table) and a place in its order (the column). If a layer
holds the two apart, a word's mean activation is about mean + domain + index, and the sum for a cell that was not in the
fit is near that cell's word and no other: month-ness comes from the other months, fourth-ness from Thursday and four.
The index may be anything else that the domains share, such as whether the next word or the one before is asked for.

Exact: ordinary least squares on the known cells; nothing says that a model holds them so, which is what `held_out_cells`
asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from helpers.steering.vectors import SteeringVector

_SURE = 1e-9  # a word whose fit does not depend on others has a hat diagonal of 1 to rounding


@dataclass(frozen=True)
class Word:
    """A cell of the table: index 3 of the domain "month" is April, counted from 0."""

    text: str
    domain: str
    index: int


@dataclass(frozen=True, eq=False)
class WordSums:
    """Least squares fit of activations by mean + domain + index.

    Shapes:
        mean: (d,); domains: name -> (d,); indices: place -> (d,).
    Args:
        explained: share of the words' variance around their mean that the fit explains, in [0, 1].
    """

    mean: Float[np.ndarray, " d"]
    domains: dict[str, Float[np.ndarray, " d"]]
    indices: dict[int, Float[np.ndarray, " d"]]
    explained: float

    def at(self, domain: str, index: int) -> Float[np.ndarray, " d"]:
        """What the layer should hold at a cell.

        Raises:
            ValueError: a domain or an index that no word of the fit had.
        """
        if domain not in self.domains or index not in self.indices:
            raise ValueError(
                f"expected a domain of {', '.join(self.domains)} and an index of {sorted(self.indices)}; got {domain} {index}"
            )
        return self.mean + self.domains[domain] + self.indices[index]

    def step(self, start: tuple[str, int], stop: tuple[str, int]) -> Float[np.ndarray, " d"]:
        """From one cell to another, e.g. ("weekday", 3) to ("month", 3): a direction to steer with."""
        return self.at(*stop) - self.at(*start)


@dataclass(frozen=True, eq=False)
class CellTest:
    """Every cell predicted by a fit without it, and looked for among all words.

    Shapes:
        tested: (n_tested,) numbers of the words whose domain and index other words have too; ranks: (n_tested,) how many
            words are nearer to the prediction than the cell's own; nearest: (n_tested,) the number of the nearest word;
            null_hits: (n_shuffles,).
    Args:
        null_hits: hits where the words of every domain were shuffled over its places: the domain alone finds so many.
    """

    tested: Int[np.ndarray, " n_tested"]
    ranks: Int[np.ndarray, " n_tested"]
    nearest: Int[np.ndarray, " n_tested"]
    null_hits: Int[np.ndarray, " n_shuffles"]

    @property
    def hits(self) -> int:
        """Cells whose own word is the nearest of all."""
        return int((self.ranks == 0).sum())

    @property
    def p(self) -> float:
        """Chance of as many hits without any order that the domains share: (1 + as many) / (1 + shuffles)."""
        return (1 + int((self.null_hits >= self.hits).sum())) / (1 + len(self.null_hits))


def fit_word_sums(activations: Float[np.ndarray, "n_words d"], words: Sequence[Word]) -> WordSums:
    """Fit mean + domain + index to the words' activations.

    Shapes:
        activations: (n_words, d), e.g. `prompt_states` at every word, or its mean over a store.
    Returns:
        The fit whose domains and indices are as short as possible (together they are defined up to a shift only; the sums
        are not concerned).
    Raises:
        ValueError: not one row a word, a cell that is met twice, fewer than two domains or indices, values that are not
            finite, or words that are all alike.
    """
    rows, domains, indices, design = _table(activations, words)
    centre = rows.mean(axis=0)
    effects = np.linalg.pinv(design) @ (rows - centre)
    left = rows - centre - design @ effects
    n_domains = len(domains)
    return WordSums(
        mean=centre + effects[0],
        domains={name: effects[1 + number] for number, name in enumerate(domains)},
        indices={index: effects[1 + n_domains + number] for number, index in enumerate(indices)},
        explained=float(1 - (left**2).sum() / ((rows - centre) ** 2).sum()),
    )


def word_sum_vector(
    sums: WordSums,
    *,
    start: tuple[str, int],
    stop: tuple[str, int],
    hook_name: str,
    name: str,
    residual_norm: float | None = None,
) -> SteeringVector:
    """The step from one cell to another as a steering vector, e.g. from ("weekday", 3) to ("month", 3).

    Raises:
        ValueError: a cell that the fit does not know, or the same cell twice (a step of zero).
    """
    return SteeringVector(
        vector=sums.step(start, stop),
        hook_name=hook_name,
        model=name,
        method="domain + index",
        details={"start": list(start), "stop": list(stop), "explained": sums.explained},
        residual_norm=residual_norm,
    )


def held_out_cells(
    activations: Float[np.ndarray, "n_words d"], words: Sequence[Word], *, n_shuffles: int = 199, seed: int = 0
) -> CellTest:
    """Is a word found by its domain and its index when it was not in the fit?

    Args:
        n_shuffles: tables whose words are shuffled inside each domain.
    Raises:
        ValueError: as `fit_word_sums`; no cell whose domain and index other words have; no shuffle.
    Notes:
        A fit without word i predicts x_i - e_i / (1 - h_i), with e the residuals and h the diagonal of the hat matrix of the
        whole fit, so that one fit does for all. Nearest by Euclidean distance.
    """
    rows, _, _, design = _table(activations, words)
    if n_shuffles < 1:
        raise ValueError(f"n_shuffles is at least 1; got {n_shuffles}; raise it")
    hat = design @ np.linalg.pinv(design)
    tested = _estimable(hat)
    rng = np.random.default_rng(seed)
    null_hits = np.array(
        [(_ranks(rows[shuffled_places(words, rng)], hat, tested)[0] == 0).sum() for _ in range(n_shuffles)], np.int64
    )
    ranks, nearest = _ranks(rows, hat, tested)
    return CellTest(tested=tested, ranks=ranks, nearest=nearest, null_hits=null_hits)


def estimable_cells(activations: Float[np.ndarray, "n_words d"], words: Sequence[Word]) -> Int[np.ndarray, " n_tested"]:
    """Numbers of the words whose domain and index other words have too: a fit without such a word still knows its sum.

    Raises:
        ValueError: as `fit_word_sums`; there is no such word.
    """
    design = _table(activations, words)[3]
    return _estimable(design @ np.linalg.pinv(design))


def shuffled_places(words: Sequence[Word], rng: np.random.Generator) -> Int[np.ndarray, " n_words"]:
    """An order in which the words of every domain are shuffled over its places."""
    order = np.arange(len(words))
    for name in dict.fromkeys(word.domain for word in words):
        places = np.flatnonzero([word.domain == name for word in words])
        order[places] = rng.permutation(places)
    return order


def _estimable(hat: np.ndarray) -> np.ndarray:
    tested = np.flatnonzero(np.diag(hat) < 1 - _SURE)
    if not len(tested):
        raise ValueError("no word has a domain and an index that others have too; add domains with shared places")
    return tested


def _ranks(rows: np.ndarray, hat: np.ndarray, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many words are nearer to each prediction than its own, and which is nearest."""
    left = (rows - hat @ rows)[tested]
    predicted = rows[tested] - left / (1 - np.diag(hat)[tested])[:, None]
    distances = ((predicted[:, None] - rows) ** 2).sum(axis=2)
    own = distances[np.arange(len(tested)), tested]
    return (distances < own[:, None]).sum(axis=1), distances.argmin(axis=1)


def _table(
    activations: Float[np.ndarray, "n_words d"], words: Sequence[Word]
) -> tuple[np.ndarray, list[str], list[int], np.ndarray]:
    """Checked rows, domains, indices, and the design: a column of ones, one a domain, one an index."""
    rows = np.asarray(activations, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(words):
        raise ValueError(f"expected one row for each of {len(words)} words; got shape {rows.shape}")
    cells = [(word.domain, word.index) for word in words]
    domains, indices = list(dict.fromkeys(name for name, _ in cells)), sorted({index for _, index in cells})
    if len(set(cells)) != len(cells):
        raise ValueError("every cell has one word; got one with two; average them first")
    if len(domains) < 2 or len(indices) < 2:
        raise ValueError(f"a table needs two domains and two indices; got {len(domains)} and {len(indices)}")
    if not np.isfinite(rows).all() or not np.ptp(rows, axis=0).any():
        raise ValueError("expected activations that are finite and differ; got NaN, infinity or equal rows")
    design = np.zeros((len(rows), 1 + len(domains) + len(indices)))
    design[:, 0] = 1
    for row, (name, index) in enumerate(cells):
        design[row, [1 + domains.index(name), 1 + len(domains) + indices.index(index)]] = 1
    return rows, domains, indices, design
