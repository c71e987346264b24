"""Maps of feature spaces and how faithful they are."""

from helpers.geometry.embedding import Embedding, embed, embed_along, embed_together
from helpers.geometry.faithfulness import Faithfulness, PartnerDistance, map_faithfulness, partner_distance
from helpers.geometry.nearest import NearestRows, nearest_rows

__all__ = [
    "Embedding",
    "Faithfulness",
    "NearestRows",
    "PartnerDistance",
    "embed",
    "embed_along",
    "embed_together",
    "map_faithfulness",
    "nearest_rows",
    "partner_distance",
]
