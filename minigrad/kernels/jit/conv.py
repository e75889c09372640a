"""Convolution on register tiles, by a table of what each window sees.

Images lie pixel by pixel, (S, N, C), so what an output pixel sees through a tap is a matrix of all images, and the
convolution of a pixel a sum of matrix products, one for each tap that sees something: a tile's sums stay in registers
through all of them. For few images, or few channels in the gradient of the weights, tiles would be mostly empty: what
some outputs see is gathered there first. Each sum is taken in one order, whatever part is asked for.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._product import copy_columns, product, tiles_into, transpose_into
from minigrad.kernels.jit._stack import room
from minigrad.kernels.jit._tile import ROWS, VECTOR_BYTES, VECTORS, at, scratch

Array = npt.NDArray[Any]

BLOCK = 64  # outputs whose windows are gathered at a time
GATHERED = 512  # rows of memory for them: BLOCK rows of 256 numbers of float32
DEPTH = 1024  # of a sum taken at a time: so much of the weights lies in the second cache
CHANNELS = 512  # and of these so many
LONG = 256  # of a sum over outputs taken at a time
TOGETHER, OUTPUTS = 8, 32  # channels and outputs whose weights' gradients are turned at a time


@jit(inline="always")
def _gather(x: Array, table: Array, output: int, first: int, last: int, rows: Array) -> None:
    """Set rows[i, : last - first]: what output `output + i` sees, from place `first` to `last`.

    Outputs are counted on from pixel to pixel; places are the channels of tap 0, then those of tap 1, ...
    """
    _, N, C = x.shape
    i = 0
    while i < len(rows):
        p, n = divmod(output + i, N)
        count = min(N - n, len(rows) - i)
        place = first
        while place < last:
            t, c = divmod(place, C)
            width, pixel = min(C - c, last - place), table[p, t]
            for m in range(count):
                target = rows[i + m, place - first : place - first + width]
                if pixel < 0:
                    target[:] = 0
                else:
                    source = x[pixel, n + m, c : c + width]
                    for j in range(width):
                        target[j] = source[j]
            place += width
        i += count


@jit(inline="always")
def _forward_of_few(x: Array, w: Array, b: Array, table: Array, add: bool, y: Array) -> None:
    """y = b + the convolution of a few images, y (P N, K), or with `add` y plus the convolution: from gathered rows."""
    D, K = w.shape
    block = scratch(GATHERED, x.dtype).reshape(BLOCK, -1)
    for start in range(0, len(y), BLOCK):
        target = y[start : start + BLOCK]
        for i in range(0 if add else len(target)):
            row = target[i]
            for k in range(K):
                row[k] = b[k] if b.size else 0
        for d in range(0, D, block.shape[1]):
            end = min(d + block.shape[1], D)
            rows = block[: len(target), : end - d]
            _gather(x, table, start, d, end, rows)
            product(rows, w[d:end], 0, K, True, target)


@jit(inline="always")
def _forward(vectors: int, x: Array, w: Array, b: Array, table: Array, add: bool, y: Array) -> None:
    """y = b + the convolution, or y plus it; w (T C, K) and y (P N, K) at most `vectors` (a literal) vectors wide."""
    (P, T), (_, N, C), K = table.shape, x.shape, w.shape[1]
    start, sums, terms = scratch(ROWS, x.dtype), scratch(ROWS, x.dtype), room(np.int64).reshape(-1, 2)
    memory = scratch(DEPTH, x.dtype).reshape(-1, vectors * sums.shape[1] // VECTORS)
    start[:] = 0
    for k in range(b.size):
        start[:, k] = b[k]
    for c in range(0, C, CHANNELS):
        depth = min(CHANNELS, C - c)
        part, most = x[:, :, c : c + depth], min(DEPTH // depth, len(terms))
        panel = memory[: most * depth].reshape(most, depth, -1)
        for tap in range(0, T, most):
            taps = min(most, T - tap)
            for t in range(taps):
                copy_columns(w, (tap + t) * C + c, 0, depth, K, panel[t])
            for p in range(P):
                count = 0
                for t in range(taps):
                    if table[p, tap + t] >= 0:
                        terms[count, 0], terms[count, 1] = table[p, tap + t], t
                        count += 1
                more = not add and c + tap > 0
                for n in range(0, N if count or not (more or add) else 0, ROWS):
                    left, target = at(part, n, 0), at(y, p * N + n, 0)
                    tiles_into(vectors, start, left, panel, terms[:count], more, add, N - n, K, sums, target)
            start[:] = 0


@jit()
def conv_forward(x: Array, w: Array, b: Array, table: Array, add: bool, y: Array) -> None:
    """y[p, n, g Kg + k] = b[g Kg + k] + the sum over t and c of x[table[p, t], n, g Cg + c] w[g, t Cg + c, k].

    x (S, N, C), w (G, T Cg, Kg) of G groups of channels, Cg = C / G and Kg = K / G; b (K,) or empty, y (P, N, K). With
    `add` it is added to y, without b.
    """
    (G, _, K), N, C = w.shape, x.shape[1], x.shape[2] // len(w)
    outputs, lanes = y.reshape(-1, y.shape[2]), VECTOR_BYTES // x.itemsize
    for g in range(G):
        seen = x[:, :, g * C : g * C + C]
        bias, target = b[g * K : g * K + K], outputs[:, g * K : g * K + K]
        if N < ROWS:
            _forward_of_few(seen, w[g], bias, table, add, target)
        else:
            for k in range(0, K, VECTORS * lanes):
                end = min(k + VECTORS * lanes, K)
                weights, shift, columns = w[g, :, k:end], bias[k:end], target[:, k:end]
                if end - k > lanes:
                    _forward(VECTORS, seen, weights, shift, table, add, columns)
                else:
                    _forward(1, seen, weights, shift, table, add, columns)


@jit(inline="always")
def _gather_places(x: Array, low: int, C: int, table: Array, output: int, first: int, block: Array) -> None:
    """Set block[i, j]: what output `output + j` sees at place `first + i` of the C channels from `low` on.

    Outputs and places as in `_gather`.
    """
    _, N, channels = x.shape
    pixels = x.reshape(len(x), -1)
    places, outputs = block.shape
    j = 0
    while j < outputs:
        p, n = divmod(output + j, N)
        count = min(N - n, outputs - j)
        for i in range(places):
            t, c = divmod(first + i, C)
            pixel, target = table[p, t], block[i, j : j + count]
            if pixel < 0:
                target[:] = 0
            elif channels == 1:
                source = pixels[pixel, n : n + count]
                for m in range(count):
                    target[m] = source[m]
            else:
                for m in range(count):
                    target[m] = pixels[pixel, (n + m) * channels + low + c]
        j += count


@jit(inline="always")
def _weight_gradient(vectors: int, x: Array, dy: Array, table: Array, first: int, last: int, dw: Array) -> None:
    """Add to rows [first, last) of dw (T C, K) what outputs (P, N, K) give, at most `vectors` (a literal) wide.

    x (S, C, N) of any strides, P N of about LONG.
    """
    (P, N, K), C = dy.shape, x.shape[1]
    zero, sums, terms = scratch(ROWS, x.dtype), scratch(ROWS, x.dtype), room(np.int64).reshape(-1, 2)
    zero[:] = 0
    memory = scratch(LONG, x.dtype).reshape(-1, vectors * sums.shape[1] // VECTORS)
    panel = memory[: P * N].reshape(P, N, -1)
    right = at(dy, 0, 0)
    if panel.shape[2] > K:
        for p in range(P):
            copy_columns(dy[p], 0, 0, N, K, panel[p])
        right = at(panel, 0, 0)
    for t in range(first // C, (last - 1) // C + 1):
        count = 0
        for p in range(P):
            if table[p, t] >= 0:
                terms[count, 0], terms[count, 1] = table[p, t], p
                count += 1
        high = min(last - t * C, C)
        for c in range(max(first - t * C, 0), high if count else 0, ROWS):
            target = at(dw, t * C + c, 0)
            tiles_into(vectors, zero, at(x, c, 0), right, terms[:count], True, False, high - c, K, sums, target)


@jit()
def conv_backward_weight(x: Array, dy: Array, table: Array, first: int, last: int, dw: Array) -> None:
    """dw[i, g, t Cg + c, k] = the sum over p in part i and n of x[table[p, t], n, g Cg + c] dy[p, n, g Kg + k].

    That for the rows [first, last) of all groups of all parts; x (S, N, C), dy (P, N, K), dw (parts, G, T Cg, Kg).
    """
    (parts, G, D, _), P = dw.shape, len(dy)
    for i in range(first // (G * D), (last - 1) // (G * D) + 1):
        start, end = i * P // parts, (i + 1) * P // parts
        low, high = max(first - i * G * D, 0), min(last - i * G * D, G * D)
        _add_outputs(x, dy[start:end], table[start:end], low, high, dw[i])


@jit()
def _add_outputs(x: Array, dy: Array, table: Array, first: int, last: int, dw: Array) -> None:
    """Set the rows [first, last) of all groups of dw (G, T Cg, Kg) to what these outputs give."""
    (_, D, K), (P, N, _), C = dw.shape, dy.shape, x.shape[2] // len(dw)
    outputs, images = dy.reshape(1, P * N, dy.shape[2]), min(N, LONG)
    memory, pixels = scratch(GATHERED, x.dtype).reshape(1, -1, LONG), LONG // images
    only = room(np.int64)[:1].reshape(1, 1)
    only[:] = 0
    for g in range(first // D, (last - 1) // D + 1):
        low, high = max(first - g * D, 0), min(last - g * D, D)
        dw[g, low:high] = 0
        if C < ROWS:
            for start in range(0, P * N, LONG):
                given = outputs[:, start : start + LONG, g * K : g * K + K]
                for d in range(low, high, memory.shape[1]):
                    places = min(memory.shape[1], high - d)
                    block = memory[:, :places, : given.shape[1]]
                    _gather_places(x, g * C, C, table, start, d, block[0])
                    _add_products(block, given, only, 0, places, dw[g, d:])
            continue
        seen, cotangent = x[:, :, g * C : g * C + C], dy[:, :, g * K : g * K + K]
        for n in range(0, N, images):
            part, given = seen[:, n : n + images].transpose(0, 2, 1), cotangent[:, n : n + images]
            for p in range(0, P, pixels):
                _add_products(part, given[p : p + pixels], table[p : p + pixels], low, high, dw[g])


@jit()
def _add_products(x: Array, dy: Array, table: Array, first: int, last: int, dw: Array) -> None:
    """Add to rows [first, last) of dw (T C, K) what outputs (P, N, K) give, x (S, C, N); all of any strides."""
    K, lanes = dy.shape[2], VECTOR_BYTES // x.itemsize
    for k in range(0, K, VECTORS * lanes):
        end = min(k + VECTORS * lanes, K)
        if end - k > lanes:
            _weight_gradient(VECTORS, x, dy[:, :, k:end], table, first, last, dw[:, k:end])
        else:
            _weight_gradient(1, x, dy[:, :, k:end], table, first, last, dw[:, k:end])


@jit()
def conv_weight_gradient(dw: Array, first: int, last: int, target: Array) -> None:
    """target[g Kg + k, c, t] = the sum over parts i of dw[i, g, t Cg + c, k]: the gradient in the form of the weights.

    That for the channels [first, last), which are the Cg of all groups; dw (parts, G, T Cg, Kg), target (G Kg, Cg, T).
    """
    K, (_, C, T), rows = dw.shape[3], target.shape, target.reshape(len(target), -1)
    for start in range(first, last, TOGETHER):
        for k in range(0, K, OUTPUTS):
            width = min(OUTPUTS, K - k)
            for channel in range(start, min(start + TOGETHER, last)):
                g, c = divmod(channel, C)
                for i in range(len(dw)):
                    taps = dw[i, g].reshape(T, C, K)[:, c, k:]
                    transpose_into(taps, T, width, i > 0, at(rows, g * K + k, c * T))
