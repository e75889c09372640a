"""The register tile of multiply-adds under every matrix product, in the vector instructions of this CPU.

`tile`, `tiles`, `transpose` and `scratch` are plain Python for who reads them and where the JIT is off. In compiled
code stands what `_lower_...` below builds of them in LLVM's language: nothing is called, and the stack is the kernel's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.core.typing.npydecl import parse_dtype
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import make_array, populate_array

from minigrad.kernels.jit._stack import INDEX, stack_array

Array = npt.NDArray[Any]


def registers(features: str) -> tuple[int, int]:
    """Return the bytes of a vector register and how many there are, from what LLVM says of a CPU: `+avx,-sse4a,...`."""
    names = features.split(",")
    if "+avx512f" in names:
        return 64, 32
    if "+avx" in names:
        return 32, 16
    return 16, 32 if "+neon" in names else 16


# What Numba compiles for: the environment may ask for another CPU than this one.
_config: Any = numba.config
VECTOR_BYTES, REGISTERS = registers(get_host_cpu_features() if _config.CPU_FEATURES is None else _config.CPU_FEATURES)
# A tile is ROWS x VECTORS registers of sums: enough to hide the latency of a multiply-add, and few enough to leave room
# for the VECTORS of b. ROWS is a power of 2, which `transpose` wants.
ROWS, VECTORS = (8, 2) if REGISTERS == 32 else (4, 3)


def scratch(rows: int, dtype: Any) -> Array:
    """Return an array in the stack frame of the kernel: a constant number of rows, each as wide as a tile."""
    return np.empty((rows, VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize), dtype)


def at(x: Array, m: int, n: int) -> Array:
    """Return x[..., m:, n:], for those below: no index is checked, no reference counted."""
    return x[..., m:, n:]


def tile(vectors: int, a: Array, b: Array, depth: int, add: bool, c: Array) -> None:
    """Set or add to the first ROWS rows of c, `vectors` (a literal) vectors wide: a[:, :depth] @ b[:depth].

    Where a has fewer rows, its last one stands for the others. Each sum is taken in order. The strides of a are any.
    """
    columns = vectors * VECTOR_BYTES // c.itemsize
    rows, target = a[np.minimum(np.arange(ROWS), len(a) - 1)], c[:ROWS, :columns]
    sums = np.zeros_like(target)
    for k in range(depth):
        sums += rows[:, k, None] * b[k, : target.shape[1]]
    target[...] = target + sums if add else sums


def tiles(vectors: int, start: Array, a: Array, b: Array, terms: Array, add: bool, c: Array) -> None:
    """Set or add to the first ROWS rows of c: those of `start`, plus the sum of a[i] @ b[j] over (i, j) in terms.

    Both are `vectors` (a literal) vectors wide; a (·, rows, depth) of any strides, b (·, depth, columns), terms (·, 2).
    Where a has fewer rows, its last one stands for the others. Each sum is taken in order.
    """
    columns = vectors * VECTOR_BYTES // c.itemsize
    rows, sums = a[:, np.minimum(np.arange(ROWS), a.shape[1] - 1)], start[:ROWS, :columns].copy()
    for i, j in terms:
        for k in range(a.shape[2]):
            sums += rows[i, :, k, None] * b[j, k, :columns]
    target = c[:ROWS, :columns]
    target[...] = target + sums if add else sums


def transpose(x: Array, add: bool, y: Array) -> None:
    """Set or add to the first (ROWS, ROWS) of y: the transpose of x's."""
    block, target = x[:ROWS, :ROWS].T, y[:ROWS, :ROWS]
    target[...] = target + block if add else block


@type_callable(scratch)
def _type_scratch(context: Any) -> Callable[..., Any]:
    def typer(rows: Any, dtype: Any) -> Any:
        return types.Array(parse_dtype(dtype), 2, "C") if isinstance(rows, types.IntegerLiteral) else None

    return typer


@type_callable(at)
def _type_at(context: Any) -> Callable[..., Any]:
    def typer(x: Any, m: Any, n: Any) -> Any:
        return x.copy(layout="A")

    return typer


@type_callable(tile)
def _type_tile(context: Any) -> Callable[..., Any]:
    def typer(vectors: Any, a: Any, b: Any, depth: Any, add: Any, c: Any) -> Any:
        return types.void if isinstance(vectors, types.IntegerLiteral) else None

    return typer


@type_callable(tiles)
def _type_tiles(context: Any) -> Callable[..., Any]:
    def typer(vectors: Any, start: Any, a: Any, b: Any, terms: Any, add: Any, c: Any) -> Any:
        return types.void if isinstance(vectors, types.IntegerLiteral) else None

    return typer


@type_callable(transpose)
def _type_transpose(context: Any) -> Callable[..., Any]:
    def typer(x: Any, add: Any, y: Any) -> Any:
        return types.void

    return typer


@lower_builtin(scratch, types.IntegerLiteral, types.Any)
def _lower_scratch(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    kind = signature.return_type
    width = VECTORS * VECTOR_BYTES // context.get_abi_sizeof(context.get_value_type(kind.dtype))
    return stack_array(context, builder, kind, (signature.args[0].literal_value, width))


@lower_builtin(at, types.Array, types.Integer, types.Integer)
def _lower_at(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    x, (_, *start) = make_array(signature.args[0])(context, builder, arguments[0]), arguments
    shape, strides = (cgutils.unpack_tuple(builder, values) for values in (x.shape, x.strides))
    offsets = [builder.mul(index, stride) for index, stride in zip(start, strides[-2:], strict=True)]
    start = [*([INDEX(0)] * (len(shape) - 2)), *start]
    view = make_array(signature.return_type)(context, builder)
    populate_array(
        view,
        data=cgutils.pointer_add(builder, x.data, builder.add(*offsets)),
        shape=[builder.sub(size, index) for size, index in zip(shape, start, strict=True)],
        strides=strides,
        itemsize=x.itemsize,
        meminfo=None,
    )
    return view._getvalue()


class Matrix:
    """A matrix of Numba, or a stack of them, in LLVM's terms."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = make_array(kind)(context, builder, value)
        self.builder, self.data = builder, array.data
        *_, self.length, self.width = cgutils.unpack_tuple(builder, array.shape)
        *self.stack_bytes, self.row_bytes, self.column_bytes = cgutils.unpack_tuple(builder, array.strides)
        self.number = context.get_value_type(kind.dtype)
        self.itemsize = context.get_abi_sizeof(self.number)

    def member(self, index: Any) -> Matrix:
        """Return one matrix of a stack."""
        other = copy.copy(self)
        other.data = cgutils.pointer_add(self.builder, self.data, self.builder.mul(index, self.stack_bytes[0]))
        return other

    def row(self, index: Any) -> Any:
        """Return the address of a row."""
        return cgutils.pointer_add(self.builder, self.data, self.builder.mul(index, self.row_bytes))

    def vectors(self, row: Any, count: int, lanes: int) -> list[Any]:
        """Return the addresses of the first vectors of a row."""
        start = self.builder.bitcast(self.row(row), ir.VectorType(self.number, lanes).as_pointer())
        return [self.builder.gep(start, [INDEX(number)]) for number in range(count)]

    def load(self, place: Any) -> Any:
        """Return the vector at an address."""
        value = self.builder.load(place)
        value.align = self.itemsize
        return value

    def write(self, values: list[Any], add: Any, places: list[Any]) -> None:
        """Set or add to the vectors at some addresses."""
        builder = self.builder
        with builder.if_else(add) as (then, otherwise):
            with then:
                for value, place in zip(values, places, strict=True):
                    builder.store(builder.fadd(self.load(place), value), place).align = self.itemsize
            with otherwise:
                for value, place in zip(values, places, strict=True):
                    builder.store(value, place).align = self.itemsize


class Sums:
    """A tile of sums in registers, of products with matrices of one form.

    Arguments:
        a: the left operand, or a stack of them. Its last row stands for those that are missing.
        c: what the tile is a part of.
        vectors: in each of its ROWS rows.
    """

    def __init__(self, a: Matrix, c: Matrix, vectors: int) -> None:
        self.c, self.vectors, self.lanes = c, vectors, VECTOR_BYTES // c.itemsize
        builder, self.kind = c.builder, ir.VectorType(c.number, self.lanes)
        last = builder.sub(a.length, INDEX(1))
        present = [builder.icmp_signed("<", INDEX(row), last) for row in range(ROWS)]
        rows = [builder.select(here, INDEX(row), last) for row, here in enumerate(present)]
        self.offsets = [builder.mul(row, a.row_bytes) for row in rows]
        self.is_whole = builder.icmp_signed(">=", a.length, INDEX(ROWS))
        self.registers = [cgutils.alloca_once(builder, self.kind) for _ in range(ROWS * vectors)]  # LLVM's choice
        for register in self.registers:
            builder.store(self.kind(None), register)

    def add_product(self, a: Matrix, b: Matrix, depth: Any) -> None:
        """Add a[:, :depth] @ b[:depth]: three loops, so that LLVM knows an address from the one before."""
        builder, itemsize = self.c.builder, INDEX(a.itemsize)
        rows = [cgutils.pointer_add(builder, a.data, offset) for offset in self.offsets]
        elements = [builder.bitcast(row, a.number.as_pointer()) for row in rows]

        def column(k: Any) -> Any:
            return builder.mul(k, a.column_bytes)

        def beside(k: Any) -> list[Any]:
            first = builder.bitcast(cgutils.pointer_add(builder, a.data, column(k)), a.number.as_pointer())
            return [builder.gep(first, [INDEX(row)]) for row in range(ROWS)]

        with builder.if_else(builder.icmp_signed("==", a.column_bytes, itemsize)) as (along, others):
            with along:
                self._loop(b, depth, lambda k: [builder.gep(row, [k]) for row in elements])
            with others:
                is_beside = builder.and_(builder.icmp_signed("==", a.row_bytes, itemsize), self.is_whole)
                with builder.if_else(is_beside) as (across, anyhow):
                    with across:
                        self._loop(b, depth, beside)
                    with anyhow:
                        self._loop(b, depth, lambda k: [cgutils.pointer_add(builder, row, column(k)) for row in rows])

    def _loop(self, b: Matrix, depth: Any, column: Callable[[Any], list[Any]]) -> None:
        """Add column k of the left operand, of which this returns the addresses, times row k of b."""
        builder = self.c.builder
        with cgutils.for_range(builder, depth) as loop:
            factors = [b.load(place) for place in b.vectors(loop.index, self.vectors, self.lanes)]
            for number, place in enumerate(column(loop.index)):
                value = all_lanes(builder, builder.load(place), self.kind)
                for factor, register in zip(factors, self.registers[number * self.vectors :], strict=False):
                    add_product(builder, value, factor, register)

    def read(self, start: Matrix) -> None:
        """Begin with what stands there."""
        for register, place in zip(self.registers, self._places(start), strict=True):
            start.builder.store(start.load(place), register)

    def write(self, add: Any) -> None:
        """Set or add to the tile's place."""
        self.c.write([self.c.builder.load(register) for register in self.registers], add, self._places(self.c))

    def _places(self, matrix: Matrix) -> list[Any]:
        return [place for row in range(ROWS) for place in matrix.vectors(INDEX(row), self.vectors, self.lanes)]


@lower_builtin(tile, types.IntegerLiteral, types.Array, types.Array, types.Integer, types.Boolean, types.Array)
def _lower_tile(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    a, b, c = (Matrix(context, builder, signature.args[n], arguments[n]) for n in (1, 2, 5))
    _, _, _, depth, add, _ = arguments
    sums = Sums(a, c, signature.args[0].literal_value)
    sums.add_product(a, b, depth)
    sums.write(add)
    return context.get_dummy_value()


@lower_builtin(tiles, types.IntegerLiteral, *([types.Array] * 4), types.Boolean, types.Array)
def _lower_tiles(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    start, a, b, terms, c = (Matrix(context, builder, signature.args[n], arguments[n]) for n in (1, 2, 3, 4, 6))
    sums = Sums(a, c, signature.args[0].literal_value)
    sums.read(start)
    with cgutils.for_range(builder, terms.length) as loop:
        pair = builder.bitcast(terms.row(loop.index), INDEX.as_pointer())
        i, j = (builder.load(builder.gep(pair, [INDEX(number)])) for number in (0, 1))
        sums.add_product(a.member(i), b.member(j), a.width)
    sums.write(arguments[5])
    return context.get_dummy_value()


def add_product(builder: Any, value: Any, factor: Any, register: Any) -> None:
    """Add a product to a register: "contract" makes one instruction of the two where the CPU has it."""
    product = builder.fmul(value, factor, flags=["contract"])
    builder.store(builder.fadd(product, builder.load(register), flags=["contract"]), register)


def all_lanes(builder: Any, value: Any, vector: Any) -> Any:
    """Return a vector, of this type, with the value in all of its places."""
    one = builder.insert_element(vector(ir.Undefined), value, INDEX(0))
    return builder.shuffle_vector(one, vector(ir.Undefined), ir.VectorType(ir.IntType(32), vector.count)(None))


@lower_builtin(transpose, types.Array, types.Boolean, types.Array)
def _lower_transpose(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    x, y = (Matrix(context, builder, signature.args[n], arguments[n]) for n in (0, 2))
    rows = [x.load(x.vectors(INDEX(row), 1, ROWS)[0]) for row in range(ROWS)]
    # Interleaving row r with row r + ROWS / 2, log2(ROWS) times over, makes columns of rows.
    for _ in range(ROWS.bit_length() - 1):
        pairs = zip(rows[: ROWS // 2], rows[ROWS // 2 :], strict=True)
        rows = [_interleave(builder, *pair, start) for pair in pairs for start in (0, ROWS // 2)]
    y.write(rows, arguments[1], [y.vectors(INDEX(row), 1, ROWS)[0] for row in range(ROWS)])
    return context.get_dummy_value()


def _interleave(builder: Any, x: Any, y: Any, start: int) -> Any:
    lanes = [lane for i in range(start, start + ROWS // 2) for lane in (i, ROWS + i)]
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), ROWS), lanes))
