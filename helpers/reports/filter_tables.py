"""What filters removed, as tables."""

from __future__ import annotations

from helpers.matching import FilterReport, FilterStep
from helpers.reports.tables import table


def filter_table(report: FilterReport, *, caption: str = "") -> str:
    """One row a filter: pairs before it, removed, after it. A filter that removed nothing says so.

    Raises:
        ValueError: no filter was applied.
    """
    _require_steps(report)
    rows = {
        f"{number}. {step.name}": {
            "pairs before": f"{step.n_before:,}",
            "removed": f"{step.n_removed:,}",
            "pairs after": f"{step.n_after:,}",
            "note": "" if step.n_removed else "no pair left" if step.n_before == 0 else "removed nothing",
        }
        for number, step in enumerate(report.steps, start=1)
    }
    return table(rows, caption=caption)


def removed_table(step: FilterStep, *, names: tuple[str, str], caption: str = "") -> str:
    """Some of the pairs that a filter removed, with the top words of both partners; a sentence if it removed none.

    Args:
        names: of the two models.
    """
    if not step.removed:
        return table({step.name: {"pairs removed": "0, nothing to show"}}, caption=caption)
    rows = {
        f"{pair.id_a} \u2013 {pair.id_b}": {
            "correlation": f"{pair.corr:.3f}",
            f"top words in {names[0]}": " ".join(pair.words_a),
            f"top words in {names[1]}": " ".join(pair.words_b),
        }
        for pair in step.removed
    }
    shown = f"{step.name}: {len(step.removed)} of the {step.n_removed:,} removed pairs"
    return table(rows, caption=caption or shown)


def _require_steps(report: FilterReport) -> None:
    if not report.steps:
        raise ValueError("no filter was applied, so there is nothing to show; pass filters to apply_filters")
