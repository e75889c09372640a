"""Cases of the layers of images."""

import math
from functools import partial
from typing import Any

import numpy as np
import torch

from minigrad import nn
from minigrad.kernels.reference.dropout import dropout
from minigrad.nn.dropout import stream_key
from tests.cases.activation import FLOATS_ONLY
from tests.cases.case import ErrorCase, ModuleCase

IMAGES = (2, 3, 7, 6)
SIGNALS = (2, 3, 7)


def same(
    name: str, option: str, shape: tuple[int, ...], *arguments: Any, flags: dict[str, Any] | None = None, **options: Any
) -> ModuleCase:
    """The case of one class in both libraries, made with the same arguments."""
    make, twin = (partial(getattr(lib, name), *arguments, **options) for lib in (nn, torch.nn))
    return ModuleCase(f"{name}-{option}" if option else name, make, shape, twin, **(flags or {}))


class TorchConv2dSame(torch.nn.Conv2d):
    """TensorFlow's padding "SAME" by hand: zeros first, and then a convolution without padding."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sides: list[int] = []
        for n, k, s, d in zip(x.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True):
            whole = max((math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0)
            sides = [whole // 2, whole - whole // 2, *sides]  # pad begins with the last axis
        return super().forward(torch.nn.functional.pad(x, sides))


def conv_same(
    option: str, shape: tuple[int, ...], *arguments: Any, flags: dict[str, Any] | None = None, **options: Any
) -> ModuleCase:
    """The case of a Conv2dSame."""
    make, twin = (partial(cls, *arguments, **options) for cls in (nn.Conv2dSame, TorchConv2dSame))
    return ModuleCase(f"Conv2dSame-{option}" if option else "Conv2dSame", make, shape, twin, **(flags or {}))


def dropout2d_reference(module: nn.Dropout, x: np.ndarray) -> np.ndarray:
    if not module.training or module.p == 0:
        return x
    factors = np.empty(int(np.prod(x.shape[:-2])), x.dtype)
    key = stream_key(module.seed, module.step)
    dropout(np.ones_like(factors), *key, round(module.p * 2**32), 1 / (1 - module.p), 0, factors)
    return x * factors.reshape(*x.shape[:-2], 1, 1)


def errors(shape: tuple[int, ...], form: str, *more: ErrorCase) -> dict[str, Any]:
    """What a layer of images refuses: anything that is no image, and more."""
    return {
        "errors": (
            *FLOATS_ONLY[:1],
            ErrorCase("rank", np.ones(3), rf"want input of shape {form}.*, got \(3,\)"),
            ErrorCase("empty batch", np.ones((0, *shape[1:])), "non-empty"),
            *more,
        )
    }


def channels(shape: tuple[int, ...]) -> ErrorCase:
    other = (shape[0], 4, *shape[2:])
    return ErrorCase("channels", np.ones(other), rf"\(N, 3, .*got \({', '.join(map(str, other))}\)")


TOO_SMALL_2D = ErrorCase(
    "too small", np.ones((2, 3, 1, 6)), "want an image large enough for an output, got 1 x 6 pixels"
)
TOO_SMALL_1D = ErrorCase("too small", np.ones((2, 3, 1)), "want an image large enough for an output, got 1 pixels")
CONV_2D = errors(IMAGES, r"\(N, 3, H, W\), or without N", channels(IMAGES), TOO_SMALL_2D)
SAME_2D = errors(IMAGES, r"\(N, 3, H, W\), or without N", channels(IMAGES))
CONV_1D = errors(SIGNALS, r"\(N, 3, L\), or without N", channels(SIGNALS), TOO_SMALL_1D)
POOL_2D = errors(IMAGES, r"\(N, C, H, W\), or without N", TOO_SMALL_2D)
POOL_1D = errors(SIGNALS, r"\(N, C, L\), or without N", TOO_SMALL_1D)
ALONE = {"couples_batch": True}  # one image has no batch
SKIPS, APART = {"skips": True}, {"compares": True}
IN_BATCH = {"couples_batch": True, "differs_in_eval": True}

IMAGE_LAYERS = [
    same("Conv2d", "", IMAGES, 3, 5, (4, 2), flags=CONV_2D),
    same("Conv2d", "no-bias", IMAGES, 3, 5, 3, bias=False),
    same("Conv2d", "all-options", IMAGES, 3, 5, (3, 2), stride=(2, 3), padding=(2, 1), dilation=(1, 2), flags=SKIPS),
    same("Conv2d", "same", IMAGES, 3, 5, (4, 3), padding="same", dilation=(1, 2)),
    same("Conv2d", "groups", (2, 6, 5, 7), 6, 4, 3, groups=2, stride=2, padding=1),
    same("Conv2d", "depthwise", IMAGES, 3, 6, (2, 3), groups=3, padding=1),
    same("Conv2d", "depthwise-alone", IMAGES, 3, 3, (2, 3), groups=3, padding=1),
    same("Conv2d", "pointwise", IMAGES, 3, 5, 1),
    same("Conv2d", "unbatched", IMAGES[1:], 3, 5, 3, flags=ALONE),
    *(
        same(
            "Conv2d",
            mode,
            IMAGES,
            3,
            5,
            (4, 2),
            padding=(2, 1),
            stride=(1, 2),
            padding_mode=mode,
            flags={
                "errors": (ErrorCase("too much padding", np.ones((2, 3, 1, 6)), f"{mode} padding wants at most"),)
                if mode != "replicate"
                else ()
            },
        )
        for mode in ("reflect", "replicate", "circular")
    ),
    same("Conv2d", "same-reflect", IMAGES, 3, 5, (4, 3), padding="same", padding_mode="reflect"),
    conv_same("", IMAGES, 3, 5, (4, 3), stride=2, flags=SAME_2D),
    conv_same("all-options", IMAGES, 3, 3, (2, 3), stride=(3, 2), dilation=(2, 1), groups=3, bias=False, flags=SKIPS),
    same("Conv1d", "", SIGNALS, 3, 5, 4, flags=CONV_1D),
    same("Conv1d", "all-options", SIGNALS, 3, 6, 3, stride=2, padding=2, dilation=2, groups=3, bias=False),
    same("Conv1d", "circular", SIGNALS, 3, 5, 4, padding="same", padding_mode="circular"),
    same("ConvTranspose2d", "", IMAGES, 3, 5, (4, 2), flags=errors(IMAGES, r"\(N, 3, H, W\)", channels(IMAGES))),
    same(
        "ConvTranspose2d",
        "all-options",
        IMAGES,
        3,
        5,
        (3, 2),
        stride=(3, 2),
        padding=(2, 1),
        output_padding=(1, 0),
        dilation=(1, 2),
        flags={
            "errors": (ErrorCase("nothing left", np.ones((2, 3, 1, 1)), "want an image large enough for an output"),)
        },
    ),
    same("ConvTranspose2d", "groups", (2, 6, 5, 3), 6, 4, 3, stride=2, groups=2, bias=False),
    same("ConvTranspose2d", "depthwise-alone", IMAGES, 3, 3, (2, 3), stride=2, groups=3),
    same("ConvTranspose2d", "unbatched", IMAGES[1:], 3, 5, 3, flags=ALONE),
    same("MaxPool2d", "", IMAGES, 2, flags=POOL_2D | APART),
    same("MaxPool2d", "all-options", IMAGES, (3, 2), (1, 2), padding=1, dilation=(2, 1), flags=APART),
    same("MaxPool2d", "ceil", IMAGES, 3, 2, ceil_mode=True, flags=APART),
    same("MaxPool2d", "large", (1, 2, 18, 17), 16, 1, flags=APART),
    same("MaxPool1d", "", SIGNALS, 3, 2, flags=POOL_1D | APART),
    same("MaxPool1d", "ceil", SIGNALS, 4, 2, padding=2, ceil_mode=True, flags=APART),
    same("AvgPool2d", "", IMAGES, 2, flags=POOL_2D),
    same("AvgPool2d", "padding", IMAGES, (3, 2), (2, 1), padding=1, ceil_mode=True),
    same("AvgPool2d", "valid-only", IMAGES, 3, 2, padding=1, ceil_mode=True, count_include_pad=False),
    same("AvgPool2d", "divisor", IMAGES, 3, 2, divisor_override=5),
    same("AvgPool1d", "", SIGNALS, 2, flags=POOL_1D),
    same("AvgPool1d", "ceil", SIGNALS, 4, 3, padding=1, ceil_mode=True),
    same("AdaptiveAvgPool2d", "", IMAGES, (4, 5), flags=errors(IMAGES, r"\(N, C, H, W\)")),
    same("AdaptiveAvgPool2d", "one", IMAGES, 1),
    same("AdaptiveAvgPool2d", "larger", IMAGES, (None, 8)),
    same("AdaptiveAvgPool1d", "", SIGNALS, 4, flags=errors(SIGNALS, r"\(N, C, L\)")),
    same(
        "BatchNorm2d",
        "",
        (2, 3, 4, 5),
        3,
        flags={
            **IN_BATCH,
            "errors": (
                ErrorCase("channels", np.ones((2, 4, 3, 3)), r"want input of shape \(N, 3, H, W\), got \(2, 4, 3, 3\)"),
                ErrorCase("rank", np.ones((2, 3)), r"\(N, 3, H, W\), got \(2, 3\)"),
                ErrorCase("one value", np.ones((1, 3, 1, 1)), "more than 1 value for each channel in training"),
            ),
        },
    ),
    same("BatchNorm2d", "options", (2, 3, 4, 5), 3, 1e-3, 0.3, bias=False, flags=IN_BATCH),
    same("BatchNorm2d", "untracked", (2, 3, 4, 5), 3, track_running_stats=False, flags={"couples_batch": True}),
    same(
        "GroupNorm",
        "",
        (2, 6, 5, 7),
        3,
        6,
        flags={
            "errors": (
                ErrorCase("channels", np.ones((2, 4, 3)), r"want input of shape \(N, 6, \*\), got \(2, 4, 3\)"),
                ErrorCase("one value", np.ones((1, 6, 1))[:, :, :0], "non-empty"),
            )
        },
    ),
    same("GroupNorm", "plain", (2, 6, 5), 2, 6, 1e-3, affine=False),
    same("GroupNorm", "channels", (3, 4, 5), 4, 4),
    same("GroupNorm", "matrix", (3, 6), 2, 6),
    same(
        "InstanceNorm2d",
        "",
        IMAGES,
        3,
        flags=errors(
            IMAGES,
            r"\(N, 3, H, W\)",
            channels(IMAGES),
            ErrorCase("one pixel", np.ones((2, 3, 1, 1)), "more than 1 pixel"),
        ),
    ),
    same("InstanceNorm2d", "affine", IMAGES, 3, 1e-3, affine=True),
    same("InstanceNorm2d", "tracked", IMAGES, 3, 1e-3, 0.3, True, True, flags=IN_BATCH),
    same("InstanceNorm2d", "unbatched", IMAGES[1:], 3, affine=True, flags=ALONE),
    ModuleCase(
        "Dropout2d",
        lambda: nn.Dropout2d(0.4, rng=3),
        IMAGES,
        reference=dropout2d_reference,
        couples_batch=True,
        differs_in_eval=True,
        returns_view=True,
        errors=(*FLOATS_ONLY[:1], ErrorCase("rank", np.ones((2, 3)), r"\(N, C, H, W\) or \(C, H, W\), got \(2, 3\)")),
    ),
    same("Dropout2d", "0", IMAGES, 0.0, flags={"returns_view": True}),
    same("Dropout2d", "1", IMAGES, 1.0, flags={"returns_view": True, "differs_in_eval": True}),
    same("Upsample", "", IMAGES, scale_factor=2, flags=errors(IMAGES, r"\(N, C, L\) or \(N, C, H, W\)")),
    same("Upsample", "signal", SIGNALS, size=4),
    same("Upsample", "smaller", IMAGES, scale_factor=(1.7, 0.6)),
    same("Upsample", "linear", SIGNALS, scale_factor=2.3, mode="linear"),
    same("Upsample", "bilinear", IMAGES, size=(9, 5), mode="bilinear"),
    same("Upsample", "bilinear-scale", IMAGES, scale_factor=(1.3, 2.7), mode="bilinear", recompute_scale_factor=True),
    same("Upsample", "corners", IMAGES, scale_factor=2, mode="bilinear", align_corners=True),
    same(
        "PixelShuffle",
        "",
        (2, 12, 3, 5),
        2,
        flags={
            "errors": (ErrorCase("channels", np.ones((2, 3, 4, 5)), r"\(\*, C 2², H, W\), got \(2, 3, 4, 5\)"),),
        },
    ),
    same("PixelShuffle", "unbatched", (18, 5, 4), 3, flags=ALONE),
    same("ZeroPad2d", "", IMAGES, (1, 2, 0, 3), flags=errors(IMAGES, r"\(N, C, H, W\), or without N")),
    same(
        "ZeroPad2d",
        "crop",
        IMAGES,
        (-1, 2, -3, -1),
        flags={
            **SKIPS,
            "errors": (ErrorCase("nothing left", np.ones((1, 2, 3, 4)), "want an image large enough for an output"),),
        },
    ),
    same(
        "Unflatten",
        "",
        (5, 12, 2),
        1,
        (3, -1),
        flags={
            "returns_view": True,
            "errors": (
                ErrorCase("size", np.ones((2, 7)), r"want axis 1 to be of size \(3, -1\), got \(2, 7\)"),
                ErrorCase("rank", np.ones(7), r"want an axis 1 of the input, got \(7,\)"),
            ),
        },
    ),
]
