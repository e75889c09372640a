"""State files: arrays by name, and a few strings, as safetensors. No pickle, so reading one cannot run code."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.files import atomic_path

Array = npt.NDArray[Any]
FilePath = str | os.PathLike[str]

# What both NumPy and the format have. Keys: the format's names.
DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}
NO_METADATA: Mapping[str, str] = MappingProxyType({})


class StateFileError(OSError, ValueError):
    """A state file that cannot be read or written. The message starts with the file's path."""


def save_state(path: FilePath, state: Mapping[str, npt.ArrayLike], metadata: Mapping[str, str] = NO_METADATA) -> None:
    """Write arrays by name, whole or not at all.

    Arguments:
        path: the file, by custom `*.safetensors`. An older one is replaced, its folder must exist.
        state: arrays by name, as `model.state_dict()` gives them.
        metadata: strings by name, kept in the same file.

    Raises:
        StateFileError: for a dtype or a name that the format has not, and where the file cannot be written.

    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "model.safetensors"
    >>> save_state(path, {"weight": np.eye(2)}, {"made by": "a doctest"})
    >>> load_state(path)["weight"]
    array([[1., 0.],
           [0., 1.]])
    """
    from safetensors.numpy import save

    arrays = {name: _as_stored(path, name, value) for name, value in state.items()}
    wrong = [key for key, value in metadata.items() if not (isinstance(key, str) and isinstance(value, str))]
    if wrong:
        raise StateFileError(f"{path}: metadata must be strings by name; {wrong[0]!r} is not")
    try:
        with atomic_path(path) as temporary:
            # Not safetensors' own save_file: that one makes a file which only its owner may read.
            temporary.write_bytes(save(arrays, dict(metadata) or None))
    except OSError as error:
        raise StateFileError(f"{path}: {error.strerror or error}") from error


def load_state(path: FilePath) -> dict[str, Array]:
    """Return the arrays of a state file by name, in no particular order.

    Raises:
        StateFileError: if the file is missing, is no safetensors file, is cut off or otherwise corrupt, or holds a
            dtype that NumPy has not (bfloat16, float8).
    """
    with _opened(path) as file:
        names = list(file.keys())
        for name in names:
            if (dtype := file.get_slice(name).get_dtype()) not in DTYPES:
                raise StateFileError(f"{path}: {name} is {dtype}, which NumPy has not; want one of {', '.join(DTYPES)}")
        return {name: file.get_tensor(name) for name in names}


def load_metadata(path: FilePath) -> dict[str, str]:
    """Return the strings that `save_state` was given. Raises as `load_state`."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


def _as_stored(path: FilePath, name: str, value: npt.ArrayLike) -> Array:
    """Return `value` as the format wants it. safetensors writes the memory as it lies: other strides are garbage."""
    array = np.asarray(value)
    if not isinstance(name, str) or name == "__metadata__":
        raise StateFileError(f"{path}: {name!r} cannot be the name of an array")
    if array.dtype.name not in DTYPES.values():
        raise StateFileError(f"{path}: {name} is {array.dtype}; want one of {', '.join(DTYPES.values())}")
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


@contextmanager
def _opened(path: FilePath) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise StateFileError(f"{path}: {'not a regular file' if Path(path).exists() else 'no such file'}")
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except SafetensorError as error:
        raise StateFileError(f"{path}: not a safetensors file, or cut off or corrupt: {error}") from error
    except StateFileError:
        raise
    except OSError as error:
        raise StateFileError(f"{path}: cannot be read: {error}") from error
