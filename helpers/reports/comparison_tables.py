"""Tables of notebook 05: every test with its verdict, the ceiling, the variance that SVCCA keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helpers.nulls import CorrectedTest, EqualRows, PermutationResult, place_between

Rows = dict[str, dict[str, str]]
NO_BREAK = "\u00a0"


def verdict_rows(tests: Sequence[CorrectedTest]) -> Rows:
    """One row a test, the verdict first; what is undefined says why.

    Args:
        tests: named "measure, null"; a line is broken at the comma only.
    """
    rows: Rows = {}
    for test in tests:
        text = test.as_text()
        interval = f" ({text['p, 95 % interval']})".replace(" to ", "\u2013") if text["p"] else ""
        name = ", ".join(part.replace("_", " ").replace(" ", NO_BREAK) for part in test.name.split(", "))
        rows[name] = {
            "verdict": _verdict(test),
            **{column: text[column] for column in ("score", "chance", "calibrated")},
            "p (95 % interval)": (text["p"] + interval).replace(" ", NO_BREAK),
            "p, corrected": text["p, corrected"],
        }
    return rows


def ceiling_rows(scores: Mapping[str, tuple[EqualRows, EqualRows]]) -> Rows:
    """One row a measure: two models beside one model twice, at equal numbers of pairs, and the place of the former.

    Args:
        scores: measure -> (two models, one model twice).
    """
    rows: Rows = {}
    for measure, (here, top) in scores.items():
        place = ceiling_place(here, top)
        rows[measure.replace("_", " ")] = {
            "pairs": f"{here.n_rows:,}",
            "two models": _cut(here),
            "wrong pairings": _number(here.null_mean),
            "one model twice": _cut(top),
            "wrong pairings of it": _number(top.null_mean),
            "place": "none" if place is None else f"{place:.2f}",
        }
    return rows


def ceiling_place(models: EqualRows, ceiling: EqualRows) -> float | None:
    """Where the calibrated score of two models lies between chance (0) and that of one model twice (1).

    None where one of them is undefined or the ceiling itself is not above chance.
    """
    if models.calibrated is None or ceiling.calibrated is None or ceiling.calibrated <= 0:
        return None
    return place_between(models.calibrated, chance=0.0, ceiling=ceiling.calibrated)


def variance_rows(results: Mapping[str, PermutationResult]) -> Rows:
    """One row a choice of components: how many it keeps, and the score beside wrong pairings."""
    rows: Rows = {}
    for label, result in results.items():
        kept = (str(result.settings.get(f"n_components_{side}", "")) for side in "xy")
        rows[label] = dict(zip(("components of a", "components of b"), kept, strict=True)) | {
            "score": "undefined" if result.undefined else _number(result.score),
            "wrong pairings": result.undefined or f"{result.null_mean:z.3f} ± {result.null_std or 0:.3f}",
            "calibrated": _number(result.calibrated),
            "p": "" if result.p_value is None else f"{result.p_value:.2g}",
        }
    return rows


def step_rows(steps: Sequence[str], scores: Mapping[str, Sequence[PermutationResult]]) -> Rows:
    """One row a step, for every measure its score with its place between wrong pairings (0) and identical spaces (1).

    Args:
        scores: measure -> one test a step; a star marks p <= 0.05 (not corrected).
    """
    rows: Rows = {}
    for number, step in enumerate(steps):
        found = {measure: results[number] for measure, results in scores.items()}
        pairs = f"{next(iter(found.values())).n_rows:,}"
        rows[step] = {"pairs": pairs} | {
            measure.replace("_", " "): "too few pairs"
            if result.undefined
            else f"{_number(result.score)}{NO_BREAK}({_number(result.calibrated)}{'*' if (result.p_value or 1) <= 0.05 else ''})"
            for measure, result in found.items()
        }
    return rows


def _verdict(test: CorrectedTest) -> str:
    if test.significant is None:
        return f"undefined: {test.undefined}"
    word = "survives" if test.significant else f"does{NO_BREAK}not"
    return word if test.settled else f"{word}, unsettled: more shuffles"


def _cut(result: EqualRows) -> str:
    if result.mean is None:
        return f"undefined: {result.undefined}"
    return f"{result.mean:z.3f} ({result.low:z.3f}\u2013{result.high:z.3f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:z.3f}"
