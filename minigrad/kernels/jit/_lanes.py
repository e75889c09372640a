"""Sums in registers of what is multiplied channel by channel, in the vector instructions of this CPU.

As in `_tile`, the functions are plain Python for who reads them and where the JIT is off; in compiled code stands what
`_lower_...` below builds of them. Images (S, N, C) and tables (P, T) are those of `conv`; `zero` stands for what lies
outside of the image.
"""

from collections.abc import Callable
from typing import Any

import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from minigrad.kernels.jit._stack import INDEX
from minigrad.kernels.jit._tile import VECTOR_BYTES, Matrix, add_product

Array = npt.NDArray[Any]


def weighted_taps(
    count: int, vectors: int, start: Array, x: Array, w: Array, zero: Array, table: Array, y: Array
) -> None:
    """Set y[p, 0]: start[0] plus the sum over t of x[table[p, t], 0] w[t], for the first `count` outputs p.

    Both numbers are literals: outputs, and vectors of channels. Where there are fewer outputs, the last one stands for
    the others. Each sum is taken in order.
    """
    width = vectors * VECTOR_BYTES // y.itemsize
    for p in range(min(count, len(table))):
        sums = start[0, :width].copy()
        for t, pixel in enumerate(table[p]):
            sums += (zero[0, :width] if pixel < 0 else x[pixel, 0, :width]) * w[t, :width]
        y[p, 0, :width] = sums


def tap_products(count: int, vectors: int, x: Array, dy: Array, zero: Array, table: Array, dw: Array) -> None:
    """Add to dw[t] the sum over p and n of x[table[p, t], n] dy[p, n], for the first `count` taps t.

    Both numbers are literals: taps, and vectors of channels. Where there are fewer taps, the last one stands for the
    others. Each sum is taken in order.
    """
    width = vectors * VECTOR_BYTES // dw.itemsize
    for t in range(min(count, len(dw))):
        for p, pixel in enumerate(table[:, t]):
            for n in range(dy.shape[1]):
                dw[t, :width] += (zero[0, :width] if pixel < 0 else x[pixel, n, :width]) * dy[p, n, :width]


@type_callable(weighted_taps)
def _type_weighted_taps(context: Any) -> Callable[..., Any]:
    def typer(count: Any, vectors: Any, start: Any, x: Any, w: Any, zero: Any, table: Any, y: Any) -> Any:
        return types.void if isinstance(count, types.IntegerLiteral) else None

    return typer


@type_callable(tap_products)
def _type_tap_products(context: Any) -> Callable[..., Any]:
    def typer(count: Any, vectors: Any, x: Any, dy: Any, zero: Any, table: Any, dw: Any) -> Any:
        return types.void if isinstance(count, types.IntegerLiteral) else None

    return typer


class Rows:
    """Rows of sums in registers, each some vectors of channels wide."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        count, self.vectors = (kind.literal_value for kind in signature.args[:2])
        self.builder = builder
        pairs = zip(signature.args[2:], arguments[2:], strict=True)
        self.matrices = [Matrix(context, builder, kind, value) for kind, value in pairs]
        number = self.matrices[0]
        self.lanes = VECTOR_BYTES // number.itemsize
        self.kind = ir.VectorType(number.number, self.lanes)
        self.registers = [[cgutils.alloca_once(builder, self.kind) for _ in range(self.vectors)] for _ in range(count)]

    def present(self, length: Any) -> list[Any]:
        """Return the number of each row: the last one of `length` for those that are missing."""
        last = self.builder.sub(length, INDEX(1))
        numbers = [INDEX(row) for row in range(len(self.registers))]
        return [self.builder.select(self.builder.icmp_signed("<", row, last), row, last) for row in numbers]

    def places(self, matrix: Matrix, row: Any) -> list[Any]:
        """Return the addresses of the vectors of a matrix's row."""
        return matrix.vectors(row, self.vectors, self.lanes)

    def load(self, matrix: Matrix, row: Any) -> list[Any]:
        """Return the vectors of a matrix's row."""
        return [matrix.load(place) for place in self.places(matrix, row)]

    def read(self, row: int, values: list[Any]) -> None:
        """Begin a row with these vectors."""
        for register, value in zip(self.registers[row], values, strict=True):
            self.builder.store(value, register)

    def add(self, row: int, x: Matrix, start: Any, factors: list[Any]) -> None:
        """Add to a row the product of the vectors that begin at an address of x with others."""
        first = self.builder.bitcast(start, self.kind.as_pointer())
        for number, (register, factor) in enumerate(zip(self.registers[row], factors, strict=True)):
            value = x.load(self.builder.gep(first, [INDEX(number)]))
            add_product(self.builder, value, factor, register)

    def write(self, row: int, matrix: Matrix, target: Any) -> None:
        """Set a matrix's row."""
        for register, place in zip(self.registers[row], self.places(matrix, target), strict=True):
            self.builder.store(self.builder.load(register), place).align = matrix.itemsize

    def seen(self, table: Matrix, p: Any, t: Any, x: Matrix, zero: Matrix) -> tuple[Any, Any]:
        """Return where what output p sees through tap t begins, and the bytes from one image of it to the next."""
        builder = self.builder
        pixel = builder.load(builder.gep(builder.bitcast(table.row(p), INDEX.as_pointer()), [t]))
        is_outside = builder.icmp_signed("<", pixel, INDEX(0))
        start = builder.select(is_outside, zero.data, x.member(pixel).data)
        return start, builder.select(is_outside, INDEX(0), x.row_bytes)


@lower_builtin(weighted_taps, types.IntegerLiteral, types.IntegerLiteral, *([types.Array] * 6))
def _lower_weighted_taps(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    sums = Rows(context, builder, signature, arguments)
    start, x, w, zero, table, y = sums.matrices
    outputs = sums.present(table.length)
    for row in range(len(outputs)):
        sums.read(row, sums.load(start, INDEX(0)))
    with cgutils.for_range(builder, table.width) as taps:
        factors = sums.load(w, taps.index)
        for row, output in enumerate(outputs):
            place, _ = sums.seen(table, output, taps.index, x, zero)
            sums.add(row, x, place, factors)
    for row, output in enumerate(outputs):
        sums.write(row, y.member(output), INDEX(0))
    return context.get_dummy_value()


@lower_builtin(tap_products, types.IntegerLiteral, types.IntegerLiteral, *([types.Array] * 5))
def _lower_tap_products(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    sums = Rows(context, builder, signature, arguments)
    x, dy, zero, table, dw = sums.matrices
    taps = sums.present(dw.length)
    for row, tap in enumerate(taps):
        sums.read(row, sums.load(dw, tap))
    with cgutils.for_range(builder, table.length) as outputs:
        seen = [sums.seen(table, outputs.index, tap, x, zero) for tap in taps]
        given = dy.member(outputs.index)
        with cgutils.for_range(builder, dy.length) as images:
            factors = sums.load(given, images.index)
            for row, (place, step) in enumerate(seen):
                sums.add(row, x, cgutils.pointer_add(builder, place, builder.mul(images.index, step)), factors)
    for row, tap in enumerate(taps):
        sums.write(row, dw, tap)
    return context.get_dummy_value()
