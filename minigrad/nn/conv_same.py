"""A convolution with the padding of TensorFlow's "SAME"."""

from __future__ import annotations

import numpy as np

from minigrad.nn.conv import Conv2d
from minigrad.nn.image import Size
from minigrad.nn.windows import Lengths


class Conv2dSame(Conv2d):
    r"""Conv2d with as many zeros around the image as make OH = ⌈H / s⌉ for any stride: TensorFlow's padding "SAME".

    They are max((OH - 1) s + d (KH - 1) + 1 - H, 0) along an axis, an odd one of them behind the image, so a network
    trained in TensorFlow has to have them there. With a stride of 1 that is Conv2d's padding="same".

    Arguments:
        in_channels: C.
        out_channels: K.
        kernel_size: taps of the window, one number or (KH, KW).
        stride: s, pixels from one window to the next.
        dilation: d, pixels from one tap to the next.
        groups: of channels that do not see each other; C with K = C is a depthwise convolution.
        bias: whether to add b.
        rng: generator or seed for the initial weights.

    Shape:
        x: (N, C, H, W) or (C, H, W), y: (N, K, ⌈H / s⌉, ⌈W / s⌉).

    Parameters:
        weight: (K, C / groups, KH, KW), uniform in ±1/√(C / groups KH KW). bias: (K,), the same.

    Backward: Conv2d's, as only the padding is another:
        dx_c(r) = Σ_{t, k} w_kc(t) dy_k(q),  dw_kc(t) = Σ_{n, q} x_c(r) dy_k(q),  db_k = Σ_{n, q} dy_k(q),
        for all q that see r through t.

    Saved: x, its channels last.

    >>> Conv2dSame(1, 2, 3, stride=2, rng=0)(np.ones((4, 1, 7, 8), np.float32)).shape
    (4, 2, 4, 4)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias, rng=rng)
        self.padding = "same"

    def _whole_padding(self, lengths: Lengths) -> Lengths:
        axes = zip(lengths, self.kernel_size, self.stride, self.dilation, strict=True)
        return tuple(max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0) for n, k, s, d in axes)
