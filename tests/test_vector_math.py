"""The functions that compiled loops call in place of the library's: each number right to 3 units in the last place."""

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend import fewer

numba = pytest.importorskip("numba", reason="Numba is not installed")
_math, _exp, _log, _jit = (import_module(f"minigrad.kernels.jit.{name}") for name in ("_math", "_exp", "_log", "_jit"))

UNITS = 3  # 2.3 is the largest error found


def exact_erf(x: np.ndarray) -> np.ndarray:
    """Of Python, whose own error is below one unit of float64."""
    return np.array([math.erf(value) for value in x], np.longdouble)


# What gives the exact value, and where the function is neither constant nor infinite.
FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float, float]] = {
    "exp": (np.exp, -746, 710),
    "expm1": (np.expm1, -40, 710),
    "tanh": (np.tanh, -20, 20),
    "erf": (exact_erf, -6, 6),
    "log": (np.log, 0, 4),
    "log1p": (np.log1p, -1, 4),
}
NAMES = list(FUNCTIONS)
DTYPES = [np.float32, np.float64]
SPECIAL = [0.0, -0.0, 1.0, -1.0, -2.0, np.inf, -np.inf, np.nan]

each_function = pytest.mark.parametrize("name", NAMES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def compiled(function: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a loop over the function, compiled as a kernel is; where the JIT is off, NumPy's function."""

    @numba.njit(fastmath=_jit.FASTMATH, error_model="numpy")
    def loop(x: np.ndarray, y: np.ndarray) -> None:
        for i in range(x.size):
            y[i] = function(x[i])

    def call(x: np.ndarray) -> np.ndarray:
        y = np.empty_like(x)
        loop(x, y)
        return y

    return call


COMPILED = {name: compiled(getattr(_math, name)) for name in NAMES}


def by_hand(name: str, x: np.ndarray) -> np.ndarray:
    """Run the source of what is compiled as plain Python."""
    source = f"{name}{x.dtype.itemsize * 8}"
    function = getattr(_exp, source, None) or getattr(_log, source)
    y = np.array([function(value) for value in x])
    assert y.dtype == x.dtype
    return y


def numbers(name: str, dtype: Any, count: int) -> np.ndarray:
    """Return numbers of all sizes, from the smallest to the largest there is, and more where the function bends."""
    info, (_, low, high) = np.finfo(dtype), FUNCTIONS[name]
    exponents = np.linspace(np.log2(info.smallest_subnormal), np.log2(info.max), count, dtype=np.longdouble)
    sizes = np.exp2(exponents).astype(dtype)
    near = [np.linspace(a, b, count).astype(dtype) for a, b in ((low, high), (-2, 2))]
    return np.concatenate([sizes, -sizes, *near])


def assert_right(name: str, x: np.ndarray, y: np.ndarray) -> None:
    exact = FUNCTIONS[name][0](x.astype(np.longdouble))
    expected = exact.astype(x.dtype)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(y[~finite], expected[~finite])
    units = np.abs(y[finite] - exact[finite]) / np.spacing(np.abs(expected[finite]))
    worst = np.argmax(np.append(units, 0))
    assert np.all(units <= UNITS), f"{name}({x[finite][worst]!r}) is {units[worst]:.3g} units off"


@pytest.fixture(autouse=True)
def no_warnings() -> Any:
    """Where the JIT is off, NumPy warns of infinities that are right."""
    with np.errstate(all="ignore"):
        yield


@each_dtype
@each_function
def test_over_the_whole_range(name: str, dtype: Any) -> None:
    x = numbers(name, dtype, fewer(100_000))
    assert_right(name, x, COMPILED[name](x))


@each_dtype
@each_function
def test_by_hand(name: str, dtype: Any) -> None:
    x = numbers(name, dtype, 500)
    assert_right(name, x, by_hand(name, x))


@each_function
@given(st.lists(st.floats(), max_size=20), st.sampled_from(DTYPES))
def test_any_numbers(name: str, values: list[float], dtype: Any) -> None:
    x = np.array(values, dtype)
    with np.errstate(all="ignore"):
        assert_right(name, x, COMPILED[name](x))


@each_dtype
@each_function
def test_special_numbers(name: str, dtype: Any) -> None:
    """The sign of zero is kept, as it is by the library's functions."""
    x = np.array(SPECIAL, dtype)
    exact = FUNCTIONS[name][0](x)
    for y in (COMPILED[name](x), by_hand(name, x)):
        assert_right(name, x, y)
        zero = exact == 0
        np.testing.assert_array_equal(np.signbit(y[zero]), np.signbit(exact[zero]))


@each_dtype
def test_maximum(dtype: Any) -> None:
    @numba.njit(fastmath=_jit.FASTMATH, error_model="numpy")
    def largest(x: np.ndarray) -> Any:
        top = x[0]
        for i in range(1, x.size):
            top = _math.maximum(top, x[i])
        return top

    x = np.random.default_rng(0).standard_normal(101).astype(dtype)
    for place in range(x.size):
        for value in (5, np.inf, np.nan):
            changed = x.copy()
            changed[place] = value
            np.testing.assert_array_equal(largest(changed), dtype(value))
    assert largest(np.full(40, -np.inf, dtype)) == -np.inf
