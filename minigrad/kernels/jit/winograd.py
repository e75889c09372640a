"""Convolution of 3 x 3 with stride 1, 16 outputs at a time in 36 products in place of 144 (Lavin and Gray, 2016).

A patch of 4 x 4 outputs is Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A, d being the 6 x 6 pixels that it sees; summed over channels,
each of the 36 places of ⊙ is a matrix product. What is transformed of some patches stays in the cache until it is used.
Images lie pixel by pixel, (S, N, C), channels being whole vectors. `patches` (Q, 36) holds the pixels that each patch
sees, `places` (Q, 16) those that it is, -1 for what lies outside.
"""

from typing import Any

import numpy.typing as npt

from minigrad.kernels.jit._jit import jit
from minigrad.kernels.jit._patch import collect, collect_weight, spread_gradient, spread_input, spread_weight
from minigrad.kernels.jit._product import transpose_into
from minigrad.kernels.jit._tile import ROWS, VECTOR_BYTES, at, scratch, tile

Array = npt.NDArray[Any]

PLACES = 36
WIDE = 2  # vectors of a tile: most numbers of channels are multiples of two of them, few of three
MOST = 32  # rows, each an image's patch, at a time
MOST_DEEP = 64  # and where they are what is summed over
TOGETHER, TAPS = 8, 72  # channels whose taps are transposed at a time
ROOM = 4644  # rows of memory, as wide as a tile, for what is transformed of them: more than half of the second cache
SUMS = 1188  # and for the products: PLACES of MOST + 1, since planes that lie whole pages apart displace each other
FEW = 128  # rows, for which weights are transformed where they are used: ROOM is PLACES of FEW + 1,
DEPTH = 64  # input channels at a time,
WEIGHTS = 2340  # with PLACES of DEPTH + 1 rows of memory


@jit(inline="always")
def _rows(channels: int, room: int, most: int) -> Any:
    """Return how many rows of so many channels there is room for in so many numbers, at most so many."""
    return min(most, room // (PLACES * channels) // ROWS * ROWS)


@jit()
def winograd_weights(w: Array, turned: bool, first: int, last: int, u: Array) -> None:
    """u = G w Gᵀ for the input channels [first, last); w (K, C, 9), u (K / W, 36, C, W), W wide as a tile or a vector.

    With `turned` for the way back: w is (C, K, 9) of a kernel to be turned around.
    """
    W = u.shape[3]
    for panel in range(len(u)):
        _spread_weights(w, turned, panel * W, first, last, u[panel, :, first:last])


@jit(inline="always")
def _spread_weights(w: Array, turned: bool, output: int, first: int, last: int, u: Array) -> None:
    """Set u (36, last - first, W): the weights from the input channels [first, last) to W outputs, transformed."""
    W, rows, taps = u.shape[2], w.reshape(len(w), -1), scratch(TAPS, w.dtype)
    for c in range(first, last, TOGETHER):
        count = min(TOGETHER, last - c)
        if turned:
            for i in range(count):
                transpose_into(w[c + i, output : output + W], W, 9, False, at(taps, 9 * i, 0))
        else:
            transpose_into(at(rows, output, 9 * c), W, 9 * count, False, taps)
        for i in range(count):
            kernel = taps[9 * i : 9 * i + 9, :W]
            spread_weight(kernel[::-1] if turned else kernel, u[:, c - first + i])


@jit()
def winograd_weight_gradient(du: Array, first: int, last: int, dw: Array) -> None:
    """Dw = Gᵀ (sum of du) G for the input channels [first, last); du (parts, 36, C, K), dw (K, C, 9)."""
    K, rows, taps = len(dw), dw.reshape(len(dw), -1), scratch(TAPS, dw.dtype)
    for c in range(first, last, TOGETHER):
        count = min(TOGETHER, last - c)
        for k in range(0, K, taps.shape[1]):
            width = min(taps.shape[1], K - k)
            for part in range(len(du)):
                for i in range(count):
                    collect_weight(du[part, :, c + i, k : k + width], taps[9 * i : 9 * i + 9, :width])
                transpose_into(taps, 9 * count, width, part > 0, at(rows, k, 9 * c))


@jit()
def winograd_forward(
    x: Array, u: Array, b: Array, patches: Array, places: Array, add: bool, first: int, last: int, y: Array
) -> None:
    """y = b + the convolution of x (S, N, C) with the weights whose transform is u; b (K,), y (P, N, K).

    With `add`, y += that.
    That for the pieces [first, last): a piece is a panel of u for a patch, all panels of the first patch coming first.
    """
    (_, N, C), (panels, _, _, W) = x.shape, u.shape
    pixels, transformed = x.reshape(-1, N * C), scratch(ROOM, x.dtype).reshape(-1)
    sums = scratch(SUMS, x.dtype).reshape(-1)[: SUMS * W].reshape(PLACES, MOST + 1, W)
    most, lanes = _rows(C, transformed.size, MOST), VECTOR_BYTES // x.itemsize
    images = min(N, most)
    v = transformed[: PLACES * (most * C + lanes)].reshape(PLACES, -1)
    piece = first
    while piece < last:
        q, low = divmod(piece, panels)
        whole = (last - piece) // panels if low == 0 else 0
        high = panels if whole else min(panels, low + last - piece)
        count = max(1, min(whole, most // images))
        piece += count * panels if whole else high - low
        for n in range(0, N, images):
            length = min(images, N - n)
            for i in range(count):
                spread_input(pixels, patches[q + i], n * C, v[:, i * length * C : (i + 1) * length * C])
            for panel in range(low, high):
                for place in range(PLACES):
                    left, right = v[place, : most * C].reshape(most, C), u[panel, place]
                    for row in range(0, count * length, ROWS):
                        if lanes < W:
                            tile(WIDE, at(left, row, 0), right, C, False, at(sums[place], row, 0))
                        else:
                            tile(1, at(left, row, 0), right, C, False, at(sums[place], row, 0))
                bias = b[panel * W : (panel + 1) * W]
                for i in range(count):
                    collect(at(sums, i * length, 0), bias, places[q + i], length, add, at(y, n, panel * W))


@jit()
def winograd_input(x: Array, patches: Array, first: int, last: int, v: Array) -> None:
    """V = Bᵀ d B of the rows [first, last): row q N + n is patch q of image n; x (S, N, C), v (36, rows C or more)."""
    _, N, C = x.shape
    pixels, row = x.reshape(-1, N * C), first
    while row < last:
        q, n = divmod(row, N)
        count = min(N - n, last - row)
        spread_input(pixels, patches[q], n * C, v[:, row * C : (row + count) * C])
        row += count


@jit()
def winograd_of_few(
    v: Array, w: Array, turned: bool, b: Array, places: Array, add: bool, first: int, last: int, y: Array
) -> None:
    """As `winograd_forward`, of FEW rows at most, already transformed: v (36, rows C or more); w as it is.

    That for the output channels [first, last), which are whole tiles.
    """
    (_, N, _), rows, C = y.shape, len(places) * y.shape[1], w.shape[0] if turned else w.shape[1]
    W = WIDE * VECTOR_BYTES // y.itemsize
    sums = scratch(ROOM, y.dtype).reshape(-1)[: ROOM * W].reshape(PLACES, FEW + 1, W)
    u = scratch(WEIGHTS, y.dtype).reshape(-1)[: WEIGHTS * W].reshape(PLACES, DEPTH + 1, W)
    for k in range(first, last, W):
        for c in range(0, C, DEPTH):
            depth = min(DEPTH, C - c)
            _spread_weights(w, turned, k, c, c + depth, u)
            for place in range(PLACES):
                left = v[place, : rows * C].reshape(rows, C)
                for row in range(0, rows, ROWS):
                    tile(WIDE, at(left, row, c), u[place], depth, c > 0, at(sums[place], row, 0))
        for q in range(len(places)):
            collect(at(sums, q * N, 0), b[k : k + W], places[q], N, add, at(y, 0, k))


@jit()
def winograd_backward_weight(
    x: Array, dy: Array, patches: Array, places: Array, first: int, last: int, du: Array
) -> None:
    """Du, the gradient of the transformed weights: the sum over patches and images of (Bᵀ d B) times A dy Aᵀ, by place.

    dy (P, N, K), du (parts, 36, C, K): each part is the sum over its share of the patches. That for the rows
    [first, last) of all, a row being an input channel of a part.
    """
    (Q, C), parts = (len(patches), x.shape[2]), len(du)
    for part in range(first // C, (last - 1) // C + 1):
        low, high = max(first - part * C, 0), min(last - part * C, C)
        share = slice(part * Q // parts, (part + 1) * Q // parts)
        _add_patches(x, dy, patches[share], places[share], low, high, du[part])


@jit(inline="always")
def _add_patches(x: Array, dy: Array, patches: Array, places: Array, first: int, last: int, du: Array) -> None:
    """Set du[:, first:last] to what these patches give."""
    (_, N, C), K, width = x.shape, dy.shape[2], last - first
    pixels, outputs = x.reshape(-1, N * C), dy.reshape(-1, N * K)
    inputs, given = scratch(ROOM, x.dtype).reshape(-1), scratch(ROOM, x.dtype).reshape(-1)
    most, lanes = _rows(max(C, K), inputs.size, MOST_DEEP), VECTOR_BYTES // x.itemsize
    images = min(N, most)
    for q in range(0, len(patches), most // images):
        seen, behind = patches[q : q + most // images], places[q : q + most // images]
        for n in range(0, N, images):
            count = min(images, N - n)
            rows, together = len(seen) * count, count if width == C else 1
            v = inputs[: PLACES * (rows * width + lanes)].reshape(PLACES, -1)
            g = given[: PLACES * (rows * K + lanes)].reshape(PLACES, -1)
            for i in range(len(seen)):
                spread_gradient(outputs, behind[i], n * K, g[:, i * count * K : (i + 1) * count * K])
                for m in range(0, count, together):
                    row = i * count + m
                    target = v[:, row * width : (row + together) * width]
                    spread_input(pixels, seen[i], (n + m) * C + first, target)
            for place in range(PLACES):
                left = v[place, : rows * width].reshape(rows, width).T
                right, sums = g[place, : rows * K].reshape(rows, K), du[place, first:last]
                if K % (WIDE * lanes) == 0:
                    _add_products(WIDE, left, right, q + n > 0, sums)
                else:
                    _add_products(1, left, right, q + n > 0, sums)


@jit(inline="always")
def _add_products(vectors: int, left: Array, right: Array, add: bool, sums: Array) -> None:
    """Set or add to sums (C, K): left (C, M) @ right (M, K), both of whole tiles `vectors` (a literal) wide."""
    width = vectors * VECTOR_BYTES // sums.itemsize
    for k in range(0, sums.shape[1], width):
        for c in range(0, len(sums), ROWS):
            tile(vectors, at(left, c, 0), at(right, 0, k), len(right), add, at(sums, c, k))
