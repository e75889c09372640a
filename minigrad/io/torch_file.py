"""PyTorch's .pt and .pth files without PyTorch: read and written.

A file is a pickle of names and tensors, each of which names a storage: the numbers lie beside the pickle, in a zip
archive, or behind it, in the format before PyTorch 1.6. `torch_pickle` reads the pickle, which can call nothing,
`torch_storage` has the numbers.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.files import atomic_path
from minigrad.io.state import Array, FilePath, StateFileError, load_state
from minigrad.io.torch_pickle import Unpickler
from minigrad.io.torch_storage import DTYPES, STORAGES, RefusedError, Storage

ZIP_MAGIC = b"PK\x03\x04"  # at the beginning; what makes a whole archive of it stands at the end
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


def load_torch(path: FilePath) -> Any:
    """Return what a PyTorch file holds, tensors as arrays: for a state_dict a dict of arrays by name.

    It reads what `torch.load(path, weights_only=True, map_location="cpu")` reads, and nothing of it runs:

    - Tensors and parameters are arrays with the tensors' strides. Those that share their numbers in PyTorch share them
      here, so an array may not be contiguous, and writing into one may change another: copy it first.
    - bfloat16 becomes float32, complex32 becomes complex64, conjugate and negative views become the values they show.
    - Numbers, strings, bytes, None, lists, tuples, dicts, sets and Counters are read as they are, an OrderedDict as a
      dict, torch.Size as a tuple, dtypes and devices as strings ("torch.float32", "cuda:0").

    What PyTorch reads and this does not:

    - sparse, quantized, nested and distributed tensors, those of float8 and of fewer bits, and those on the device
      meta: NumPy has no such arrays, and the error says what to save instead;
    - archives that are compressed or name an entry twice: torch.save writes neither, and both can be made to hold more
      than their length;
    - tensors, complex numbers and integers beyond 64 bits as keys, which can be made to take a dict for ever;
    - tensors of PyTorch before 0.2, which wrote them in another way (`torch.FloatTensor` in the pickle).

    Arguments:
        path: a .pt or .pth file of either format, or a .safetensors file.

    Raises:
        StateFileError: if the file is missing, cut off or of no such format, or holds anything else: its name is in the
            message.
    """
    path = Path(path)
    if not path.is_file():
        raise StateFileError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
    if path.suffix == ".safetensors":
        return load_state(path)
    try:
        file = _Bounded(path)
    except OSError as error:
        raise StateFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        with file:
            return _read(file)
    except RefusedError as error:
        raise StateFileError(f"{path}: {error}") from None
    except Exception as error:  # a pickle that is cut off or corrupt may raise anything
        detail = f"{type(error).__name__}: {error}"
        raise StateFileError(f"{path}: not a PyTorch file, or cut off or corrupt ({detail})") from error


class _Bounded(BufferedReader):
    """A file of which no read takes memory for more than is left, whatever length a damaged one claims."""

    def __init__(self, path: Path) -> None:
        super().__init__(FileIO(path))
        self.length = self.seek(0, 2)
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, or all that are left."""
        left = max(self.length - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


def _read(file: _Bounded) -> Any:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            return _read_zip(archive, file.length)
    file.seek(0)
    if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC:
        raise RefusedError("a zip archive that is cut off")
    file.seek(0)
    return _read_legacy(file)


def _read_zip(archive: zipfile.ZipFile, length: int) -> Any:
    """Read the pickle, and then the storages that it names."""
    entries = archive.infolist()
    names = archive.namelist()
    pickles = [name for name in names if name.endswith("/data.pkl")]
    if not pickles or any("/code/" in name for name in names):
        raise RefusedError("want a file of torch.save(state_dict, ...), got another kind of zip archive")
    if len(set(names)) < len(names) or sum(entry.file_size for entry in entries) > length:
        raise RefusedError(f"an archive of {length} bytes whose entries overlap, or are compressed, or have one name")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise RefusedError("a compressed archive; unpack it and pack it again without compression")
    folder = pickles[0].removesuffix("data.pkl")
    order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"
    if order not in (b"little", b"big"):
        raise RefusedError(f"of the byte order {order!r}")
    storages: dict[str, Storage] = {}

    def storage(key: str, count: int, size: int) -> Storage:
        there = archive.getinfo(f"{folder}data/{key}").file_size
        if count * size != there:
            raise RefusedError(f"a storage has {there} bytes, want {count * size}")
        return _registered(storages, key, count, size)

    content = Unpickler(BytesIO(archive.read(pickles[0])), storage).load()
    for key, numbers in storages.items():
        numbers.fill(archive.read(f"{folder}data/{key}"), order == b"big")
    return content


def _read_legacy(file: _Bounded) -> Any:
    """Read five pickles (magic number, version, the writer's system, the content, the keys) and the storages.

    The writer's byte order does not matter: numbers are little-endian on every system.
    """
    if [Unpickler(file, _no_storage).load() for _ in range(2)] != [LEGACY_MAGIC, LEGACY_PROTOCOL]:
        raise RefusedError("not a file of torch.save")
    Unpickler(file, _no_storage).load()
    storages: dict[str, Storage] = {}
    room = file.length

    def storage(key: str, count: int, size: int) -> Storage:  # its numbers come behind the pickle
        nonlocal room
        if key not in storages:
            room -= count * size
        if room < 0:
            raise RefusedError(f"cut off: its storages claim more than its {file.length} bytes")
        return _registered(storages, key, count, size)

    content = Unpickler(file, storage).load()
    keys = Unpickler(file, _no_storage).load()
    if set(map(str, keys)) != set(storages):
        raise RefusedError("cut off: storages that tensors look at are missing")
    for key in map(str, keys):
        (count,) = struct.unpack("<q", file.read(8))
        if count != storages[key].count:
            raise RefusedError(f"a storage has {count} numbers, want {storages[key].count}")
        storages[key].fill(file.read(storages[key].nbytes), is_big=False)
    return content


def _registered(storages: dict[str, Storage], key: str, count: int, size: int) -> Storage:
    storage = storages.setdefault(key, Storage(count, size))
    if (storage.count, storage.size) != (count, size):
        raise RefusedError(f"one storage of {storage.count} numbers of {storage.size} bytes, and of {count} of {size}")
    return storage


def _no_storage(key: str, count: int, size: int) -> Storage:
    raise RefusedError("holds a tensor where none belongs")


# ------------------------------------------------------------------------------------------------------ writing


def save_torch(path: FilePath, state: Mapping[str, npt.ArrayLike]) -> None:
    """Write arrays by name as a file that `torch.load(path, weights_only=True)` reads: a dict of tensors.

    Arguments:
        path: the file, by custom `*.pt` or `*.pth`. An older one is replaced, its folder must exist.
        state: arrays by name, as `model.state_dict()` gives them.

    Raises:
        StateFileError: for a dtype that PyTorch has not, and where the file cannot be written.
    """
    arrays = {name: np.asarray(value, order="C") for name, value in state.items()}
    for name, array in arrays.items():
        if not isinstance(name, str) or array.dtype.name not in DTYPES:
            raise StateFileError(f"{path}: {name!r} is {array.dtype}, which PyTorch's files have not")
    try:
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            entries = [_text(name) + _tensor(array, key) for key, (name, array) in enumerate(arrays.items())]
            archive.writestr("archive/data.pkl", b"\x80\x02}(" + b"".join(entries) + b"u.")
            archive.writestr("archive/byteorder", "little")
            for key, array in enumerate(arrays.values()):
                archive.writestr(f"archive/data/{key}", array.astype(array.dtype.newbyteorder("<")).tobytes())
            archive.writestr("archive/version", "3\n")
    except OSError as error:
        raise StateFileError(f"{path}: {error.strerror or error}") from error


def _tensor(array: Array, key: int) -> bytes:
    """Return the pickle of `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`.

    For a dtype without a class of storages that of `_rebuild_tensor_v3`, with a storage of bytes and the dtype.
    """
    classes = [_name("torch", kind) for kind, dtype in STORAGES.items() if dtype == array.dtype.name]
    if classes:
        function, dtype, storage, size = "_rebuild_tensor_v2", [], classes[0], array.size
    else:
        function, dtype = "_rebuild_tensor_v3", [_name("torch", array.dtype.name)]
        storage, size = _name("torch.storage", "UntypedStorage"), array.nbytes
    strides = [stride // array.itemsize for stride in array.strides]
    storage = _tuple(_text("storage"), storage, _text(str(key)), _text("cpu"), _integer(size)) + b"Q"
    no_hooks = _name("collections", "OrderedDict") + b")R"
    form = _tuple(*map(_integer, array.shape)), _tuple(*map(_integer, strides))
    return _name("torch._utils", function) + _tuple(storage, _integer(0), *form, b"\x89", no_hooks, *dtype) + b"R"


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")  # as pickle does
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(number: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", number)


def _tuple(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"
