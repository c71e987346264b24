"""Measures of how alike two spaces with paired rows are; one measure a module, all in MEASURES."""

from helpers.similarity.catalogue import MEASURES
from helpers.similarity.cca import cca
from helpers.similarity.knn_jaccard import knn_jaccard
from helpers.similarity.linear_cka import linear_cka
from helpers.similarity.measure import Comparison, Measure, UndefinedMeasure
from helpers.similarity.mmcs import mmcs
from helpers.similarity.mutual_knn import mutual_knn
from helpers.similarity.orthogonal_procrustes import orthogonal_procrustes
from helpers.similarity.permutation_procrustes import permutation_procrustes
from helpers.similarity.pwcca import pwcca
from helpers.similarity.rsa import rsa
from helpers.similarity.singular_value_distance import singular_value_distance
from helpers.similarity.svcca import svcca

__all__ = [
    "MEASURES",
    "Comparison",
    "Measure",
    "UndefinedMeasure",
    "cca",
    "knn_jaccard",
    "linear_cka",
    "mmcs",
    "mutual_knn",
    "orthogonal_procrustes",
    "permutation_procrustes",
    "pwcca",
    "rsa",
    "singular_value_distance",
    "svcca",
]
