"""The transforms of Winograd's convolution between pixels, or weights, and patches of 6 x 6, vector by vector.

They interpolate at 0, ±1/√2, ±√2 and ∞, where float32 loses least: 2 to 4 times what the plain sums lose. As in
`_tile`, plain Python stands for what is built in LLVM's language below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import make_array

from minigrad.kernels.jit._stack import INDEX
from minigrad.kernels.jit._tile import VECTOR_BYTES, Matrix

Array = npt.NDArray[Any]
Terms = list[Any]

# Vectors of each pixel, and of each product, transformed at a time: down the columns, then along the rows, in the first
# cache. The pixels' results go further.
SPREAD, COLLECT = 4, 8

NEAR, FAR = 0.5**0.5, 2**0.5
POINTS = (NEAR, -NEAR, FAR, -FAR)
INPUT = np.array(  # Bᵀ of Lavin and Gray (2016)
    [
        [1, 0, -2.5, 0, 1, 0],
        *([0, -2 * point, -2, point, 1, 0] for point in POINTS[:2]),
        *([0, -point / 2, -0.5, point, 1, 0] for point in POINTS[2:]),
        [0, 1, 0, -2.5, 0, 1],
    ]
)
OUTPUT = np.array([[power == 0, *(point**power for point in POINTS), power == 3] for power in range(4)], float)  # Aᵀ
SHARES = (-2 / 3, -2 / 3, 1 / 6, 1 / 6)
WEIGHT = np.array(  # G
    [[1, 0, 0], *([s, s * p, s * p * p] for p, s in zip(POINTS, SHARES, strict=True)), [0, 0, 1]]
)


def spread_weight(w: Array, u: Array) -> None:
    """Set u (36, J) to G w Gᵀ, w (9, J); J is a multiple of a vector's numbers, in all of these."""
    u[...] = _square(WEIGHT, w)


def collect_weight(du: Array, dw: Array) -> None:
    """Set dw (9, J) to Gᵀ du G, du (36, J)."""
    dw[...] = _square(WEIGHT.T, du)


def spread_input(x: Array, pixels: Array, start: int, v: Array) -> None:
    """Set v (36, J) to Bᵀ d B, d (6, 6) being J columns of x[pixels] from `start` on, 0 where a pixel is negative."""
    _spread(INPUT, x, pixels, start, v)


def spread_gradient(dy: Array, pixels: Array, start: int, v: Array) -> None:
    """Set v (36, J) to A d Aᵀ, d (4, 4) being J columns of dy[pixels] from `start` on, 0 where a pixel is negative."""
    _spread(OUTPUT.T, dy, pixels, start, v)


def _spread(matrix: Array, x: Array, pixels: Array, start: int, v: Array) -> None:
    v[...] = _square(matrix, np.where(pixels[:, None] >= 0, x[pixels, start : start + v.shape[1]], 0))


def _square(matrix: Array, d: Array) -> Array:
    """Return matrix @ d @ matrix.T, the rows of d (n, n, J) and of the result one after the other."""
    n, factors = matrix.shape[1], matrix.astype(d.dtype)
    square: Array = np.einsum("ai,ijm,bj->abm", factors, d.reshape(n, n, -1), factors)
    return square.reshape(-1, d.shape[1])


def collect(m: Array, bias: Array, pixels: Array, rows: int, add: bool, y: Array) -> None:
    """Set or add to the first rows of y[pixels], as wide as a bias of whole vectors: Aᵀ d A + bias, d (6, 6) being m's.

    m (36, ·, ·), y (P, ·, ·) of any strides. Negative pixels are left out.
    """
    values = _square(OUTPUT, m[:, :rows, : bias.size].reshape(36, -1)).reshape(16, rows, -1) + bias
    target = y[pixels[pixels >= 0], :rows, : bias.size]
    y[pixels[pixels >= 0], :rows, : bias.size] = values[pixels >= 0] + (target if add else 0)


@type_callable(spread_weight)
@type_callable(collect_weight)
def _type_weight(context: Any) -> Callable[..., Any]:
    def typer(given: Any, result: Any) -> Any:
        return types.void

    return typer


@type_callable(spread_input)
@type_callable(spread_gradient)
def _type_spread(context: Any) -> Callable[..., Any]:
    def typer(x: Any, pixels: Any, start: Any, v: Any) -> Any:
        return types.void

    return typer


@type_callable(collect)
def _type_collect(context: Any) -> Callable[..., Any]:
    def typer(m: Any, bias: Any, pixels: Any, rows: Any, add: Any, y: Any) -> Any:
        return types.void

    return typer


def _transformed(builder: Any, matrix: Array, terms: Terms) -> Terms:
    """Return matrix @ terms @ matrix.T of a square of vectors, row by row."""
    size = matrix.shape[1]
    rows = [_along(builder, matrix, terms[start : start + size]) for start in range(0, size * size, size)]
    columns = [_along(builder, matrix, [row[j] for row in rows]) for j in range(len(matrix))]
    return [column[i] for i in range(len(matrix)) for column in columns]


def _along(builder: Any, matrix: Array, terms: Terms) -> Terms:
    """Return matrix @ terms. What two opposite points have in common is computed once."""
    pairs = ((1, 2), (3, 4))
    if len(matrix) == 6:  # rows: their halves of even and of odd powers, added and subtracted
        results = [_combined(builder, factors, terms) for factors in matrix[[0, 5]]]
        middle = []
        for plus, minus in pairs:
            even, odd = (matrix[plus] + matrix[minus]) / 2, (matrix[plus] - matrix[minus]) / 2
            values = _combined(builder, even, terms), _combined(builder, odd, terms)
            middle += [builder.fadd(*values), builder.fsub(*values)]
        return [results[0], *middle, results[1]]
    sums = [each for i, j in pairs for each in (builder.fadd(terms[i], terms[j]), builder.fsub(terms[i], terms[j]))]
    halves = [(matrix[:, i] + sign * matrix[:, j]) / 2 for i, j in pairs for sign in (1, -1)]
    columns = np.stack([matrix[:, 0], *halves, matrix[:, 5]], axis=1)
    return [_combined(builder, factors, [terms[0], *sums, terms[5]]) for factors in columns]


def _combined(builder: Any, factors: Array, terms: Terms) -> Any:
    """Return the sum of the terms with their factors."""
    (first, total), *others = sorted(((f, term) for f, term in zip(factors, terms, strict=True) if f), key=_positive)
    total = total if first == 1 else builder.fmul(total, _all(total.type, first))
    for factor, term in others:
        part = term if abs(factor) == 1 else builder.fmul(term, _all(total.type, abs(factor)), flags=["contract"])
        total = (builder.fadd if factor > 0 else builder.fsub)(total, part, flags=["contract"])
    return total


def _positive(pair: tuple[float, Any]) -> float:
    return -pair[0]


def _all(vector: Any, value: float) -> Any:
    return ir.Constant(vector, [float(value)] * vector.count)


class _Numbers:
    """A vector of Numba, contiguous, in LLVM's terms."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = make_array(kind)(context, builder, value)
        self.builder, self.data = builder, array.data
        (self.size,) = cgutils.unpack_tuple(builder, array.shape)

    def __getitem__(self, index: int) -> Any:
        return self.builder.load(self.builder.gep(self.data, [INDEX(index)]))


def _lower_weight(matrix: Array) -> Callable[..., Any]:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given, result = (Matrix(context, builder, signature.args[n], arguments[n]) for n in (0, 1))
        lanes = VECTOR_BYTES // given.itemsize
        vector = ir.VectorType(given.number, lanes).as_pointer()
        sources, targets = (
            [builder.bitcast(each.row(INDEX(row)), vector) for row in range(count**2)]
            for each, count in ((given, matrix.shape[1]), (result, len(matrix)))
        )
        with cgutils.for_range(builder, builder.udiv(given.width, INDEX(lanes))) as loop:
            values = [given.load(builder.gep(source, [loop.index])) for source in sources]
            for value, target in zip(_transformed(builder, matrix, values), targets, strict=True):
                builder.store(value, builder.gep(target, [loop.index])).align = given.itemsize
        return context.get_dummy_value()

    return generate


def _lower_spread(matrix: Array) -> Callable[..., Any]:
    n = matrix.shape[1]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, v = (Matrix(context, builder, signature.args[k], arguments[k]) for k in (0, 3))
        pixels, start = _Numbers(context, builder, signature.args[1], arguments[1]), arguments[2]
        lanes = VECTOR_BYTES // x.itemsize
        vector = ir.VectorType(x.number, lanes)
        numbers = [pixels[i] for i in range(n * n)]
        present = [builder.icmp_signed(">=", i, INDEX(0)) for i in numbers]
        rows = [x.row(builder.select(here, i, INDEX(0))) for i, here in zip(numbers, present, strict=True)]
        sources = [cgutils.pointer_add(builder, row, builder.mul(start, INDEX(x.itemsize))) for row in rows]
        targets, step = [v.row(INDEX(i)) for i in range(36)], INDEX(VECTOR_BYTES)
        block = ir.Constant(ir.ArrayType(vector, SPREAD), None)
        nothing = builder.bitcast(cgutils.alloca_once_value(builder, block), x.data.type)

        def source(pixel: int, number: Any) -> Any:
            return builder.select(present[pixel], _behind(builder, sources[pixel], number, step), nothing)

        def write(place: int, number: Any, value: Any) -> None:
            target = builder.bitcast(_behind(builder, targets[place], number, step), vector.as_pointer())
            builder.store(value, target).align = x.itemsize

        total = builder.udiv(v.width, INDEX(lanes))
        _transform_all(builder, matrix, vector, total, SPREAD, source, (step, x.itemsize), write)
        return context.get_dummy_value()

    return generate


def _behind(builder: Any, start: Any, number: Any, step: Any) -> Any:
    """Return the address of so many steps, each of so many bytes, behind another one."""
    return cgutils.pointer_add(builder, start, builder.mul(number, step))


def _transform_all(
    builder: Any,
    matrix: Array,
    vector: Any,
    total: Any,
    block: int,
    source: Callable[[int, Any], Any],
    form: tuple[Any, int],
    write: Callable[[int, Any, Any], None],
) -> None:
    """Emit matrix @ d @ matrix.T for so many squares d of vectors, a block at a time, down the columns first.

    `source(place, number)` emits the address of a vector at a place of a square, from which on those of a block lie
    `form` (step, alignment) bytes apart; `write(place, number, value)` takes one of a result.
    """
    (m, n), (step, alignment) = matrix.shape, form

    def read(start: Any, number: Any) -> Any:
        value = builder.load(builder.bitcast(_behind(builder, start, number, step), vector.as_pointer()))
        value.align = alignment
        return value

    halves = [cgutils.alloca_once(builder, vector, block) for _ in range(m * n)]
    with cgutils.for_range_slice(builder, INDEX(0), total, INDEX(block), inc=True) as (first, _):
        left = builder.sub(total, first)
        count = builder.select(builder.icmp_unsigned("<", left, INDEX(block)), left, INDEX(block))
        for j in range(n):
            starts = [source(i * n + j, first) for i in range(n)]
            with cgutils.for_range(builder, count) as loop:
                column = [read(start, loop.index) for start in starts]
                for value, half in zip(_along(builder, matrix, column), halves[j::n], strict=True):
                    builder.store(value, builder.gep(half, [loop.index]))
        for i in range(m):
            with cgutils.for_range(builder, count) as loop:
                row = [builder.load(builder.gep(half, [loop.index])) for half in halves[i * n : (i + 1) * n]]
                for j, value in enumerate(_along(builder, matrix, row)):
                    write(i * m + j, builder.add(first, loop.index), value)


lower_builtin(spread_weight, types.Array, types.Array)(_lower_weight(WEIGHT))
lower_builtin(collect_weight, types.Array, types.Array)(_lower_weight(WEIGHT.T))
lower_builtin(spread_input, types.Array, types.Array, types.Integer, types.Array)(_lower_spread(INPUT))
lower_builtin(spread_gradient, types.Array, types.Array, types.Integer, types.Array)(_lower_spread(OUTPUT.T))


@lower_builtin(collect, types.Array, types.Array, types.Array, types.Integer, types.Boolean, types.Array)
def _lower_collect(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    m, y = (Matrix(context, builder, signature.args[n], arguments[n]) for n in (0, 5))
    bias, pixels = (_Numbers(context, builder, signature.args[n], arguments[n]) for n in (1, 2))
    lanes = VECTOR_BYTES // y.itemsize
    vector = ir.VectorType(y.number, lanes)
    rows, add = arguments[3:5]
    nothing = cgutils.alloca_once_value(builder, vector(None))
    numbers = [pixels[i] for i in range(16)]
    present = [builder.icmp_signed(">=", number, INDEX(0)) for number in numbers]
    with cgutils.for_range(builder, builder.udiv(bias.size, INDEX(lanes))) as loop:

        def column(start: Any) -> Any:
            return builder.bitcast(_behind(builder, start, loop.index, INDEX(VECTOR_BYTES)), vector.as_pointer())

        sources = [column(m.member(INDEX(i)).data) for i in range(36)]
        targets = [column(y.member(number).data) for number in numbers]
        shift = y.load(column(bias.data))

        def source(place: int, row: Any) -> Any:
            return _behind(builder, sources[place], row, m.row_bytes)

        def write(pixel: int, row: Any, value: Any) -> None:
            with builder.if_then(present[pixel]):
                target = _behind(builder, targets[pixel], row, y.row_bytes)
                before = y.load(builder.select(add, target, nothing))
                builder.store(builder.fadd(builder.fadd(value, shift), before), target).align = y.itemsize

        _transform_all(builder, OUTPUT, vector, rows, COLLECT, source, (m.row_bytes, y.itemsize), write)
    return context.get_dummy_value()
