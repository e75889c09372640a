"""PyTorch's .pt and .pth files without PyTorch: read by an unpickler that knows tensors and nothing else, and written.

A file is a pickle of names and tensors, each of which names a storage: the numbers lie beside the pickle, in a zip
archive, or behind it, in the format before PyTorch 1.6. A pickle may call any function of any module. Here it may call
those that rebuild a tensor; whatever else it names is refused, and nothing of it runs.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from minigrad.files import atomic_path
from minigrad.io.state import Array, FilePath, StateFileError, load_state

# PyTorch's storages, by what NumPy calls their numbers. bfloat16 has no name there: it becomes float32.
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
ZIP_MAGIC = b"PK\x03\x04"  # at the beginning; what makes a whole archive of it stands at the end
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


class _RefusedError(ValueError):
    """What a file holds and must not."""


class _Storage(NamedTuple):
    """Numbers that tensors look at, of one of the `STORAGES`; bfloat16's bits as uint16."""

    kind: str
    numbers: Array


class _Tensor(NamedTuple):
    """A view of a storage, whose numbers may still have to be read."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> Array:
        """Return a copy of what the view shows."""
        numbers, items = self.storage.numbers, self.storage.numbers.itemsize
        steps = [(size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)]
        is_empty = 0 in self.shape
        if min((self.offset, *self.shape, *self.strides)) < 0 or (
            not is_empty and self.offset + sum(steps) >= len(numbers)
        ):
            raise _RefusedError(f"a tensor of shape {self.shape} that leads out of its {len(numbers)} numbers")
        if is_empty:
            view = np.empty(self.shape, numbers.dtype)
        else:
            strides = [stride * items for stride in self.strides]
            view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides)
        if STORAGES[self.storage.kind] == "bfloat16":
            return (view.astype(np.uint32) << 16).view(np.float32)
        return np.array(view, order="C")


class _Rebuild:
    """What a pickle may call to make a tensor or a parameter. It has no attribute that a pickle could set."""

    __slots__ = ()

    def __call__(self, source: Any, *arguments: Any) -> Any:
        """Return the tensor of a storage, offset, shape and strides; of a tensor itself."""
        if isinstance(source, _Tensor):
            return source
        offset, shape, strides = arguments[:3]
        return _Tensor(source, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


Storages = Callable[[str, str, int], _Storage]


class _Unpickler(pickle.Unpickler):
    """An unpickler that refuses every name but those of tensors.

    Arguments:
        file: the pickle.
        storages: returns the storage of a kind, under a key, of so many numbers.
    """

    _NAMES: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor"): _Rebuild(),
        ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
        ("torch._utils", "_rebuild_parameter"): _Rebuild(),
        **{("torch", kind): kind for kind in STORAGES},
    }

    def __init__(self, file: Any, storages: Storages) -> None:
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name in the pickle."""
        if (module, name) not in self._NAMES:
            raise _RefusedError(
                f"holds {module}.{name}; only tensors, numbers, strings, lists and dicts are read. Save a state_dict"
            )
        return self._NAMES[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """Return a storage."""
        what, kind, key, _, count, *view = pid
        if what != "storage" or any(part is not None for part in view):
            raise _RefusedError(f"holds a {what} that is not a whole storage")
        return self._storages(kind, str(key), int(count))


def load_torch(path: FilePath) -> Any:
    """Return what a PyTorch file holds, tensors as arrays: for a state_dict a dict of arrays by name.

    Arguments:
        path: a .pt or .pth file of either format, or a .safetensors file.

    Raises:
        StateFileError: if the file is missing, cut off or of no such format, or holds anything but tensors, numbers,
            strings, lists, tuples and dicts: its name is in the message, and nothing of it has run.
    """
    path = Path(path)
    if not path.is_file():
        raise StateFileError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
    if path.suffix == ".safetensors":
        return load_state(path)
    try:
        with open(path, "rb") as file:
            return _arrays(_read(file))
    except _RefusedError as error:
        raise StateFileError(f"{path}: {error}") from None
    except Exception as error:  # a pickle that is cut off or corrupt may raise anything
        detail = f"{type(error).__name__}: {error}"
        raise StateFileError(f"{path}: not a PyTorch file, or cut off or corrupt ({detail})") from error


def _arrays(value: Any) -> Any:
    """Return the same with arrays for tensors, and plain dicts."""
    if isinstance(value, _Tensor):
        return value.array()
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_arrays, value))
    return value


def _read(file: BinaryIO) -> Any:
    if zipfile.is_zipfile(file):
        return _read_zip(file)
    file.seek(0)
    if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC:
        raise _RefusedError("a zip archive that is cut off")
    return _read_legacy(file)


def _read_zip(file: BinaryIO) -> Any:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if not pickles or any("/code/" in name for name in names):
            raise _RefusedError("want a file of torch.save(state_dict, ...), got another kind of zip archive")
        folder = pickles[0].removesuffix("data.pkl")
        is_big = f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") == b"big"
        storages: dict[str, _Storage] = {}

        def storage(kind: str, key: str, count: int) -> _Storage:
            if key not in storages:
                storages[key] = _Storage(kind, _numbers(kind, archive.read(f"{folder}data/{key}"), count, is_big))
            return storages[key]

        return _Unpickler(archive.open(pickles[0]), storage).load()


def _read_legacy(file: BinaryIO) -> Any:
    """Read five pickles (magic number, version, the writer's system, the content, the keys) and the storages."""
    length = file.seek(0, 2)
    file.seek(0)
    if [_Unpickler(file, _no_storage).load() for _ in range(2)] != [LEGACY_MAGIC, LEGACY_PROTOCOL]:
        raise _RefusedError("not a file of torch.save")
    is_big = not _Unpickler(file, _no_storage).load().get("little_endian", True)
    storages: dict[str, _Storage] = {}

    def storage(kind: str, key: str, count: int) -> _Storage:
        if key not in storages:  # its numbers come behind the pickle
            if count > length:
                raise _RefusedError(f"cut off: a storage has {count} numbers, the file {length} bytes")
            storages[key] = _Storage(kind, np.empty(count, _dtype(kind)))
        return storages[key]

    content = _Unpickler(file, storage).load()
    for key in _Unpickler(file, _no_storage).load():
        kind, numbers = storages[key]
        (count,) = struct.unpack(">q" if is_big else "<q", file.read(8))
        numbers[...] = _numbers(kind, file.read(count * numbers.itemsize), len(numbers), is_big)
    return content


def _no_storage(kind: str, key: str, count: int) -> _Storage:
    raise _RefusedError("holds a tensor where none belongs")


def _dtype(kind: str) -> np.dtype[Any]:
    return np.dtype("uint16" if STORAGES[kind] == "bfloat16" else STORAGES[kind])


def _numbers(kind: str, data: bytes, count: int, is_big: bool) -> Array:
    """Return so many numbers from their bytes."""
    dtype = _dtype(kind)
    return np.frombuffer(data, dtype.newbyteorder(">" if is_big else "<"), count).astype(dtype, copy=False)


# ------------------------------------------------------------------------------------------------------ writing


def save_torch(path: FilePath, state: Mapping[str, npt.ArrayLike]) -> None:
    """Write arrays by name as a file that `torch.load(path, weights_only=True)` reads: a dict of tensors.

    Arguments:
        path: the file, by custom `*.pt` or `*.pth`. An older one is replaced, its folder must exist.
        state: arrays by name, as `model.state_dict()` gives them.

    Raises:
        StateFileError: for a dtype that PyTorch has not, and where the file cannot be written.
    """
    kinds = {dtype: kind for kind, dtype in STORAGES.items()}
    arrays = {name: np.asarray(value, order="C") for name, value in state.items()}
    for name, array in arrays.items():
        if not isinstance(name, str) or array.dtype.name not in kinds:
            raise StateFileError(f"{path}: {name!r} is {array.dtype}, which PyTorch's files have not")
    try:
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            entries = [
                _text(name) + _tensor(array, kinds[array.dtype.name], key)
                for key, (name, array) in enumerate(arrays.items())
            ]
            archive.writestr("archive/data.pkl", b"\x80\x02}(" + b"".join(entries) + b"u.")
            archive.writestr("archive/byteorder", "little")
            for key, array in enumerate(arrays.values()):
                archive.writestr(f"archive/data/{key}", array.astype(array.dtype.newbyteorder("<")).tobytes())
            archive.writestr("archive/version", "3\n")
    except OSError as error:
        raise StateFileError(f"{path}: {error.strerror or error}") from error


def _tensor(array: Array, kind: str, key: int) -> bytes:
    """Return the pickle of `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`."""
    strides = [stride // array.itemsize for stride in array.strides]
    storage = _tuple(_text("storage"), _name("torch", kind), _text(str(key)), _text("cpu"), _integer(array.size)) + b"Q"
    no_hooks = _name("collections", "OrderedDict") + b")R"
    form = _tuple(*map(_integer, array.shape)), _tuple(*map(_integer, strides))
    return _name("torch._utils", "_rebuild_tensor_v2") + _tuple(storage, _integer(0), *form, b"\x89", no_hooks) + b"R"


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(number: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", number)


def _tuple(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"
