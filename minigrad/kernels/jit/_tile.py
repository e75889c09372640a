"""The register tile of multiply-adds under every matrix product, in the vector instructions of this CPU.

`tile`, `transpose` and `scratch` are plain Python for who reads them and where the JIT is off. In compiled code
stands what `_lower_...` below builds of them in LLVM's language: nothing is called, and the stack is the kernel's.
"""

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
    """Return x[m:, n:], for the two below: no index is checked, no reference counted."""
    return x[m:, n:]


def tile(a: Array, b: Array, depth: int, add: bool, c: Array) -> None:
    """Set or add to the first ROWS rows of c, as wide as a tile: a[:, :depth] @ b[:depth].

    Where a has fewer rows, its last one stands for the others. Each sum is taken in order. The strides of a are any.
    """
    rows, target = a[np.minimum(np.arange(ROWS), len(a) - 1)], c[:ROWS, : scratch(1, c.dtype).size]
    sums = np.zeros_like(target)
    for k in range(depth):
        sums += rows[:, k, None] * b[k, : target.shape[1]]
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
    def typer(a: Any, b: Any, depth: Any, add: Any, c: Any) -> Any:
        return types.void

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
    offsets = [builder.mul(index, stride) for index, stride in zip(start, strides, strict=True)]
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
    """A matrix of Numba in LLVM's terms."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = make_array(kind)(context, builder, value)
        self.builder, self.data = builder, array.data
        self.length, self.width = cgutils.unpack_tuple(builder, array.shape)
        self.row_bytes, self.column_bytes = cgutils.unpack_tuple(builder, array.strides)
        self.number = context.get_value_type(kind.dtype)
        self.itemsize = context.get_abi_sizeof(self.number)

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


@lower_builtin(tile, types.Array, types.Array, types.Integer, types.Boolean, types.Array)
def _lower_tile(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    a, b, c = (Matrix(context, builder, signature.args[n], arguments[n]) for n in (0, 1, 4))
    _, _, depth, add, _ = arguments
    lanes = VECTOR_BYTES // c.itemsize
    vector = ir.VectorType(c.number, lanes)
    last = builder.sub(a.length, INDEX(1))
    present = [builder.icmp_signed("<", INDEX(row), last) for row in range(ROWS)]
    rows = [a.row(builder.select(here, INDEX(row), last)) for row, here in enumerate(present)]

    sums = [cgutils.alloca_once(builder, vector) for _ in range(ROWS * VECTORS)]  # LLVM makes registers of these
    for register in sums:
        builder.store(vector(None), register)
    with cgutils.for_range(builder, depth) as loop:
        factors = [b.load(place) for place in b.vectors(loop.index, VECTORS, lanes)]
        offset = builder.mul(loop.index, a.column_bytes)
        for row in range(ROWS):
            value = all_lanes(builder, builder.load(cgutils.pointer_add(builder, rows[row], offset)), vector)
            for factor, register in zip(factors, sums[row * VECTORS :], strict=False):
                add_product(builder, value, factor, register)
    places = [place for row in range(ROWS) for place in c.vectors(INDEX(row), VECTORS, lanes)]
    c.write([builder.load(register) for register in sums], add, places)
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
