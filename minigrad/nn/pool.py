"""Pooling: the largest value or the mean of each window, channel by channel."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.nn.image import ImageLayer, Size, from_pixels, to_pixels, weighted_sums
from minigrad.nn.parameter import Array
from minigrad.nn.windows import Lengths, Windows, adaptive_table, inverse_of, table_of, turned


class _Pool(ImageLayer):
    """Windows with padding, and with `ceil_mode` also those that begin inside and end outside."""

    kernel_size: Lengths
    stride: Lengths
    padding: Lengths
    dilation: Lengths

    def _set(self, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil_mode: bool) -> None:
        self.kernel_size = self._each("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else self._each("stride", stride, 1)
        self.padding, self.dilation = self._each("padding", padding), self._each("dilation", dilation, 1)
        self.ceil_mode = ceil_mode
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(
                f"{type(self).__name__}: want padding of at most half the kernel, got {self.padding} "
                f"for {self.kernel_size}"
            )

    def windows(self, lengths: Lengths) -> Windows:
        """Return the windows on an image of these lengths."""
        outputs = []
        for n, k, s, p, d in zip(lengths, self.kernel_size, self.stride, self.padding, self.dilation, strict=True):
            room = n + 2 * p - d * (k - 1) - 1
            count = (-(-room // s) if self.ceil_mode else room // s) + 1
            outputs.append(count - (self.ceil_mode and (count - 1) * s >= n + p))
        self._check_outputs(lengths, tuple(outputs))
        start = tuple(-p for p in self.padding)
        return Windows(lengths, tuple(outputs), self.kernel_size, self.stride, start, self.dilation)


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        if return_indices:
            raise ValueError(f"{type(self).__name__}: a layer gives one array, so return_indices must be False")
        self.return_indices = return_indices
        self._set(kernel_size, stride, padding, dilation, ceil_mode)

    @property
    def index_dtype(self) -> Any:
        """What the number of a tap fits into."""
        return np.uint8 if math.prod(self.kernel_size) < 256 else np.int64

    def _forward(self, x: Array) -> tuple[Array, Any]:
        x = self._image(x)
        windows = self.windows(x.shape[-self.rank :])
        pixels, table = to_pixels(x, self.rank), table_of(windows)
        y = np.empty((len(table), *pixels.shape[1:]), x.dtype)
        index = np.empty(y.shape, self.index_dtype)
        kernels.max_pool_forward(pixels, table, index, y)
        return from_pixels(y, windows.outputs, x.shape), (index, x.shape)

    def _backward(self, saved: Any, dy: Array) -> Array:
        index, shape = saved
        cotangent, lengths = to_pixels(dy, self.rank), shape[-self.rank :]
        dx = np.empty((math.prod(lengths), *cotangent.shape[1:]), dy.dtype)
        kernels.max_pool_backward(cotangent, index, inverse_of(self.windows(lengths)), dx)
        return from_pixels(dx, lengths, shape)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool2d(_MaxPool):
    r"""y_c(q) = the largest x_c(r) of all pixels r that window q sees. NaN wins.

    Arguments:
        kernel_size: taps of the window, one number or (KH, KW).
        stride: pixels from one window to the next; by default the kernel's size.
        padding: pixels on each side, which are smaller than any number; at most half the kernel.
        dilation: pixels from one tap to the next.
        return_indices: False, the only choice: in PyTorch's place.
        ceil_mode: whether a last window that ends outside counts: OH is rounded up.

    Shape:
        x: (N, C, H, W) or (C, H, W), y: (N, C, OH, OW) with OH = ⌊(H + 2p - d (KH - 1) - 1) / s⌋ + 1.

    Backward: y_c(q) is one of the x_c(r): the first of the largest. That one gets dy_c(q), so
        dx_c(r) = Σ dy_c(q) over the windows q whose largest it is.

    Saved: the tap of the largest, one byte for each output (eight for windows of more than 255 taps).

    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    rank = 2


class MaxPool1d(_MaxPool):
    r"""y_c(q) = the largest x_c(r) of all r that window q sees: MaxPool2d with one axis, and its arguments.

    Shape:
        x: (N, C, L) or (C, L), y: (N, C, OL).

    Backward: the first of the largest gets dy_c(q): dx_c(r) = Σ dy_c(q) over the windows q whose largest it is.

    Saved: the tap of the largest.

    >>> MaxPool1d(2)(np.arange(4.0).reshape(1, 1, 4)).tolist()
    [[[1.0, 3.0]]]
    """

    rank = 1


class WeightedWindows(ImageLayer):
    """y(q) = Σ_t a_qt x(r), r being what q sees through tap t: constant weights a, the same for all channels.

    A class says which: `plan(lengths)` returns the output's lengths, the table, and the weights, of its shape.
    """

    @abstractmethod
    def plan(self, lengths: Lengths) -> tuple[Lengths, Array, Array]:
        """Return the output's lengths, what each output sees, and the weight of each tap."""

    def rank_of(self, shape: tuple[int, ...]) -> int:
        """Return how many axes of pixels images of this shape have."""
        return self.rank

    def _forward(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        x = self._image(x)
        rank = self.rank_of(x.shape)
        lengths, table, weight = self.plan(x.shape[-rank:])
        return from_pixels(weighted_sums(to_pixels(x, rank), table, weight), lengths, x.shape), x.shape

    def _backward(self, saved: tuple[int, ...], dy: Array) -> Array:
        rank = self.rank_of(saved)
        lengths = saved[-rank:]
        _, table, weight = self.plan(lengths)
        dx = weighted_sums(to_pixels(dy, rank), *turned(table, weight, math.prod(lengths)))
        return from_pixels(dx, lengths, saved)


class _AvgPool(_Pool, WeightedWindows):
    divisor_override: int | None = None

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self._set(kernel_size, stride, padding, 1, ceil_mode)
        self.count_include_pad = count_include_pad

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"ceil_mode={self.ceil_mode}, count_include_pad={self.count_include_pad}"
        )

    def plan(self, lengths: Lengths) -> tuple[Lengths, Array, Array]:
        """Return what `WeightedWindows` wants: each pixel's weight is 1 / the window's divisor."""
        windows = self.windows(lengths)
        table = table_of(windows)
        if self.divisor_override is not None:
            count = np.full(len(table), self.divisor_override)
        elif self.count_include_pad:
            # A window that ends behind the padding counts what lies before that.
            axes = zip(*windows[:5], self.padding, strict=True)
            sizes = [
                np.minimum(np.arange(o) * s + start + k, n + p) - (np.arange(o) * s + start)
                for n, o, k, s, start, p in axes
            ]
            count = sizes[0] if self.rank == 1 else np.outer(*sizes).reshape(-1)
        else:
            count = (table >= 0).sum(axis=1)
        return windows.outputs, table, np.repeat(1 / count[:, None], table.shape[1], axis=1)


class AvgPool2d(_AvgPool):
    r"""y_c(q) = Σ_r x_c(r) / D_q over the pixels r that window q sees.

    Arguments:
        kernel_size: taps of the window, one number or (KH, KW).
        stride: pixels from one window to the next; by default the kernel's size.
        padding: pixels of value 0 on each side; at most half the kernel.
        ceil_mode: whether a last window that ends outside counts: OH is rounded up.
        count_include_pad: whether D_q counts the padding, or only pixels of the image.
        divisor_override: if given, D_q for all windows.

    Shape:
        x: (N, C, H, W) or (C, H, W), y: (N, C, OH, OW) with OH = ⌊(H + 2p - KH) / s⌋ + 1.

    Backward: dx_c(r) = Σ dy_c(q) / D_q over the windows q that see r.

    Saved: the shape of x.

    >>> AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    rank = 2

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        if divisor_override is not None and divisor_override < 1:
            raise ValueError(f"AvgPool2d: want a positive divisor_override, got {divisor_override}")
        self.divisor_override = divisor_override

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{super().extra_repr()}, divisor_override={self.divisor_override}"


class AvgPool1d(_AvgPool):
    r"""y_c(q) = Σ_r x_c(r) / D_q over the r that window q sees: AvgPool2d with one axis, without divisor_override.

    Arguments:
        kernel_size: taps of the window.
        stride: from one window to the next; by default the kernel's size.
        padding: zeros on each side; at most half the kernel.
        ceil_mode: whether a last window that ends outside counts.
        count_include_pad: whether D_q counts the padding.

    Shape:
        x: (N, C, L) or (C, L), y: (N, C, OL).

    Backward: dx_c(r) = Σ dy_c(q) / D_q over the windows q that see r.

    Saved: the shape of x.

    >>> AvgPool1d(2)(np.arange(4.0).reshape(1, 1, 4)).tolist()
    [[[0.5, 2.5]]]
    """

    rank = 1


class _AdaptiveAvgPool(WeightedWindows):
    output_size: tuple[int | None, ...]

    def __init__(self, output_size: int | Sequence[int | None] | None) -> None:
        super().__init__()
        sizes = (output_size,) * self.rank if output_size is None or isinstance(output_size, int) else output_size
        if len(sizes) != self.rank or any(size is not None and size < 1 for size in sizes):
            raise ValueError(
                f"{type(self).__name__}: want output_size to be {self.rank} positive numbers or None, "
                f"got {output_size!r}"
            )
        self.output_size = tuple(sizes)

    def plan(self, lengths: Lengths) -> tuple[Lengths, Array, Array]:
        """Return what `WeightedWindows` wants: each pixel's weight is 1 / the size of the window."""
        outputs = tuple(n if size is None else size for n, size in zip(lengths, self.output_size, strict=True))
        table = adaptive_table(lengths, outputs)
        weight = 1 / (table >= 0).sum(axis=1, keepdims=True)
        return outputs, table, np.repeat(weight, table.shape[1], axis=1)

    def extra_repr(self) -> str:
        """Return the output's size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    r"""y_c(o) = the mean of x_c over the pixels from ⌊o L/O⌋ to ⌈(o + 1) L/O⌉ - 1 along each axis, of L pixels.

    Arguments:
        output_size: O, one number or (OH, OW); None for as many as the input has.

    Shape:
        x: (N, C, H, W) or (C, H, W), y: (N, C, OH, OW).

    Backward: dx_c(r) = Σ dy_c(o) / (pixels of o) over the windows o that see r.

    Saved: the shape of x.

    >>> AdaptiveAvgPool2d(1)(np.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[7.5]]]]
    """

    rank = 2


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    r"""y_c(o) = the mean of x_c from ⌊o L/O⌋ to ⌈(o + 1) L/O⌉ - 1: AdaptiveAvgPool2d with one axis.

    Arguments:
        output_size: O.

    Shape:
        x: (N, C, L) or (C, L), y: (N, C, O).

    Backward: dx_c(r) = Σ dy_c(o) / (pixels of o) over the windows o that see r.

    Saved: the shape of x.

    >>> AdaptiveAvgPool1d(2)(np.arange(4.0).reshape(1, 1, 4)).tolist()
    [[[0.5, 2.5]]]
    """

    rank = 1
