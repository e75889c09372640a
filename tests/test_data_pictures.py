"""Pictures of Pillow in every mode: none is read darker, lighter or clipped."""

import io

import numpy as np
import pytest

from minigrad.data.pictures import eight_bits, is_picture, pixels

Image = pytest.importorskip("PIL.Image", reason="pictures want Pillow")
RAMP = np.tile(np.linspace(0, 255, 28).astype(np.uint8), (20, 1))
WORDS = RAMP.astype(np.uint16) * 257
COLOURS = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 90)], axis=-1)


def written(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return Image.open(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(RAMP),
        Image.fromarray(WORDS),
        Image.fromarray(WORDS.astype(">u2")),
        written(Image.fromarray(WORDS), "PNG"),
        written(Image.fromarray(WORDS), "TIFF"),
        written(Image.fromarray(WORDS.astype(np.int32)), "PPM"),
        Image.fromarray(RAMP).convert("LA"),
        Image.fromarray(RAMP).convert("LA").convert("La"),
    ],
    ids=lambda picture: f"{picture.format}-{picture.mode}",
)
def test_grey_of_every_mode_is_the_same_picture(picture):
    assert is_picture(picture)
    got = pixels(picture)
    assert (got.dtype, got.shape) == (np.uint8, (1, 20, 28))
    np.testing.assert_array_equal(got[0], RAMP)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "RGBa"])
def test_colours_of_every_mode_are_the_same_picture(mode):
    picture = Image.fromarray(COLOURS).convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)
    np.testing.assert_array_equal(pixels(picture), COLOURS.transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV"])
def test_other_colour_spaces_become_rgb(mode):
    picture = Image.new("RGB", (3, 2), (200, 100, 50)).convert(mode)
    assert np.abs(pixels(picture)[:, 0, 0].astype(int) - (200, 100, 50)).max() <= 3


def test_palettes_and_bilevel_pictures():
    palette = Image.fromarray(COLOURS).quantize(256)
    np.testing.assert_array_equal(pixels(palette), np.asarray(palette.convert("RGB")).transpose(2, 0, 1))
    bits = Image.fromarray(RAMP > 100)
    assert bits.mode == "1"
    np.testing.assert_array_equal(pixels(bits)[0], (RAMP > 100) * 255)


@pytest.mark.parametrize("ground", [0, 255])
def test_what_is_transparent_shows_the_ground(ground):
    alpha = np.full((20, 28), 255, np.uint8)
    alpha[:, :9] = 0
    want = np.where(alpha == 0, ground, RAMP)
    grey = Image.merge("LA", (Image.fromarray(RAMP), Image.fromarray(alpha)))
    np.testing.assert_array_equal(np.asarray(eight_bits(grey, ground)), want)
    coloured = Image.merge("RGBA", (*Image.fromarray(COLOURS).split(), Image.fromarray(alpha)))
    assert np.all(np.asarray(eight_bits(coloured, ground))[:, :9] == ground)
    words = Image.fromarray(WORDS)
    words.info["transparency"] = int(WORDS[0, 5])
    np.testing.assert_array_equal(np.asarray(eight_bits(words, ground))[:, 5], np.full(20, ground))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_a_range_that_is_not_defined_is_refused(dtype):
    with pytest.raises(ValueError, match=r"mode '[FI]'\) has no defined range: scale it to bytes"):
        pixels(Image.fromarray(RAMP.astype(dtype)))
