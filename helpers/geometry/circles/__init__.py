"""Features of several dimensions: clusters of dictionary elements, what each writes, and whether it is a circle."""

from helpers.geometry.circles.candidates import Candidate, CandidateList, NullScores, find_candidates
from helpers.geometry.circles.circle_plane import CirclePlane, circle_plane
from helpers.geometry.circles.cluster_points import ClusterPoints, FiringColumns, PrincipalPlanes
from helpers.geometry.circles.clusters import (
    FeatureClusters,
    chance_cosine,
    cluster_features,
    cosine_graph,
    firing_graph,
)
from helpers.geometry.circles.irreducibility import mixture_index, plane_scores, separability_index
from helpers.geometry.circles.planted import PlantedCircle, planted_circle
from helpers.geometry.circles.word_order import WordOrder, frequency_shares, held_out_places, same_order, word_order

__all__ = [
    "Candidate",
    "CandidateList",
    "CirclePlane",
    "ClusterPoints",
    "FeatureClusters",
    "FiringColumns",
    "NullScores",
    "PlantedCircle",
    "PrincipalPlanes",
    "WordOrder",
    "chance_cosine",
    "circle_plane",
    "cluster_features",
    "cosine_graph",
    "find_candidates",
    "firing_graph",
    "frequency_shares",
    "held_out_places",
    "mixture_index",
    "plane_scores",
    "planted_circle",
    "same_order",
    "separability_index",
    "word_order",
]
