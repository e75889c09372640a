"""exp, expm1, tanh, erf, log, log1p and maximum for loops that LLVM turns into vector code.

Numba's own are one library call for each element. These have no branch, table or call: where there are two cases, both
are computed and one is taken. All are within 3 units in the last place, for float32 and for float64, and right for
infinities, NaN, -0 and subnormal numbers. Without the JIT they are NumPy's.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from minigrad.kernels.jit._exp import FLAGS, erf32, erf64, exp32, exp64, expm132, expm164, tanh32, tanh64
from minigrad.kernels.jit._log import log1p32, log1p64, log32, log64


def exp(x: Any) -> Any:
    """Return e^x."""
    return np.exp(x)


def expm1(x: Any) -> Any:
    """Return e^x - 1, near 0 too."""
    return np.expm1(x)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent."""
    return np.tanh(x)


def erf(x: Any) -> Any:
    """Return the error function."""
    return type(x)(math.erf(x))


def log(x: Any) -> Any:
    """Return the natural logarithm."""
    return np.log(x)


def log1p(x: Any) -> Any:
    """Return log(1 + x), near 0 too."""
    return np.log1p(x)


def maximum(a: Any, b: Any) -> Any:
    """Return the larger of two numbers of one type; NaN wins. Of a plain comparison no vector code for rows is made."""
    return np.maximum(a, b)


def _maximum(typing: Any, a: Any, b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = arguments[0].type
        function = builder.module.declare_intrinsic("llvm.maximum", [number], ir.FunctionType(number, [number] * 2))
        return builder.call(function, arguments)

    return a(a, b), generate


_call_maximum: Any = intrinsic(_maximum)


@overload(maximum)
def _compiled_maximum(a: Any, b: Any) -> Any:
    def call(a: Any, b: Any) -> Any:
        return _call_maximum(a, b)

    return call


def _compile(function: Callable[[Any], Any], single: Any, double: Any) -> None:
    """Let compiled code run `single` or `double` where it calls the function, as the type of the number asks."""

    @overload(function, jit_options=FLAGS)
    def choose(x: Any) -> Any:
        return {types.float32: single, types.float64: double}.get(x)


_compile(exp, exp32, exp64)
_compile(expm1, expm132, expm164)
_compile(tanh, tanh32, tanh64)
_compile(erf, erf32, erf64)
_compile(log, log32, log64)
_compile(log1p, log1p32, log1p64)
