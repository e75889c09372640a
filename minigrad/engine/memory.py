"""What the operands of an instruction are: memory of the arena, arrays that are given, scalars in cells."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


def address(array: Array) -> int:
    """Return where an array lies: `array.ctypes.data`, in half the time where the array can be written."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    except (TypeError, ValueError):
        return array.ctypes.data


class Buffer:
    """Memory of a program's arena. `reshape` and `part` give the same memory in another form.

    Arguments:
        shape: its shape.
        dtype: its dtype.
        name: for people.
        root: the buffer that this one is another form of.
        start: bytes from the root's beginning.
    """

    shape: Shape
    dtype: np.dtype[Any]
    name: str
    root: Buffer
    start: int

    def __init__(
        self, shape: Shape, dtype: npt.DTypeLike, name: str, root: Buffer | None = None, start: int = 0
    ) -> None:
        self.shape, self.dtype, self.name = shape, np.dtype(dtype), name
        self.root, self.start = self if root is None else root, start

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes."""
        return self.size * self.dtype.itemsize

    def reshape(self, *shape: int) -> Buffer:
        """Return the same memory in another shape, with at most one -1."""
        return Buffer(_completed(shape, self.size), self.dtype, self.name, self.root, self.start)

    def part(self, start: int, length: int) -> Buffer:
        """Return so many elements of a vector from `start` on."""
        return Buffer((length,), self.dtype, self.name, self.root, self.start + start * self.dtype.itemsize)


class Slot:
    """An array that is given anew at each call: the batch. Its address is filled in then."""

    shape: Shape
    dtype: np.dtype[Any]
    name: str

    def __init__(self, shape: Shape, dtype: npt.DTypeLike, name: str) -> None:
        self.shape, self.dtype, self.name = shape, np.dtype(dtype), name
        self.places: list[tuple[Array, int]] = []

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def reshape(self, *shape: int) -> Slot:
        """Return the same array in another shape, with at most one -1."""
        other = Slot(_completed(shape, self.size), self.dtype, self.name)
        other.places = self.places
        return other

    def fill(self, array: Array) -> None:
        """Take this array from now on, which the caller has to keep."""
        where = address(array)
        for words, at in self.places:
            words[at] = where


def _completed(shape: Shape, size: int) -> Shape:
    """Return a shape of so many elements whose -1 stands for what is missing."""
    known = math.prod(length for length in shape if length >= 0)
    return tuple(length if length >= 0 else size // known for length in shape)


class Cell:
    """A scalar that changes between steps. `array` is its memory, one element."""

    array: Array

    def __init__(self, value: float = 0, name: str = "") -> None:
        self.array = np.array([value], np.float64 if isinstance(value, float) else np.int64)
        self.name = name

    def set(self, value: float) -> None:
        """Change it."""
        self.array[0] = value


Memory = Buffer | Slot | Array


class Image:
    """Images (N, C, *), or one (C, *), that lie pixel by pixel: `pixels` (S, N, C) is their memory."""

    pixels: Memory
    shape: Shape
    dtype: np.dtype[Any]

    def __init__(self, pixels: Memory, shape: Shape) -> None:
        self.pixels, self.shape, self.dtype = pixels, shape, pixels.dtype


Value = Memory | Image
"""What a layer takes and gives."""


def root_of(value: Value) -> Memory:
    """Return the memory that a value lies in, the same object for all forms of it."""
    memory = value.pixels if isinstance(value, Image) else value
    return memory.root if isinstance(memory, Buffer) else memory


def in_form_of(memory: Memory, other: Value) -> Value:
    """Return memory that is laid out as another value as that value's like."""
    return Image(memory, other.shape) if isinstance(other, Image) else memory


Operand = Memory | Cell | float


@dataclass(frozen=True)
class Cut:
    """An operand that is divided along its first axis, in units of so many elements."""

    memory: Memory
    unit: int = 1


def cut(memory: Memory, unit: int = 1) -> Cut:
    """Return an operand of which each thread gets its part along the first axis.

    Arguments:
        memory: an array.
        unit: of a vector: how many elements belong to one of what is divided.
    """
    return Cut(memory, unit)
