"""Augmentation: torchvision's for the same draws, the draws themselves, and that nothing else counts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad import kernels
from minigrad.data import CATALOG, Augmentation, Loader
from minigrad.data.preparation import Preparation

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 3, 9, 12), np.uint8)
LABELS = np.arange(40)
ALL = Augmentation(flip=0.5, crop=2, rotation=30, erasing=0.5)
MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


def batch_of(images: np.ndarray, **options) -> np.ndarray:
    ((x, _),) = Loader((images, np.arange(len(images))), len(images), **options)
    return x


def draws(augment: Augmentation, count: int = 4000, size: tuple[int, int] = (28, 20), epoch: int = 0) -> np.ndarray:
    return augment.draw(7, epoch, np.arange(count), size)


# -------------------------------------------------------------------------------------- the same as torchvision


def by_torchvision(augment: Augmentation, images: np.ndarray) -> np.ndarray:
    """Return what torchvision's functions make of the draws of epoch 0, seed 0. Bytes would be rounded in between."""
    torch = pytest.importorskip("torch")
    from tests.torchvision_import import import_torchvision

    import_torchvision()
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as transforms

    (H, W), made = images.shape[-2:], []
    moves = augment.draw(0, 0, np.arange(len(images)), (H, W))
    for image, (flip, down, right, cos, sin, *area) in zip(torch.tensor(images / np.float32(255)), moves, strict=True):
        angle = np.rad2deg(np.arctan2(sin, cos))
        image = transforms.rotate(image, angle, InterpolationMode.BILINEAR) if augment.rotation else image
        image = transforms.pad(image, augment.crop)
        image = transforms.crop(image, augment.crop + int(down), augment.crop + int(right), H, W)
        image = transforms.normalize(transforms.horizontal_flip(image) if flip else image, MEAN, STD)
        top, left, bottom, end = map(int, area)
        made.append(transforms.erase(image, top, left, bottom - top, end - left, torch.zeros(1)))
    return torch.stack(made).numpy()


@pytest.mark.parametrize(
    "augment",
    [Augmentation(flip=0.5), Augmentation(crop=3), Augmentation(rotation=180), Augmentation(erasing=0.5), ALL],
    ids=["flip", "crop", "rotation", "erasing", "all"],
)
def test_images_are_those_of_torchvision(augment: Augmentation) -> None:
    """Everywhere, borders too. Rotation within 1e-4 of full scale: torch computes where to look in float32."""
    ours = batch_of(IMAGES, augment=augment, mean=MEAN, std=STD)
    tolerance = 1e-4 / min(STD) if augment.rotation else 1e-6
    np.testing.assert_allclose(ours, by_torchvision(augment, IMAGES), rtol=1e-6, atol=tolerance)


@pytest.mark.parametrize("size", [(9, 12), (18, 24), (20, 7), (5, 31), (1, 1)])
def test_sizes_are_those_of_torch(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    want = torch.nn.functional.interpolate(torch.tensor(IMAGES / np.float32(255)), size, mode="bilinear").numpy()
    np.testing.assert_allclose(batch_of(IMAGES, size=size), want, rtol=1e-5, atol=1e-6)


def test_channels_are_repeated_and_normalised_each_by_its_own() -> None:
    grey = IMAGES[:, 0]
    expected = (np.repeat(grey[:, None], 3, axis=1) / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    for images in (grey, grey[:, None]):
        np.testing.assert_allclose(batch_of(images, channels=3, mean=MEAN, std=STD), expected, rtol=1e-5, atol=1e-6)
    assert batch_of(grey, size=(4, 5)).shape == (40, 4, 5)
    assert batch_of(grey, channels=1).shape == (40, 1, 9, 12)
    assert batch_of(IMAGES, size=(4, 5), channels=3).shape == (40, 3, 4, 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_keep_their_dtype(dtype: type) -> None:
    x = batch_of(IMAGES.astype(dtype) / 255, augment=ALL, mean=MEAN, std=STD)
    assert x.dtype == dtype
    np.testing.assert_allclose(x, batch_of(IMAGES, augment=ALL, mean=MEAN, std=STD), rtol=1e-5, atol=1e-5)


def test_a_size_and_a_rotation_are_one_interpolation() -> None:
    """Of a slope, which both keep: within the image what is seen is the slope at the place that is looked at."""
    slope = np.tile(np.arange(12, dtype=np.float32), (1, 12, 1)).reshape(1, 12, 12)
    augment = Augmentation(rotation=20)
    _, _, _, cos, sin, *_ = augment.draw(0, 0, np.arange(1), (24, 24))[0]
    v, u = np.mgrid[8:16, 8:16] - 11.5
    x = batch_of(slope, size=(24, 24), augment=augment)[0, 8:16, 8:16]
    np.testing.assert_allclose(x, (cos * u - sin * v + 12) / 2 - 0.5, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------ the draws


@settings(max_examples=20)
@given(
    flip=st.sampled_from([0.0, 0.3, 1.0]),
    crop=st.integers(0, 4),
    rotation=st.sampled_from([0.0, 10.0, 180.0]),
    erasing=st.sampled_from([0.0, 0.3, 1.0]),
    epoch=st.integers(0, 5),
)
def test_what_is_drawn(flip: float, crop: int, rotation: float, erasing: float, epoch: int) -> None:
    """Uniform, within its bounds; limits are 5 standard deviations of what 4000 draws come to."""
    moves = draws(Augmentation(flip, crop, rotation, erasing), epoch=epoch)
    assert moves[:, 0].mean() == pytest.approx(flip, abs=5 * (flip * (1 - flip) / 4000) ** 0.5)
    for shifts in moves[:, 1:3].T:
        values, counts = np.unique(shifts, return_counts=True)
        assert values.tolist() == list(range(-crop, crop + 1))
        np.testing.assert_allclose(counts, 4000 / len(values), atol=5 * (4000 / len(values)) ** 0.5)
    angles = np.rad2deg(np.arctan2(moves[:, 4], moves[:, 3]))
    assert np.abs(angles).max() <= rotation * (1 + 1e-9)
    assert angles.std() == pytest.approx(rotation / 3**0.5, rel=0.05)
    top, left, bottom, right = moves[:, 5:].T
    areas = (bottom - top) * (right - left)
    assert (areas > 0).mean() == pytest.approx(erasing, abs=5 * (erasing * (1 - erasing) / 4000) ** 0.5)
    assert areas.max() <= 0.36 * 28 * 20  # with sides rounded to pixels
    assert ((top >= 0) & (left >= 0) & (bottom <= 28) & (right <= 20)).all()
    assert len(np.unique(moves, axis=0)) > 1 or (crop, rotation) == (0, 0)


def test_areas_are_those_of_torchvision() -> None:
    """Their quartiles, and those of their heights, widths and positions, among 4000."""
    torch = pytest.importorskip("torch")
    from tests.torchvision_import import import_torchvision

    torch.manual_seed(0)
    erasing = import_torchvision().transforms.RandomErasing
    image = torch.zeros(1, 28, 20)
    theirs = np.array([erasing.get_params(image, (0.02, 0.33), (0.3, 3.3), [0.0])[:4] for _ in range(4000)])
    ours = draws(Augmentation(erasing=1))[:, 5:]
    ours[:, 2:] -= ours[:, :2]
    for mine, others in zip(ours.T, theirs.T, strict=True):
        np.testing.assert_allclose(*(np.quantile(each, [0.25, 0.5, 0.75]) for each in (mine, others)), atol=1)


def test_an_area_that_never_fits_is_not_erased() -> None:
    assert not draws(Augmentation(erasing=1, scale=(1, 1), ratio=(1, 1)), 9, (5, 5))[:, 5:].any()


def test_columns_do_not_depend_on_each_other() -> None:
    """Nor epochs and seeds on one another."""
    first, *others = (
        replace(ALL, erasing=1).draw(seed, epoch, np.arange(4000), (28, 20)) for seed, epoch in ((0, 0), (0, 1), (1, 0))
    )
    varying = first[:, [0, 1, 2, 4, 5, 6]]
    for other in (varying, *(moves[:, [0, 1, 2, 4, 5, 6]] for moves in others)):
        correlation = np.corrcoef(varying.T, other.T)[:6, 6:]
        assert np.abs(correlation - (np.eye(6) if other is varying else 0)).max() < 0.1


# -------------------------------------------------------------------------------------------- what does not count


def test_an_image_depends_on_seed_epoch_and_number_alone() -> None:
    """Not on the size of batches, not on the order, not on how often one looks."""
    images = {}
    for size, shuffle in ((1, False), (7, True), (40, True)):
        loader = Loader((IMAGES, LABELS), size, shuffle, seed=3, augment=ALL, mean=0.5)
        for epoch in range(2):
            for x, y in loader:
                for image, number in zip(x, y, strict=True):
                    assert images.setdefault((epoch, int(number)), image).tobytes() == image.tobytes()
    assert len({image.tobytes() for image in images.values()}) == 80
    np.testing.assert_array_equal(loader.batch(np.array([5]))[0], batch_at(epoch=2)[5:6])


def batch_at(epoch: int) -> np.ndarray:
    loader = Loader((IMAGES, LABELS), 40, seed=3, augment=ALL, mean=0.5)
    loader.epoch = epoch
    return next(iter(loader))[0]


def test_samples_taken_one_by_one_are_changed_alike() -> None:
    pairs = list(zip(IMAGES, LABELS, strict=True))
    loaders = (Loader(data, 16, True, 1, augment=ALL) for data in (pairs, (IMAGES, LABELS)))
    for (x, _), (same, _) in zip(*loaders, strict=True):
        np.testing.assert_array_equal(x, same)


def test_in_order_is_without_augmentation() -> None:
    loader = Loader((IMAGES, LABELS), 40, augment=ALL, mean=0.5, size=(4, 5))
    np.testing.assert_array_equal(next(iter(loader.in_order()))[0], batch_of(IMAGES, mean=0.5, size=(4, 5)))
    assert loader.preparation.augment is ALL


def test_an_augmentation_that_does_nothing_changes_nothing() -> None:
    plain = np.empty((40, 3 * 9 * 12), np.float32)
    kernels.gather_uint8(IMAGES.reshape(40, -1), np.arange(40), 1 / (255 * 0.4), -0.5 / 0.4, plain)
    changed = batch_of(IMAGES, augment=Augmentation(), mean=0.5, std=0.4)
    np.testing.assert_allclose(changed.reshape(plain.shape), plain, rtol=1e-6, atol=1e-6)


def test_digits_are_not_flipped() -> None:
    policies = {name: source.augmentation for name, source in CATALOG.items()}
    assert policies["mnist"] == Augmentation(crop=2, rotation=10)
    assert policies["fashion-mnist"] == Augmentation(flip=0.5, crop=2, erasing=0.5)
    assert not draws(policies["mnist"])[:, 0].any()


# ---------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": 1.5}, "want flip between 0 and 1, got 1.5"),
        ({"flip": float("nan")}, "want flip between"),
        ({"erasing": -0.1}, "want erasing between 0 and 1, got -0.1"),
        ({"crop": -1}, "want crop to be a whole number of pixels, at least 0, got -1"),
        ({"crop": 1.5}, "want crop .* got 1.5"),
        ({"crop": True}, "want crop .* got True"),
        ({"rotation": 181}, "want rotation between 0 and 180 degrees, got 181"),
        ({"scale": (0.5, 0.1)}, "want scale to be two shares, the lesser first"),
        ({"scale": (0.0, 0.1)}, "want scale"),
        ({"ratio": (2, 1)}, "want ratio to be two positive numbers, the lesser first"),
    ],
)
def test_augmentations_that_make_no_sense(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (IMAGES.reshape(40, -1), {"augment": ALL}, r"want images \(N, H, W\) or \(N, C, H, W\), .* shape \(40, 324\)"),
        (IMAGES.reshape(40, -1), {"size": (3, 3)}, "want images"),
        (IMAGES, {"size": (0, 3)}, r"size: want a height and a width in pixels, got \(0, 3\)"),
        (IMAGES, {"size": (3,)}, "size: want a height"),
        (IMAGES, {"channels": 0}, "channels: want at least 1, got 0"),
        (IMAGES, {"channels": 2}, "channels=2 wants images of as many, or of 1"),
        (IMAGES, {"mean": (0.1, 0.2)}, "want one mean, or one for each of 3 channels, got 2"),
        (IMAGES, {"std": (0.1, 0.2)}, "want one std"),
        (IMAGES, {"std": (0.1, 0.0, 1.0)}, "want std > 0"),
        (IMAGES, {"mean": (0.1, float("nan"), 1.0)}, "want a finite mean"),
    ],
)
def test_what_does_not_fit_the_images(images: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Loader((images, LABELS), **options)


def test_integers_are_no_images() -> None:
    with pytest.raises(TypeError, match="want x to be uint8, float32 or float64, got int64"):
        Loader((IMAGES.astype(np.int64), LABELS), augment=ALL)


def test_seeds_are_not_negative() -> None:
    with pytest.raises(ValueError, match="seed: want at least 0, got -1"):
        Preparation(seed=-1)
