"""Tables of persistent homology: bars beside chance, loops by name, distances of diagrams, loops in the other model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helpers.comparison.homology import NamedLoop
from helpers.geometry.homology import BarTest, CarriedLoop
from helpers.nulls import CorrectedTest, PermutationResult
from helpers.reports.tables import table

SHOWN = 16  # points of a loop in a cell


def bars_table(
    tests: Mapping[str, BarTest], corrected: Sequence[CorrectedTest], *, alpha: float, caption: str = ""
) -> str:
    """A line a cloud: how many points it has and stands on, its longest loop, and its random clouds.

    Args:
        corrected: of `tests`, in their order.
    """
    rows = {}
    for (name, test), verdict in zip(tests.items(), corrected, strict=True):
        mark = test.found.landmarks
        rows[name] = {
            "landmarks": f"{mark.n:,} of {mark.n_rows:,}",
            "longest loop": f"{test.found.longest(1):.3f}",
            "random clouds": f"{test.null[1].mean():.3f} to {test.null[1].max():.3f}",
            "p": f"{test.p_longest(1):.2g}",
            "p, corrected": "" if verdict.p_corrected is None else f"{verdict.p_corrected:.2g}",
            f"loops, p ≤ {alpha:g}": f"{test.n_significant(1, alpha=alpha)}",
            "gap, p": f"{test.p_longest(0):.2g}",
        }
    return table(rows, caption=caption)


def loops_table(loops: Sequence[NamedLoop], *, sides: Sequence[str], caption: str = "") -> str:
    """A line a loop: its bar and the points around it; "none" where there is no loop."""
    rows = {}
    for number, found in enumerate(loops, start=1):
        points = list(dict.fromkeys(found.names))
        more = f" (and {len(points) - SHOWN} more)" if len(points) > SHOWN else ""
        rows[f"{number}. {found.cloud}, {sides[found.side]}"] = {
            "born": f"{found.loop.birth:.2f}",
            "filled in": f"{found.loop.death:.2f}",
            "p": f"{found.p_value:.2g}",
            "points": f"{found.loop.n}",
            "around the loop": " → ".join(points[:SHOWN]) + more,
        }
    return table(rows or {"no loop above chance": {"around the loop": "none"}}, caption=caption)


def distances_table(results: Mapping[str, tuple[PermutationResult, PermutationResult]], *, caption: str = "") -> str:
    """A line a cloud: how far the models' diagrams are apart, beside both nulls.

    Args:
        results: cloud -> results of `nearer_than_random` and of `parts_test`.
    """
    rows = {}
    for name, (near, parts) in results.items():
        rows[name] = {
            f"{near.settings['kind']} distance": f"{near.score:.3f}",
            "from random clouds": f"{near.null_mean:.3f}",
            "p, nearer than random": f"{near.p_value:.2g}",
            "excess between models": f"{parts.score:z.3f}",
            "p, models differ": f"{parts.p_value:.2g}",
        }
    return table(rows, caption=caption)


def carried_table(carried: Mapping[str, CarriedLoop | None], *, caption: str = "") -> str:
    """A line a loop: whether its partners lie in its order, and in a loop."""
    empty = {"partners": "too few", "mean step / mean distance": "", "shuffled": "", "p, order": "", "longest bar": "",
             "of other partners": "", "p, loop": ""}  # fmt: skip
    rows = {}
    for name, found in carried.items():
        rows[name] = empty if found is None else {
            "partners": f"{found.n}",
            "mean step / mean distance": f"{found.order.score:.2f}",
            "shuffled": f"{found.order.null_mean:.2f}",
            "p, order": f"{found.order.p_value:.2g}",
            "longest bar": f"{found.loop.score:.3f}",
            "of other partners": f"{found.loop.null_mean:.3f}",
            "p, loop": f"{found.loop.p_value:.2g}",
        }  # fmt: skip
    return table(rows or {"no loop to follow": empty | {"partners": "none"}}, caption=caption)
