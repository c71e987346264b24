"""MEASURES: every measure under its name. To add one: write its module, with its `Measure` at the end, and list it here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from helpers.similarity.cca import CCA
from helpers.similarity.knn_jaccard import KNN_JACCARD
from helpers.similarity.linear_cka import LINEAR_CKA, LINEAR_CKA_DEBIASED
from helpers.similarity.measure import Measure
from helpers.similarity.mmcs import MMCS, MMCS_SYMMETRIC
from helpers.similarity.mutual_knn import MUTUAL_KNN
from helpers.similarity.orthogonal_procrustes import ORTHOGONAL_PROCRUSTES, ORTHOGONAL_PROCRUSTES_ANGULAR
from helpers.similarity.permutation_procrustes import PERMUTATION_PROCRUSTES
from helpers.similarity.pwcca import PWCCA
from helpers.similarity.rsa import RSA, RSA_COSINE, RSA_EUCLIDEAN
from helpers.similarity.singular_value_distance import SINGULAR_VALUE_DISTANCE
from helpers.similarity.svcca import SVCCA

_ENTRIES = (
    CCA,
    SVCCA,
    PWCCA,
    LINEAR_CKA,
    LINEAR_CKA_DEBIASED,
    RSA,
    RSA_COSINE,
    RSA_EUCLIDEAN,
    KNN_JACCARD,
    MUTUAL_KNN,
    ORTHOGONAL_PROCRUSTES,
    ORTHOGONAL_PROCRUSTES_ANGULAR,
    PERMUTATION_PROCRUSTES,
    MMCS,
    MMCS_SYMMETRIC,
    SINGULAR_VALUE_DISTANCE,
)

MEASURES: Mapping[str, Measure] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
