"""The numbers of PyTorch's tensors: storages, and arrays that look at them as tensors do."""

import numpy as np

from minigrad.io.state import Array

# PyTorch's dtypes, as NumPy has them in a file and as it shows them. What it has not becomes the next larger one.
DTYPES = {
    "float32": ("float32", "float32"),
    "float64": ("float64", "float64"),
    "float16": ("float16", "float16"),
    "bfloat16": ("uint16", "float32"),
    "int64": ("int64", "int64"),
    "int32": ("int32", "int32"),
    "int16": ("int16", "int16"),
    "int8": ("int8", "int8"),
    "uint8": ("uint8", "uint8"),
    "uint16": ("uint16", "uint16"),
    "uint32": ("uint32", "uint32"),
    "uint64": ("uint64", "uint64"),
    "bool": ("uint8", "bool"),
    "complex32": ("uint32", "complex64"),
    "complex64": ("complex64", "complex64"),
    "complex128": ("complex128", "complex128"),
}

# The classes of storages, by their tensors' dtypes. Other dtypes have storages of bytes.
STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}


class RefusedError(ValueError):
    """What a file holds and must not."""


def itemsize(dtype: str) -> int:
    """Return the bytes of one number of PyTorch's `dtype` in a file."""
    return np.dtype(DTYPES[dtype][0]).itemsize


class Storage:
    """Numbers that tensors look at. They are filled in at the end, so that nothing is copied for a tensor.

    Arguments:
        count: how many.
        size: the bytes of one in the file.
    """

    count: int
    size: int
    nbytes: int

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size, self.nbytes = count, size, count * size
        self._arrays: dict[tuple[str, bool, bool], Array] = {}

    def view(
        self,
        dtype: str,
        room: range,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        signs: tuple[bool, bool],
    ) -> Array:
        """Return a tensor as an array, whose numbers are not there yet.

        Arguments:
            dtype: PyTorch's.
            room: the numbers of this dtype in the storage that the tensor may look at.
            offset: of its first one in there.
            shape: of the tensor.
            strides: in numbers.
            signs: whether it shows the numbers' conjugates, and whether it shows them negated.
        """
        numbers = self._numbers(dtype, signs)
        room = range(len(numbers))[room.start : room.stop]
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if min((offset, *shape, *strides)) < 0 or (0 not in shape and last >= len(room)):
            raise RefusedError(f"a tensor of shape {shape} that leads out of its {len(room)} numbers")
        if 0 in shape:
            return np.empty(shape, numbers.dtype)
        in_bytes = [stride * numbers.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(numbers[room[offset] :], shape, in_bytes)

    def _numbers(self, dtype: str, signs: tuple[bool, bool]) -> Array:
        key = (dtype, *signs)
        if key not in self._arrays:
            self._arrays[key] = np.empty(self.nbytes // itemsize(dtype), DTYPES[dtype][1])
        return self._arrays[key]

    def fill(self, data: bytes, is_big: bool) -> None:
        """Write the numbers from these bytes of the file, the most significant first or last."""
        for (dtype, is_conjugate, is_negative), array in self._arrays.items():
            array[...] = _decoded(data, dtype, len(array), is_big)
            if is_conjugate:
                np.conjugate(array, out=array)
            if is_negative:
                np.negative(array, out=array)


def _decoded(data: bytes, dtype: str, count: int, is_big: bool) -> Array:
    """Return the first `count` numbers as arrays show them."""
    if dtype == "complex32":
        halves = np.frombuffer(data, ">f2" if is_big else "<f2", 2 * count)
        return halves.astype(np.float32).view(np.complex64)
    numbers = np.frombuffer(data, np.dtype(DTYPES[dtype][0]).newbyteorder(">" if is_big else "<"), count)
    if dtype == "bfloat16":  # the upper half of a float32
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers != 0 if dtype == "bool" else numbers
