"""Room for some numbers while a kernel runs: an array on the stack, since kernels allocate nothing."""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array, populate_array

from minigrad.kernels.memory import LINE

INDEX = ir.IntType(64)
SIZE = 1024  # which fit into the fastest cache beside what is read


def room(dtype: Any) -> Any:
    """Return an array of `SIZE` numbers, not set. It ends with the function that calls this."""
    return np.empty(SIZE, dtype)


def stack_array(context: Any, builder: Any, kind: Any, shape: tuple[int, ...]) -> Any:
    """Generate an array of a Numba type in the stack frame of the function that is being built."""
    number = context.get_value_type(kind.dtype)
    itemsize = context.get_abi_sizeof(number)
    with builder.goto_entry_block():  # as cgutils.alloca_once, which also clears the memory
        data = builder.alloca(ir.ArrayType(number, math.prod(shape)))
        data.align = LINE
    array = make_array(kind)(context, builder)
    populate_array(
        array,
        data=builder.bitcast(data, number.as_pointer()),
        shape=[INDEX(length) for length in shape],
        strides=[INDEX(itemsize * math.prod(shape[axis + 1 :])) for axis in range(len(shape))],
        itemsize=INDEX(itemsize),
        meminfo=None,
    )
    return array._getvalue()


def _room(typing: Any, dtype: Any) -> Any:
    kind = types.Array(dtype.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return stack_array(context, builder, kind, (SIZE,))

    return kind(dtype), generate


_make_room: Any = intrinsic(_room)


@overload(room, inline="always")  # a function of its own would have a stack of its own
def _compiled_room(dtype: Any) -> Any:
    def call(dtype: Any) -> Any:
        return _make_room(dtype)

    return call
