"""Files that PyTorch does not write: older than it, of other machines, damaged, or made to take time and memory."""

import io
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minigrad.io import StateFileError, load_torch
from minigrad.io.torch_file import _integer, _name, _text, _tuple
from tests.torch_files import assert_same, survive

NO_HOOKS = _name("collections", "OrderedDict") + b")R"


def write(path: Path, pickle: bytes, numbers: Any = (), order: bytes = b"little") -> Path:
    """Write an archive of a pickle and one storage."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + pickle + b".")
        archive.writestr("a/byteorder", order)
        archive.writestr("a/data/0", np.asarray(numbers).tobytes())
        archive.writestr("a/version", "3\n")
    return path


def storage(size: int, kind: str = "FloatStorage", *view: bytes) -> bytes:
    return _tuple(_text("storage"), _name("torch", kind), _text("0"), _text("cuda:0"), _integer(size), *view) + b"Q"


def integers(*numbers: int) -> bytes:
    return _tuple(*map(_integer, numbers))


def call(module: str, name: str, *arguments: bytes) -> bytes:
    return _name(module, name) + _tuple(*arguments) + b"R"


def tensor(numbers: bytes, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *more: bytes) -> bytes:
    form = _integer(offset), integers(*shape), integers(*strides)
    return call("torch._utils", "_rebuild_tensor_v2", numbers, *form, b"\x89", NO_HOOKS, *more)


# ----------------------------------------------------------------------------------------------------------- older

PLAIN = storage(6), _integer(1), integers(2, 2), integers(1, 2)
OLD = {
    "before _rebuild_tensor_v2": call("torch._utils", "_rebuild_tensor", *PLAIN),
    "before metadata": tensor(storage(6), 1, (2, 2), (1, 2)),
    "a parameter of PyTorch 0.1": call(
        "torch.nn.parameter", "Parameter", call("torch._utils", "_rebuild_tensor", *PLAIN), b"\x88"
    ),
    "a parameter and its state": call(
        "torch._utils", "_rebuild_parameter_with_state", tensor(storage(6), 1, (2, 2), (1, 2)), b"\x88", NO_HOOKS, b"}"
    ),
    "a tensor with attributes": call(
        "torch._tensor",
        "_rebuild_from_type_v2",
        _name("torch._utils", "_rebuild_tensor_v2"),
        _name("torch", "Tensor"),
        _tuple(*PLAIN, b"\x89", NO_HOOKS),
        b"}",
    ),
    "an OrderedDict of Python 2": call(
        "collections", "OrderedDict", _tuple(_tuple(b"U\x01w", call("torch._utils", "_rebuild_tensor", *PLAIN)))
    ),
}


@pytest.mark.parametrize("pickle", OLD.values(), ids=OLD)
def test_older_pickles(tmp_path: Path, pickle: bytes) -> None:
    path = write(tmp_path / "x.pth", pickle, np.arange(6, dtype=np.float32))
    theirs = torch.load(path, weights_only=True, map_location="cpu")
    assert_same(load_torch(path), theirs)
    value = theirs["w"] if isinstance(theirs, dict) else theirs
    assert value.tolist() == [[1, 3], [2, 4]]


def test_a_parameter_of_pytorch_0_3(tmp_path: Path) -> None:
    """As in the files of torchvision of 2017: made, and then told its state."""
    parameter = call("torch.nn.parameter", "Parameter", call("torch._utils", "_rebuild_tensor", *PLAIN))
    path = write(
        tmp_path / "x.pth", parameter + _tuple(b"\x88", b"\x89", NO_HOOKS) + b"b", np.arange(6, dtype=np.float32)
    )
    assert load_torch(path).tolist() == [[1, 3], [2, 4]]


def legacy(pickle: bytes, numbers: Any, little: bool = True) -> bytes:
    """Return a file of the older format with one storage."""
    buffer = io.BytesIO()
    torch.save({}, buffer, _use_new_zipfile_serialization=False)
    start = buffer.getvalue()
    start = start[: start.index(b"\x80\x02}q\x00.\x80\x02]q\x00.")]
    flag = start.index(b"\x88", start.index(b"little_endian"))
    start = start[:flag] + (b"\x88" if little else b"\x89") + start[flag + 1 :]
    data = np.asarray(numbers)
    return (
        start
        + b"\x80\x02"
        + pickle
        + b".\x80\x02]("
        + _text("0")
        + b"e."
        + struct.pack("<q", data.size)
        + data.tobytes()
    )


@pytest.mark.parametrize("little", [True, False])
def test_the_older_format_of_a_machine_of_either_byte_order(tmp_path: Path, little: bool) -> None:
    """The file says which it was, but its numbers are little-endian all the same."""
    path = tmp_path / "x.pth"
    path.write_bytes(
        legacy(tensor(storage(6, "FloatStorage", b"N"), 1, (2, 2), (1, 2)), np.arange(6, dtype="<f4"), little)
    )
    assert_same(load_torch(path), torch.load(path, weights_only=True, map_location="cpu"))


def test_a_part_of_a_storage(tmp_path: Path) -> None:
    """As the older format had them: a storage could be a part of another."""
    part = storage(6, "FloatStorage", _tuple(_text("1"), _integer(2), _integer(3)))
    path = tmp_path / "x.pth"
    path.write_bytes(
        legacy(b"](" + tensor(part, 1, (2,), (1,)) + tensor(part, 0, (3,), (1,)) + b"e", np.arange(6, dtype="<f4"))
    )
    assert_same(load_torch(path), torch.load(path, weights_only=True, map_location="cpu"))
    for offset, size in ((4, 3), (-1, 2), (7, 0), (0, -1)):
        part = storage(6, "FloatStorage", _tuple(_text("1"), _integer(offset), _integer(size)))
        path.write_bytes(legacy(tensor(part, 0, (1,), (1,)), np.arange(6, dtype="<f4")))
        with pytest.raises(StateFileError, match="holds a storage of 6 numbers and a part of it"):
            load_torch(path)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("FloatStorage", 4),
        ("ComplexDoubleStorage", 16),
        ("ShortStorage", 2),
        ("BFloat16Storage", 2),
        ("BoolStorage", 1),
    ],
)
def test_an_archive_of_a_big_endian_machine(tmp_path: Path, kind: str, size: int) -> None:
    numbers = np.arange(1, 6 * size + 1, dtype=np.uint8) if size > 1 else np.array([1, 0, 1, 1, 0, 1], np.uint8)
    path = write(tmp_path / "x.pth", tensor(storage(6, kind), 0, (2, 3), (3, 1)), numbers, b"big")
    assert_same(load_torch(path), torch.load(path, weights_only=True, map_location="cpu"))
    write(path, tensor(storage(6, kind), 0, (2, 3), (3, 1)), numbers, b"middle")
    with pytest.raises(StateFileError, match="of the byte order b'middle'"):
        load_torch(path)


# ----------------------------------------------------------------------------------------------------------- traps


def repeated(first: bytes, wrap: Callable[[bytes], bytes], depth: int) -> bytes:
    """Return a value that holds the former one ten times, and so on."""
    pickle = first + b"q\x00"
    for i in range(1, depth):
        pickle += b"0" + wrap((b"h" + bytes([i - 1])) * 10) + b"q" + bytes([i])
    return pickle


LAUGHS = {
    "lists": repeated(b"]", lambda items: b"](" + items + b"e", 200),
    "tuples": repeated(b")", lambda items: b"(" + items + b"t", 200),
    "nested lists": b"]" * 20_000 + b"a" * 19_999,
    "nested tuples": b")" + b"\x85" * 20_000,
    "a large view": tensor(storage(1), 0, (10**9,), (0,)),
    "many views": b"](" + storage(1) + b"q\x000" + tensor(b"h\x00", 0, (10**5,), (0,)) * 300 + b"e",
    "a place in the memo": b"Nr\xff\xff\xff\xff",
}
REFUSED = {
    "tuples as keys": b"}" + repeated(b")", lambda items: b"(" + items + b"t", 40) + b"Ns",
    "deep tuples as keys": b"})" + b"\x85" * 20_000 + b"Ns",
    "tuples in a set": call("builtins", "set", b"](" + repeated(b")", lambda items: b"(" + items + b"t", 40) + b"e"),
    "an integer of everybody's hash": b"}\x8a\x10" + (2**61 - 1 << 60).to_bytes(16, "little") + b"Ns",
    "copies of a set": b"](" + b"K\x01" * 5000 + b"tq\x000" + call("builtins", "set", b"h\x00") * 5000 + b"0N",
    "copies of texts": _text("x" * 10000) + b"q\x000" + call("_codecs", "encode", b"h\x00", _text("latin1")) * 5000,
    "a long bytearray": call("builtins", "bytearray", _integer(10**12)),
    "long bytes": b"\x96" + struct.pack("<q", 2**62),
    "a long text": b"X\xff\xff\xff\xff",
    "a large tensor": tensor(storage(10**12), 0, (10**12,), (1,)),
    "a tensor beyond NumPy": tensor(storage(1), 0, (2**40, 2**40), (0, 0)),
    "many axes": tensor(storage(1), 0, (1,) * 1000, (0,) * 1000),
    "a text that is called": _text("collections.OrderedDict") + b")R",
    "a tensor as a key": b"}" + tensor(storage(1), 0, (1,), (1,)) + b"Ns",
    "an opcode of no use": b"\x82\x01",
}


def bounded(path: Path) -> Any:
    """Read a file, in no more than seconds (tracemalloc is slow) and a few hundred times the memory of its bytes."""
    tracemalloc.start()
    start = time.process_time()
    try:
        return load_torch(path)
    finally:
        seconds = time.process_time() - start
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seconds < 10
        assert peak < 200 * path.stat().st_size + 4_000_000


@pytest.mark.parametrize("pickle", LAUGHS.values(), ids=LAUGHS)
def test_what_is_small_in_the_file_is_small_in_memory(tmp_path: Path, pickle: bytes) -> None:
    bounded(write(tmp_path / "x.pth", pickle, np.ones(1, np.float32)))


@pytest.mark.parametrize("pickle", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("new", [True, False])
def test_traps_are_refused(tmp_path: Path, pickle: bytes, new: bool, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "x.pth", pickle, np.ones(1, np.float32))
    if not new:
        path.write_bytes(legacy(pickle, np.ones(1, np.float32)))
    with pytest.raises(StateFileError, match=r"x\.pth: "):
        bounded(path)
    assert capfd.readouterr().err == ""  # where CPython's own unpickler prints of `long bytes`


def test_archives_that_hold_more_than_their_length(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + b"]" * 10**6 + b".")
    with pytest.raises(StateFileError, match="whose entries overlap, or are compressed, or have one name"):
        load_torch(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
    with pytest.raises(StateFileError, match="a compressed archive; unpack it"):
        load_torch(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/data.pkl", b"\x80\x02].")
    with pytest.raises(StateFileError, match="whose entries overlap, or are compressed, or have one name"):
        load_torch(path)


def test_storages_that_do_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pth", tensor(storage(3), 0, (3,), (1,)), np.ones(2, np.float32))
    with pytest.raises(StateFileError, match="a storage has 8 bytes, want 12"):
        load_torch(path)
    two = b"](" + tensor(storage(2), 0, (2,), (1,)) + tensor(storage(1, "DoubleStorage"), 0, (1,), (1,)) + b"e"
    with pytest.raises(StateFileError, match="one storage of 2 numbers of 4 bytes, and of 1 of 8"):
        load_torch(write(path, two, np.ones(2, np.float32)))
    path.write_bytes(legacy(tensor(storage(2), 0, (2,), (1,)), np.ones(3, np.float32)))
    with pytest.raises(StateFileError, match="a storage has 3 numbers, want 2"):
        load_torch(path)
    path.write_bytes(legacy(b"N", np.ones(3, np.float32)))
    with pytest.raises(StateFileError, match="storages that tensors look at are missing"):
        load_torch(path)


@pytest.mark.parametrize("part", range(4))
def test_damaged_files(tmp_path: Path, part: int) -> None:
    """None raises anything but our error, prints, or takes more than it should."""
    for seed in range(100 * part, 100 * part + 100):
        survive(tmp_path / "x.pth", seed)
