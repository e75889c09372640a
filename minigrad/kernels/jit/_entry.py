"""Kernels behind one C signature, so that one loop can run a program of addresses.

An entry takes `words` (int64) and the range [first, last) of the work that it has to do. The words say how much work
there is in all, and where the operands lie:

    extent, grain                the work, and the unit in which it is divided
    address, shape ...           of an array
    address, unit                of a vector that is "cut by" units
    address                      of the cell (8 bytes) that holds a scalar

Arrays that are "cut" are given from `first` to `last` along their first axis, or, by units, from `first * unit` to
`last * unit`; the others come whole.
"""

import hashlib
from functools import cache
from typing import Any

from llvmlite import ir
from numba import boolean, float32, float64, int64, types, uint8, void
from numba.core.ccallback import CFunc
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from minigrad.kernels.jit._jit import keep_on_disk

SIGNATURE = void(types.CPointer(int64), int64, int64)
SCALARS = {"float": float64, "int": int64, "bool": boolean, "first": int64, "last": int64}
ELEMENTS = {"float32": float32, "float64": float64, "int64": int64, "uint8": uint8}
I64 = ir.IntType(64)
HEAD = 2  # words before the operands: extent and grain


@cache
def entry(kernel: Any, kinds: tuple[str, ...]) -> CFunc:
    """Return a kernel's entry for operands of these kinds. Its `address` is valid as long as it is referenced.

    Arguments:
        kernel: a compiled kernel.
        kinds: of each argument: "float", "int", "bool" (a cell); "first", "last"; or an array as "float32[2]",
            "float32[2] cut" or "float32[1] cut by".
    """
    unpack = _unpacker(kinds)

    def call(words: Any, first: int, last: int) -> None:
        kernel(*unpack(words, first, last))

    name = kernel.py_func.__name__ + "-" + hashlib.sha256(" ".join(kinds).encode()).hexdigest()[:16]
    call.__name__ = call.__qualname__ = name
    compiled = CFunc(call, (SIGNATURE.args, SIGNATURE.return_type), locals={}, options={})
    keep_on_disk(compiled, call)
    compiled.compile()
    return compiled


def _unpacker(kinds: tuple[str, ...]) -> Any:
    result = types.Tuple([_type(kind) for kind in kinds])

    @intrinsic
    def unpack(typing: Any, words: Any, first: Any, last: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            words, first, last = values
            reader = _Reader(context, builder, words)
            operands = [reader.operand(kind, first, last) for kind in kinds]
            return context.make_tuple(builder, result, operands)

        return result(words, first, last), generate

    return unpack


def _type(kind: str) -> Any:
    if kind in SCALARS:
        return SCALARS[kind]
    element, rank = kind.split()[0].removesuffix("]").split("[")
    return types.Array(ELEMENTS[element], int(rank), "C")


class _Reader:
    """Generates the code that takes one word after the other."""

    def __init__(self, context: Any, builder: Any, words: Any) -> None:
        self.context, self.builder, self.words, self.at = context, builder, words, HEAD

    def word(self) -> Any:
        value = self.builder.load(self.builder.gep(self.words, [I64(self.at)]))
        self.at += 1
        return value

    def operand(self, kind: str, first: Any, last: Any) -> Any:
        if kind in ("first", "last"):
            return first if kind == "first" else last
        if kind in SCALARS:
            return self.scalar(kind)
        if kind.endswith("cut by"):
            return self.units(_type(kind), first, last)
        return self.array(_type(kind), (first, last) if kind.endswith("cut") else None)

    def scalar(self, kind: str) -> Any:
        builder = self.builder
        cell = ir.DoubleType() if kind == "float" else I64
        value = builder.load(builder.inttoptr(self.word(), cell.as_pointer()))
        return builder.icmp_signed("!=", value, I64(0)) if kind == "bool" else value

    def array(self, type_: Any, cut: tuple[Any, Any] | None) -> Any:
        builder, address = self.builder, self.word()
        shape = [self.word() for _ in range(type_.ndim)]
        strides = [I64(self.size(type_))]
        for length in reversed(shape[1:]):
            strides.insert(0, builder.mul(strides[0], length))
        if cut is not None:
            first, last = cut
            address = builder.add(address, builder.mul(first, strides[0]))
            shape[0] = builder.sub(last, first)
        return self.borrow(type_, address, shape, strides)

    def units(self, type_: Any, first: Any, last: Any) -> Any:
        builder, address, unit = self.builder, self.word(), self.word()
        size = I64(self.size(type_))
        start = builder.add(address, builder.mul(builder.mul(first, unit), size))
        return self.borrow(type_, start, [builder.mul(builder.sub(last, first), unit)], [size])

    def size(self, type_: Any) -> int:
        """Return the bytes of an element."""
        return int(self.context.get_abi_sizeof(self.context.get_data_type(type_.dtype)))

    def borrow(self, type_: Any, address: Any, shape: list[Any], strides: list[Any]) -> Any:
        """Return an array of memory that is somebody else's."""
        array = make_array(type_)(self.context, self.builder)
        data = self.builder.inttoptr(address, self.context.get_data_type(type_.dtype).as_pointer())
        populate_array(array, data, shape, strides, I64(self.size(type_)), meminfo=None)
        return array._getvalue()
