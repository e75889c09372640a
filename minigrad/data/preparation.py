"""Preparation: how samples in memory become a batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from minigrad import kernels
from minigrad.data.augmentation import STILL, Augmentation

Array = npt.NDArray[Any]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
Numbers = float | Sequence[float]


@dataclass(frozen=True)
class Preparation:
    """What is done to samples when a batch is made of them. The arguments are those of `Loader`."""

    mean: Numbers = 0.0
    std: Numbers = 1.0
    size: tuple[int, int] | None = None
    channels: int | None = None
    augment: Augmentation | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("mean", "std", "size"):
            value = getattr(self, name)
            if isinstance(value, (list, tuple, np.ndarray)):
                object.__setattr__(self, name, tuple(value))
        if not np.all(np.isfinite(self.mean)):
            raise ValueError(f"normalisation: want a finite mean, got {self.mean}")
        if not all(0 < std < math.inf for std in np.ravel(self.std)):
            raise ValueError(f"normalisation: want std > 0, got {self.std}")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ValueError(f"size: want a height and a width in pixels, got {self.size}")
        if self.channels is not None and self.channels < 1:
            raise ValueError(f"channels: want at least 1, got {self.channels}")
        if self.seed < 0:
            raise ValueError(f"seed: want at least 0, got {self.seed}")

    # Cached: an epoch may be a call for each step.
    @cached_property
    def fixed(self) -> Self:
        """The same without what is random."""
        return replace(self, augment=None, seed=0)

    @cached_property
    def wants_images(self) -> bool:
        """Whether it can be done to images alone."""
        is_one = np.ndim(self.mean) == np.ndim(self.std) == 0
        return not is_one or (self.size, self.channels, self.augment) != (None, None, None)

    def shape(self, x: Array) -> tuple[int, ...]:
        """Return the shape of a prepared sample.

        Raises:
            TypeError: for samples whose dtype does not take it.
            ValueError: for samples whose shape does not.
        """
        changes = self.wants_images or (self.mean, self.std) != (0, 1)
        if changes and x.dtype != np.uint8 and x.dtype not in FLOATS:
            raise TypeError(
                f"Loader: augment, size, channels, mean and std want x to be uint8, float32 or float64, got {x.dtype}: "
                "x.astype(np.float32)"
            )
        if not self.wants_images:
            return x.shape[1:]
        if x.ndim not in (3, 4):
            raise ValueError(
                "Loader: size, channels, augment, and a mean for each channel, want images (N, H, W) or (N, C, H, W), "
                f"got samples of shape {x.shape}"
            )
        have = x.shape[1] if x.ndim == 4 else 1
        if self.channels not in (None, have) and have != 1:
            raise ValueError(f"Loader: channels={self.channels} wants images of as many, or of 1, got {x.shape}")
        C = self.channels or have
        for name in ("mean", "std"):
            count = np.size(getattr(self, name))
            if count not in (1, C):
                raise ValueError(f"Loader: want one {name}, or one for each of {C} channels, got {count}")
        return (*((C,) if x.ndim == 4 or self.channels else ()), *(self.size or x.shape[-2:]))

    def factors(self, dtype: np.dtype[Any]) -> tuple[Any, Any]:
        """Return `scale` and `shift` of x scale + shift, for samples of this dtype."""
        mean, std = np.asarray(self.mean, np.float64), np.asarray(self.std, np.float64)
        return 1 / ((255 if dtype == np.uint8 else 1) * std), -mean / std

    def image_factors(self, x: Array) -> tuple[Array, Array]:
        """Return them as vectors of a number for each channel."""
        *channels, _, _ = self.shape(x)
        scale, shift = (np.broadcast_to(factor, channels or (1,)) for factor in self.factors(x.dtype))
        return np.ascontiguousarray(scale), np.ascontiguousarray(shift)

    def moves(self, x: Array, numbers: Array, epoch: int) -> Array:
        """Return what is done to the images of these numbers in an epoch, in rows as `Augmentation.draw` does."""
        if self.augment is None:
            return np.tile(np.array(STILL, np.float64), (len(numbers), 1))
        height, width = self.shape(x)[-2:]
        return self.augment.draw(self.seed, epoch, numbers, (height, width))

    def batch(self, x: Array, index: Array, numbers: Array, epoch: int) -> Array:
        """Return the batch of the samples x[index], prepared.

        Arguments:
            x: samples, (N, *).
            index: which of them.
            numbers: those that they have in their data set, on which the augmentation depends.
            epoch: number of the epoch, on which it depends too.
        """
        shape = self.shape(x)
        if x.dtype != np.uint8 and x.dtype not in FLOATS:
            return x[index]
        out = np.empty((len(index), *shape), np.float32 if x.dtype == np.uint8 else x.dtype)
        if self.wants_images:
            moves, factors = self.moves(x, numbers, epoch), self.image_factors(x)
            kernels.gather_images(as_images(x), index, moves, *factors, as_images(out))
            return out
        gather = kernels.gather_uint8 if x.dtype == np.uint8 else kernels.gather_float
        scale, shift = self.factors(x.dtype)
        gather(x.reshape(len(x), -1), index, float(scale), float(shift), out.reshape(len(index), -1))
        return out


def as_images(x: Array) -> Array:
    """Return images (N, H, W) or (N, C, H, W) as the latter."""
    return x.reshape(len(x), -1, *x.shape[-2:])
