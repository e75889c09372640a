"""exp for loops that LLVM turns into vector code: Numba's own is one library call for each element."""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

# No "reassoc" here: the two-part subtraction of n log 2 must not be merged.


def exp(x: Any) -> Any:
    """Return e^x, within 2 units in the last place: float32 to float32, float64 to float64."""
    return type(x)(np.exp(x)) if isinstance(x, np.floating) else math.exp(x)


@overload(exp, jit_options={"fastmath": {"nsz", "contract"}, "error_model": "numpy"})
def _overload_exp(x: Any) -> Any:
    return {types.float32: _exp32, types.float64: _exp64}.get(x)


def _exp32(x: Any) -> Any:
    """e^x = 2^n e^r with |r| <= log(2)/2, e^r by a polynomial (Cephes, Moshier 1992). NaN stays."""
    f = np.float32
    z = x if x == x else f(0)
    z = f(-104) if z < f(-104) else (f(89) if z > f(89) else z)
    n = np.floor(z * f(1.44269504088896341) + f(0.5))
    r = z - n * f(0.693359375)
    r = r - n * f(-2.12194440e-4)
    p = f(1.9875691500e-4)
    p = p * r + f(1.3981999507e-3)
    p = p * r + f(8.3334519073e-3)
    p = p * r + f(4.1665795894e-2)
    p = p * r + f(1.6666665459e-1)
    p = p * r + f(5.0000001201e-1)
    p = p * r * r + r + f(1)
    k = np.int32(n)
    half = np.int32(k >> np.int32(1))
    # Two factors: 2^n alone leaves the normal range before e^x does.
    low = np.int32((half + np.int32(127)) << np.int32(23)).view(np.float32)
    high = np.int32((k - half + np.int32(127)) << np.int32(23)).view(np.float32)
    y = p * low * high
    return y if x == x else x


def _exp64(x: Any) -> Any:
    """As `_exp32`, with a rational function for e^r (Cephes)."""
    z = x if x == x else 0.0
    z = -746.0 if z < -746.0 else (710.0 if z > 710.0 else z)
    n = np.floor(z * 1.4426950408889634073599 + 0.5)
    r = z - n * 6.93145751953125e-1
    r = r - n * 1.42860682030941723212e-6
    s = r * r
    p = r * ((1.26177193074810590878e-4 * s + 3.02994407707441961300e-2) * s + 9.99999999999999999910e-1)
    q = ((3.00198505138664455042e-6 * s + 2.52448340349684104192e-3) * s + 2.27265548208155028766e-1) * s + 2.0
    p = 1.0 + 2.0 * (p / (q - p))
    k = np.int64(n)
    half = k >> 1
    low = np.int64((half + 1023) << 52).view(np.float64)
    high = np.int64((k - half + 1023) << 52).view(np.float64)
    y = p * low * high
    return y if x == x else x
