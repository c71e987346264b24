"""Components and loops of the Rips complex of a distance matrix, exactly, also where everything is about equally far.

Directions in many dimensions are nearly all equally far from each other; hundreds of short loops are alive at once, and
the general algorithm (ripser) takes a time that grows with the fourth power of the points. For loops alone there is a
shorter way. Edges come in the order of their length, and each carries its *annotation*: the set of those loops, alive
now, that a circuit through it goes around once more (a cohomology class of every loop; coefficients modulo 2).

- An edge that joins two components has none. An edge between points without a common neighbour closes a new loop.
- Any other edge is filled in at once by the triangle with a common neighbour w: its annotation is that of the detour
  over w. Common neighbours that are neighbours of each other make the same detour, so one of every *component* of the
  common neighbours is asked. If two detours differ, the two triangles fill in what they differ by: the youngest loop
  in it dies, and the others take its place wherever it was.

Annotations are bit sets. A loop is in annotations of later edges only, so little is touched when it dies. What is alive
and for how long decides the cost: clouds with a shape take seconds at 1,500 points, noise some more.

Source: annotations: Busaryev et al. 2012, doi:10.1007/978-3-642-31155-0_17; de Silva et al. 2011, arXiv:0908.2518; one
triangle for a component of the common neighbours: own observation, two triangles over an edge between them agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float, Int64

WORD = 64
FIRST_WORDS = 4  # loops alive at once that there is room for at the start, in words
FIRST_ROWS = 1024  # edges with an annotation that there is room for at the start


@dataclass(frozen=True)
class RipsBars:
    """Bars of dimensions 0 and 1.

    Shapes:
        components: (n,) deaths, ascending, the last infinite; 0 for all but one of points that are the same; loops: (n_loops, 2) birth and death, birth < death, in the
        order of their deaths; edges: (n_loops, 2) int64, the edge that closes each loop.
    Args:
        n_bytes: that the annotations took.
    """

    components: Float[np.ndarray, " n"]
    loops: Float[np.ndarray, "n_loops 2"]
    edges: Int64[np.ndarray, "n_loops 2"]
    n_bytes: int


def rips_bars(distances: Float[np.ndarray, "n n"], *, max_bytes: int = 1 << 62) -> RipsBars:
    """Bars of components and loops.

    Shapes:
        distances: (n, n), symmetric, 0 on the diagonal.
    Args:
        max_bytes: that annotations may take.
    Raises:
        ValueError: they need more.
    Notes:
        Of equally long edges the one with the lower points comes first. Bars of length 0 are left out.
    """
    n = len(distances)
    left, right = np.triu_indices(n, k=1)
    lengths = distances[left, right]
    order = np.argsort(lengths, kind="stable")
    left, right, lengths = left[order].astype(np.int32), right[order].astype(np.int32), lengths[order]
    joins, births, deaths, n_bytes = _reduce(n, left, right, max_bytes)
    if n_bytes > max_bytes:
        raise ValueError(f"the loops of {n:,} landmarks need more than {max_bytes / 2**20:,.0f} MiB; lower n_landmarks")
    real = lengths[births] < lengths[deaths]
    births, deaths = births[real], deaths[real]
    return RipsBars(
        np.append(lengths[joins], np.inf),
        np.column_stack([lengths[births], lengths[deaths]]),
        np.column_stack([left[births], right[births]]).astype(np.int64),
        int(n_bytes),
    )


# Numbers that change while edges come, in one array that all functions share.
_ROWS, _ALIVE, _SLOTS, _FREE = 0, 1, 2, 3


@numba.njit(cache=True, nogil=True)
def _reduce(
    n: int, left: np.ndarray, right: np.ndarray, max_bytes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Edges that join components; edges at which loops are born and die; bytes of the annotations.

    A loop that is alive has a *slot*, a place in all bit sets; an edge with an annotation has a row.
    """
    near = np.zeros((n, (n + WORD - 1) // WORD), dtype=np.uint64)
    root = np.arange(n)
    row_of = np.full((n, n), -1, dtype=np.int32)  # row of an edge's annotation; -1 = empty
    rows = np.zeros((FIRST_ROWS, FIRST_WORDS), dtype=np.uint64)
    ends = np.empty((FIRST_ROWS, 2), dtype=np.int32)  # the edge of every row
    # Of every slot: the edge that closed its loop, and the first row that may hold it; then the slots that are free.
    slots = np.empty((3, FIRST_WORDS * WORD), dtype=np.int64)
    counts = np.zeros(4, dtype=np.int64)
    joins = np.empty(n - 1, dtype=np.int64)
    births = [0 for _ in range(0)]  # an empty list whose type the compiler sees
    deaths = [0 for _ in range(0)]
    n_joins, most = 0, rows.size * 8
    rest, wave = np.empty(near.shape[1], dtype=np.uint64), np.empty(n, dtype=np.int32)
    for edge in range(len(left)):
        u, v = left[edge], right[edge]
        top_u, top_v = _top(root, u), _top(root, v)
        if top_u != top_v:
            root[top_u] = top_v
            joins[n_joins] = edge
            n_joins += 1
        else:
            if counts[_ROWS] == rows.shape[0]:
                rows, ends = _grown(rows, 2 * rows.shape[0], rows.shape[1]), _grown_ends(ends)
            first = _common(near, u, v, rest)
            if first < 0:
                if counts[_FREE] == 0 and counts[_SLOTS] == rows.shape[1] * WORD:
                    rows, slots = _grown(rows, rows.shape[0], 2 * rows.shape[1]), _longer(slots)
                _open_loop(rows, row_of, ends, slots, counts, edge, u, v)
            elif counts[_ALIVE]:
                _fill_in(rows, row_of, ends, slots, counts, edge, u, v, first, near, rest, wave, births, deaths)
            most = max(most, rows.size * 8)
            if most > max_bytes:
                break
        near[u, v // WORD] |= np.uint64(1) << np.uint64(v % WORD)
        near[v, u // WORD] |= np.uint64(1) << np.uint64(u % WORD)
    return joins[:n_joins], np.array(births, dtype=np.int64), np.array(deaths, dtype=np.int64), most


@numba.njit(cache=True, nogil=True)
def _open_loop(
    rows: np.ndarray,
    row_of: np.ndarray,
    ends: np.ndarray,
    slots: np.ndarray,
    counts: np.ndarray,
    edge: int,
    u: int,
    v: int,
) -> None:
    """The edge closes a loop: it gets a slot, and the edge an annotation with nothing else."""
    if counts[_FREE]:
        counts[_FREE] -= 1
        slot = slots[2, counts[_FREE]]
    else:
        slot = counts[_SLOTS]
        counts[_SLOTS] += 1
    row = counts[_ROWS]
    rows[row] = np.uint64(0)
    rows[row, slot // WORD] = np.uint64(1) << np.uint64(slot % WORD)
    slots[0, slot], slots[1, slot] = edge, row
    _keep_row(row_of, ends, counts, u, v)
    counts[_ALIVE] += 1


@numba.njit(cache=True, nogil=True)
def _fill_in(
    rows: np.ndarray, row_of: np.ndarray, ends: np.ndarray, slots: np.ndarray, counts: np.ndarray, edge: int, u: int,
    v: int, first: int, near: np.ndarray, rest: np.ndarray, wave: np.ndarray, births: list[int], deaths: list[int],
) -> None:  # fmt: skip
    """The edge takes the annotation of a detour; where another detour differs, a loop dies."""
    n_words = (counts[_SLOTS] + WORD - 1) // WORD
    row = counts[_ROWS]
    rows[row] = np.uint64(0)
    filled = _detour(rows, row_of, u, v, first, rows[row], n_words)
    if filled:
        _keep_row(row_of, ends, counts, u, v)
    at = first
    while counts[_ALIVE]:
        at = _next_component(near, at, rest, wave)
        if at < 0:
            break
        odd = rows[row, :n_words].copy() if filled else np.zeros(n_words, dtype=np.uint64)
        if _detour(rows, row_of, u, v, at, odd, n_words):
            slot = _youngest(odd, slots[0])
            births.append(int(slots[0, slot]))
            deaths.append(edge)
            _replace(rows, odd, slot, slots[1, slot], counts[_ROWS], n_words)
            slots[2, counts[_FREE]] = slot
            counts[_FREE] += 1
            counts[_ALIVE] -= 1
    if counts[_ALIVE] == 0:  # nothing is left in any annotation
        for old in range(counts[_ROWS]):
            row_of[ends[old, 0], ends[old, 1]] = row_of[ends[old, 1], ends[old, 0]] = -1
        counts[:] = 0


@numba.njit(cache=True, nogil=True)
def _keep_row(row_of: np.ndarray, ends: np.ndarray, counts: np.ndarray, u: int, v: int) -> None:
    """The row that was just written is the annotation of an edge."""
    row = counts[_ROWS]
    ends[row, 0], ends[row, 1] = u, v
    row_of[u, v] = row_of[v, u] = row
    counts[_ROWS] += 1


@numba.njit(cache=True, nogil=True)
def _top(root: np.ndarray, point: int) -> int:
    while root[point] != point:
        root[point] = root[root[point]]
        point = root[point]
    return point


@numba.njit(cache=True, nogil=True)
def _lowest(word: np.uint64) -> int:
    """Place of the lowest bit of a word that is not 0."""
    place = 0
    for width in (32, 16, 8, 4, 2, 1):
        if word & ((np.uint64(1) << np.uint64(width)) - np.uint64(1)) == 0:
            word >>= np.uint64(width)
            place += width
    return place


@numba.njit(cache=True, nogil=True)
def _common(near: np.ndarray, u: int, v: int, rest: np.ndarray) -> int:
    """Common neighbours into `rest`; returns the first, which is taken out, or -1."""
    first = -1
    for word in range(len(rest)):
        rest[word] = near[u, word] & near[v, word]
        if first < 0 and rest[word]:
            place = _lowest(rest[word])
            first = word * WORD + place
            rest[word] ^= np.uint64(1) << np.uint64(place)
    return first


@numba.njit(cache=True, nogil=True)
def _next_component(near: np.ndarray, start: int, rest: np.ndarray, wave: np.ndarray) -> int:
    """Take out of `rest` what is connected with `start` inside it; the first of what is left is taken out and returned."""
    wave[0] = start
    n_wave = 1
    while n_wave:
        n_wave -= 1
        at = wave[n_wave]
        some = False
        for word in range(len(rest)):
            found = rest[word] & near[at, word]
            rest[word] ^= found
            some = some or rest[word] != 0
            while found:
                place = _lowest(found)
                wave[n_wave] = word * WORD + place
                n_wave += 1
                found &= found - np.uint64(1)
        if not some:
            return -1
    for word in range(len(rest)):
        if rest[word]:
            place = _lowest(rest[word])
            rest[word] ^= np.uint64(1) << np.uint64(place)
            return word * WORD + place
    return -1


@numba.njit(cache=True, nogil=True)
def _detour(rows: np.ndarray, row_of: np.ndarray, u: int, v: int, over: int, onto: np.ndarray, n_words: int) -> bool:
    """Add the annotations of both edges of a detour; whether anything is left."""
    first, second = row_of[u, over], row_of[v, over]
    some = False
    for word in range(n_words):
        if first >= 0:
            onto[word] ^= rows[first, word]
        if second >= 0:
            onto[word] ^= rows[second, word]
        some = some or onto[word] != 0
    return some


@numba.njit(cache=True, nogil=True)
def _youngest(odd: np.ndarray, born: np.ndarray) -> int:
    best = -1
    for word in range(len(odd)):
        left = odd[word]
        while left:
            slot = word * WORD + _lowest(left)
            if best < 0 or born[slot] > born[best]:
                best = slot
            left &= left - np.uint64(1)
    return best


@numba.njit(cache=True, nogil=True)
def _replace(rows: np.ndarray, odd: np.ndarray, slot: int, start: int, stop: int, n_words: int) -> None:
    """Where the dying loop is, put the others of what was filled in."""
    word, bit = slot // WORD, np.uint64(1) << np.uint64(slot % WORD)
    for row in range(start, stop):
        if rows[row, word] & bit:
            for other in range(n_words):
                rows[row, other] ^= odd[other]


@numba.njit(cache=True, nogil=True)
def _grown(rows: np.ndarray, n_rows: int, n_words: int) -> np.ndarray:
    larger = np.zeros((n_rows, n_words), dtype=np.uint64)
    larger[: rows.shape[0], : rows.shape[1]] = rows
    return larger


@numba.njit(cache=True, nogil=True)
def _grown_ends(ends: np.ndarray) -> np.ndarray:
    larger = np.empty((2 * len(ends), 2), dtype=np.int32)
    larger[: len(ends)] = ends
    return larger


@numba.njit(cache=True, nogil=True)
def _longer(slots: np.ndarray) -> np.ndarray:
    larger = np.empty((slots.shape[0], 2 * slots.shape[1]), dtype=np.int64)
    larger[:, : slots.shape[1]] = slots
    return larger
