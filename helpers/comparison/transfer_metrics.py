"""What the scores of a transfer come down to: numbers for results and headlines."""

from __future__ import annotations

from collections.abc import Mapping

from helpers.steering.transfer import TransferScores
from helpers.steering.transfer.ablation import ABLATION_NULLS, LEAD, PARTNERS
from helpers.steering.transfer.shares import MEASURES


def hits_its_own(removals: Mapping[tuple[str, str], TransferScores], domain: str) -> bool:
    """Whether taking out the partners of a domain costs its own answers something, and more than those of any other."""
    cost = {asked: _cost(scores) for (removed, asked), scores in removals.items() if removed == domain}
    return cost[domain] > 0 and all(cost[domain] > value for asked, value in cost.items() if asked != domain)


def transfer_metrics(scores: TransferScores) -> dict[str, float | None]:
    """Every method's share of both measures, its interval, the highest share of a null, and the highest p."""
    found: dict[str, float | None] = {}
    for method in scores.methods:
        for measure in MEASURES:
            key = f"{method.replace(', ', '_').replace(' ', '_')}_{measure}"
            share, highest = scores.share(method, measure), scores.highest_null(method, measure)
            found |= {
                key: None if share is None else share.value,
                f"{key}_low": None if share is None else share.low,
                f"{key}_high": None if share is None else share.high,
                f"{key}_null": None if highest is None else highest[1],
                f"{key}_p": max(scores.p_value(method, null, measure) for null in scores.nulls_of(method)),
            }
    return found


def removal_metrics(scores: TransferScores) -> dict[str, float | None]:
    """What partners cost, the share of what b's own choice costs, and p against each null."""
    share = scores.share(PARTNERS, LEAD)
    return {
        "cost": _cost(scores),
        "share": None if share is None else share.value,
        **{f"p_{null.replace(' ', '_')}": scores.p_value(PARTNERS, null, LEAD) for null in scores.nulls_of(PARTNERS)},
    }


def removal_p(scores: TransferScores) -> float:
    """p of the partners beside other features that fire on the same prompts, the hardest of the nulls."""
    return scores.p_value(PARTNERS, ABLATION_NULLS[-1], LEAD)


def _cost(scores: TransferScores) -> float:
    return float(scores.carried[PARTNERS][LEAD].mean())
