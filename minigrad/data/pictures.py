"""Pictures of Pillow, as bytes: the one place that knows what its modes mean. Pillow itself is never imported here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

Array = npt.NDArray[Any]
GREY, TRANSPARENT_GREY = ("1", "L"), ("LA", "La")
STRAIGHT = {"La": "LA", "RGBa": "RGBA"}  # modes of premultiplied colours, which Pillow converts to these alone
FORMATS_OF_16_BITS = ("PNG", "PPM")  # what Pillow opens as mode "I" has values from 0 to 65535 there


def is_picture(value: object) -> TypeGuard[Image]:
    """Return whether this is a picture of Pillow, without importing it."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def eight_bits(picture: Image, ground: int = 0) -> Image:
    """Return a picture of mode "L" (grey) or "RGB" that looks the same.

    Values of 16 bits are scaled, v ↦ round(v / 257). What is transparent shows the ground. Palettes and other colour
    spaces become RGB.

    Arguments:
        picture: of any mode.
        ground: the grey value, 0 to 255, behind what is transparent.

    Raises:
        ValueError: for modes without a defined range (floats, and integers of 32 bits from a file of unknown range).
    """
    if picture.mode in ("L", "RGB") and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in FORMATS_OF_16_BITS):
        return _scaled(picture, ground)
    if picture.mode in ("I", "F"):
        kind = "floats" if picture.mode == "F" else "integers of 32 bits"
        raise ValueError(
            f"a picture of {kind} (mode {picture.mode!r}) has no defined range: scale it to bytes, "
            f"for instance Image.fromarray((np.asarray(picture) / largest * 255).astype(np.uint8))"
        )
    picture = picture.convert(STRAIGHT[picture.mode]) if picture.mode in STRAIGHT else picture
    is_grey = picture.mode in (*GREY, *TRANSPARENT_GREY)
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture, alpha = picture.convert("RGB"), picture.getchannel("A")
        picture = _composite(picture, alpha, ground)
    return picture.convert("L" if is_grey else "RGB")


def pixels(picture: Image) -> Array:
    """Return a picture as bytes (1, H, W) or (3, H, W), on black."""
    values = np.asarray(eight_bits(picture))
    return np.ascontiguousarray(np.atleast_3d(values).transpose(2, 0, 1))


def _scaled(picture: Image, ground: int) -> Image:
    values = np.asarray(picture).astype(np.int64)
    levels = ((values + 128) // 257).astype(np.uint8)
    hidden = picture.info.get("transparency")
    if isinstance(hidden, int):
        levels[values == hidden] = ground
    scaled: Image = sys.modules["PIL.Image"].fromarray(levels)
    return scaled


def _composite(picture: Image, alpha: Image, ground: int) -> Image:
    behind: Image = sys.modules["PIL.Image"].new("RGB", picture.size, (ground, ground, ground))
    behind.paste(picture, mask=alpha)
    return behind
