"""Images in files of a user, as a model wants them."""

import logging
import sys
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.cli.errors import CommandError
from minigrad.data.idx import parse_idx, uncompress
from minigrad.data.pictures import eight_bits

Array = npt.NDArray[Any]
NPY, GZIP, TYPES = b"\x93NUMPY", b"\x1f\x8b", b"\x08\x09\x0b\x0c\x0d\x0e"


def read_images(file: str, shape: list[int], invert: bool) -> Array:
    """Return the images of a file as bytes, or as float32 from 0 to 1: (N, *shape).

    What kind of file it is, is told by its content.

    Arguments:
        file: IDX (gzipped or not), .npy, or any image that Pillow reads; "-" for standard input.
        shape: (1, height, width), what the model wants.
        invert: whether dark is to become light.

    Raises:
        CommandError: if it is none of these, or has another size.
        OSError: if it cannot be read.
    """
    content = _read(file)
    if content.startswith(NPY):
        images = _as_images(file, _parse_npy(file, content), shape)
    elif content.startswith(GZIP) or _is_idx(content[:4]):
        images = _as_images(file, parse_idx(uncompress(content, file), file), shape)
    else:
        return _read_picture(file, content, shape, invert)
    if invert:
        images = (255 if images.dtype == np.uint8 else np.float32(1)) - images
    return images


def _read(file: str) -> bytes:
    """Return all bytes of a file, which is read once: it may be a pipe."""
    if file != "-":
        content = Path(file).read_bytes()
    elif sys.stdin is None:
        raise CommandError("-: standard input is closed")
    else:
        content = sys.stdin.buffer.read()
    if not content:
        raise CommandError(f"{file}: the file is empty")
    return content


def _is_idx(start: bytes) -> bool:
    """Return whether a file begins as IDX does: a run-length TGA of grey pixels does, too, but with rank 0."""
    return len(start) > 3 and start[:2] == b"\0\0" and start[2] in TYPES and start[3] > 0


def _parse_npy(file: str, content: bytes) -> Array:
    try:
        array: Array = np.load(BytesIO(content), allow_pickle=False)
    except Exception as error:  # a damaged header is Python code that may raise anything
        raise CommandError(f"{file}: not an array that can be read: {error}") from None
    return array


def _as_images(file: str, array: Array, shape: list[int]) -> Array:
    """Return an array of images, or of one, in the form that a Loader takes."""
    if array.size == 0:
        raise CommandError(f"{file}: want images, got an empty array {array.shape}")
    values = _as_pixels(file, array)
    for tail in (shape, shape[1:], [prod(shape)]):
        if list(array.shape[-len(tail) :]) == tail and array.ndim - len(tail) in (0, 1):
            return values.reshape(-1, *shape)
    height, width = shape[1:]
    raise CommandError(f"{file}: want images of {height} x {width} pixels, got an array of shape {array.shape}")


def _as_pixels(file: str, array: Array) -> Array:
    """Return bytes as they are, other integers as bytes, other floats as float32."""
    kind, top = ("floats", 1) if array.dtype.kind == "f" else ("integers", 255)
    if array.dtype.kind not in "fiu":
        raise CommandError(f"{file}: want integers from 0 to 255 or floats from 0 to 1, got {array.dtype}")
    if not (array.min() >= 0 and array.max() <= top):  # said so that NaN is out of range, too
        remedy = f"scale them: images / largest{' * 255, as uint8' if kind == 'integers' else ''}"
        raise CommandError(f"{file}: want {kind} from 0 to {top}, got {array.min():g} to {array.max():g}; {remedy}")
    return array.astype(np.float32 if kind == "floats" else np.uint8)


def _read_picture(file: str, content: bytes, shape: list[int], invert: bool) -> Array:
    try:
        from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise CommandError(f"{file}: images need Pillow: pip install minigrad[image]") from None
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # errors are said here, in one line
    ground = 255 if invert else 0  # behind what is transparent, and beside what is not square
    try:
        with Image.open(BytesIO(content)) as opened:
            picture = eight_bits(opened, ground)
            turned = ExifTags.Base.Orientation
            picture.getexif()[turned] = opened.getexif().get(turned, 1)  # which not every conversion keeps
            picture = ImageOps.exif_transpose(picture)
            _, height, width = shape
            pixels = np.asarray(ImageOps.pad(picture.convert("L"), (width, height), color=ground))
    except UnidentifiedImageError:
        raise CommandError(f"{file}: neither an image of a known format, nor IDX, nor .npy") from None
    except Exception as error:  # of Pillow's readers, which raise anything for what is damaged
        raise CommandError(f"{file}: neither an image that can be read, nor IDX, nor .npy: {error}") from None
    return (255 - pixels if invert else pixels).reshape(1, *shape)
