"""Convolution of 3 x 3 with stride 1, 16 outputs at a time in 36 products in place of 144 (Lavin and Gray, 2016).

A patch of 4 x 4 outputs is Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A, d being the 6 x 6 pixels that it sees; summed over channels,
each of the 36 places of ⊙ is a matrix product. Images lie pixel by pixel: (S, N, C). `patches` (Q, 36) holds the pixels
that each patch sees, `places` (Q, 16) those that it is, -1 for what lies outside.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.kernels.reference._seen import seen

Array = npt.NDArray[Any]

POINTS = 0.5**0.5 * np.array([1, -1, 2, -2])  # and 0 and ∞: where polynomials are interpolated


def _matrices() -> tuple[Array, Array, Array]:
    """Return Bᵀ (6, 6), G (6, 3) and Aᵀ (4, 6): the product of two polynomials by its values (Toom and Cook)."""
    finite = [0.0, *POINTS]
    zeros = [np.poly([other for other in finite if other != point])[::-1] for point in finite]
    inputs = np.array([*(np.append(each, 0) for each in zeros), np.poly(finite)[::-1]])
    scale = [1 / np.prod([point - other for other in finite if other != point]) for point in finite]
    weights = np.array([*(s * point ** np.arange(3) for s, point in zip(scale, finite, strict=True)), [0, 0, 1]])
    outputs = np.stack([*(point ** np.arange(4) for point in finite), [0, 0, 0, 1]], axis=1)
    return inputs, weights, outputs


INPUT, WEIGHT, OUTPUT = _matrices()


def _around(matrix: Array, d: Array) -> Array:
    """Return matrix @ d @ matrix.T over the first axis of d, the rows of a square one after the other."""
    n, factors = matrix.shape[1], matrix.astype(d.dtype)
    square: Array = np.einsum("ai,ij...,bj->ab...", factors, d.reshape(n, n, *d.shape[1:]), factors)
    return square.reshape(-1, *d.shape[1:])


def winograd_weights(w: Array, turned: bool, first: int, last: int, u: Array) -> None:
    """u = G w Gᵀ for the input channels [first, last); w (K, C, 9), u (K / W, 36, C, W), W wide as a tile or a vector.

    With `turned` for the way back: w is (C, K, 9) of a kernel to be turned around.
    """
    taps = w.transpose(2, 0, 1)[::-1] if turned else w.transpose(2, 1, 0)
    panels = taps.reshape(9, u.shape[2], len(u), -1).transpose(2, 0, 1, 3)
    for panel, target in zip(panels, u, strict=True):
        target[:, first:last] = _around(WEIGHT, panel[:, first:last])


def winograd_weight_gradient(du: Array, first: int, last: int, dw: Array) -> None:
    """Dw = Gᵀ (sum of du) G for the input channels [first, last); du (parts, 36, C, K), dw (K, C, 9)."""
    dw[:, first:last] = _around(WEIGHT.T, du.sum(0)[:, first:last]).transpose(2, 1, 0)


def winograd_forward(
    x: Array, u: Array, b: Array, patches: Array, places: Array, add: bool, first: int, last: int, y: Array
) -> None:
    """y = b + the convolution of x (S, N, C) with the weights whose transform is u; b (K,), y (P, N, K).

    With `add`, y += that.
    That for the pieces [first, last): a piece is a panel of u for a patch, all panels of the first patch coming first.
    """
    d = _around(INPUT, seen(x, patches).swapaxes(0, 1))
    values = _around(OUTPUT, np.einsum("aqnc,pacw->aqpnw", d, u))
    by_panel = y.reshape(*y.shape[:2], len(u), -1)
    for piece in range(first, last):
        q, panel = divmod(piece, len(u))
        inside = places[q] >= 0
        bias = b.reshape(len(u), -1)[panel]
        before = by_panel[places[q][inside], :, panel] if add else 0
        by_panel[places[q][inside], :, panel] = before + (values[inside, q, panel] + bias)


def winograd_input(x: Array, patches: Array, first: int, last: int, v: Array) -> None:
    """V = Bᵀ d B of the rows [first, last): row q N + n is patch q of image n; x (S, N, C), v (36, rows C or more)."""
    N, C = x.shape[1:]
    d = _around(INPUT, seen(x, patches).swapaxes(0, 1))
    v[:, first * C : last * C] = d.reshape(36, len(patches) * N, C)[:, first:last].reshape(36, -1)


def winograd_of_few(
    v: Array, w: Array, turned: bool, b: Array, places: Array, add: bool, first: int, last: int, y: Array
) -> None:
    """As `winograd_forward`, of few rows, already transformed: v (36, rows C or more); w as it is.

    That for the output channels [first, last).
    """
    (_, N, K), C = y.shape, w.shape[0] if turned else w.shape[1]
    u = np.empty((1, 36, C, K), w.dtype)
    winograd_weights(w, turned, 0, C, u)
    d = v[:, : len(places) * N * C].reshape(36, len(places), N, C)
    values = _around(OUTPUT, np.einsum("aqnc,ack->aqnk", d, u[0, :, :, first:last])) + b[first:last]
    for q, place in enumerate(places):
        inside = place >= 0
        target = y[place[inside], :, first:last]
        y[place[inside], :, first:last] = values[inside, q] + (target if add else 0)


def winograd_backward_weight(
    x: Array, dy: Array, patches: Array, places: Array, first: int, last: int, du: Array
) -> None:
    """Du, the gradient of the transformed weights: the sum over patches and images of (Bᵀ d B) times A dy Aᵀ, by place.

    dy (P, N, K), du (parts, 36, C, K): each part is the sum over its share of the patches. That for the rows
    [first, last) of all, a row being an input channel of a part.
    """
    (Q, C), parts = (len(patches), x.shape[2]), len(du)
    d = _around(INPUT, seen(x, patches).swapaxes(0, 1))
    given = _around(OUTPUT.T, seen(dy, places).swapaxes(0, 1))
    for row in range(first, last):
        part, c = divmod(row, C)
        share = slice(part * Q // parts, (part + 1) * Q // parts)
        du[part, :, c] = np.einsum("aqn,aqnk->ak", d[:, share, :, c], given[:, share])
