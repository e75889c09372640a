"""Cells of memory that several threads read and write, and waiting for one of them to change."""

import platform
import sys
from collections.abc import Callable
from typing import Any

import numpy.typing as npt
from llvmlite import ir
from numba import int32, int64, types, void
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic
from numba.np.arrayobj import make_array

from minigrad.kernels.jit._jit import jit

Array = npt.NDArray[Any]

# Linux lets a thread sleep until somebody wakes those who wait at an address. The number of that system call, or 0.
FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 0) if sys.platform == "linux" else 0
WAIT, WAKE, EVERYBODY = 128, 129, 2**31 - 1  # of this process only
_system_call: Any = types.ExternalFunction("syscall", int64(int64, int64, int64, int64, int64, int64, int64))
_yield: Any = types.ExternalFunction("SwitchToThread" if sys.platform == "win32" else "sched_yield", int32())


def intrinsic(function: Callable[..., Any]) -> Any:
    """Declare a function that writes machine code. The type checker sees its first argument otherwise, Numba's own."""
    return numba_intrinsic(function)


def _cell(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    array = make_array(signature.args[0])(context, builder, values[0])
    return builder.gep(array.data, [values[1]])


@intrinsic
def add(typing: Any, state: Any, cell: Any, value: Any) -> Any:
    """Add to a cell, and return what it was."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.atomic_rmw("add", _cell(context, builder, signature, values), values[2], "seq_cst")

    return int64(state, int64, int64), generate


@intrinsic
def load(typing: Any, state: Any, cell: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load_atomic(_cell(context, builder, signature, values), "seq_cst", 8)

    return int64(state, int64), generate


@intrinsic
def store(typing: Any, state: Any, cell: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store_atomic(values[2], _cell(context, builder, signature, values), "seq_cst", 8)
        return context.get_dummy_value()

    return void(state, int64, int64), generate


@intrinsic
def pause(typing: Any) -> Any:
    """Tell the processor that this is a loop that waits."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if context.codegen()._tm.triple.startswith(("x86_64", "i686")):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return void(), generate


@intrinsic
def _address(typing: Any, state: Any, cell: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.ptrtoint(_cell(context, builder, signature, values), ir.IntType(64))

    return int64(state, int64), generate


@jit()
def sleep_while(state: Array, cell: int, value: int) -> None:
    """Sleep while a cell holds a value, until somebody wakes those who sleep there; or, elsewhere, for a moment."""
    if FUTEX:
        _system_call(FUTEX, _address(state, cell), WAIT, value & 0xFFFFFFFF, 0, 0, 0)
    else:
        _yield()


@jit()
def wake(state: Array, cell: int) -> None:
    """Wake all who sleep while a cell holds a value."""
    if FUTEX:
        _system_call(FUTEX, _address(state, cell), WAKE, EVERYBODY, 0, 0, 0)
