"""Persistent homology: loops and voids of clouds of points, beside those of random clouds."""

from helpers.geometry.homology.carried import CarriedLoop, carried_loop
from helpers.geometry.homology.cost import Cost
from helpers.geometry.homology.diagram_distances import diagram_distance, nearer_than_random, parts_test
from helpers.geometry.homology.images import PersistenceImages, common_scales, persistence_images
from helpers.geometry.homology.landmarks import Landmarks, choose_landmarks
from helpers.geometry.homology.loops import Loop, loop_around
from helpers.geometry.homology.persistence import Persistence, persistence
from helpers.geometry.homology.significance import BarTest, bar_test, random_copies

__all__ = [
    "BarTest",
    "CarriedLoop",
    "Cost",
    "Landmarks",
    "Loop",
    "Persistence",
    "PersistenceImages",
    "bar_test",
    "carried_loop",
    "choose_landmarks",
    "common_scales",
    "diagram_distance",
    "loop_around",
    "nearer_than_random",
    "parts_test",
    "persistence",
    "persistence_images",
    "random_copies",
]
