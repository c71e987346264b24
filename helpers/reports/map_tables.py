"""Tables of feature maps: how faithful they are, and how far partners lie apart."""

from __future__ import annotations

from collections.abc import Mapping

from helpers.comparison.feature_maps import SPACES, MapPair
from helpers.geometry import Faithfulness, PartnerDistance
from helpers.reports.tables import table


def faithfulness_table(
    maps: Mapping[str, MapPair], *, names: tuple[str, str], random: Faithfulness, caption: str = ""
) -> str:
    """One row a space and map, and one for random places."""
    rows = {}
    for space, pair in maps.items():
        for name, found in zip(names, (pair.faithful_a, pair.faithful_b), strict=True):
            rows[f"{space} ({SPACES[space]}), {name}"] = _faithfulness(found)
    return table(rows | {"random places": _faithfulness(random)}, caption=caption)


def alignment_table(steps: Mapping[str, PartnerDistance], *, caption: str = "") -> str:
    """One row a step."""
    return table(
        {
            step: {
                "pairs": f"{found.n_pairs:,}",
                "distance of partners": f"{found.mean:.3f}",
                "of wrong partners": f"{found.null_low:.3f} to {found.null_high:.3f}",
                "p": f"{found.p_value:.2g}",
            }
            for step, found in steps.items()
        },
        caption=caption,
    )


def _faithfulness(found: Faithfulness) -> dict[str, str]:
    return {
        "features": f"{found.n_points:,}",
        f"{found.k} nearest kept": f"{found.neighbours_kept:.1%}",
        "chance": f"{found.chance:.1%}",
        "trustworthiness": f"{found.trustworthiness:.3f}",
    }
