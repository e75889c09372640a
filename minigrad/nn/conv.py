"""Convolution and transposed convolution: one sum over windows, read in its two directions."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from minigrad import kernels
from minigrad.nn.errors import LayerError
from minigrad.nn.image import ImageLayer, Size, from_pixels, to_pixels, weighted_sums
from minigrad.nn.parameter import Array, Parameter
from minigrad.nn.rng import generator
from minigrad.nn.windows import PAD_MODES, Lengths, Windows, inverse_of, padded_table, table_of, turned

FEW = 8  # channels of the large image, fewer of which leave threads nothing to share in the weights' gradient
PARTS = 8  # of the outputs, which are shared then


class Convolution(ImageLayer):
    """What a convolution and a transposed one share: windows over a large image, one for each pixel of a small one.

    A convolution goes from the large image to the small one, its gradient back; a transposed one the other way. So
    weight is (channels of the small image, channels of the large one / groups, *kernel) in both.
    """

    in_channels: int
    out_channels: int
    groups: int
    weight: Parameter
    bias: Parameter | Any
    transposed: ClassVar[bool]
    kernel_size: Lengths
    stride: Lengths
    dilation: Lengths

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        options: dict[str, Size],
        groups: int,
        bias: bool,
        rng: np.random.Generator | int | None,
    ) -> None:
        super().__init__()
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{type(self).__name__}: want positive numbers of channels that groups divides, "
                f"got in_channels={in_channels}, out_channels={out_channels}, groups={groups}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        for name, value in options.items():
            setattr(self, name, self._each(name, value, 0 if "padding" in name else 1))
        shape = self._weight_shape
        bound, rng = math.prod(shape[1:]) ** -0.5, generator(rng)
        self.weight = Parameter(rng.uniform(-bound, bound, shape).astype(np.float32))
        self.bias = Parameter(rng.uniform(-bound, bound, out_channels).astype(np.float32)) if bias else None

    @property
    def _weight_shape(self) -> tuple[int, ...]:
        channels = self.in_channels, self.out_channels
        small, large = channels if self.transposed else reversed(channels)
        return (small, 0 if large % self.groups else large // self.groups, *self.kernel_size)

    @abstractmethod
    def windows(self, lengths: Lengths) -> Windows:
        """Return the windows for an input of these lengths."""

    def tables(self, windows: Windows) -> tuple[Array, Array, Lengths]:
        """Return what each output sees of the input, what each input gave to the output, and the output's lengths."""
        if self.transposed:
            return inverse_of(windows), table_of(windows), windows.lengths
        return table_of(windows), inverse_of(windows), windows.outputs

    @property
    def form(self) -> tuple[int, int, int, int]:
        """Groups, taps, and the channels of the large and of the small image in a group."""
        small, large, *kernel = self.weight.shape
        return self.groups, math.prod(kernel), large, small // self.groups

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel goes by itself, and there are several: that has kernels of its own."""
        return 1 < self.groups == self.in_channels == self.out_channels

    def gradient_parts(self, outputs: int) -> int:
        """Return in how many parts of the outputs the weights' gradient is summed: several where it has few rows."""
        return min(PARTS, outputs) if self.form[2] < FEW else 1

    def by_tap(self) -> Array:
        """Return the weights of a depthwise convolution as kernels take them: (T, C), in both directions."""
        return np.ascontiguousarray(self.weight.data.reshape(self.groups, -1).T)

    def packed(self) -> tuple[Array, Array]:
        """Return the weights of the forward and of the backward as kernels take them: (G, T inputs, outputs)."""
        G, T, large, small = self.form
        by_tap = _swapped(self.weight.data.reshape(G, small * large, T))
        to_small = _swapped(by_tap.reshape(G * T, small, large)).reshape(G, T * large, small)
        to_large = by_tap.reshape(G, T * small, large)
        return (to_large, to_small) if self.transposed else (to_small, to_large)

    def _forward(self, x: Array) -> tuple[Array, Any]:
        x = self._image(x, self.in_channels)
        self._want_shape(self._weight_shape, "weight")
        self._want_shape((self.out_channels,), "bias")
        lengths = x.shape[-self.rank :]
        table, _, outputs = self.tables(self.windows(lengths))
        pixels = self._padded(to_pixels(x, self.rank), lengths)
        bias = np.empty(0, x.dtype) if self.bias is None else self.bias.data
        y = np.empty((len(table), pixels.shape[1], self.out_channels), x.dtype)
        self._convolve(pixels, 0, bias, table, y)
        return from_pixels(y, outputs, x.shape), (pixels, x.shape)

    def _convolve(self, x: Array, direction: int, bias: Array, table: Array, y: Array) -> None:
        """Set y to the sums over what its pixels see of x: forwards (direction 0) or back (1)."""
        if self.is_depthwise:
            kernels.depthwise_forward(x, self.by_tap(), bias, table, y)
        else:
            kernels.conv_forward(x, self.packed()[direction], bias, table, False, y)

    def padding_table(self, lengths: Lengths) -> Array | None:
        """Return the table of the padded image; None where zeros stand around it, which windows see by themselves."""
        return None

    def _padded(self, pixels: Array, lengths: Lengths) -> Array:
        table = self.padding_table(lengths)
        return pixels if table is None else weighted_sums(pixels, table, np.ones(table.shape))

    def _unpadded(self, dpadded: Array, lengths: Lengths) -> Array:
        table = self.padding_table(lengths)
        if table is None:
            return dpadded
        return weighted_sums(dpadded, *turned(table, np.ones(table.shape), math.prod(lengths)))

    def _backward(self, saved: Any, dy: Array) -> Array:
        pixels, shape = saved
        lengths, cotangent = shape[-self.rank :], to_pixels(dy, self.rank)
        self._add_gradients(pixels, lengths, cotangent)
        _, table, _ = self.tables(self.windows(lengths))
        dx = np.empty_like(pixels)
        self._convolve(cotangent, 1, np.empty(0, dy.dtype), table, dx)
        return from_pixels(self._unpadded(dx, lengths), lengths, shape)

    def _backward_parameters(self, saved: Any, dy: Array) -> None:
        pixels, shape = saved
        self._add_gradients(pixels, shape[-self.rank :], to_pixels(dy, self.rank))

    def _add_gradients(self, pixels: Array, lengths: Lengths, cotangent: Array) -> None:
        if self.weight.requires_grad:
            table = table_of(self.windows(lengths))
            large, small = (cotangent, pixels) if self.transposed else (pixels, cotangent)
            self.weight.grad += self._weight_gradient(large, small, table)
        if self.bias is not None and self.bias.requires_grad:
            kernels.column_sums(cotangent.reshape(-1, self.out_channels), 0, self.out_channels, True, self.bias.grad)

    def _weight_gradient(self, large: Array, small: Array, table: Array) -> Array:
        G, T, large_channels, small_channels = self.form
        if self.is_depthwise:
            by_tap = np.empty((T, G), small.dtype)
            kernels.depthwise_backward_weight(large, small, table, 0, G, by_tap)
            return by_tap.T.reshape(self.weight.shape)
        dw = np.empty((self.gradient_parts(len(table)), G, T * large_channels, small_channels), small.dtype)
        kernels.conv_backward_weight(large, small, table, 0, dw.size // small_channels, dw)
        gradient = np.empty((G * small_channels, large_channels, T), dw.dtype)
        kernels.conv_weight_gradient(dw, 0, G * large_channels, gradient)
        return gradient.reshape(self.weight.shape)

    def multiply_adds(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Return one for each weight that a pixel of the small image meets."""
        return math.prod(x_shape if self.transposed else y_shape) * math.prod(self.weight.shape[1:])


def _swapped(x: Array) -> Array:
    return np.ascontiguousarray(x.swapaxes(1, 2))


class _Conv(Convolution):
    transposed: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        options = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
        super().__init__(in_channels, out_channels, options, groups, bias, rng)
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"{type(self).__name__}: want padding 'same', 'valid' or numbers, got {padding!r}")
        if padding == "same" and max(self.stride) > 1:
            raise ValueError(f"{type(self).__name__}: padding='same' wants a stride of 1, got {stride}")
        if padding_mode not in ("zeros", *PAD_MODES):
            raise ValueError(
                f"{type(self).__name__}: want padding_mode in {('zeros', *PAD_MODES)}, got {padding_mode!r}"
            )
        self.padding = padding if isinstance(padding, str) else self._each("padding", padding)
        self.padding_mode, self.output_padding = padding_mode, (0,) * self.rank

    def margins(self, lengths: Lengths) -> tuple[Lengths, Lengths]:
        """Return the pixels that padding adds before and behind each axis of an image of these lengths."""
        if not isinstance(self.padding, str):
            return self.padding, self.padding
        whole = self._whole_padding(lengths) if self.padding == "same" else (0,) * self.rank
        return tuple(n // 2 for n in whole), tuple(n - n // 2 for n in whole)

    def _whole_padding(self, lengths: Lengths) -> Lengths:
        """Return the pixels that padding "same" adds to each axis."""
        return tuple(d * (k - 1) for k, d in zip(self.kernel_size, self.dilation, strict=True))

    def windows(self, lengths: Lengths) -> Windows:
        before, behind = self.margins(lengths)
        padded = tuple(map(sum, zip(lengths, before, behind, strict=True)))
        axes = zip(padded, self.kernel_size, self.stride, self.dilation, strict=True)
        outputs = self._check_outputs(lengths, tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in axes))
        if self.padding_mode == "zeros":
            start = tuple(-n for n in before)
            return Windows(lengths, outputs, self.kernel_size, self.stride, start, self.dilation)
        most = tuple(n - (self.padding_mode == "reflect") for n in lengths)
        if self.padding_mode != "replicate" and any(map(int.__gt__, (*before, *behind), most * 2)):
            raise LayerError(
                self, f"{self.padding_mode} padding wants at most {most} pixels, got {before} and {behind}"
            )
        return Windows(padded, outputs, self.kernel_size, self.stride, (0,) * self.rank, self.dilation)

    def padding_table(self, lengths: Lengths) -> Array | None:
        """Return the table of the padded image, None for zeros."""
        if self.padding_mode == "zeros":
            return None
        return padded_table(lengths, *self.margins(lengths), self.padding_mode)

    def extra_repr(self) -> str:
        """Return the arguments."""
        mode = "" if self.padding_mode == "zeros" else f", padding_mode={self.padding_mode!r}"
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding!r}, dilation={self.dilation}, groups={self.groups}, "
            f"bias={self.bias is not None}{mode}"
        )


class Conv2d(_Conv):
    r"""y_k(i, j) = b_k + Σ_{c, u, v} w_kc(u, v) x_c(i s + u d - p, j s + v d - p), a cross-correlation.

    Arguments:
        in_channels: C.
        out_channels: K.
        kernel_size: taps of the window, one number or (KH, KW).
        stride: s, pixels from one window to the next.
        padding: p, pixels added on each side; "same" for an output of the input's size; "valid" for none.
        dilation: d, pixels from one tap to the next.
        groups: of channels that do not see each other; C with K = C is a depthwise convolution.
        bias: whether to add b.
        padding_mode: what is added: "zeros", "reflect", "replicate" or "circular".
        rng: generator or seed for the initial weights.

    Shape:
        x: (N, C, H, W) or (C, H, W), y: (N, K, OH, OW) with OH = ⌊(H + 2p - d (KH - 1) - 1) / s⌋ + 1.

    Parameters:
        weight: (K, C / groups, KH, KW), uniform in ±1/√(C / groups KH KW). bias: (K,), the same.

    Backward: let output pixel q see pixel r of the padded image by tap t. Then y_k(q) has the term w_kc(t) x_c(r), so
        dx_c(r) = Σ_{t, k} w_kc(t) dy_k(q) over the taps t through which some q sees r,
        dw_kc(t) = Σ_{n, q} x_c(r) dy_k(q), r being what q sees through t,  db_k = Σ_{n, q} dy_k(q).
        The pixels of a padding that is not zeros give their gradient to the pixels of which they are copies.

    Saved: x (padded, if not with zeros), its channels last.

    >>> Conv2d(1, 2, 3, padding=1, rng=0)(np.ones((4, 1, 28, 28), np.float32)).shape
    (4, 2, 28, 28)
    """

    rank = 2


class Conv1d(_Conv):
    r"""y_k(i) = b_k + Σ_{c, u} w_kc(u) x_c(i s + u d - p): Conv2d with one axis of pixels, and its arguments.

    Shape:
        x: (N, C, L) or (C, L), y: (N, K, OL) with OL = ⌊(L + 2p - d (KL - 1) - 1) / s⌋ + 1.

    Parameters:
        weight: (K, C / groups, KL), uniform in ±1/√(C / groups KL). bias: (K,), the same.

    Backward: as in Conv2d: dx_c(r) = Σ_{t, k} w_kc(t) dy_k(q), dw_kc(t) = Σ_{n, q} x_c(r) dy_k(q),
        db_k = Σ_{n, q} dy_k(q), for all q that see r through t.

    Saved: x (padded, if not with zeros), its channels last.

    >>> Conv1d(1, 2, 3, rng=0)(np.ones((4, 1, 28), np.float32)).shape
    (4, 2, 26)
    """

    rank = 1


class ConvTranspose2d(Convolution):
    r"""The gradient of a convolution as a layer: y_k(r) = b_k + Σ_{t, c} w_ck(t) x_c(q), q seeing r through t.

    Arguments:
        in_channels: C.
        out_channels: K.
        kernel_size: taps of the window, one number or (KH, KW).
        stride: s, pixels of the output from one window to the next.
        padding: p, pixels left out on each side of the output.
        output_padding: pixels added behind the output; less than the stride or the dilation.
        groups: of channels that do not see each other.
        bias: whether to add b.
        dilation: d, pixels from one tap to the next.
        padding_mode: "zeros", the only one.
        rng: generator or seed for the initial weights.

    Shape:
        x: (N, C, H, W) or (C, H, W), y: (N, K, OH, OW) with OH = (H - 1) s - 2p + d (KH - 1) + output_padding + 1.

    Parameters:
        weight: (C, K / groups, KH, KW), uniform in ±1/√(K / groups KH KW). bias: (K,), the same.

    Backward: Conv2d's equations with x and y exchanged: the window of pixel q of x covers pixel r of y by tap t, so
        dx_c(q) = Σ_{t, k} w_ck(t) dy_k(r),  dw_ck(t) = Σ_{n, q} x_c(q) dy_k(r),  db_k = Σ_{n, r} dy_k(r).

    Saved: x, its channels last.

    >>> ConvTranspose2d(2, 1, 3, stride=2, rng=0)(np.ones((4, 2, 7, 7), np.float32)).shape
    (4, 1, 15, 15)
    """

    rank = 2
    transposed: ClassVar[bool] = True
    padding: Lengths
    output_padding: Lengths

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        options = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        options["output_padding"] = output_padding
        super().__init__(in_channels, out_channels, options, groups, bias, rng)
        if padding_mode != "zeros":
            raise ValueError(f"ConvTranspose2d: want padding_mode 'zeros', got {padding_mode!r}")
        self.padding_mode = padding_mode
        limits = map(max, self.stride, self.dilation)
        if any(more >= limit for more, limit in zip(self.output_padding, limits, strict=True)):
            raise ValueError(
                f"ConvTranspose2d: want output_padding below the stride or the dilation, got {self.output_padding}"
            )

    def windows(self, lengths: Lengths) -> Windows:
        """Return the windows for an input of these lengths."""
        axes = zip(
            lengths, self.kernel_size, self.stride, self.padding, self.dilation, self.output_padding, strict=True
        )
        large = tuple((n - 1) * s - 2 * p + d * (k - 1) + more + 1 for n, k, s, p, d, more in axes)
        self._check_outputs(lengths, large)
        return Windows(large, lengths, self.kernel_size, self.stride, tuple(-p for p in self.padding), self.dilation)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, output_padding={self.output_padding}, groups={self.groups}, "
            f"bias={self.bias is not None}, dilation={self.dilation}"
        )
