"""Half precision as bits: widened exactly, in plain Python and in compiled code."""

import numba
import numpy as np

from helpers.matching.layouts import widen


@numba.njit
def widened(bits):
    values = np.empty(bits.size, dtype=np.float32)
    for i in range(bits.size):
        values[i] = widen(bits[i])
    return values


def test_every_finite_non_negative_half_is_widened_exactly():
    bits = np.arange(0x7C00, dtype=np.uint16)  # 0x7C00 is infinity
    expected = bits.view(np.float16).astype(np.float32)
    np.testing.assert_array_equal(widened(bits), expected)
    np.testing.assert_array_equal([widen(b) for b in bits[::97]], expected[::97])


def test_other_types_stay():
    assert widen(np.float64(0.1)) == 0.1
    assert widened(np.array([1.5, 0.25], dtype=np.float32)).tolist() == [1.5, 0.25]
