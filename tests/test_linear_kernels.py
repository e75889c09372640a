"""The matrix products of a fully connected layer: every element is right, and owes nothing to what is around it."""

import platform
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from math import fsum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.kernels.memory import LINE
from tests.backend import IS_INTERPRETED

numba = pytest.importorskip("numba", reason="Numba is not installed")
_tile = import_module("minigrad.kernels.jit._tile")
_dots = import_module("minigrad.kernels.jit._dots")
_stack = import_module("minigrad.kernels.jit._stack")
_jit = import_module("minigrad.kernels.jit._jit")
_product = import_module("minigrad.kernels.jit._product")
linear = import_module("minigrad.kernels.jit.linear")

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
LONG, MANY = linear.TRANSPOSED_DEPTH + 37, _product.MANY + 5
PAGES = _product.MANY // 4, 20, _product.PAGE // 4  # rows of float32 that lie a page apart
GUARD = 99  # numbers around every array


@dataclass
class Product:
    """One of the products as z (rows, columns) = left (rows, K) @ right (K, columns), over a range of z's columns.

    The weight's gradient is z.T, whose range is an array of its own.
    """

    kernel: str
    call: Callable[[Any, np.ndarray, np.ndarray, int, int, np.ndarray], None]

    def __str__(self) -> str:
        return self.kernel

    def run(self, left: np.ndarray, right: np.ndarray, first: int, last: int, z: np.ndarray) -> None:
        """Write columns of z."""
        with np.errstate(invalid="ignore"):  # of inf - inf, where the JIT is off
            self.call(getattr(linear, self.kernel), left, right, first, last, z)


def forward(kernel: Any, x: np.ndarray, wt: np.ndarray, first: int, last: int, y: np.ndarray) -> None:
    kernel(x, guarded(wt.T), np.empty(0, x.dtype), first, last, y)


def backward_input(kernel: Any, dy: np.ndarray, w: np.ndarray, first: int, last: int, dx: np.ndarray) -> None:
    kernel(dy, w, first, last, dx)


def backward_weight(kernel: Any, xt: np.ndarray, dy: np.ndarray, first: int, last: int, dwt: np.ndarray) -> None:
    dw = guarded(dwt[:, first:last].T)
    kernel(dy, guarded(xt.T), first, last, False, dw)
    assert_guarded(dw)
    dwt[:, first:last] = dw.T


PRODUCTS = [
    Product("linear_forward", forward),
    Product("linear_backward_input", backward_input),
    Product("linear_backward_weight", backward_weight),
]
EVERY_PRODUCT = pytest.mark.parametrize("product", PRODUCTS, ids=str)


def guarded(array: np.ndarray) -> np.ndarray:
    """Return a copy with NaN before and behind it in memory."""
    memory = np.full(array.size + 2 * GUARD, np.nan, array.dtype)
    copy = memory[GUARD : GUARD + array.size].reshape(array.shape)
    copy[...] = array
    return copy


def assert_guarded(array: np.ndarray) -> None:
    """Nothing was written before or behind it."""
    memory = array
    while memory.base is not None:
        memory = memory.base
    assert memory.size == array.size + 2 * GUARD
    assert np.isnan(memory[:GUARD]).all()
    assert np.isnan(memory[-GUARD:]).all()


def bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).view(np.uint8)


# Around the rows (4, 8) and columns (4 to 48) of a tile;
SIZES = st.one_of(st.integers(1, 10), st.sampled_from([15, 16, 17, 24, 31, 32, 33, 40, 47, 48, 49, 64, 65]))


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    """The two operands, and a range of columns, which may be empty."""
    rows, depth, columns = (draw(SIZES) for _ in range(3))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    left = rng.standard_normal((rows, depth)).astype(dtype)
    right = rng.standard_normal((depth, columns)).astype(dtype)
    first, last = sorted(draw(st.tuples(st.integers(0, columns), st.integers(0, columns))))
    return guarded(left), guarded(right), first, last


def blank(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return guarded(np.full((len(left), right.shape[1]), 7, left.dtype))


def whole(product: Product, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    z = blank(left, right)
    product.run(left, right, 0, right.shape[1], z)
    return z


def assert_right(z: np.ndarray, left: np.ndarray, right: np.ndarray, start: Any = 0) -> None:
    """Within the bound for a sum in any order: n roundings of the sum of magnitudes (Higham 2002, section 3.1)."""
    wide, other = left.astype(np.longdouble), right.astype(np.longdouble)
    roundings = left.shape[1] + 2
    bound = roundings * np.finfo(z.dtype).eps / 2 * (np.abs(wide) @ np.abs(other) + np.abs(start))
    assert (np.abs(z - (wide @ other + start)) <= 1.01 * bound).all()


@EVERY_PRODUCT
@given(problem=problems())
def test_every_element_is_right_and_nothing_else_is_written(product: Product, problem: Any) -> None:
    left, right, first, last = problem
    z = blank(left, right)
    product.run(left, right, first, last, z)
    assert_guarded(z)
    assert (z[:, :first] == 7).all()
    assert (z[:, last:] == 7).all()
    assert_right(z[:, first:last], left, right[:, first:last])


@EVERY_PRODUCT
@given(problem=problems())
def test_bits_do_not_depend_on_the_range(product: Product, problem: Any) -> None:
    left, right, first, last = problem
    z, parts = whole(product, left, right), blank(left, right)
    for start, stop in ((0, first), (first, last), (last, right.shape[1])):
        product.run(left, right, start, stop, parts)
    np.testing.assert_array_equal(bits(parts), bits(z))


@EVERY_PRODUCT
@given(problem=problems(), data=st.data())
def test_nan_reaches_its_row_and_column_only(product: Product, problem: Any, data: st.DataObject) -> None:
    """The other elements keep their bits."""
    left, right, _, _ = problem
    expected = whole(product, left, right)
    m, k, n = (data.draw(st.integers(0, size - 1)) for size in (*left.shape, right.shape[1]))
    left[m, k], right[k, n] = np.nan, np.nan
    z = whole(product, left, right)
    assert np.isnan(z[m]).all()
    assert np.isnan(z[:, n]).all()
    rest = np.ix_(np.arange(len(z)) != m, np.arange(z.shape[1]) != n)
    np.testing.assert_array_equal(bits(z[rest]), bits(expected[rest]))


@EVERY_PRODUCT
@pytest.mark.parametrize("rows", [3, 40])
def test_infinity_stays(product: Product, rows: int) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.uniform(1, 2, (rows, 33)), rng.uniform(1, 2, (33, 37))
    left[2, 5] = np.inf
    right[7, 30] = -np.inf
    expected = np.isfinite(left).all(axis=1)[:, None] & np.isfinite(right).all(axis=0)
    z = whole(product, left, right)
    np.testing.assert_array_equal(np.isfinite(z), expected)
    assert z[2, 0] == np.inf
    assert z[0, 30] == -np.inf
    assert np.isnan(z[2, 30])


@pytest.mark.parametrize("columns", [1, 2, 5, 37])
@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_bits_of_few_rows_do_not_depend_on_the_range(rows: int, columns: int) -> None:
    """Neither compiled nor in Python, whatever depth."""
    rng = np.random.default_rng(0)
    for depth in (1, 3, 4, 17, 130):
        left = rng.standard_normal((rows, depth)).astype(np.float32)
        right = rng.standard_normal((depth, columns)).astype(np.float32)
        z, parts = whole(PRODUCTS[0], left, right), blank(left, right)
        for first in range(columns):
            PRODUCTS[0].run(left, right, first, first + 1, parts)
        np.testing.assert_array_equal(bits(parts), bits(z))


@EVERY_PRODUCT
@DTYPES
@pytest.mark.parametrize("shape", [(3, LONG, 35), (21, LONG, 35), (MANY, 20, 37), (37, 20, MANY), PAGES], ids=str)
def test_where_the_work_is_cut(product: Product, dtype: Any, shape: tuple[int, int, int]) -> None:
    rows, depth, columns = shape
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((rows, depth)).astype(dtype), rng.standard_normal((depth, columns)).astype(dtype)
    z, parts = whole(product, left, right), blank(left, right)
    assert_right(z, left, right)
    for first, last in pairwise([0, 1, columns // 2, columns]):
        product.run(left, right, first, last, parts)
    np.testing.assert_array_equal(bits(parts), bits(z))


@EVERY_PRODUCT
def test_rows_do_not_depend_on_each_other(product: Product) -> None:
    """The weight's gradient has them as x's columns."""
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((45, 20)), rng.standard_normal((20, 35))
    z = whole(product, left, right)
    order = rng.permutation(45)[: linear.FEW + 1]
    np.testing.assert_array_equal(bits(whole(product, guarded(left[order]), right)), bits(z[order]))


@EVERY_PRODUCT
def test_threads_at_once(product: Product) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((70, 90)), rng.standard_normal((90, 101))
    z, parts = whole(product, left, right), blank(left, right)
    cuts = [0, 13, 50, 51, 101]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            list(pool.map(lambda cut: product.run(left, right, *cut, parts), pairwise(cuts)))
            np.testing.assert_array_equal(bits(parts), bits(z))


@DTYPES
@pytest.mark.parametrize("rows", [1, linear.FEW - 1, linear.FEW, 40])
def test_bias(dtype: Any, rows: int) -> None:
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, 20), (37, 20), (37,)))
    y = np.full((rows, 37), np.nan, dtype)
    linear.linear_forward(x, w, guarded(b), 0, 37, y)
    assert_right(y, x, w.T, b)


@DTYPES
@pytest.mark.parametrize("rows", [5, _product.DEPTH + 3])
def test_a_weight_gradient_is_added(dtype: Any, rows: int) -> None:
    rng = np.random.default_rng(0)
    dy, x, dw = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, 19), (rows, 41), (19, 41)))
    for first, last in ((0, 19), (3, 14)):
        actual = guarded(dw[first:last])
        linear.linear_backward_weight(dy, x, first, last, True, actual)
        assert_guarded(actual)
        assert_right(actual, dy[:, first:last].T, x, dw[first:last])


@DTYPES
@pytest.mark.parametrize("accumulate", [False, True])
def test_column_sums_lose_nothing(dtype: Any, accumulate: bool) -> None:
    """Columns of large numbers that cancel: rounded once, from what float64 sums of them are."""
    rng = np.random.default_rng(0)
    half = rng.standard_normal((32, 300)) * 1e6
    dy = np.concatenate([half, rng.standard_normal((1, 300)), -half]).astype(dtype)
    db = rng.standard_normal(300).astype(dtype)
    for first, last in ((0, 300), (5, 133), (299, 300), (7, 7)):
        actual = guarded(db)
        linear.column_sums(guarded(dy), first, last, accumulate, actual)
        assert_guarded(actual)
        expected = [fsum([*dy[:, k], *([db[k]] if accumulate else [])]) for k in range(first, last)]
        rounding = 66 * 2.0**-53 * np.abs(dy[:, first:last]).sum(axis=0, dtype=np.float64)
        bound = rounding + np.finfo(dtype).eps * np.abs(expected)
        assert (np.abs(actual[first:last] - expected) <= bound).all()
        np.testing.assert_array_equal(actual[:first], db[:first])
        np.testing.assert_array_equal(actual[last:], db[last:])


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("+avx,+avx2,+fma,+avx512f", (64, 32)),
        ("+avx,+avx2,+fma,-avx512f", (32, 16)),
        ("+sse2,-avx,-avx2", (16, 16)),
        ("+fp-armv8,+neon", (16, 32)),
        ("", (16, 16)),
    ],
)
def test_registers(features: str, expected: tuple[int, int]) -> None:
    assert _tile.registers(features) == expected


NARROW, WIDE = 1, _tile.VECTORS  # literals for Numba, as globals


def narrow(a: np.ndarray, b: np.ndarray, add: bool, c: np.ndarray) -> None:
    _tile.tile(NARROW, _tile.at(a, 0, 1), _tile.at(b, 2, 1), 8, add, _tile.at(c, 1, 2))


def wide(a: np.ndarray, b: np.ndarray, add: bool, c: np.ndarray) -> None:
    _tile.tile(WIDE, _tile.at(a, 0, 1), _tile.at(b, 2, 1), 8, add, _tile.at(c, 1, 2))


@pytest.mark.parametrize("tile", [narrow, wide])
@pytest.mark.parametrize("lies", ["along the sum", "side by side", "anyhow"])
@pytest.mark.parametrize(("rows", "add"), [(1, False), (_tile.ROWS - 1, True), (_tile.ROWS, False), (50, True)])
def test_the_tile_in_python_and_compiled(rows: int, add: bool, lies: str, tile: Callable[..., None]) -> None:
    """Also where rows of a are missing, however a lies. The compiled one rounds once where Python rounds twice."""
    rng = np.random.default_rng(0)
    width = _tile.scratch(1, np.float64).size
    a, b, c = (rng.standard_normal(shape) for shape in ((rows, 9), (11, width + 2), (_tile.ROWS + 1, width + 3)))
    if lies != "along the sum":
        a = np.asfortranarray(a) if lies == "side by side" else np.repeat(a, 2, axis=1)[:, ::2]
    expected, actual = c.copy(), c.copy()
    tile(a, b, add, expected)
    numba.njit(tile)(a, b, add, actual)
    np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(actual[0], c[0])


@pytest.mark.parametrize("height", [1, _dots.HEIGHT])
@pytest.mark.parametrize(("rows", "columns", "depth"), [(1, 1, 1), (2, 3, 15), (4, 5, 16), (7, 9, 37)])
@DTYPES
def test_dot_products_in_python_and_compiled(dtype: Any, rows: int, columns: int, depth: int, height: int) -> None:
    """Also where rows are missing: theirs are not added twice, and nothing is read or written beyond."""
    rng = np.random.default_rng(0)
    a, b = (guarded(rng.standard_normal((length, depth)).astype(dtype)) for length in (rows, columns))
    expected, actual = (guarded(np.ones((rows, columns), dtype)) for _ in range(2))
    _dots.add_dots(height, a, b, expected)
    numba.njit(lambda a, b, c: _dots.add_dots(height, a, b, c))(a, b, actual)
    assert_guarded(actual)
    np.testing.assert_allclose(actual, expected, rtol=40 * np.finfo(dtype).eps, atol=40 * np.finfo(dtype).eps)
    assert (expected != 1).sum() == min(rows, height) * min(columns, _dots.WIDTH)


@pytest.mark.skipif(IS_INTERPRETED, reason="nothing is compiled, so there is no such stack")
def test_room_on_the_stack_begins_with_a_cache_line() -> None:
    where = numba.njit(lambda: (_stack.room(np.float32).ctypes.data, _tile.scratch(3, np.float64).ctypes.data))
    assert [start % LINE for start in where()] == [0, 0]


@pytest.mark.skipif(IS_INTERPRETED, reason="nothing is compiled")
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these are x86's names of instructions")
@DTYPES
def test_products_are_packed_multiply_adds(dtype: Any) -> None:
    """A register of sums each, and none of them is kept in memory."""
    name, letter = {32: ("ymm", "s"), 64: ("zmm", "s"), 16: ("xmm", "s")}[_tile.VECTOR_BYTES]
    letter = "d" if dtype is np.float64 else letter
    compiled = numba.njit(fastmath=_jit.FASTMATH, error_model="numpy")(linear.linear_backward_input.py_func)
    compiled(np.ones((3, 4), dtype), np.ones((4, 5), dtype), 0, 5, np.ones((3, 5), dtype))
    (code,) = compiled.inspect_asm().values()
    assert len(re.findall(rf"v?f?m(?:ul|add\d*)p{letter}\b.*%{name}", code)) >= _tile.ROWS * _tile.VECTORS
    assert not re.findall(rf"v?f?m(?:ul|add\d*)s{letter}\b", code)
