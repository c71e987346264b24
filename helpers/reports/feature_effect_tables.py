"""Tables of what features do: rankings, pushes taken apart, circles turned, sums of words.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from helpers.reports.tables import table

if TYPE_CHECKING:  # these modules load torch
    from helpers.comparison.feature_effects import TakenApart
    from helpers.comparison.word_moves import CellLayers, CircleTurn
    from helpers.nulls import PermutationResult
    from helpers.steering.effects import FeatureEffects
    from helpers.steering.effects.attribution import Ranking
    from helpers.steering.sum_steps import SumSteering

N_TOP = 10


def ranking_table(
    effects: Mapping[str, FeatureEffects],
    tests: Mapping[str, Mapping[Ranking, PermutationResult | None]],
    ahead: Mapping[str, Sequence[float]],
    *,
    caption: str = "",
) -> str:
    """A row a set of prompts: what each ranking has in common with the measured one, and how much of the effect its first find.

    Args:
        ahead: how much higher the first ranking's correlation is than the second's: value, low, high.
    """
    rows = {}
    for name, found in effects.items():
        n = min(N_TOP, len(found.candidates))
        rows[name] = {"features": f"{len(found.candidates)}"}
        for ranking, test in tests[name].items():
            rows[name][f"{ranking} (p)"] = "not defined" if test is None else f"{test.score:.2f} ({test.p_value:.2g})"
            rows[name][f"its first {N_TOP} find, by {ranking}"] = f"{found.found(ranking, n=n):.0%}"
        value, low, high = ahead[name]
        rows[name]["ahead (95%)"] = f"{value:.2f} ({low:.2f} to {high:.2f})"
    return table(rows, caption=caption)


def apart_table(apart: Mapping[str, TakenApart], *, caption: str = "") -> str:
    """A row a model: the push, and the share of its effect that the largest feature, direction and all together carry."""
    rows = {}
    for name, each in apart.items():
        restored = each.restored
        rows[name] = {
            "strength": f"{each.strength:g}",
            "answers turned": f"{each.turned:.0%}",
            "best single feature": f"{restored.features.shares.max():.0%}",
            "features beyond all random": f"{each.n_beyond('features')} of {len(restored.features.ids)}",
            "these features together": f"{restored.features_together:.0%}",
            "whole dictionary": f"{restored.dictionary:.0%}",
            "best single direction": f"{restored.directions.shares.max():.0%}",
            "directions beyond all random": f"{each.n_beyond('directions')} of {len(restored.directions.ids)}",
        }
    return table(rows, caption=caption)


def turn_table(
    turns: Sequence[CircleTurn], adjusted: Sequence[float | None], *, place_names: Mapping[str, str], caption: str = ""
) -> str:
    """A row a circle and layer: whole word exchanged, turned in the plane, in random planes, and p."""
    rows = {}
    for turn, p in zip(turns, adjusted, strict=True):
        moved = turn.movement
        rows[f"{turn.group}, model {turn.model}, {place_names.get(turn.hook_name, turn.hook_name)}"] = {
            "whole word exchanged": f"{turn.swapped_as_expected:.0%}",
            "turned in the plane": "not read here" if moved is None else f"{moved.as_expected.mean():.0%}",
            "random planes": "" if moved is None else f"{moved.random_as_expected.mean():.1%}",
            "p, corrected": "" if p is None else f"{p:.2g}",
            "answer still in the circle": "" if moved is None else f"{moved.in_circle.mean():.0%}",
        }
    return table(rows, caption=caption)


def word_sum_table(
    layers: Mapping[str, CellLayers], steered: Mapping[str, Mapping[str, SumSteering]], *, caption: str = ""
) -> str:
    """A row a table of words and model: the clearest layer, and what the model says after a step."""
    rows = {}
    for name, found in steered.items():
        for model, steps in found.items():
            keys = [key for key in layers[name].tests if key[0] == model]
            best = min(keys, key=lambda key: layers[name].adjusted[key])
            test = layers[name].tests[best]
            rows[f"{name}, model {model}"] = {
                "clearest layer": best[1].split(".")[1],
                "words found": f"{test.hits} of {len(test.tested)}",
                "shuffled": f"{test.null_hits.mean():.1f}",
                "p, corrected over layers": f"{layers[name].adjusted[best]:.2g}",
                "said after a step": f"{steps.success:.0%}",
                "shuffled words": f"{steps.null_hits.mean():.0%}",
                "p": f"{steps.p:.2g}",
                "of the right domain": f"{steps.in_domain.mean():.0%}",
            }
    return table(rows, caption=caption)
