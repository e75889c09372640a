import json
import os
import stat
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import minigrad.files
from minigrad.io import StateFileError, atomic_path, load_metadata, load_state, save_state
from minigrad.io.state import CHECKSUM, DTYPES

STATE = {
    "0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "1.num_batches_tracked": np.array(7, np.int64),
    "1.running_mean": np.array([0.5, -1.5]),
}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def same(got, want):
    assert got.keys() == want.keys()
    for name, array in want.items():
        np.testing.assert_array_equal(got[name], array, strict=True)


# -------------------------------------------------------------------------------------------------- atomic_path


def test_the_file_appears_at_the_end(tmp_path):
    target = tmp_path / "a.tar.gz"
    with atomic_path(target) as temporary:
        assert temporary.name == "a.tar.gz"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.tar.gz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existed", [False, True])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error, existed):
    target = tmp_path / "a.txt"
    if existed:
        target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:  # noqa: PT012
        temporary.write_text("half")
        temporary.with_suffix(".other").write_text("more")
        raise error
    assert names(tmp_path) == (["a.txt"] if existed else [])
    assert not existed or target.read_text() == "old"


def test_fsync_of_file_then_rename_then_fsync_of_folder(tmp_path, monkeypatch):
    events = []

    def fsync(descriptor):
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    def rename(source, target, replace=os.replace):
        events.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    with atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("")
    assert events == ["file", "rename", *(["folder"] if os.name == "posix" else [])]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_are_the_usual_ones_and_links_are_followed(tmp_path):
    (tmp_path / "usual").write_text("")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    with atomic_path(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "file").read_text() == "new"
    assert (tmp_path / "real" / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_targets_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    for target, error, message in (
        (tmp_path / "none" / "a", FileNotFoundError, "cannot write into its folder.*none/a"),
        (tmp_path / "file" / "a", NotADirectoryError, "cannot write into its folder.*file/a"),
        (tmp_path, OSError, "not a regular file"),
        (os.devnull, OSError, "not a regular file"),
    ):
        with pytest.raises(error, match=message), atomic_path(target):
            pytest.fail("the block must not run")
    assert names(tmp_path) == ["file"]


def test_it_is_one_function_in_three_places():
    assert atomic_path is minigrad.files.atomic_path


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_path("a.txt") as temporary:
        temporary.write_text("here")
    assert (tmp_path / "a.txt").read_text() == "here"


# ----------------------------------------------------------------------------------------------------- round trip


def test_state_and_metadata_come_back(tmp_path):
    path = tmp_path / "model.safetensors"
    save_state(path, STATE, {"model": '{"hidden": [512]}', "näme": "ü"})
    got = load_state(path)
    same(got, STATE)
    assert load_metadata(path) == {"model": '{"hidden": [512]}', "näme": "ü"}
    assert all(array.flags.writeable for array in got.values())
    assert names(tmp_path) == ["model.safetensors"]


def test_no_arrays_and_no_metadata(tmp_path):
    save_state(tmp_path / "empty", {})
    assert load_state(tmp_path / "empty") == {}
    assert load_metadata(tmp_path / "empty") == {}


@given(
    array=st.sampled_from(sorted(DTYPES.values())).flatmap(
        lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    )
)
def test_every_dtype_and_shape(tmp_path_factory, array):
    path = tmp_path_factory.getbasetemp() / "state"
    save_state(path, {"a": array})
    same(load_state(path), {"a": array})


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[::2],
        lambda a: a[:, ::-1],
        lambda a: a[..., 1],
        lambda a: a.swapaxes(0, 2),
        lambda a: np.asfortranarray(a),
        lambda a: np.broadcast_to(a[0, 0], (3, 6)),
        lambda a: a.astype(">f4"),
        lambda a: a.astype(">f4").T,
        lambda a: a[1, 2, 3],
    ],
)
def test_views_of_any_strides_and_byte_order(tmp_path, view):
    array = view(np.arange(120, dtype=np.float32).reshape(4, 5, 6))
    before = array.copy()
    save_state(tmp_path / "state", {"a": array, "b": np.arange(5)[::-2]})
    got = load_state(tmp_path / "state")
    np.testing.assert_array_equal(got["a"], before, strict=False)
    assert got["a"].shape == array.shape
    assert got["a"].dtype == np.float32
    np.testing.assert_array_equal(got["b"], [4, 2, 0])
    np.testing.assert_array_equal(array, before)


def test_others_can_read_it(tmp_path):
    from safetensors.numpy import load_file

    save_state(tmp_path / "state", STATE | {"t": STATE["0.weight"].T})
    same(load_file(tmp_path / "state"), STATE | {"t": STATE["0.weight"].T})


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_it(tmp_path):
    (tmp_path / "usual").write_text("")
    save_state(tmp_path / "state", STATE)
    assert (tmp_path / "state").stat().st_mode == (tmp_path / "usual").stat().st_mode


# --------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("read", [load_state, load_metadata])
def test_truncated_anywhere(tmp_path, read):
    path = tmp_path / "cut.safetensors"
    save_state(path, STATE, {"a": "b"})
    content = path.read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for length in (0, 1, 7, 8, 9, header - 1, header, header + 1, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(StateFileError, match=r"cut\.safetensors: not a safetensors file, or cut off or corrupt"):
            read(path)


def state_bytes(header, data=b""):
    header = json.dumps(header).encode() if isinstance(header, dict) else header
    return struct.pack("<Q", len(header)) + header + data


def entry(dtype, shape, start, end):
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04" + bytes(100), "not a safetensors file"),
        (bytes(range(256)) * 8, "not a safetensors file"),
        (state_bytes(b"{]"), "not a safetensors file"),
        (state_bytes(b'"\xff\xfe"'), "not a safetensors file"),
        (state_bytes(entry("F32", [2], 0, 8), bytes(9)), "cut off or corrupt"),
        (state_bytes(entry("F32", [3], 0, 8), bytes(8)), "cut off or corrupt"),
        (state_bytes(entry("F32", [2], 8, 16), bytes(8)), "cut off or corrupt"),
        *(
            (state_bytes(entry(dtype, [4], 0, size), bytes(size)), f"w is {dtype}, which NumPy has not.*float32")
            for dtype, size in (
                ("F4", 2),
                ("F6_E2M3", 3),
                ("F6_E3M2", 3),
                ("F8_E4M3", 4),
                ("F8_E5M2", 4),
                ("F8_E8M0", 4),
            )
        ),
        *(
            (state_bytes(entry(dtype, [4], 0, size), bytes(size)), f"not a safetensors file.*{dtype}")
            for dtype, size in (("C128", 64), ("I4", 2), ("F128", 64))
        ),
    ],
)
def test_corrupt_files(tmp_path, content, message):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(StateFileError, match=message) as caught:
        load_state(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_bfloat16_is_read_as_float32(tmp_path):
    from safetensors.torch import save_file

    tensors = {
        "w": torch.tensor([[1.5, -2.0, 3e38], [float("inf"), float("nan"), 1e-40]]).bfloat16(),
        "x": torch.arange(3),
        "scalar": torch.tensor(0.1).bfloat16(),
        "empty": torch.zeros(0, 2).bfloat16(),
    }
    path = tmp_path / "bf16.safetensors"
    save_file(tensors, path)
    same(load_state(path), {n: (t.float() if t.is_floating_point() else t).numpy() for n, t in tensors.items()})


@pytest.mark.parametrize("read", [load_state, load_metadata])
def test_missing_file_and_folder(tmp_path, read):
    with pytest.raises(StateFileError, match=r"model\.safetensors: no such file"):
        read(tmp_path / "model.safetensors")
    with pytest.raises(StateFileError, match="not a regular file"):
        read(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    import safetensors

    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    save_state(tmp_path / "m", STATE)
    monkeypatch.setattr(safetensors, "safe_open", forbidden)
    with pytest.raises(StateFileError, match=r"m: cannot be read: .*Permission denied"):
        load_state(tmp_path / "m")


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(StateFileError, match="m: cannot write into its folder: N") as caught:
            save_state(folder / "m", STATE)
        assert isinstance(caught.value, OSError)
        assert isinstance(caught.value, ValueError)
    assert names(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m"
    save_state(path, STATE)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateFileError, match="m: No space left on device"):
        save_state(path, {"other": np.zeros(3)})
    same(load_state(path), STATE)
    assert names(tmp_path) == ["m"]


def test_what_an_older_safetensors_cannot_write(tmp_path, monkeypatch):
    import safetensors

    def refuse(*arguments):
        raise safetensors.SafetensorError("dtype complex64 is not covered")

    monkeypatch.setattr("safetensors.numpy.save", refuse)
    with pytest.raises(StateFileError, match="m: dtype complex64 is not covered"):
        save_state(tmp_path / "m", STATE)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("state", "metadata", "message"),
    [
        ({"a": np.array([None])}, {}, "a is object; want one of bool, uint8"),
        ({"a": np.array(["x"])}, {}, "a is <U1; want one of"),
        ({"a": np.zeros(2, complex)}, {}, "a is complex128"),
        ({"a": np.zeros(2, np.longdouble)}, {}, "a is "),
        ({"__metadata__": np.zeros(2)}, {}, "'__metadata__' cannot be the name"),
        ({3: np.zeros(2)}, {}, "3 cannot be the name"),
        ({"a\ud800": np.zeros(2)}, {}, "cannot be the name"),
        ({}, {"epoch": 3}, "metadata must be strings by name; 'epoch' is not"),
        ({}, {"epoch": "\ud800"}, "metadata must be strings by name; 'epoch' is not"),
        ({}, {CHECKSUM: "0"}, "'crc32 of arrays and metadata' cannot be a name in the metadata"),
    ],
)
def test_what_the_format_cannot_hold(tmp_path, state, metadata, message):
    path = tmp_path / "m"
    save_state(path, STATE)
    with pytest.raises(StateFileError, match=message):
        save_state(path, state, metadata)
    same(load_state(path), STATE)
