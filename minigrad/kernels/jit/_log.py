"""The arithmetic of log and log1p, each in float32 and in float64. Kernels import them from `_math`.

log(2^k (1 + f)) = k log 2 + log(1 + f) with 1 + f between √½ and √2. With s = f / (2 + f) the logarithm of 1 + f is
2 artanh(s) = 2 s + s R(s²) = f - s (f - R): f, its largest part, is exact. R(z) / z is minimax on [0, 0.0295]
in the error of the logarithm (8e-10, 1e-18), found by Remez exchange in 50 digits.
"""

from typing import Any

import numpy as np

from minigrad.kernels.jit._exp import float32s, inline, polynomial, power32, power64

# From the highest power down.
ARTANH32 = float32s(2.98718619469e-1, 3.99775369831e-1, 6.66667764152e-1)
ARTANH64 = (
    1.4796102582700755764e-1,
    1.5314036081124468106e-1,
    1.818356485864823588e-1,
    2.2222198563612593164e-1,
    2.8571428742473779803e-1,
    3.9999999999414327308e-1,
    6.6666666666667344581e-1,
)


INFINITY32, INFINITY64 = np.float32(np.inf), np.float64(np.inf)
NAN32, NAN64 = np.float32(np.nan), np.float64(np.nan)


@inline
def _log32(u: Any, rest: Any, scale: Any) -> Any:
    """Return log(2^scale (u + rest)); u > 0 is a normal number, and the rest is small beside it."""
    bits = np.float32(u).view(np.int32)
    k = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))  # the bits of √½
    m = np.int32(bits - (k << np.int32(23))).view(np.float32)
    # Two factors: 2^-k alone leaves the normal range, and k may be 128.
    f = (m - np.float32(1)) + rest * np.float32(0.5) * power32(np.int32(1) - k)
    s = f / (f + np.float32(2))
    n = np.float32(k) + scale
    minor = s * (f - s * s * polynomial(s * s, ARTANH32)) - n * np.float32(-2.12194440e-4)
    return n * np.float32(0.693359375) + (f - minor)


def log32(x: Any) -> Any:
    """log(x)."""
    is_small = x < np.float32(2**-126)  # perhaps subnormal
    u = x * np.float32(2**25) if is_small else x
    y = _log32(u if x > 0 else np.float32(1), np.float32(0), np.float32(-25) if is_small else np.float32(0))
    y = y if x > 0 else (-INFINITY32 if x == 0 else NAN32)
    return y if x < INFINITY32 else x


def log1p32(x: Any) -> Any:
    """log(1 + x) = log(u + rest), u being 1 + x as it is rounded."""
    u = np.float32(1) + x
    y = _log32(u if x > -1 else np.float32(1), x - (u - np.float32(1)), np.float32(0))
    y = y if x > -1 else (-INFINITY32 if x == -1 else NAN32)
    return y if abs(x) > np.float32(1e-8) and x < INFINITY32 else x


@inline
def _log64(u: Any, rest: Any, scale: Any) -> Any:
    """As `_log32`."""
    bits = np.float64(u).view(np.int64)
    k = (bits - 0x3FE6A09E667F3BCD) >> 52
    m = np.int64(bits - (k << 52)).view(np.float64)
    f = (m - 1.0) + rest * 0.5 * power64(1 - k)
    s = f / (f + 2.0)
    n = np.float64(np.int32(k)) + scale  # from an int32 AVX2 can turn a vector
    minor = s * (f - s * s * polynomial(s * s, ARTANH64)) - n * 1.42860682030941723212e-6
    return n * 6.93145751953125e-1 + (f - minor)


def log64(x: Any) -> Any:
    """As `log32`."""
    is_small = x < 2.0**-1022
    u = x * 2.0**54 if is_small else x
    y = _log64(u if x > 0 else 1.0, 0.0, -54.0 if is_small else 0.0)
    y = y if x > 0 else (-INFINITY64 if x == 0 else NAN64)
    return y if x < INFINITY64 else x


def log1p64(x: Any) -> Any:
    """As `log1p32`."""
    u = 1.0 + x
    y = _log64(u if x > -1 else 1.0, x - (u - 1.0), 0.0)
    y = y if x > -1 else (-INFINITY64 if x == -1 else NAN64)
    return y if abs(x) > 1e-17 and x < INFINITY64 else x
