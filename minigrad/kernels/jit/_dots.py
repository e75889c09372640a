"""Dot products of some rows with some others, side by side in registers: for matrices of few rows or columns.

Each vector of a row is read once for all of its products, and nothing is laid out anew. As in `_tile`, plain Python
stands for what is built in LLVM's language below.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

from minigrad.kernels.jit._stack import INDEX
from minigrad.kernels.jit._tile import REGISTERS, VECTOR_BYTES, Matrix, add_product, all_lanes

Array = npt.NDArray[Any]

# A register of sums for each product, one for each row of b, and one for a row of a.
HEIGHT, WIDTH = (4, 5) if REGISTERS == 32 else (2, 4)


def add_dots(rows: int, a: Array, b: Array, c: Array) -> None:
    """Add to the first `rows` rows (a literal) and WIDTH columns of c: the dot products of a's rows with b's.

    Where a or b has fewer rows, the last one stands for the others; what belongs to it is added once.
    """
    m, n = np.minimum(np.arange(rows), len(a) - 1), np.minimum(np.arange(WIDTH), len(b) - 1)
    c[np.ix_(m, n)] += (a[m, None] * b[n]).sum(axis=-1)  # the order of @ depends on the shapes


@type_callable(add_dots)
def _type_add_dots(context: Any) -> Callable[..., Any]:
    def typer(rows: Any, a: Any, b: Any, c: Any) -> Any:
        return types.void if isinstance(rows, types.IntegerLiteral) else None

    return typer


@lower_builtin(add_dots, types.IntegerLiteral, types.Array, types.Array, types.Array)
def _lower_add_dots(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    a, b, c = (Matrix(context, builder, signature.args[n], arguments[n]) for n in (1, 2, 3))
    lanes = VECTOR_BYTES // c.itemsize
    vector = ir.VectorType(c.number, lanes)
    left, right = _first(a, signature.args[0].literal_value), _first(b, WIDTH)
    sums = [cgutils.alloca_once(builder, vector) for _ in left for _ in right]
    for register in sums:
        builder.store(vector(None), register)

    def multiply(load: Callable[[Any], Any]) -> None:
        factors = [load(b.row(n)) for n in right]
        for number, m in enumerate(left):
            value = load(a.row(m))
            for factor, register in zip(factors, sums[number * WIDTH :], strict=False):
                add_product(builder, value, factor, register)

    whole = builder.udiv(a.width, INDEX(lanes))
    with cgutils.for_range(builder, whole) as loop:
        multiply(lambda row: a.load(builder.gep(builder.bitcast(row, vector.as_pointer()), [loop.index])))
    rest = builder.sub(a.width, builder.mul(whole, INDEX(lanes)))
    with builder.if_then(builder.icmp_signed(">", rest, INDEX(0))):
        numbers = ir.VectorType(INDEX, lanes)
        mask = builder.icmp_signed("<", numbers(list(range(lanes))), all_lanes(builder, rest, numbers))
        multiply(lambda row: _load_some(a, builder.gep(builder.bitcast(row, vector.as_pointer()), [whole]), mask))
    places = [cgutils.pointer_add(builder, c.row(m), builder.mul(n, c.column_bytes)) for m in left for n in right]
    # All are read before one is written: those of rows that are missing are of one place.
    values = [
        builder.fadd(builder.load(place), _total(builder, sum_)) for place, sum_ in zip(places, sums, strict=True)
    ]
    for value, place in zip(values, places, strict=True):
        builder.store(value, place)
    return context.get_dummy_value()


def _first(matrix: Matrix, count: int) -> list[Any]:
    """Return the numbers of the first rows, the last one's for those that are missing."""
    builder = matrix.builder
    last = builder.sub(matrix.length, INDEX(1))
    return [builder.select(builder.icmp_signed("<", INDEX(row), last), INDEX(row), last) for row in range(count)]


def _load_some(matrix: Matrix, place: Any, mask: Any) -> Any:
    """Return the vector at an address, 0 where the mask is not set: nothing is read there."""
    vector = place.type.pointee
    kind = ir.FunctionType(vector, [place.type, ir.IntType(32), mask.type, vector])
    form = f"v{vector.count}f{8 * matrix.itemsize}"
    load = cgutils.get_or_insert_function(matrix.builder.module, kind, f"llvm.masked.load.{form}.p0{form}")
    return matrix.builder.call(load, [place, ir.IntType(32)(matrix.itemsize), mask, vector(None)])


def _total(builder: Any, register: Any) -> Any:
    """Return the sum of a vector's numbers: one half is added to the other until one number is left."""
    value = builder.load(register)
    while value.type.count > 1:
        half = value.type.count // 2
        numbers = ir.VectorType(ir.IntType(32), half)
        halves = [
            builder.shuffle_vector(value, value.type(ir.Undefined), numbers(list(range(start, start + half))))
            for start in (0, half)
        ]
        value = builder.fadd(*halves)
    return builder.extract_element(value, INDEX(0))
