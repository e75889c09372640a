"""The arithmetic of exp, expm1, tanh and erf, each in float32 and in float64. Kernels import them from `_math`.

e^x = 2^k (1 + q) with k = round(x / log 2) and q = e^r - 1 = r + r² p(r) for the rest, |r| ≤ log(2)/2. The others
follow from e^x - 1 = 2^k q + (2^k - 1), which keeps its digits near 0: tanh, and erf(x) = 1 - e^-g(x), g = -log(erfc).

The float32 coefficients of p are those of Cephes (Moshier 1992). All others are minimax, found by Remez exchange in 50
digits: p in its own error (1e-18), g(x) / x on [0, 4] and [0, 6] in the error of erf (4e-9 and 2e-17).
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

# Without "reassoc": the order of the operations is what keeps the last digits. A call keeps a loop scalar.
FLAGS: Any = {"fastmath": {"contract"}, "error_model": "numpy", "forceinline": True}
inline = register_jitable(**FLAGS)


def float32s(*numbers: float) -> tuple[np.float32, ...]:
    """Return the numbers rounded to float32."""
    return tuple(np.float32(number) for number in numbers)


# From the highest power down.
EXP32 = float32s(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
EXP64 = (
    2.0921613143959298716e-9,
    2.5105217808418204818e-8,
    2.7557252841432109753e-7,
    2.7557255398176906921e-6,
    2.4801587347412169083e-5,
    1.984126987482220739e-4,
    1.3888888888874369457e-3,
    8.3333333333261347755e-3,
    4.1666666666666683832e-2,
    1.6666666666666670991e-1,
    0.5,
)
ERF32 = float32s(
    -9.25622827203e-6,
    1.17640967122e-4,
    -6.32835872098e-4,
    1.66702587645e-3,
    -1.60394719994e-4,
    -1.91530644941e-2,
    1.02777830633e-1,
    6.36619381956e-1,
    1.12837917161,
)
ERF64 = (
    -3.5924018801285470308e-15,
    1.6149557382693610092e-13,
    -3.364510294592819194e-12,
    4.3019723402423555998e-11,
    -3.7608602851802019168e-10,
    2.3606013297057028313e-9,
    -1.0773730661606524586e-8,
    3.4586142165228615384e-8,
    -6.5736998794199865703e-8,
    -1.1700853967405101614e-8,
    5.7061990313845018167e-7,
    -2.0371713966447634598e-6,
    3.1329440917391309096e-6,
    3.1696862519412549288e-6,
    -2.9575675979082945664e-5,
    6.4420475361764490609e-5,
    2.5904498880206131093e-5,
    -5.901324300065157648e-4,
    1.6962076698524274295e-3,
    -2.0919485392201764593e-4,
    -1.9128446993094821673e-2,
    1.0277260330131545585e-1,
    6.3661977236759096739e-1,
    1.1283791670955125495,
)
ERF64_ODD, ERF64_EVEN = ERF64[::2], ERF64[1::2]  # LLVM unrolls no loop over all of them


@inline
def polynomial(x: Any, coefficients: Any) -> Any:
    """Return the value of a polynomial, given from the highest power down."""
    y = coefficients[0]
    for k in range(1, len(coefficients)):
        y = y * x + coefficients[k]
    return y


@inline
def within(x: Any, low: Any, high: Any) -> Any:
    """Return x between two limits. NaN becomes one of them: as an exponent it would be anything."""
    x = x if x > low else low
    return x if x < high else high


# ------------------------------------------------------------------------------------------------------------ float32


@inline
def power32(k: Any) -> Any:
    """Return 2^k."""
    return np.int32((k + np.int32(127)) << np.int32(23)).view(np.float32)


@inline
def _split32(x: Any) -> Any:
    """Return q and k for a finite x."""
    n = np.floor(x * np.float32(1.44269504088896341) + np.float32(0.5))
    r = x - n * np.float32(0.693359375)
    r = r - n * np.float32(-2.12194440e-4)
    return polynomial(r, EXP32) * r * r + r, np.int32(n)


def exp32(x: Any) -> Any:
    """e^x."""
    q, k = _split32(within(x, np.float32(-104), np.float32(89)))
    half = np.int32(k >> np.int32(1))
    # Two factors: 2^k alone leaves the normal range before e^x does.
    y = (q + np.float32(1)) * power32(half) * power32(k - half)
    return y if x == x else x


def expm132(x: Any) -> Any:
    """e^x - 1, from half of it: 2^k alone would overflow first."""
    q, k = _split32(within(x, np.float32(-20), np.float32(89)))
    half = power32(k - np.int32(1))
    y = np.float32(2) * (q * half + (half - np.float32(0.5)))
    return y if abs(x) > np.float32(1e-8) else x


@inline
def _expm1_bounded32(x: Any) -> Any:
    """e^x - 1 for |x| < 80."""
    q, k = _split32(x)
    power = power32(k)
    return q * power + (power - np.float32(1))


def tanh32(x: Any) -> Any:
    """(e^2|x| - 1) / (e^2|x| + 1) with the sign of x; it is 1 from 9.02 on."""
    e = _expm1_bounded32(np.float32(2) * within(abs(x), np.float32(0), np.float32(10)))
    y = np.copysign(e / (e + np.float32(2)), x)
    return y if x == x else x


def erf32(x: Any) -> Any:
    """1 - e^-g(|x|) with the sign of x; it is 1 from 3.84 on."""
    z = within(abs(x), np.float32(0), np.float32(4))
    y = np.copysign(_expm1_bounded32(-z * polynomial(z, ERF32)), x)
    return y if x == x else x


# ------------------------------------------------------------------------------------------------------------ float64


@inline
def power64(k: Any) -> Any:
    """Return 2^k."""
    return np.int64((k + np.int64(1023)) << np.int64(52)).view(np.float64)


@inline
def _split64(x: Any) -> Any:
    """Return q and k for a finite x; k as an int32, into which AVX2 can turn a vector."""
    n = np.floor(x * 1.4426950408889634073599 + 0.5)
    r = x - n * 6.93145751953125e-1
    r = r - n * 1.42860682030941723212e-6
    return polynomial(r, EXP64) * r * r + r, np.int32(n)


def exp64(x: Any) -> Any:
    """e^x."""
    q, k = _split64(within(x, -746.0, 710.0))
    half = np.int32(k >> np.int32(1))
    y = (q + 1.0) * power64(half) * power64(k - half)
    return y if x == x else x


def expm164(x: Any) -> Any:
    """e^x - 1."""
    q, k = _split64(within(x, -40.0, 710.0))
    half = power64(k - 1)
    y = 2.0 * (q * half + (half - 0.5))
    return y if abs(x) > 1e-17 else x


@inline
def _expm1_bounded64(x: Any) -> Any:
    """e^x - 1 for |x| < 700."""
    q, k = _split64(x)
    power = power64(k)
    return q * power + (power - 1.0)


def tanh64(x: Any) -> Any:
    """As `tanh32`; it is 1 from 19.1 on."""
    e = _expm1_bounded64(2.0 * within(abs(x), 0.0, 20.0))
    y = np.copysign(e / (e + 2.0), x)
    return y if x == x else x


def erf64(x: Any) -> Any:
    """As `erf32`; it is 1 from 5.93 on."""
    z = within(abs(x), 0.0, 6.0)
    p = z * polynomial(z * z, ERF64_ODD) + polynomial(z * z, ERF64_EVEN)
    y = np.copysign(_expm1_bounded64(-z * p), x)
    return y if x == x else x
