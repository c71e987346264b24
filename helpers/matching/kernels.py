"""Compiled loops of the sparse engine. They release the interpreter lock; threads share nothing they write."""

from __future__ import annotations

import numba
import numpy as np

from helpers.matching.best_lists import beats_last, insert
from helpers.matching.layouts import widen
from helpers.matching.prefetching import prefetch

_AHEAD = 2  # rows between the one that is read and the one that is asked for


@numba.njit(cache=True, nogil=True)
def search(  # pragma: no cover (compiled)
    group, features, columns, far, terms, state, far_ids, far_values, floor, jaccard, both, ids, values, truncated
):
    """Fill the lists of some columns of a block and, if `both`, this thread's lists of the far features.

    Args:
        group: positions of the columns; no other thread has them.
        features: feature id of every column; columns, far: see `layouts`.
        terms: (d_near, 2), see `Terms.packed`; state: see `ListState`.
        ids, values, truncated: as in `BestPartners`, of the near side.
    """
    k, k_far = ids.shape[1], far_ids.shape[1]
    sums = np.zeros(state.shape[0], dtype=np.float64)
    touched = np.empty(state.shape[0] + 1, dtype=np.int32)
    for column in group:
        feature = features[column]
        n_touched = _meet(column, columns, far, jaccard, sums, touched)
        own_ids, own_values = ids[feature], values[feature]
        own_shift, own_scale = terms[feature, 0], terms[feature, 1]
        n_candidates = 0
        bar = floor
        for meeting in range(n_touched):
            other = touched[meeting]
            total = sums[other]
            sums[other] = 0.0
            shift, scale = state[other, 0], state[other, 1]
            value = _associate(total, own_shift, own_scale, shift, scale, jaccard)
            # Counted without a branch: about as many values lie below the floor as above, in no order.
            is_candidate = (scale != 0.0) & (value > floor)
            n_candidates += is_candidate
            if value >= bar and is_candidate and beats_last(own_ids, own_values, other, value):
                insert(own_ids, own_values, other, value)
                bar = own_values[k - 1]  # -inf until the list is full
            if both:
                state[other, 3] += is_candidate
                if (
                    value >= state[other, 2]
                    and is_candidate
                    and beats_last(far_ids[other], far_values[other], feature, value)
                ):
                    insert(far_ids[other], far_values[other], feature, value)
                    state[other, 2] = far_values[other, k_far - 1]
        truncated[feature] = n_candidates > k


@numba.njit(cache=True, nogil=True)
def fill(group, features, columns, far, terms, far_terms, lines, places, jaccard, block):  # pragma: no cover (compiled)
    """Write associations into `block`: `lines` tells a near feature's row, `places` a far feature's column or -1."""
    sums = np.zeros(far_terms.shape[0], dtype=np.float64)
    touched = np.empty(far_terms.shape[0] + 1, dtype=np.int32)
    for column in group:
        own_shift, own_scale = terms[features[column], 0], terms[features[column], 1]
        n_touched = _meet(column, columns, far, jaccard, sums, touched)
        for meeting in range(n_touched):
            other = touched[meeting]
            total = sums[other]
            sums[other] = 0.0
            shift, scale = far_terms[other, 0], far_terms[other, 1]
            if places[other] >= 0 and scale != 0.0:
                value = _associate(total, own_shift, own_scale, shift, scale, jaccard)
                block[lines[features[column]], places[other]] = value


@numba.njit(cache=True, nogil=True)
def _meet(column, columns, far, jaccard, sums, touched):  # pragma: no cover (compiled)
    """Sum one feature's products with everything that fires on its tokens; tells how many features it met."""
    far_indptr, far_indices, far_data = far.indptr, far.indices, far.data
    rows, values = columns.rows, columns.values
    n_touched = 0
    first, stop = columns.indptr[column], columns.indptr[column + 1]
    for entry in range(first, stop):
        if entry + _AHEAD < stop:
            ahead = rows[entry + _AHEAD]
            prefetch(far_indices, far_indptr[ahead], far_indptr[ahead + 1])
            prefetch(far_data, far_indptr[ahead], far_indptr[ahead + 1])
        row = rows[entry]
        x = 1.0 if jaccard else np.float64(values[entry])
        for far_entry in range(far_indptr[row], far_indptr[row + 1]):
            other = far_indices[far_entry]
            y = 1.0 if jaccard else np.float64(widen(far_data[far_entry]))
            old = sums[other]
            # Products are positive, so a sum of 0 is a first meeting; no branch, it would be mispredicted.
            touched[n_touched] = other
            n_touched += old == 0.0
            sums[other] = old + x * y
    return n_touched


@numba.njit(cache=True, nogil=True, inline="always")
def _associate(total, own_shift, own_scale, shift, scale, jaccard):  # pragma: no cover (compiled)
    if jaccard:
        return total / (own_shift + shift - total)
    return (total - own_shift * shift) * (own_scale * scale)
