"""Asking the processor for memory before it is needed, in compiled loops.

A feature's tokens are rows in no order, so the processor cannot guess which memory comes next, and waits at each row
for longer than it works on it. The loop knows the rows ahead.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_LINE = 64  # bytes of a cache line
_MOST_LINES = 4  # after these the processor has recognised that a row is read in order


@numba.njit(cache=True, nogil=True, inline="always")
def prefetch(array, start, stop):  # pragma: no cover (compiled)
    """Begin to load array[start:stop], or its beginning. Changes no result; memory that is not mapped is left alone."""
    per_line = _LINE // array.itemsize
    for at in range(start, min(stop, start + _MOST_LINES * per_line), per_line):
        _prefetch_line(array, at)


def _prefetch_instruction(_context: Any, array: types.Array, index: types.Integer) -> Any:
    """The processor's own instruction: to read, keep in all caches."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        item = context.make_array(signature.args[0])(context, builder, arguments[0])
        offset = context.cast(builder, arguments[1], signature.args[1], types.intp)
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(builder.gep(item.data, [offset]), byte)
        function = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        call = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
        builder.call(call, [address, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


_prefetch_line: Any = intrinsic(_prefetch_instruction)
