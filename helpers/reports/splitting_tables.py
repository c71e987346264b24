"""Tables of split features: links, coverage and clashes, families from general to specific, absorption.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from helpers.geometry import Clashes, Splitting, WidthStep
from helpers.nulls import PermutationResult, correct_tests
from helpers.reports.tables import table

MOST_SHOWN = 8  # children named in a row
TEST_COLUMNS = ("score", "chance", "p", "p, corrected", "verdict")


def links_table(steps: Sequence[WidthStep], *, caption: str = "") -> str:
    """A row a step: its thresholds, and how many children and families are found."""
    rows = {}
    for step in steps:
        found = step.splitting
        candidates = found.n_candidates[found.parents >= 0]
        rows[step.name] = {
            "least containment": f"{step.thresholds.min_containment:.2f}",
            "least cosine": f"{step.thresholds.min_cosine:.2f}",
            "children": f"{len(candidates):,}",
            "possible parents of a child, mean": f"{candidates.mean() if len(candidates) else 0:.2f}",
            "families of two or more": f"{len(found.families):,}",
        }
    return table(rows, caption=caption)


def corrected_table(
    results: Mapping[str, PermutationResult], *, columns: Sequence[str] = TEST_COLUMNS, caption: str = ""
) -> str:
    """A row a test, corrected for their number; `columns` are some of `helpers.nulls.many_tests.COLUMNS`."""
    rows = {test.name: {column: test.as_text()[column] for column in columns} for test in correct_tests(results)}
    return table(rows, caption=caption)


def coverage_table(steps: Sequence[WidthStep], clashes: Mapping[str, Clashes], *, caption: str = "") -> str:
    """A row a step: how far children cover their parent, and how often siblings meet there.

    Args:
        clashes: name of the step -> `sibling_clashes`; steps without are "not known".
    """
    rows = {}
    for step in steps:
        found, families = step.splitting, step.splitting.families
        told = clashes.get(step.name, Clashes(None, None))
        rows[step.name] = {
            "families": f"{len(families):,}",
            "covered, median": f"{_median(found.coverage[families]):.0%}",
            "by chance": f"{_median(found.coverage_by_chance[families]):.0%}",
            "clashes of all siblings": _ratio(found.clashes.sum(), found.expected_clashes.sum()),
            "of one word": "not known" if told.alike is None else f"{told.alike:.2f}",
            "of different words": "not known" if told.unlike is None else f"{told.unlike:.2f}",
        }
    return table(rows, caption=caption)


def splitting_table(
    splitting: Splitting,
    families: Sequence[int],
    names_narrow: Sequence[str],
    names_wide: Sequence[str],
    *,
    caption: str = "",
) -> str:
    """A row a family: the general feature, how its children cover it, whether they are disjoint, and who they are.

    Args:
        families: ids of general features with children.
        names_narrow: (d_narrow,), names_wide: (d_wide,), text of every feature.
    Returns:
        HTML. Of every child is written in which share of its tokens the general feature fires, and the cosine; * marks
        the copy, ! an absorbing child.
    Raises:
        ValueError: no families.
    """
    if not len(families):
        raise ValueError("there are no families to show; lower min_firings or save more tokens")
    rows = {}
    for general in map(int, families):
        children = splitting.children(general)
        shown = [_child_text(splitting, int(child), names_wide) for child in children[:MOST_SHOWN]]
        if len(children) > MOST_SHOWN:
            shown.append(f"and {len(children) - MOST_SHOWN} more")
        rows[f"{names_narrow[general] or 'no label'} ({general})"] = {
            "became": str(splitting.narrow_class[general]),
            "fires on": f"{splitting.counts_narrow[general] / splitting.n_tokens:.2%}",
            "covered": f"{splitting.coverage[general]:.0%}",
            "by chance": f"{splitting.coverage_by_chance[general]:.0%}",
            "clashes": _ratio(splitting.clashes[general], splitting.expected_clashes[general]),
            "children": "; ".join(shown),
        }
    return table(rows, caption=caption)


def absorption_table(
    splitting: Splitting, names_narrow: Sequence[str], names_wide: Sequence[str], *, n: int = 8, caption: str = ""
) -> str:
    """A row an absorbing child, those that take most tokens first: where the general feature's copy falls silent.

    Shapes:
        names_narrow: (d_narrow,), names_wide: (d_wide,), text of every feature.
    Returns:
        HTML; a single row that says so if nothing is absorbed.
    """
    absorbing = np.flatnonzero(splitting.absorbs)
    taken = splitting.together[absorbing] - splitting.with_copy[absorbing]
    rows = {}
    for child in map(int, absorbing[np.argsort(-taken, kind="stable")][:n]):
        general = int(splitting.parents[child])
        copy = int(splitting.copies[general])
        here, both = splitting.together[child], splitting.with_copy[child]
        elsewhere = splitting.counts_narrow[general] - here
        silent_elsewhere = 1 - (splitting.together[copy] - both) / elsewhere if elsewhere else 0.0
        rows[f"{names_wide[child] or 'no label'} ({child})"] = {
            "absorbs": f"{names_narrow[general] or 'no label'} ({general})",
            "its copy": f"{names_wide[copy] or 'no label'} ({copy})",
            "shared tokens": f"{here:,}",
            "copy silent there": f"{1 - both / here:.0%}",
            "copy silent elsewhere": f"{silent_elsewhere:.0%}",
        }
    return table(rows or {"nothing is absorbed": {"shared tokens": "0"}}, caption=caption)


def _child_text(splitting: Splitting, child: int, names: Sequence[str]) -> str:
    mark = "*" if splitting.wide_class[child] == "kept" else "!" if splitting.absorbs[child] else ""
    inside = splitting.together[child] / splitting.counts_wide[child]
    return f"{names[child] or 'no label'}{mark} ({inside:.0%}, {splitting.cosine[child]:.2f})"


def _ratio(observed: float, expected: float) -> str:
    return f"{observed / expected:.2f}" if expected >= 1 else "too few"


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else 0.0
