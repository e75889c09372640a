"""Pictures of every mode and format that `minigrad predict` takes show the same pixels, or are a plain error."""

import numpy as np
import pytest
from PIL import Image

from minigrad.cli.errors import CommandError
from minigrad.cli.images import read_images

GREY = np.tile(np.linspace(0, 255, 28).astype(np.uint8), (28, 1))
SHAPE = [1, 28, 28]


def read(path, picture, **options):
    picture.save(path, **options)
    return read_images(str(path), SHAPE, invert=False)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "gif", "webp", "tga", "ppm", "pcx", "sgi", "jp2"])
def test_formats(suffix, tmp_path):
    options = {"lossless": True} if suffix == "webp" else {}
    picture = Image.fromarray(GREY).convert("RGB" if suffix == "webp" else "L")
    pixels = read(tmp_path / f"a.{suffix}", picture, **options)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (1, *SHAPE))
    np.testing.assert_array_equal(pixels[0, 0], GREY)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "CMYK"])
def test_modes_of_eight_bits(mode, tmp_path):
    pixels = read(tmp_path / "a.tif", Image.fromarray(GREY).convert(mode))
    assert np.abs(pixels[0, 0].astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
def test_sixteen_bits_are_scaled(suffix, tmp_path):
    pixels = read(tmp_path / f"a.{suffix}", Image.fromarray(GREY.astype(np.uint16) * 257))
    np.testing.assert_array_equal(pixels[0, 0], GREY)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_what_has_no_range_is_refused(dtype, tmp_path):
    with pytest.raises(CommandError, match="has no defined range: scale it to bytes"):
        read(tmp_path / "a.tif", Image.fromarray(GREY.astype(dtype)))


def test_a_run_length_tga_is_no_idx_file(tmp_path):
    pixels = read(tmp_path / "a.tga", Image.fromarray(GREY), compression="tga_rle")
    np.testing.assert_array_equal(pixels[0, 0], GREY)


@pytest.mark.parametrize("picture", [GREY, GREY.astype(np.uint16) * 257], ids=["8 bits", "16 bits"])
def test_a_picture_is_turned_as_its_file_says(picture, tmp_path):
    image, exif = Image.fromarray(picture), Image.Exif()
    exif[0x0112] = 3  # by 180 degrees
    np.testing.assert_array_equal(read(tmp_path / "a.png", image, exif=exif)[0, 0], GREY[::-1, ::-1])
