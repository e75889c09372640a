"""Images of another size: larger by interpolation or by channels, or with zeros around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from minigrad.nn.errors import LayerError
from minigrad.nn.image import Size
from minigrad.nn.module import Module
from minigrad.nn.parameter import Array
from minigrad.nn.pool import WeightedWindows
from minigrad.nn.windows import Lengths, join, padded_table


class ZeroPad2d(WeightedWindows):
    r"""Put zeros around the image, or, where a number is negative, take pixels away.

    Arguments:
        padding: pixels on each side, one number or (left, right, top, bottom).

    Shape:
        x: (N, C, H, W) or (C, H, W), y: (N, C, H + top + bottom, W + left + right).

    Backward: dx is what of dy stands in the image's place; 0 where pixels were taken away.

    Saved: the shape of x.

    >>> ZeroPad2d((1, 0, 0, 1))(np.ones((1, 1, 2))).tolist()
    [[[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]
    """

    padding: tuple[int, int, int, int]
    value: float

    rank = 2

    def __init__(self, padding: Size) -> None:
        super().__init__()
        sides = tuple(padding) if isinstance(padding, Sequence) else (padding,) * 4
        if len(sides) != 4 or not all(isinstance(side, (int, np.integer)) for side in sides):
            raise ValueError(f"ZeroPad2d: want padding to be an integer or (left, right, top, bottom), got {padding!r}")
        self.padding, self.value = sides, 0.0

    def plan(self, lengths: Lengths) -> tuple[Lengths, Array, Array]:
        """Return what `WeightedWindows` wants: windows of one tap, of weight 1."""
        left, right, top, bottom = self.padding
        outputs = (lengths[0] + top + bottom, lengths[1] + left + right)
        self._check_outputs(lengths, outputs)
        table = padded_table(lengths, (top, left), (bottom, right), "zeros")
        return outputs, table, np.ones(table.shape)

    def extra_repr(self) -> str:
        """Return the padding."""
        return f"padding={self.padding}"


class Upsample(WeightedWindows):
    r"""An image of another size: output o sees the input at s = o L/O (nearest), or around it (linear).

    nearest: y(o) = x(⌊s⌋). linear and bilinear, along each axis: y(o) = (1 - λ) x(i) + λ x(i + 1) with i = ⌊s⌋ and
    λ = s - i, where s = max((o + ½) L/O - ½, 0), or s = o (L - 1)/(O - 1) with align_corners. With scale_factor,
    1/scale_factor stands for L/O, unless O is L.

    Arguments:
        size: of the output, one number or one for each axis. Either this or
        scale_factor: O/L, one number or one for each axis.
        mode: "nearest", "linear" (one axis) or "bilinear" (two).
        align_corners: whether the corners of input and output have the same values, for linear modes.
        recompute_scale_factor: whether L/O is taken of the rounded size O rather than of scale_factor.

    Shape:
        x: (N, C, L) or (N, C, H, W), y: (N, C, OL) or (N, C, OH, OW) with OL = ⌊L scale_factor⌋.

    Backward: y(o) = Σ_t a_ot x(r_ot) with constant a, so dx(r) = Σ a_ot dy(o) over all o and t with r_ot = r.

    Saved: the shape of x.

    >>> Upsample(scale_factor=2)(np.array([[[1.0, 2.0]]])).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """

    size: Size | None
    scale_factor: float | Sequence[float] | None
    mode: str
    align_corners: bool | None
    recompute_scale_factor: bool | None

    ranks: ClassVar[dict[str, tuple[int, ...]]] = {"nearest": (1, 2), "linear": (1,), "bilinear": (2,)}

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        if mode not in self.ranks:
            raise ValueError(f"Upsample: want mode in {tuple(self.ranks)}, got {mode!r}")
        if (size is None) == (scale_factor is None):
            raise ValueError(f"Upsample: want either size or scale_factor, got {size} and {scale_factor}")
        numbers = np.asarray(scale_factor if size is None else size)
        if size is not None and not (numbers.dtype.kind in "iu" and np.all(numbers > 0)):
            raise ValueError(f"Upsample: want size in positive integers, got {size!r}")
        if size is None and not (numbers.dtype.kind in "iuf" and np.all((numbers > 0) & np.isfinite(numbers))):
            raise ValueError(f"Upsample: want scale_factor in positive numbers, got {scale_factor!r}")
        if align_corners is not None and mode == "nearest":
            raise ValueError("Upsample: align_corners has a meaning for linear and bilinear only")
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def rank_of(self, shape: tuple[int, ...]) -> int:
        """Return how many axes of pixels images of this shape have."""
        return len(shape) - 2

    def _image(self, x: Array, channels: int | None = None) -> Array:
        forms = {1: "(N, C, L)", 2: "(N, C, H, W)"}
        ranks = self.ranks[self.mode]
        return self._input(x, " or ".join(forms[rank] for rank in ranks), x.ndim - 2 in ranks)

    def plan(self, lengths: Lengths) -> tuple[Lengths, Array, Array]:
        """Return what `WeightedWindows` wants: the pixels around s, and their shares."""
        rank = len(lengths)
        wanted: Any = self.scale_factor if self.size is None else self.size
        values = (wanted,) * rank if isinstance(wanted, (int, float)) else tuple(wanted)
        if len(values) != rank:
            raise LayerError(self, f"want a size or scale_factor for {rank} axes, got {len(values)} numbers")
        if self.size is None:
            outputs = tuple(int(np.floor(np.float32(n * f))) for n, f in zip(lengths, values, strict=True))
        else:
            outputs = tuple(map(int, values))
        self._check_outputs(lengths, outputs)
        steps = [n / o for n, o in zip(lengths, outputs, strict=True)]
        if self.size is None and not self.recompute_scale_factor:
            steps = [1.0 if o == n else 1 / f for n, o, f in zip(lengths, outputs, values, strict=True)]
        axes = [self._axis(*form) for form in zip(lengths, outputs, steps, strict=True)]
        shares = axes[0][1]
        for _, more in axes[1:]:
            shares = np.kron(shares, more)
        return outputs, join(lengths, [seen for seen, _ in axes]), shares

    def _axis(self, length: int, count: int, step: float) -> tuple[Array, Array]:
        """Return the pixels that each output sees along one axis, and their shares: (outputs, taps)."""
        output = np.arange(count)
        if self.mode == "nearest":
            seen = np.floor(output.astype(np.float32) * np.float32(step)).astype(np.int64)  # as PyTorch rounds
            return np.minimum(seen, length - 1)[:, None], np.ones((count, 1))
        if self.align_corners:
            place = output * ((length - 1) / (count - 1) if count > 1 else 0.0)
        else:
            place = np.maximum((output + 0.5) * step - 0.5, 0)
        before = np.minimum(place.astype(np.int64), length - 1)
        share = np.clip(place - before, 0, 1)
        seen = np.stack([before, np.minimum(before + 1, length - 1)], axis=1)
        return seen, np.stack([1 - share, share], axis=1)

    def extra_repr(self) -> str:
        """Return the arguments."""
        wanted = f"size={self.size}" if self.size is not None else f"scale_factor={self.scale_factor}"
        return f"{wanted}, mode={self.mode!r}, align_corners={self.align_corners}"


class PixelShuffle(Module):
    r"""y_c(i r + u, j r + v) = x_{c r² + u r + v}(i, j): channels become pixels.

    Arguments:
        upscale_factor: r.

    Shape:
        x: (*, C r², H, W), y: (*, C, H r, W r).

    Backward: the elements are only moved, so dx is dy moved back.

    Saved: the shape of x.

    >>> PixelShuffle(2)(np.arange(4.0).reshape(4, 1, 1)).tolist()
    [[[0.0, 1.0], [2.0, 3.0]]]
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        if upscale_factor < 1:
            raise ValueError(f"PixelShuffle: want a positive upscale_factor, got {upscale_factor}")
        self.upscale_factor = upscale_factor

    def moved(self, x: Array) -> Array:
        """Return the elements of x in their places, contiguous."""
        *before, C, H, W = x.shape
        r = self.upscale_factor
        parts = x.reshape(-1, C // r**2, r, r, H, W).transpose(0, 1, 4, 2, 5, 3)
        return np.array(parts, order="C").reshape(*before, C // r**2, H * r, W * r)

    def _forward(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        r = self.upscale_factor
        x = self._input(x, f"(*, C {r}², H, W)", x.ndim >= 3 and x.shape[-3] % r**2 == 0)
        return self.moved(x), x.shape

    def _backward(self, saved: tuple[int, ...], dy: Array) -> Array:
        *_, C, H, W = saved
        r = self.upscale_factor
        parts = dy.reshape(-1, C // r**2, H, r, W, r).transpose(0, 1, 3, 5, 2, 4)
        return np.array(parts, order="C").reshape(saved)

    def extra_repr(self) -> str:
        """Return the factor."""
        return f"upscale_factor={self.upscale_factor}"
