"""Tables of circles: the order of words beside shuffled words, candidates beside their nulls, and their partners.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from helpers.geometry.circles import Candidate, CandidateList, WordOrder
from helpers.nulls import CorrectedTest, PermutationResult
from helpers.reports.tables import table

if TYPE_CHECKING:
    import numpy as np


class Ordered(Protocol):
    """What is known of many orders (helpers.comparison.circles.OrderTable)."""

    @property
    def orders(self) -> Mapping[tuple[str, str, str, str], WordOrder]: ...  # pragma: no cover
    @property
    def tests(self) -> Mapping[tuple[str, str, str, str], Mapping[str, CorrectedTest]]: ...  # pragma: no cover
    def verdict(self, place: tuple[str, str, str, str]) -> str: ...  # pragma: no cover


class Partnered(Protocol):
    """A candidate through its partners (helpers.comparison.circles.PartnerPlane)."""

    @property
    def candidate(self) -> Candidate: ...  # pragma: no cover
    @property
    def ids_b(self) -> np.ndarray: ...  # pragma: no cover
    @property
    def score_b(self) -> float: ...  # pragma: no cover
    @property
    def agreement(self) -> float: ...  # pragma: no cover
    @property
    def chance(self) -> float: ...  # pragma: no cover
    @property
    def p_score(self) -> float: ...  # pragma: no cover
    @property
    def p_agreement(self) -> float: ...  # pragma: no cover


def orders_table(found: Ordered, places: Sequence[tuple[str, str, str, str]], *, caption: str = "") -> str:
    """A row a place: for every question its score / the mean of shuffled words / the corrected p; and what it comes to."""
    rows = {}
    for place in places:
        order, tests = found.orders[place], found.tests[place]
        model, where, _, group = place
        rows[f"{group}, {model}, {place_name(where)}".replace(" ", "\u00a0")] = {
            "verdict": found.verdict(place),
            **{question: _beside_chance(order.tests[question], tests[question]) for question in order.tests},
            "opening": f"{order.opening:.2f}",
        }
    return table(rows, caption=caption)


def place_name(hook_name: str) -> str:
    """A hook in words, where it is the residual stream; anything else as it is."""
    layer = re.fullmatch(r"blocks\.(\d+)\.hook_resid_post", hook_name)
    if layer:
        return f"after layer {int(layer[1]) + 1}"
    return "embedding" if hook_name == "blocks.0.hook_resid_pre" else hook_name


def _beside_chance(result: PermutationResult, test: CorrectedTest) -> str:
    """Score, mean of the shuffled words, corrected p."""
    numbers = (f"{result.score:.2f}", f"{result.null_mean:z.2f}", f"{test.p_corrected:.2g}")
    return " / ".join(number.replace("0.", ".", 1) for number in numbers)


def candidates_table(found: CandidateList, words: Callable[[Candidate], str], *, n: int = 8, caption: str = "") -> str:
    """The best clusters, ranked, each beside its three nulls and with its words."""
    rows = {
        f"{number}": {"words": words(candidate), **candidate.as_text()}
        for number, candidate in enumerate(found.candidates[:n], start=1)
    }
    return table(rows, caption=caption) if rows else table({"no clusters": {"features": "0"}}, caption=caption)


def partners_table(found: Sequence[Partnered], words: Callable[[Candidate], str], *, caption: str = "") -> str:
    """Candidates of the first model through their partners in the second."""
    rows = {
        f"{number}": {
            "words": words(partner.candidate),
            "features": f"{len(partner.candidate.ids)}",
            "of these matched": f"{len(partner.ids_b)}",
            "score": f"{partner.candidate.score:.2f}",
            "score of the partners": f"{partner.score_b:.2f}",
            "p": f"{partner.p_score:.2g}",
            "planes agree": f"{partner.agreement:.2f}",
            "with wrong partners": f"{partner.chance:.2f}",
            "p of the agreement": f"{partner.p_agreement:.2g}",
        }
        for number, partner in enumerate(found, start=1)
    }
    return (
        table(rows, caption=caption)
        if rows
        else table({"no candidate has two partners": {"features": "0"}}, caption=caption)
    )
