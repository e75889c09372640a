"""Layers of images and of lines, drawn for a place in a random network."""

from math import gcd
from typing import Any

from tests.cases.network import Layer, Shape

IMAGE_LAYERS = [
    *("Conv2d", "Conv2d", "ConvTranspose2d", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "BatchNorm2d"),
    *("InstanceNorm2d", "Dropout2d", "Upsample", "PixelShuffle", "ZeroPad2d"),
]
LINE_LAYERS = ["Conv1d", "MaxPool1d", "AvgPool1d", "AdaptiveAvgPool1d"]


def windowed(draft: Any, kind: str, shape: Shape, free: bool) -> Layer:
    """Draw a layer of images (N, C, H, W) or lines (N, C, L). One that is not free keeps the shape."""
    C, lengths = shape[1], shape[2:]
    kernel = tuple(draft.choose(range(1, min(n, 3) + 1)) for n in lengths)
    match kind.removesuffix("1d").removesuffix("2d"):
        case "Conv" if free:
            groups = gcd(C, K := draft.choose([3, 2, 4, 1]))
            given = {
                "stride": draft.choose([1, 2]),
                "padding": draft.choose([1, 0]),
                "bias": draft.choose([True, False]),
            }
            return draft.layer(kind, C, K, one(kernel), **given, groups=draft.choose([1, groups]))
        case "Conv":
            mode = draft.choose(["zeros", "reflect"])
            return draft.layer(kind, C, C, one(kernel), padding="same", padding_mode=mode)
        case "ConvTranspose" if free:
            return draft.layer(kind, C, draft.choose([3, 2, 4, 1]), kernel, stride=draft.choose([1, 2]))
        case "ConvTranspose":
            return draft.layer(kind, C, C, 3, padding=1)
        case "MaxPool" | "AvgPool" if free:
            return draft.layer(kind, one(kernel), stride=draft.choose([1, 2]), ceil_mode=draft.choose([False, True]))
        case "MaxPool" | "AvgPool":
            return draft.layer(kind, 3, stride=1, padding=1)
        case "AdaptiveAvgPool":
            return draft.layer(kind, one(tuple(draft.choose([1, 2, 3, 4]) if free else n for n in lengths)))
        case "InstanceNorm":
            given = {"affine": draft.choose([True, False]), "track_running_stats": draft.choose([False, True])}
            return draft.layer(kind, C, eps=draft.eps(), **given)
        case "Dropout":  # whose masks PyTorch draws otherwise
            return draft.layer(kind, 0.0 if draft.training else draft.choose([0.3, 0.0]))
        case "Upsample" if free:
            return draft.layer(kind, scale_factor=2, mode=draft.choose(["nearest", "bilinear"]))
        case "Upsample":
            return draft.layer(kind, size=lengths, mode="bilinear")
        case "PixelShuffle":
            return draft.layer(kind, 2 if free and C % 4 == 0 else 1)
        case _:
            return draft.layer(kind, tuple(draft.choose([1, 0, 2]) for _ in range(4)) if free else 0)


def one(numbers: tuple[int, ...]) -> Any:
    """A number alone, where there is one axis."""
    return numbers[0] if len(numbers) == 1 else numbers
