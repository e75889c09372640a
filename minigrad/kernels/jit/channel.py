"""Normalisation of the channels of images over the batch, pixel by pixel, with the ReLU behind it: BatchNorm2d.

Images lie pixel by pixel: (P, N, C). What is summed over the batch is summed over each pixel's images first, so
that the pixels can be shared among threads: of a few images in the precision of x, and these sums in float64.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._stack import SIZE, room

Array = npt.NDArray[Any]
SPAN = 128  # numbers that a loop is long: few channels are repeated
ROWS = 4  # summed at a time: one after the other, each would wait for the sum before it, and be made wide


@jit()
def channel_moments(x: Array, moments: Array) -> None:
    """The mean of each channel over the images of a pixel, and its sum of squared distances: moments (P, 2, C)."""
    P, N, C = x.shape
    cast, whole = x.dtype.type, N - N % ROWS
    center, sums = room(cast), room(np.float64)
    for start in range(0, C, SIZE):
        size = min(SIZE, C - start)
        for p in range(P):
            sums[:size] = 0
            for n in range(0, whole, ROWS):
                a, b, c, d = _rows(x, p, n, start, size)
                for k in range(size):
                    sums[k] += (a[k] + b[k]) + (c[k] + d[k])
            for n in range(whole, N):
                row = x[p, n, start : start + size]
                for k in range(size):
                    sums[k] += row[k]
            for k in range(size):
                moments[p, 0, start + k] = sums[k] / N
                center[k], sums[k] = sums[k] / N, 0
            for n in range(0, whole, ROWS):
                a, b, c, d = _rows(x, p, n, start, size)
                for k in range(size):
                    m = center[k]
                    sums[k] += ((a[k] - m) ** 2 + (b[k] - m) ** 2) + ((c[k] - m) ** 2 + (d[k] - m) ** 2)
            for n in range(whole, N):
                row = x[p, n, start : start + size]
                for k in range(size):
                    sums[k] += (row[k] - center[k]) ** 2
            for k in range(size):
                moments[p, 1, start + k] = sums[k]


@jit(inline="always")
def _rows(x: Array, p: int, n: int, start: int, size: int) -> Any:
    """Return so many channels, from one on, of ROWS images of a pixel, from the n-th on."""
    end = start + size
    return x[p, n, start:end], x[p, n + 1, start:end], x[p, n + 2, start:end], x[p, n + 3, start:end]


@jit()
def channel_statistics(moments: Array, images: int, eps: float, mean: Array, var: Array, inv_std: Array) -> None:
    """Mean, biased variance and 1 / sqrt(variance + eps) of each channel, from the moments of its pixels."""
    P, _, C = moments.shape
    center, spread = room(np.float64), room(np.float64)
    for start in range(0, C, SIZE):
        width = min(SIZE, C - start)
        for c in range(width):
            center[c], spread[c] = 0, 0
        for p in range(P):
            means = moments[p, 0, start : start + width]
            for c in range(width):
                center[c] += means[c]
        for c in range(width):
            center[c] /= P
        for p in range(P):
            means, squares = moments[p, 0, start : start + width], moments[p, 1, start : start + width]
            for c in range(width):
                spread[c] += squares[c] + images * (means[c] - center[c]) ** 2
        for c in range(width):
            value = spread[c] / (P * images)
            mean[start + c], var[start + c], inv_std[start + c] = center[c], value, 1 / math.sqrt(value + eps)


@jit(inline="always")
def _affine(
    gamma: Array, beta: Array, mean: Array, inv_std: Array, start: int, center: Array, scale: Array, shift: Array
) -> Any:
    """Set what normalises the channels from `start` on, as many as there is room for; return how many these are.

    On the stack nothing that a kernel writes can be taken for it, so loops need no checks and no loads anew.
    """
    size = min(SIZE, len(mean) - start)
    for k in range(size):
        center[k], shift[k] = mean[start + k], beta[start + k]
        scale[k] = gamma[start + k] * inv_std[start + k]
    _repeat(size, center)
    _repeat(size, scale)
    _repeat(size, shift)
    return size


@jit(inline="always")
def _repeat(size: int, values: Array) -> None:
    """Repeat the first `size` values up to SPAN."""
    for k in range(size, SPAN):
        values[k] = values[k - size]


@jit()
def channel_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, relu: bool, y: Array
) -> None:
    """y = gamma (x - mean) inv_std + beta, or 0 where that is negative and `relu`; x and y (P, N, C)."""
    P, N, C = x.shape
    cast, together = x.dtype.type, max(1, SPAN // C)
    pixels, outputs = x.reshape(P, N * C), y.reshape(P, N * C)
    center, scale, shift, least = room(cast), room(cast), room(cast), cast(0 if relu else -np.inf)
    for start in range(0, C, SIZE):
        size = _affine(gamma, beta, mean, inv_std, start, center, scale, shift)
        for p in range(P):
            for n in range(0, N, together):
                first, length = n * C + start, size * min(together, N - n)
                row, target = pixels[p, first : first + length], outputs[p, first : first + length]
                for k in range(length):
                    value = (row[k] - center[k]) * scale[k] + shift[k]
                    target[k] = least if value <= least else value


@jit()
def channel_norm_add_relu(
    x: Array, gamma: Array, beta: Array, mean: Array, inv_std: Array, other: Array, y: Array
) -> None:
    """y = max(gamma (x - mean) inv_std + beta + other, 0), NaN stays; x, other and y (P, N, C)."""
    P, N, C = x.shape
    cast, together = x.dtype.type, max(1, SPAN // C)
    pixels, others, outputs = x.reshape(P, N * C), other.reshape(P, N * C), y.reshape(P, N * C)
    center, scale, shift, zero = room(cast), room(cast), room(cast), cast(0)
    for start in range(0, C, SIZE):
        size = _affine(gamma, beta, mean, inv_std, start, center, scale, shift)
        for p in range(P):
            for n in range(0, N, together):
                first, length = n * C + start, size * min(together, N - n)
                last = first + length
                row, added, target = pixels[p, first:last], others[p, first:last], outputs[p, first:last]
                for k in range(length):
                    value = (row[k] - center[k]) * scale[k] + shift[k] + added[k]
                    target[k] = zero if value <= zero else value


@jit(inline="always")
def _passed(g: Any, x: Any, center: Any, scale: Any, shift: Any, least: Any) -> Any:
    """Return what a ReLU behind the normalisation lets through of a gradient: 0 where the output is its least."""
    return type(g)(0) if (x - center) * scale + shift <= least else g


@jit()
def channel_norm_sums(
    dy: Array, gamma: Array, beta: Array, x: Array, mean: Array, inv_std: Array, relu: bool, sums: Array
) -> None:
    """The sums of g and g (x - mean) over the images of a pixel: sums (P, 2, C).

    g = dy, with `relu` 0 where the output is: that is computed anew, which costs less than to read it.
    """
    P, N, C = x.shape
    cast, whole = x.dtype.type, N - N % ROWS
    center, scale, shift, least = room(cast), room(cast), room(cast), cast(0 if relu else -np.inf)
    plain, by_x = room(np.float64), room(np.float64)
    for start in range(0, C, SIZE):
        size = _affine(gamma, beta, mean, inv_std, start, center, scale, shift)
        end = start + size
        for p in range(P):
            plain[:size], by_x[:size] = 0, 0
            for n in range(0, whole, ROWS):
                a, b, c, d = _rows(x, p, n, start, size)
                da, db, dc, dd = _rows(dy, p, n, start, size)
                for k in range(size):
                    m = center[k]
                    ga = _passed(da[k], a[k], m, scale[k], shift[k], least)
                    gb = _passed(db[k], b[k], m, scale[k], shift[k], least)
                    gc = _passed(dc[k], c[k], m, scale[k], shift[k], least)
                    gd = _passed(dd[k], d[k], m, scale[k], shift[k], least)
                    plain[k] += (ga + gb) + (gc + gd)
                    by_x[k] += (ga * (a[k] - m) + gb * (b[k] - m)) + (gc * (c[k] - m) + gd * (d[k] - m))
            for n in range(whole, N):
                row, given = x[p, n, start:end], dy[p, n, start:end]
                for k in range(size):
                    g = _passed(given[k], row[k], center[k], scale[k], shift[k], least)
                    plain[k] += g
                    by_x[k] += g * (row[k] - center[k])
            sums[p, 0, start:end], sums[p, 1, start:end] = plain[:size], by_x[:size]


@jit()
def channel_norm_backward_parameters(sums: Array, inv_std: Array, dgamma: Array, dbeta: Array) -> None:
    """With x_hat = (x - mean) inv_std: dgamma = sum(g x_hat), dbeta = sum(g)."""
    P, _, C = sums.shape
    plain, by_x = room(np.float64), room(np.float64)
    for start in range(0, C, SIZE):
        width = min(SIZE, C - start)
        for c in range(width):
            plain[c], by_x[c] = 0, 0
        for p in range(P):
            first, second = sums[p, 0, start : start + width], sums[p, 1, start : start + width]
            for c in range(width):
                plain[c] += first[c]
                by_x[c] += second[c]
        for c in range(width):
            dgamma[start + c], dbeta[start + c] = by_x[c] * inv_std[start + c], plain[c]


@jit()
def channel_norm_backward(
    dy: Array,
    dgamma: Array,
    dbeta: Array,
    gamma: Array,
    beta: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    relu: bool,
    share: float,
    dx: Array,
) -> None:
    """Dx = (g - share (dbeta + x_hat dgamma)) gamma inv_std, share being 1 / the number of values in a channel.

    0 where the statistics are constants; g as in `channel_norm_sums`, x_hat = (x - mean) inv_std.
    """
    P, N, C = x.shape
    cast, together = x.dtype.type, max(1, SPAN // C)
    pixels, cotangents, targets = x.reshape(P, N * C), dy.reshape(P, N * C), dx.reshape(P, N * C)
    center, scale, shift, least = room(cast), room(cast), room(cast), cast(0 if relu else -np.inf)
    slope, offset, part = room(cast), room(cast), cast(share)
    for start in range(0, C, SIZE):
        size = _affine(gamma, beta, mean, inv_std, start, center, scale, shift)
        for k in range(size):
            slope[k], offset[k] = dgamma[start + k] * inv_std[start + k] * part, dbeta[start + k] * part
        _repeat(size, slope)
        _repeat(size, offset)
        for p in range(P):
            for n in range(0, N, together):
                first, length = n * C + start, size * min(together, N - n)
                last = first + length
                row, cotangent, target = pixels[p, first:last], cotangents[p, first:last], targets[p, first:last]
                for k in range(length):
                    g = _passed(cotangent[k], row[k], center[k], scale[k], shift[k], least)
                    target[k] = (g - offset[k] - (row[k] - center[k]) * slope[k]) * scale[k]
