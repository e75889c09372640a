"""Matrix products of any size, from register tiles: what goes beyond the edges, and what is worth copying.

Each element is summed in one order, whatever the range and the other rows and columns are.
"""

from typing import Any

import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._tile import ROWS, VECTORS, at, scratch, tile, tiles, transpose

Array = npt.NDArray[Any]

DEPTH = 256  # of a sum taken at a time, so that the right operand stays in the first cache while all rows pass it
MANY = 512  # rows of a, from which on a copy of the right operand pays: in place, its rows can displace each other
PAGE = 4096  # bytes: where rows lie so far apart they do, and a copy pays earlier


@jit(inline="always")
def transpose_into(x: Array, rows: int, columns: int, add: bool, y: Array) -> None:
    """Set or add to y: the transpose of these rows and columns of x."""
    for m in range(0, rows, ROWS):
        for n in range(0, columns, ROWS):
            if m + ROWS <= rows and n + ROWS <= columns:
                transpose(at(x, m, n), add, at(y, n, m))
            else:
                for i in range(m, min(m + ROWS, rows)):
                    for j in range(n, min(n + ROWS, columns)):
                        y[j, i] = y[j, i] + x[i, j] if add else x[i, j]


@jit(inline="always")
def tile_into(a: Array, b: Array, depth: int, add: bool, rows: int, columns: int, sums: Array, c: Array) -> None:
    """Set or add to c[:rows, :columns], at most a tile of it: what goes beyond is put aside."""
    is_whole = rows >= ROWS and columns == sums.shape[1]
    # One `tile` for both: each one compiles to three loops of its own.
    tile(VECTORS, a, b, depth, add and is_whole, c if is_whole else at(sums, 0, 0))
    if not is_whole:
        _put(sums, rows, columns, add, c)


@jit(inline="always")
def tiles_into(
    vectors: int,
    start: Array,
    a: Array,
    b: Array,
    terms: Array,
    more: bool,
    add: bool,
    rows: int,
    columns: int,
    sums: Array,
    c: Array,
) -> None:
    """Set or add to c[:rows, :columns], at most one tile of it, `start` plus what `tiles` sums.

    With `more`, go on with the sum that c holds, where `start` is 0.
    """
    is_whole = rows >= ROWS and columns == b.shape[2]
    begin = c if more and is_whole else at(start, 0, 0)
    tiles(vectors, begin, a, b, terms, add and is_whole, c if is_whole else at(sums, 0, 0))
    if not is_whole:
        _put(sums, rows, columns, more or add, c)


@jit(inline="always")
def _put(sums: Array, rows: int, columns: int, add: bool, c: Array) -> None:
    """Set or add to what there is of a tile."""
    for i in range(min(rows, ROWS)):
        row = c[i, :columns]
        for j in range(columns):
            row[j] = row[j] + sums[i, j] if add else sums[i, j]


@jit(inline="always")
def copy_columns(x: Array, m: int, n: int, rows: int, columns: int, panel: Array) -> None:
    """Set the first rows of a panel: so many rows and columns of x[m:, n:], and 0."""
    for i in range(rows):
        row = x[m + i, n : n + columns]
        for j in range(columns):
            panel[i, j] = row[j]
        panel[i, columns:] = 0


@jit(inline="always")
def product(a: Array, b: Array, first: int, last: int, add: bool, c: Array) -> None:
    """Set or add to c[:, first:last]: a @ b[:, first:last], a of any strides."""
    M, K = len(c), len(b)
    panel, sums = scratch(DEPTH, c.dtype), scratch(ROWS, c.dtype)
    width = panel.shape[1]
    copies = len(c) >= (MANY // 4 if b.strides[0] % PAGE == 0 else MANY)
    for n in range(first, last, width):
        columns = min(width, last - n)
        for k in range(0, K, DEPTH):
            depth, more = min(DEPTH, K - k), add or k > 0
            right = at(b, k, n)
            if copies or columns < width:
                copy_columns(b, k, n, depth, columns, panel)
                right = at(panel, 0, 0)
            for m in range(0, M, ROWS):
                left, target = at(a, m, k), at(c, m, n)
                tile_into(left, right, depth, more, M - m, columns, sums, target)
