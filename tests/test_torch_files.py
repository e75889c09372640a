"""PyTorch's files read and written without PyTorch, beside PyTorch itself; and what must not be read."""

import errno
import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minigrad import nn
from minigrad.io import StateFileError, load_torch, save_state, save_torch
from minigrad.io.torch_storage import STORAGES
from tests.torch_files import NAMED, NEW_DTYPES, assert_same, compare

formats = pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])


def saved(path: Path, value: Any, new: bool = True) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=new)
    return path


@formats
@pytest.mark.parametrize("dtype", NAMED, ids=str)
@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_every_dtype(tmp_path: Path, dtype: torch.dtype, new: bool) -> None:
    tensor = torch.arange(0, 12).reshape(3, 4).to(dtype)
    if new or dtype not in NEW_DTYPES:  # which torch.save has in the new format only
        assert_same(load_torch(saved(tmp_path / "x.pt", tensor, new)), tensor)


@formats
def test_views_of_one_storage(tmp_path: Path, new: bool) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    views = [base, base.T, base[1:, ::2], base[2], base[0, 0], base.expand(2, 4, 6), base[:, :0], base[3:1]]
    assert_same(load_torch(saved(tmp_path / "x.pt", views, new)), views)


@formats
def test_a_checkpoint(tmp_path: Path, new: bool) -> None:
    """What training scripts save: states of a model and an optimizer, numbers, strings, nested."""
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5))
    adam = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 3, 5, 5)).sum().backward()
    adam.step()
    content = {
        "model": model.state_dict(),
        "optimizer": adam.state_dict(),
        "epoch": 3,
        "best": 0.5,
        "tags": ("a", None),
    }
    content["parameter"], content["empty"] = model[0].bias, OrderedDict()
    loaded = load_torch(saved(tmp_path / "x.pth", content, new))
    assert loaded["epoch"] == 3
    assert loaded["tags"] == ("a", None)
    assert loaded["empty"] == {}
    assert_same(loaded["parameter"], model[0].bias)
    assert_same(loaded["optimizer"]["state"][0]["exp_avg"], adam.state_dict()["state"][0]["exp_avg"])
    assert loaded["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    ours = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    ours.load_state_dict(loaded["model"])
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 7)).astype(np.float32)
    expected = model.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours.eval()(x), expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("part", range(6))
def test_drawn_files(tmp_path: Path, part: int) -> None:
    """Trees, views, dtypes and both formats, as `python -m tests.torch_files` compares in thousands."""
    for seed in range(50 * part, 50 * part + 50):
        compare(tmp_path / "x.pth", seed)


@formats
def test_tensors_that_share_numbers_share_them_here(tmp_path: Path, new: bool) -> None:
    """As tied weights do: a model's state has them twice."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    loaded = load_torch(saved(tmp_path / "x.pth", model.state_dict(), new))
    loaded["0.weight"][0, 1] = 7
    assert loaded["1.weight"][0, 1] == 7
    assert not np.shares_memory(loaded["0.weight"], loaded["0.bias"])


@formats
def test_what_refers_to_itself(tmp_path: Path, new: bool) -> None:
    value: list[Any] = [1, {"a": 2}]
    value.append(value)
    value.append(value[1])
    loaded = load_torch(saved(tmp_path / "x.pth", value, new))
    assert loaded[2] is loaded
    assert loaded[3] is loaded[1]
    inner: list[Any] = []
    inner.append((1, inner))
    loaded = load_torch(saved(tmp_path / "y.pth", inner, new))
    assert loaded[0][1] is loaded


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
@formats
def test_every_protocol_of_pickle(tmp_path: Path, protocol: int, new: bool) -> None:
    """PyTorch writes them where it is asked to, and reads 2 only (and some of 1 and 3)."""
    values = {
        "w": torch.arange(3),
        "s": {1, 2},
        "f": frozenset("a"),
        "b": b"",
        "a": bytearray(b"a"),
        "n": 2**70,
        "c": 1j,
    }
    path = tmp_path / "x.pth"
    torch.save(values, path, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    loaded = load_torch(path)
    assert loaded.pop("w").tolist() == [0, 1, 2]
    assert loaded == {name: value for name, value in values.items() if name != "w"}


def test_the_older_format_with_more_than_one_storage(tmp_path: Path) -> None:
    state = {
        f"layer{i}": torch.randn(i + 1, 3, dtype=dtype) for i, dtype in enumerate([torch.float32, torch.float64] * 5)
    }
    loaded = load_torch(saved(tmp_path / "x.pth", state, new=False))
    for name, tensor in state.items():
        assert_same(loaded[name], tensor)


def test_safetensors_too(tmp_path: Path) -> None:
    save_state(tmp_path / "x.safetensors", {"w": np.eye(2)})
    np.testing.assert_array_equal(load_torch(tmp_path / "x.safetensors")["w"], np.eye(2))


# --------------------------------------------------------------------------------------------------------- writing

WRITTEN = [
    *("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"),
    *("bool", "complex64", "complex128"),
]


@given(
    st.dictionaries(
        st.text(max_size=8),
        npst.arrays(
            st.sampled_from(WRITTEN),
            npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        ),
        max_size=4,
    )
)
def test_torch_reads_what_is_written(state: dict[str, np.ndarray]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        buffer = _written(state, patch)
    loaded = torch.load(io.BytesIO(buffer), weights_only=True)
    assert list(loaded) == list(state)
    for name, array in state.items():
        np.testing.assert_array_equal(loaded[name].numpy(), array, strict=True)
    with zipfile.ZipFile(io.BytesIO(buffer)) as archive:
        assert archive.testzip() is None


def _written(state: dict[str, np.ndarray], patch: pytest.MonkeyPatch) -> bytes:
    """Return the bytes of a file, and see that it reads back."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.pt"
        save_torch(path, state)
        for (name, ours), (expected, array) in zip(load_torch(path).items(), state.items(), strict=True):
            assert name == expected
            np.testing.assert_array_equal(ours, array, strict=True)
        return path.read_bytes()


def test_any_layout_of_memory(tmp_path: Path) -> None:
    x = np.arange(24.0).reshape(4, 6)
    state = {"transposed": x.T, "strided": x[::2, ::3], "reversed": x[::-1], "big": x.astype(">f8"), "float": 3.5}
    save_torch(tmp_path / "x.pt", state)
    loaded = torch.load(tmp_path / "x.pt", weights_only=True)
    for name, array in state.items():
        np.testing.assert_array_equal(loaded[name].numpy(), array)


def test_a_model_goes_to_torch_and_back(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 3, groups=1), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(45, 2))
    save_torch(tmp_path / "x.pt", model.state_dict())
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5), torch.nn.Flatten(), torch.nn.Linear(45, 2)
    )
    twin.load_state_dict(torch.load(tmp_path / "x.pt", weights_only=True))
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 5)).astype(np.float32)
    np.testing.assert_allclose(model(x), twin(torch.from_numpy(x)).detach().numpy(), atol=1e-5)
    fresh = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(45, 2))
    fresh.load_state_dict(load_torch(saved(tmp_path / "y.pt", twin.state_dict())))
    np.testing.assert_allclose(fresh.eval()(x), twin.eval()(torch.from_numpy(x)).detach().numpy(), atol=1e-5)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StateFileError, match=r"x\.pt: 'w' is <U1, which PyTorch's files have not"):
        save_torch(tmp_path / "x.pt", {"w": "a"})
    with pytest.raises(StateFileError, match="cannot write into its folder"):
        save_torch(tmp_path / "missing" / "x.pt", {"w": np.eye(2)})
    assert not any(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------- bad files


class Evil:
    """An object whose pickle runs a command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


class Named(NamedTuple):
    """A class of one's own."""

    a: int


@formats
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, new: bool) -> None:
    ran = tmp_path / "ran"
    path = saved(tmp_path / "evil.pth", {"w": torch.ones(2), "evil": Evil(ran)}, new)
    with pytest.raises(StateFileError, match=rf"evil\.pth: holds {os.name}\.mkdir; only tensors, numbers"):
        load_torch(path)
    assert not ran.exists()
    torch.load(path, weights_only=False)
    assert ran.exists()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: torch.nn.Linear(2, 3), r"torch\.nn\.modules\.linear\.Linear; only tensors, numbers, strings, lists"),
        (lambda: np.float64(3.0), r"numpy.*\.scalar"),
        (lambda: np.ones(3), r"numpy.*\._reconstruct"),
        (lambda: Named(1), r"tests\.test_torch_files\.Named"),
        (lambda: defaultdict(int), r"collections\.defaultdict"),
        (lambda: Path("a"), r"pathlib\."),
        (lambda: torch.ones(3).to_sparse(), r"a sparse tensor; save tensor\.to_dense"),
        (lambda: torch.ones(3, 3).to_sparse_csr(), r"a sparse tensor; save tensor\.to_dense"),
        (lambda: torch.nested.nested_tensor([torch.ones(2)]), r"a nested tensor; save tensor\.unbind"),
        (
            lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            r"a quantized tensor; save tensor\.deq",
        ),
        (lambda: torch.ones(3).to(torch.float8_e4m3fn), r"a tensor of torch\.float8_e4m3fn, which NumPy has not; save"),
        (lambda: torch.empty(3, dtype=torch.bits8), r"a tensor of torch\.bits8, which NumPy has not"),
        (lambda: torch.empty(3, device="meta"), "a tensor on the device meta, which has no numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_anything_but_tensors_is_named(tmp_path: Path, make: Callable[[], Any], name: str) -> None:
    path = saved(tmp_path / "x.pth", {"what": make()})
    with pytest.raises(StateFileError, match=f"holds {name}"):
        load_torch(path)


def names(*called: tuple[str, str]) -> bytes:
    """Return a pickle that only names things."""
    return b"\x80\x02" + b"".join(f"c{module}\n{name}\n0".encode() for module, name in called) + b"}."


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("torch._utils", "os.system"),
        ("torch", "load"),
        ("collections", "defaultdict"),
    ],
)
def test_a_name_alone_is_refused(tmp_path: Path, module: str, name: str) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", names(("collections", "OrderedDict"), (module, name)))
    with pytest.raises(StateFileError, match=f"holds {module}.{name}; "):
        load_torch(path)


def test_a_pickle_cannot_change_what_it_may_call(tmp_path: Path) -> None:
    """BUILD sets attributes: of what a name stands for it can set none."""
    for module, name in (("torch._utils", "_rebuild_tensor_v2"), ("collections", "OrderedDict")):
        path = tmp_path / "x.pt"
        with zipfile.ZipFile(path, "w") as archive:
            state = b"N}(X\x08\x00\x00\x00__call__I1\nu\x86"
            archive.writestr("archive/data.pkl", b"\x80\x02" + f"c{module}\n{name}\n".encode() + state + b"b.")
        with pytest.raises(StateFileError, match="sets attributes of a _Name"):
            load_torch(path)
    assert load_torch(saved(tmp_path / "y.pt", {"w": torch.ones(2)}))["w"].tolist() == [1, 1]


def corrupted(offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Callable[[Path], None]:
    """Return what writes a tensor of two numbers that claims another form."""
    from minigrad.io import torch_file as t

    def write(path: Path) -> None:
        storage = t._tuple(
            t._text("storage"), t._name("torch", "FloatStorage"), t._text("0"), t._text("cpu"), t._integer(2)
        )
        forms = t._integer(offset), t._tuple(*map(t._integer, shape)), t._tuple(*map(t._integer, strides))
        call = t._name("torch._utils", "_rebuild_tensor_v2") + t._tuple(storage + b"Q", *forms) + b"R"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", b"\x80\x02" + call + b".")
            archive.writestr("a/data/0", np.ones(2, np.float32).tobytes())

    return write


@pytest.mark.parametrize(
    "write",
    [
        corrupted(0, (3,), (1,)),
        corrupted(1, (2,), (1,)),
        corrupted(-1, (1,), (1,)),
        corrupted(0, (2,), (-1,)),
        corrupted(0, (-2,), (1,)),
        corrupted(0, (2, 2), (1, 2**40)),
    ],
)
def test_a_tensor_cannot_lead_out_of_its_storage(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "x.pt")
    with pytest.raises(StateFileError, match="leads out of its 2 numbers"):
        load_torch(tmp_path / "x.pt")


def test_a_zip_archive_that_is_cut_off_is_said_to_be(tmp_path: Path) -> None:
    whole = saved(tmp_path / "x.pth", {"w": torch.arange(5.0)}).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StateFileError, match=r"cut\.pth: a zip archive that is cut off"):
        load_torch(tmp_path / "cut.pth")


@formats
def test_every_truncation_is_an_error(tmp_path: Path, new: bool) -> None:
    whole = saved(tmp_path / "x.pth", {"w": torch.arange(5.0), "n": 3}, new).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(StateFileError, match=r"cut\.pth: "):
            load_torch(tmp_path / "cut.pth")


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(StateFileError, match="no such file"):
        load_torch(tmp_path / "nothing.pth")
    with pytest.raises(StateFileError, match="not a regular file"):
        load_torch(tmp_path)
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"w": 1}, 2))
    with pytest.raises(StateFileError, match="not a PyTorch file"):
        load_torch(tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(StateFileError, match=r"want a file of torch\.save"):
        load_torch(tmp_path / "other.zip")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "x.pth").touch()
    monkeypatch.setattr("minigrad.io.torch_file.FileIO", deny)
    with pytest.raises(StateFileError, match=r"x\.pth: cannot be read: Permission denied"):
        load_torch(tmp_path / "x.pth")


def test_torch_is_not_imported(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", {"w": torch.ones(2)})
    code = f"import sys; from minigrad import io; print(io.load_torch({str(path)!r}), 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "{'w': array([1., 1.], dtype=float32)} False"


def test_every_storage_of_torch_is_known() -> None:
    found = {name for name in dir(torch) if name.endswith("Storage") and isinstance(getattr(torch, name), type)}
    other = {"Storage", "TypedStorage", "UntypedStorage"}
    assert {name for name in found - other if not name.startswith("Q")} == set(STORAGES)
