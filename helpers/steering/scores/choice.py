"""Choose a setting on one set of prompts, and read its score on another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from helpers.steering.scores.intervals import Interval, share_interval
from helpers.steering.scores.sweep import Sweep

_ROUNDING = 1e-9  # of a share that is asked for as a sum: 0.9 + 0.05 is a hair above 57 of 60


@dataclass(frozen=True)
class Choice:
    """The setting that won on the validation prompts.

    Args:
        way: whether it is added always, or only where it is due.
        is_harmless: enough control prompts were unchanged; otherwise no setting left as many, and the least harmful that
            does anything at all was taken.
    """

    arm: str
    way: str
    strength: float
    layer: int
    success: float
    kept: float
    is_harmless: bool


@dataclass(frozen=True)
class Score:
    """A chosen setting on held-out prompts, beside directions that should do nothing.

    Args:
        success: share of prompts answered as wished; kept: share of control prompts with an unchanged answer; worst_form:
            success on the worst sentence form; exact: share that also keeps the place, None where that makes no sense.
        known: share of prompts that the plain model answers right; plain: share that it answers as if it were steered.
        null: success of the baselines at the same length, added in the same way, on average; null_max: of the best of them;
            p: chance of a baseline as good, (1 + as good) / (1 + baselines); all None without baselines.
    """

    task: str
    arm: str
    way: str
    layer: int
    strength: float
    success: Interval
    kept: Interval
    worst_form: float
    exact: float | None
    known: float
    plain: float
    null: Interval | None = None
    null_max: float | None = None
    p: float | None = None


def best_trial(sweep: Sweep, *, min_kept: float, among: Sequence[str] | None = None) -> Choice:
    """The trial with the most success among those that leave enough controls unchanged.

    Args:
        min_kept: least share of unchanged controls, in [0, 1].
        among: names of arms; all but the baselines by default.
    Returns:
        Of equals the one that is surest of its answers (the highest mean probability of those expected under steering),
        then the one that changes fewer controls, then the first. Where no trial leaves enough unchanged: of the trials with
        any success the least harmful.
    Raises:
        ValueError: no trial to choose from.
    """
    numbers = np.flatnonzero(
        ~np.isin(sweep.spaces, ["random", "shuffled"]) if among is None else np.isin(sweep.arms, list(among))
    )
    if not len(numbers):
        raise ValueError(f"expected arms of the sweep to choose from; got {among}")
    success, kept = sweep.success, sweep.kept
    harmless = numbers[kept[numbers] >= min_kept - _ROUNDING]
    if len(harmless):
        order = np.lexsort((-kept[harmless], -sweep.probability[harmless].mean(axis=1), -success[harmless]))
        best = int(harmless[order[0]])
    else:
        effective = numbers[success[numbers] > 0]
        pool = effective if len(effective) else numbers
        best = int(pool[np.lexsort((sweep.strengths[pool], -success[pool], -kept[pool]))[0]])
    return Choice(
        arm=str(sweep.arms[best]),
        way=str(sweep.ways[best]),
        strength=float(sweep.strengths[best]),
        layer=int(sweep.layers[best]),
        success=float(success[best]),
        kept=float(kept[best]),
        is_harmless=bool(len(harmless)),
    )


def score_choice(
    sweep: Sweep, choice: Choice, *, task: str, baselines: str | None = None, n_resamples: int = 2000, seed: int = 0
) -> Score:
    """A chosen setting's score in another sweep, on prompts that it was not chosen on.

    Args:
        baselines: "random" or "shuffled": the space whose trials of the choice's strength and way are what is reached by
            chance.
    Raises:
        ValueError: the sweep has no trial of the choice, or none of the baselines.
    """
    numbers = [number for number in sweep.of_arm(choice.arm) if np.isclose(sweep.strengths[number], choice.strength)]
    if not numbers:
        raise ValueError(f"this sweep has no trial of '{choice.arm}' at strength {choice.strength}; run it there")
    here = int(numbers[0])
    options = {"n_resamples": n_resamples, "seed": seed}
    null = null_max = p = None
    if baselines is not None:
        others = sweep.of_space(baselines, way=choice.way)
        others = others[np.isclose(sweep.strengths[others], choice.strength)]
        if not len(others):
            raise ValueError(
                f"this sweep has no {baselines} directions at strength {choice.strength}, added {choice.way}; add them to "
                "its trials"
            )
        reached = sweep.success[others]
        null, null_max = share_interval(sweep.hits[others], **options), float(reached.max())
        p = (1 + int((reached >= sweep.success[here]).sum())) / (1 + len(others))
    return Score(
        task=task,
        arm=choice.arm,
        way=choice.way,
        layer=int(sweep.layers[here]),
        strength=choice.strength,
        success=share_interval(sweep.hits[here], **options),
        kept=share_interval(sweep.unchanged[here], **options),
        worst_form=sweep.worst_form(here),
        exact=float(sweep.exact[here].mean()) if sweep.exact.shape[1] else None,
        known=float(sweep.known.mean()),
        plain=float(sweep.plain_hits.mean()),
        null=null,
        null_max=null_max,
        p=p,
    )
