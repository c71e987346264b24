"""Do words that have an order (days, months, numbers) lie in this order: round a circle, along a line, or not at all?

Rows = words, in their known order. Everything is asked of the words' mean places alone, beside the same words shuffled:

* **angle**: in one plane of successive principal components, are the words met in their order when one goes round? The
  planes know nothing of the order; the best of the four is taken, in the data and in every shuffle.
* **circle**: the share of the words' variance that lies in the first Fourier pair of their order, in all dimensions at
  once. 1 = the words are the corners of a regular polygon, in order; 2 / (n - 1) is what chance gives.
* **line**: the share that grows evenly with the place in the order; chance gives 1 / (n - 1).
* **held out**: each word in turn is left out, the circle's plane is fitted to the others in their order, and the angle of
  the word left out is read there. The score is the mean cosine between that angle and the word's place: 1 = every unseen
  word is where it belongs, 0 = anywhere.

Bent lines look like circles in a plane (the *horseshoe*): the angle recovers the order of points on an arc as well, and
half of a line's variance is in the Fourier pair. What tells them apart is the way from the last word back to the first.
Cut a circle anywhere, and growth from the cut on explains as much as from any other cut; a line or an arc has one cut that
is its own. `WordOrder.opening` is the line's share at the true cut over the mean share of all cuts: 1 for a circle, 1.4
for an arc that leaves a sixth open, 3 for a half circle, above 4 for a straight line.

A plane that is *fitted* to the order of the words it shows proves nothing: n words in n - 1 or more dimensions can be
projected onto any polygon. `circle_plane(kind="order")` makes such planes for those who need one, e.g. to steer; they are
no evidence. `held_out_places` draws an honest picture: every word where the plane of the others puts it.

Source: the angle's statistic is the square root of Mardia's circular rank correlation (Mardia 1975, doi:10.1111/
j.2517-6161.1975.tb01550.x); circles of days and months: arXiv:2405.14860.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from helpers.nulls import CorrectedTest, PermutationResult
from helpers.nulls.permutation import null_rng, summarise

MIN_WORDS = 5  # of four words every order but three is the same circle, and no shuffle can be far from it
N_PLANES = 4
OPEN = 1.25  # opening above which an order counts as a line: between a circle and an arc that leaves a sixth open
Question = Literal["circle", "held out", "angle", "line"]
_LEAST_LENGTH = 1e-12
_ORDERS_AT_ONCE = 1024


@dataclass(frozen=True)
class _Scale:
    """How a score is read (the `Scale` of `summarise`)."""

    name: str
    direction: Literal["similarity", "distance"] = "similarity"
    ideal: float = 1.0


@dataclass(frozen=True)
class WordOrder:
    """The order of some words in one place of a model, asked in several ways.

    Args:
        tests: question -> score beside shuffled words; in [0, 1], "held out" in [-1, 1].
        plane: the plane of the angle, 0 = principal components 1-2.
        opening: how far the way from the last word to the first is longer than the others; 1 = as for a circle.
        spectrum: (n // 2,) share of the variance at every frequency of the order, summing to 1.
    """

    words: tuple[str, ...]
    tests: Mapping[Any, PermutationResult]
    plane: int
    opening: float
    spectrum: Float[np.ndarray, " n_frequencies"]

    @property
    def shape(self) -> Literal["circle", "line"]:
        """Whether the order is closed or open; whether there is any order is another question (`tests`)."""
        return "line" if self.opening > OPEN else "circle"

    def verdict(self, corrected: Mapping[Any, CorrectedTest]) -> str:
        """In words, from the corrected tests of this result."""
        found = {name for name, test in corrected.items() if test.significant}
        if self.shape == "circle" and found & {"circle", "held out", "angle"}:
            return "a circle"
        if self.shape == "line" and "line" in found:
            return "a line"
        return "none found"


def word_order(rows: Any, words: Any, *, n_permutations: int = 1000, seed: int = 0) -> WordOrder:
    """Ask all questions of the words' places.

    Shapes:
        rows: (n_words, d), in the known order; words: (n_words,), distinct.
    Args:
        n_permutations: shuffles of the words; p cannot fall below 1 / (1 + n_permutations).
    Returns:
        Scores of rows that are all alike are 0, and their p-values 1.
    Raises:
        ValueError: fewer than `MIN_WORDS` words, a word twice, or not one finite row a word.
    """
    names = tuple(words)
    x = checked_words(rows, names)
    if n_permutations < 1:
        raise ValueError(f"n_permutations must be at least 1; got {n_permutations}")
    n = len(names)
    centred = x - x.mean(axis=0)
    turns = _plane_turns(centred)
    rng = null_rng(seed)
    orders = np.vstack([np.arange(n), *(rng.permutation(n) for _ in range(n_permutations))])
    angle = _angle_scores(turns, orders)
    circle, line = _share_scores(centred @ centred.T, orders)
    scores = {"circle": circle, "held out": _held_out_scores(centred, orders), "angle": angle.max(axis=1), "line": line}
    settings: dict[str, Any] = {"n_permutations": n_permutations, "seed": seed, "n_words": n}
    tests = {
        name: summarise(_Scale(name), float(values[0]), values[1:], n, settings, null_kind="pairing")
        for name, values in scores.items()
    }
    return WordOrder(names, tests, int(np.argmax(angle[0])), _opening(centred), frequency_shares(x))


def held_out_places(rows: Any) -> Float[np.ndarray, "n_words 2"]:
    """Where the plane that is fitted to the order of all *other* words puts each word, in units of the farthest.

    Shapes:
        rows: (n_words, d), in order.
    Returns:
        (n_words, 2); on a circle word k lies at the angle 2 pi k / n. Words that are merely all different lie anywhere.
    """
    x = np.asarray(rows, dtype=np.float64)
    place = 2 * np.pi * np.arange(len(x)) / len(x)
    seen = _seen_by_others(x) @ np.column_stack([np.cos(place), np.sin(place)])
    farthest = float(np.linalg.norm(seen, axis=1).max())
    return seen / farthest if farthest > 0 else seen


def frequency_shares(rows: Any) -> Float[np.ndarray, " n_frequencies"]:
    """Share of the words' variance at the frequencies 1 to n // 2 of their order; zeros where nothing varies.

    Shapes:
        rows: (n_words, d), in order.
    """
    x = np.asarray(rows, dtype=np.float64)
    n = len(x)
    power = (np.abs(np.fft.fft(x - x.mean(axis=0), axis=0)) ** 2).sum(axis=1)[1 : n // 2 + 1]
    if n % 2 == 0:
        power[-1] /= 2  # a pair of frequencies in one
    total = power.sum()
    return power / total if total > _LEAST_LENGTH * max(1.0, float((x**2).sum())) else np.zeros_like(power)


def same_order(angles_a: Any, angles_b: Any, *, n_permutations: int = 1000, seed: int = 0) -> PermutationResult:
    """Do two circles hold the same words in the same order? Circular rank correlation beside shuffled words.

    Shapes:
        angles_a, angles_b: (n_words,) radians, word by word.
    Returns:
        Score in [0, 1]; turning or mirroring either circle changes nothing.
    Raises:
        ValueError: fewer than `MIN_WORDS` words, or angles that differ in number.
    """
    a, b = (np.asarray(angles, dtype=np.float64) for angles in (angles_a, angles_b))
    if a.shape != b.shape or a.ndim != 1 or len(a) < MIN_WORDS:
        raise ValueError(f"expected the angles of the same words, at least {MIN_WORDS}; got {a.shape} and {b.shape}")
    rng, n = null_rng(seed), len(a)
    turns_a, turns_b = _turns(a), _turns(b)
    null = np.array([_agreement(turns_a, turns_b[rng.permutation(n)]) for _ in range(n_permutations)])
    settings: dict[str, Any] = {"n_permutations": n_permutations, "seed": seed}
    return summarise(_Scale("same order"), _agreement(turns_a, turns_b), null, n, settings, null_kind="pairing")


def checked_words(rows: Any, words: tuple[str, ...]) -> np.ndarray:
    """Rows of words as float64.

    Raises:
        ValueError: fewer than `MIN_WORDS` words, a word twice, or not one finite row a word.
    """
    x = np.asarray(rows, dtype=np.float64)
    if len(words) < MIN_WORDS or len(set(words)) != len(words):
        raise ValueError(
            f"an order needs at least {MIN_WORDS} different words; got {len(words)}: {', '.join(words[:8])}; fewer always "
            "lie on some circle"
        )
    if x.ndim != 2 or len(x) != len(words) or not np.isfinite(x).all():
        raise ValueError(f"expected one finite row of each of {len(words)} words; got shape {x.shape}")
    return x


def _plane_turns(centred: np.ndarray) -> np.ndarray:
    """(n_planes, n_words) turns of the words in the planes of successive principal components; one of zeros if none."""
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    wide = spread > 1e-9 * max(float(spread[0]), _LEAST_LENGTH)
    places = (left * spread)[:, wide][:, : N_PLANES + 1]
    planes = [_turns(np.arctan2(places[:, k + 1], places[:, k])) for k in range(places.shape[1] - 1)]
    return np.array(planes) if planes else np.zeros((1, len(centred)), dtype=complex)


def _turns(angles: np.ndarray) -> np.ndarray:
    """Ranks of angles, spread evenly over a circle, as complex numbers; equal angles share their mean rank.

    Were ties broken by place, words that lie on one point would seem to be in their order.
    """
    return np.exp(2j * np.pi * rankdata(angles) / len(angles))


def _agreement(turns_a: np.ndarray, turns_b: np.ndarray) -> float:
    same, mirrored = abs((turns_a * turns_b.conj()).mean()), abs((turns_a * turns_b).mean())
    return float(max(same, mirrored)) if len(np.unique(turns_a)) > 1 and len(np.unique(turns_b)) > 1 else 0.0


def _angle_scores(turns: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Circular rank correlation of every order in every plane, (n_orders, n_planes)."""
    n = orders.shape[1]
    around = np.exp(2j * np.pi * np.arange(n) / n)
    scores = [
        np.maximum(np.abs(plane[orders] @ around.conj()), np.abs(plane[orders] @ around)) / n
        if len(np.unique(plane)) > 1
        else np.zeros(len(orders))
        for plane in turns
    ]
    return np.column_stack(scores)


def _seen_by_others(x: np.ndarray) -> np.ndarray:
    """(n, n): entry (k, j) is the product of words k and j about the mean of all words but k; 0 on the diagonal.

    Row k times the cosines of the places is word k along the first axis of the plane fitted to the others.
    """
    n = len(x)
    sums = x.sum(axis=0)
    found = np.empty((n, n))
    for k in range(n):
        mean = (sums - x[k]) / (n - 1)
        found[k] = (x - mean) @ (x[k] - mean)
    np.fill_diagonal(found, 0.0)
    return found


def _held_out_scores(x: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Mean cosine of the angle at which a word is found and its place, for every order: (n_orders,)."""
    n = orders.shape[1]
    seen = _seen_by_others(x)
    place = np.empty(orders.shape)
    np.put_along_axis(place, orders, np.broadcast_to(2 * np.pi * np.arange(n) / n, orders.shape), axis=1)
    cos, sin = np.cos(place), np.sin(place)
    across, along = cos @ seen.T, sin @ seen.T
    length = np.hypot(across, along)
    right = np.divide(across * cos + along * sin, length, out=np.zeros_like(length), where=length > _LEAST_LENGTH)
    return right.mean(axis=1)


def _opening(centred: np.ndarray) -> float:
    total, n = float((centred**2).sum()), len(centred)
    line = (np.arange(n) - (n - 1) / 2) / np.sqrt(n * (n**2 - 1) / 12)
    cuts = np.array([((np.roll(line, cut) @ centred) ** 2).sum() for cut in range(n)])
    return float(cuts[0] / cuts.mean()) if total > _LEAST_LENGTH else 1.0


def _share_scores(gram: np.ndarray, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the variance that the circle and the line explain, for every order: (n_orders,) each."""
    total, n = np.trace(gram), len(gram)
    if total <= _LEAST_LENGTH:
        return np.zeros(len(orders)), np.zeros(len(orders))
    place = np.arange(n)
    line = place - place.mean()
    circle = np.cos(2 * np.pi * (place[:, None] - place[None]) / n) * 2 / n  # projection onto the first Fourier pair
    kernels = np.array([circle, np.outer(line, line) / (line @ line)])
    parts = np.array_split(orders, max(1, len(orders) // _ORDERS_AT_ONCE))
    found = [np.einsum("kij,rij->kr", kernels, gram[o[:, :, None], o[:, None, :]], optimize=True) for o in parts]
    shares = np.hstack(found) / total
    return shares[0], shares[1]
