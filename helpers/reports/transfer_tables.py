"""Tables of steering across models: what is kept beside chance, what the maps know, answers, removals.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from helpers.reports.tables import table
from helpers.steering.transfer import Share, TransferScores
from helpers.steering.transfer.shares import Measure


def share_text(share: Share | None) -> str:
    """A share with its interval."""
    return "not defined" if share is None else f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def share_table(scores: TransferScores, measure: Measure, *, caption: str = "") -> str:
    """A row a method and null: what the carried vector keeps, what the null keeps, and p."""
    rows = {}
    for method in scores.methods:
        for number, null in enumerate(scores.nulls_of(method)):
            rows[f"{method} / {null}"] = {
                "method": method if number == 0 else "",
                "kept (95%)": share_text(scores.share(method, measure)) if number == 0 else "",
                "null": null,
                "null keeps (95%)": share_text(scores.null_share(method, null, measure)),
                "p": f"{scores.p_value(method, null, measure):.2g}",
            }
    return table({str(number): row for number, row in enumerate(rows.values(), start=1)}, caption=caption)


def measures_table(scores: TransferScores, *, caption: str = "") -> str:
    """A row a method: the share kept by every measure, and the largest mean share of a null by each."""
    names: dict[Measure, str] = {
        "success": "answers turned",
        "logit_difference": "logits",
        "added": "adding alone",
    }
    rows = {}
    for method in scores.methods:
        row = {name: share_text(scores.share(method, measure)) for measure, name in names.items()}
        rows[method] = row | {"nulls, at most": "; ".join(_highest_null(scores, method, each) for each in names)}
    return table(rows, caption=caption)


def answers_table(answers: Mapping[str, Mapping[str, str]], *, n: int, caption: str = "") -> str:
    """A row a prompt, evenly spaced through all of them: its answer plainly and with every vector."""
    texts = list(answers)
    places = np.linspace(0, len(texts) - 1, min(n, len(texts))).round().astype(int)
    return table({texts[place]: answers[texts[place]] for place in places}, caption=caption)


def removal_table(
    removals: Mapping[tuple[str, str], TransferScores], domains: Sequence[str], *, caption: str = ""
) -> str:
    """A row a domain: what partners cost its answers, as a share of what b's own features cost, beside other features."""
    rows = {}
    for domain in domains:
        scores = removals[domain, domain]
        told = scores.settings
        row = {
            "shared": f"{told['n_shared']} of {told['n_own']}",
            "own cost": f"{scores.own['answer_lead'].mean():.2f}",
            "partners (95%)": share_text(scores.share("partners", "answer_lead")),
        }
        for null in scores.nulls_of("partners"):
            share = scores.null_share("partners", null, "answer_lead")
            text = "not defined" if share is None else f"{share.value:.0%}"
            row[null] = f"{text} (p {scores.p_value('partners', null, 'answer_lead'):.2g})"
        rows[domain] = row
    return table(rows, caption=caption)


def _highest_null(scores: TransferScores, method: str, measure: Measure) -> str:
    highest = scores.highest_null(method, measure)
    return "not defined" if highest is None else f"{highest[1]:.0%}"
