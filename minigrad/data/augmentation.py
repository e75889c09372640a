"""Augmentation: what is done to images at random, so that no two epochs show the same ones."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

STILL = (0, 0, 0, 1, 0, 0, 0, 0, 0)
"""The move that leaves an image as it is; see `gather_images` among the kernels."""
ATTEMPTS = 10  # at an area that fits, as in torchvision
FLIP, DOWN, RIGHT, ANGLE, ERASE, AREA = range(6)  # numbers of the draws; each attempt has four from AREA on


@dataclass(frozen=True)
class Augmentation:
    r"""Random changes of images: rotated, then shifted, then flipped, and after normalisation an area erased.

    For the same draws that is what torchvision's `RandomRotation(rotation, BILINEAR)`, `RandomCrop(size, crop)`,
    `RandomHorizontalFlip(flip)`, normalisation and `RandomErasing(erasing, scale, ratio)` make, in this order.

    Arguments:
        flip: probability of being mirrored, left to right.
        crop: largest shift in pixels, along both axes; what comes in is 0 before normalisation. It is the padding of
            torchvision's `RandomCrop(size, padding=crop)`, which pads an image and cuts the old size out of it.
        rotation: by up to so many degrees either way, about the centre, bilinearly; what comes in is 0 as well.
        erasing: probability that a rectangle becomes 0, after normalisation.
        scale: least and largest share of the image that it takes.
        ratio: least and largest height of it over its width.

    Raises:
        ValueError: for numbers out of their range.

    >>> Augmentation(flip=0.5, crop=2).draw(seed=0, epoch=0, index=np.arange(3), size=(28, 28))[:, :3]
    array([[ 0.,  0., -2.],
           [ 0.,  2.,  2.],
           [ 1.,  2.,  1.]])
    """

    flip: float = 0.0
    crop: int = 0
    rotation: float = 0.0
    erasing: float = 0.0
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)

    def __post_init__(self) -> None:
        for name in ("flip", "erasing"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Augmentation: want {name} between 0 and 1, got {getattr(self, name)}")
        if isinstance(self.crop, bool) or not isinstance(self.crop, int) or self.crop < 0:
            raise ValueError(f"Augmentation: want crop to be a whole number of pixels, at least 0, got {self.crop!r}")
        if not 0 <= self.rotation <= 180:
            raise ValueError(f"Augmentation: want rotation between 0 and 180 degrees, got {self.rotation}")
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"Augmentation: want scale to be two shares, the lesser first, got {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1] < math.inf:
            raise ValueError(f"Augmentation: want ratio to be two positive numbers, the lesser first, got {self.ratio}")

    def draw(self, seed: int, epoch: int, index: Array, size: tuple[int, int]) -> Array:
        """Return what is done to the samples of these numbers in an epoch: a row (9) of float64 for each.

        The columns are those of `moves` of the kernel `gather_images`. Each row is a function of its sample's number,
        seed and epoch alone.

        Arguments:
            seed: of everything.
            epoch: number of the epoch.
            index: numbers of the samples in their data set, (N,).
            size: height and width of the images.
        """
        keys = _keys(seed, epoch, index)
        moves = np.tile(np.array(STILL, np.float64), (len(keys), 1))
        moves[:, 0] = _uniform(keys, FLIP) < self.flip
        for column, draw in ((1, DOWN), (2, RIGHT)):
            moves[:, column] = _whole(keys, draw, 2 * self.crop + 1) - self.crop
        angle = np.deg2rad(self.rotation) * (2 * _uniform(keys, ANGLE) - 1)
        moves[:, 3], moves[:, 4] = np.cos(angle), np.sin(angle)
        waiting = np.flatnonzero(_uniform(keys, ERASE) < self.erasing)
        for attempt in range(ATTEMPTS):
            if not waiting.size:
                break
            areas, fit = self._areas(keys[waiting], AREA + 4 * attempt, size)
            moves[waiting[fit], 5:] = areas[fit]
            waiting = waiting[~fit]
        return moves

    def _areas(self, keys: Array, draw: int, size: tuple[int, int]) -> tuple[Array, Array]:
        """Return an attempt at areas (top, left, bottom, right), and which of them are smaller than the image."""
        share, (low, high) = _uniform(keys, draw), self.scale
        area = math.prod(size) * (low + (high - low) * share)
        low, high = np.log(self.ratio)
        ratio = np.exp(low + (high - low) * _uniform(keys, draw + 1))
        height, width = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
        top, left = _whole(keys, draw + 2, size[0] - height + 1), _whole(keys, draw + 3, size[1] - width + 1)
        return np.stack([top, left, top + height, left + width], axis=1), (height < size[0]) & (width < size[1])


def _mix(z: Array) -> Array:
    """Return a permutation of the 64-bit numbers that looks random: SplitMix64's (Steele et al., 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = z ^ (z >> np.uint64(31))
    return mixed


def _keys(seed: int, epoch: int, index: Array) -> Array:
    """Return a 64-bit number for each sample."""
    keys: Array = np.array([seed % 2**64], np.uint64)
    for part in (np.array([epoch]), index):
        keys = _mix(keys + np.uint64(0x9E3779B97F4A7C15)) ^ part.astype(np.uint64)
    return _mix(keys)


def _uniform(keys: Array, draw: int) -> Array:
    """Return draw number `draw` of each key, from 0 to below 1: SplitMix64 from the key on."""
    steps = np.uint64(0x9E3779B97F4A7C15 * (draw + 1) % 2**64)
    upper: Array = (_mix(keys + steps) >> np.uint64(11)).astype(np.float64)
    return upper * 2.0**-53


def _whole(keys: Array, draw: int, count: Any) -> Array:
    """Return draw number `draw` of each key as a whole number from 0 to below `count`."""
    whole: Array = np.floor(_uniform(keys, draw) * count)
    return whole
