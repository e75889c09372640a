"""State files: arrays by name, and a few strings, as safetensors. No pickle, so reading one cannot run code.

Every file that is written holds a checksum, which is verified where it is read. Files without one (of other programs,
or of older versions) are read as they are.
"""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
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
CHECKSUM = "crc32 of arrays and metadata"  # the entry of the metadata that holds it


class StateFileError(OSError, ValueError):
    """A state file that cannot be read or written. The message starts with the file's path."""


def save_state(path: FilePath, state: Mapping[str, npt.ArrayLike], metadata: Mapping[str, str] = NO_METADATA) -> None:
    """Write arrays by name, whole or not at all, with a checksum over arrays and metadata.

    The checksum is one more entry of the metadata, so other programs read the file as any other. A program that changes
    the arrays and keeps the metadata must drop that entry.

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
    from safetensors import SafetensorError
    from safetensors.numpy import save

    arrays = {name: _as_stored(path, name, value) for name, value in state.items()}
    for key, value in metadata.items():
        if not (_is_text(key) and _is_text(value)):
            raise StateFileError(f"{path}: metadata must be strings by name; {key!r} is not")
        if key == CHECKSUM:
            raise StateFileError(f"{path}: {key!r} cannot be a name in the metadata: it is that of the file's checksum")
    try:
        with atomic_path(path) as temporary:
            # Not safetensors' own save_file: that one makes a file which only its owner may read.
            temporary.write_bytes(save(arrays, {**metadata, CHECKSUM: _checksum(arrays, metadata)}))
    except OSError as error:
        raise StateFileError(f"{path}: {error.strerror or error}") from error
    except SafetensorError as error:  # older versions have no complex numbers
        raise StateFileError(f"{path}: {error}") from error


def load_state(path: FilePath) -> dict[str, Array]:
    """Return the arrays of a state file by name, in no particular order. bfloat16 becomes float32, as in `load_torch`.

    Raises:
        StateFileError: if the file is missing, is no safetensors file, is cut off, or is damaged: its checksum, which
            every file of `save_state` has, is that of another content. Or if it holds numbers that NumPy has not
            (float8 and smaller).
    """
    return read_state(path)[0]


def load_metadata(path: FilePath) -> dict[str, str]:
    """Return the strings that `save_state` was given. Raises as `load_state`, but does not look at the dtypes."""
    with _opened(path) as file:
        metadata = dict(file.metadata() or {})
    return read_state(path)[1] if _has_checksum(metadata) else metadata


def read_state(path: FilePath) -> tuple[dict[str, Array], dict[str, str]]:
    """Return what `load_state` and `load_metadata` do, having read the file once. Raises as `load_state`."""
    with _opened(path) as file:
        names = file.keys()
        arrays = {name: _array(path, file, name) for name in names}
        metadata = dict(file.metadata() or {})
    if _has_checksum(metadata):
        written = metadata.pop(CHECKSUM, "none")
        if written != _checksum(arrays, metadata):
            raise StateFileError(
                f"{path}: damaged: the content is not what was written "
                f"(or another program has changed it, and kept the entry {CHECKSUM!r} of the metadata)"
            )
    return arrays, metadata


def _has_checksum(metadata: Mapping[str, str]) -> bool:
    """Return whether the file was written with a checksum. Damage to the entry's name must not hide that it was."""
    return bool(get_close_matches(CHECKSUM, metadata))


def _checksum(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Return eight digits that depend on every bit of content, and not on the order in which it lies in the file."""
    result = zlib.crc32(json.dumps(sorted(metadata.items())).encode())
    for name, array in sorted(arrays.items()):
        result = zlib.crc32(json.dumps([name, array.dtype.name, array.shape]).encode(), result)
        result = zlib.crc32(array.astype(array.dtype.newbyteorder("<"), copy=False).data, result)
    return f"{result:08x}"


def _array(path: FilePath, file: Any, name: str) -> Array:
    dtype = file.get_slice(name).get_dtype()
    if dtype == "BF16":
        return _bfloat16(path, name)
    if dtype not in DTYPES:
        raise StateFileError(
            f"{path}: {name} is {dtype}, which NumPy has not; want one of {', '.join(DTYPES)}, BF16. "
            "Convert it with the program that wrote it, in PyTorch: tensor.to(torch.float32)"
        )
    array: Array = file.get_tensor(name)
    return array


def _bfloat16(path: FilePath, name: str) -> Array:
    """Return as float32 what safetensors gives to NumPy in no form. The file has been found to be well-formed."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        start, stop = entry["data_offsets"]
        file.seek(8 + length + start)
        bits = np.frombuffer(file.read(stop - start), "<u2").astype(np.uint32) << 16
    return bits.view(np.float32).reshape(entry["shape"])


def _is_text(value: object) -> bool:
    """Return whether the format can hold it: a string that is UTF-8, which one with half a surrogate pair is not."""
    return isinstance(value, str) and value.encode(errors="replace").decode() == value


def _as_stored(path: FilePath, name: str, value: npt.ArrayLike) -> Array:
    """Return `value` as the format wants it. safetensors writes the memory as it lies: other strides are garbage."""
    array = np.asarray(value)
    if not _is_text(name) or name == "__metadata__":
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
