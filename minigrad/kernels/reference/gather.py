"""Gathering a batch: samples by number, scaled on the way, and images moved."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def gather_uint8(x: Array, index: Array, scale: float, shift: float, out: Array) -> None:
    """out_bj = x[index_b, j] * scale + shift, in float32, from bytes.

    x: (N, D) uint8. index: (B,) int64, each in 0..N-1. out: (B, D) float32.
    """
    np.multiply(x[index], np.float32(scale), out=out)
    out += np.float32(shift)


def gather_float(x: Array, index: Array, scale: float, shift: float, out: Array) -> None:
    """out_bj = x[index_b, j] * scale + shift, in the dtype of x.

    x: (N, D) float32 or float64. index: (B,) int64, each in 0..N-1. out: (B, D) of the dtype of x.
    """
    np.multiply(x[index], x.dtype.type(scale), out=out)
    out += x.dtype.type(shift)


def gather_images(x: Array, index: Array, moves: Array, scale: Array, shift: Array, out: Array) -> None:
    """Images by number: brought to another size, rotated, shifted, flipped, scaled by channel, and in part erased.

    Pixel (i, j) of the output is seen through the flip, j' = Q - 1 - j, or j, and the shift, (r, c) = (i + down,
    j' + right); outside of P x Q is 0. The rotation by θ, counter-clockwise about the centre, takes it from (r', c'):

        c' = cos θ c - sin θ r,  r' = sin θ c + cos θ r        (r, c from the centre)

    which the source has at ((r' + ½) H/P - ½, (c' + ½) W/Q - ½). Between pixels it is interpolated bilinearly; beside
    the outermost ones they go on when the size changes, and within a pixel of the output fade to 0 when it is rotated.

    x: (N, D, H, W) uint8, float32 or float64; D is C, or 1 for all channels. index: (B,) int64. moves: (B, 9) float64,
    a row is (flip, down, right, cos θ, sin θ, top, left, bottom, right); the last four bound the area that becomes 0.
    scale, shift: (C,) float64. out: (B, C, P, Q), float32 where x is of bytes.
    """
    scale, shift = (factors.astype(out.dtype)[:, None, None] for factors in (scale, shift))
    for b, move in enumerate(moves):
        top, left, bottom, right = move[5:].astype(int)
        out[b] = _moved(x[index[b]].astype(out.dtype), move, out.shape[2:]) * scale + shift
        out[b, :, top:bottom, left:right] = 0


def _moved(image: Array, move: Array, size: tuple[int, ...]) -> Array:
    """Return the images (D, H, W) moved, (D, *size)."""
    (flip, down, right, cos, sin), (P, Q), (H, W) = move[:5], size, image.shape[1:]
    r, c = np.arange(P)[:, None] + down, np.arange(Q)[None, :: -1 if flip else 1] + right
    seen = (r >= 0) & (r < P) & (c >= 0) & (c < Q)
    r, c = r - (P - 1) / 2, c - (Q - 1) / 2
    r, c = sin * c + cos * r + (P - 1) / 2, cos * c - sin * r + (Q - 1) / 2
    weight = seen * _share(r, P) * _share(c, Q)
    (top, bottom, down), (left, right, across) = _neighbours(r, P, H), _neighbours(c, Q, W)
    weight, down, across = (share.astype(image.dtype) for share in (weight, down, across))
    above = image[:, top, left] * (1 - across) + image[:, top, right] * across
    below = image[:, bottom, left] * (1 - across) + image[:, bottom, right] * across
    moved: Array = (above * (1 - down) + below * down) * weight
    return moved


def _share(place: Array, length: int) -> Array:
    """Return how much is seen at a place: all of it among the pixels, nothing a pixel outside."""
    share: Array = np.clip(np.minimum(place + 1, length - place), 0, 1)
    return share


def _neighbours(place: Array, length: int, source: int) -> tuple[Array, Array, Array]:
    """Return the pixels of the source before and behind a place of the output, and how near it is to the second."""
    there = np.clip((place + 0.5) * (source / length) - 0.5, 0, source - 1)
    before = np.floor(there).astype(int)
    return before, np.minimum(before + 1, source - 1), there - before
