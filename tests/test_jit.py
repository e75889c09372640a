"""The decorator of compiled kernels: what it keeps on disk, and the exp that its loops call."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

numba = pytest.importorskip("numba", reason="Numba is not installed")
_jit = import_module("minigrad.kernels.jit._jit")
_math = import_module("minigrad.kernels.jit._math")


def sigmoid(x: np.ndarray, y: np.ndarray) -> None:
    for i in range(x.size):
        y[i] = 1 / (1 + _math.exp(-x[i]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache; and the JIT is on, whatever the environment says."""
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    _jit.cache_directory.cache_clear()
    yield tmp_path
    _jit.cache_directory.cache_clear()


def hits_of_a_new_process() -> int:
    """Decorate anew, as a process that starts does, run it, and return how often the cache had what was wanted."""
    compiled: Any = _jit.jit()(sigmoid)
    x, y = np.array([-3.0, 0.0, 2.0]), np.zeros(3)
    compiled(x, y)
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)), rtol=1e-15)
    return sum(compiled.stats.cache_hits.values())


def test_compiled_once(folder: Path) -> None:
    assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 1]


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_cache_is_written_anew(suffix: str, folder: Path) -> None:
    hits_of_a_new_process()
    (path,) = folder.rglob(f"*.{suffix}")
    path.write_bytes(path.read_bytes()[:20])
    assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 1]


def test_a_cache_that_cannot_be_written_keeps_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(_jit.FunctionCache, "save_overload", refuse)
    assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 0]


def test_without_a_place_to_keep_them_kernels_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("not a folder")
    monkeypatch.setenv("MINIGRAD_CACHE", str(folder / "file"))
    assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 0]
    assert _jit.cache_directory() is None


@pytest.mark.parametrize(
    ("exp", "dtype", "lowest", "highest"),
    [(_math._exp32, np.float32, -87.3, 88.7), (_math._exp64, np.float64, -708.3, 709.7)],
    ids=["float32", "float64"],
)
def test_exp_by_hand(exp: Callable[[Any], Any], dtype: Any, lowest: float, highest: float) -> None:
    """Over all arguments with a normal result; this is the source of what is compiled, as plain Python."""
    x = np.concatenate([np.linspace(lowest, highest, 2001), [0.0, 1e-9, -1e-9]]).astype(dtype)
    y = np.array([exp(value) for value in x])
    assert y.dtype == dtype
    np.testing.assert_array_max_ulp(y, np.exp(x.astype(np.longdouble)).astype(dtype), maxulp=2)
    with np.errstate(over="ignore", under="ignore"):
        ends = [exp(dtype(value)) for value in (-np.inf, 2 * lowest, 2 * highest, np.inf, np.nan)]
    np.testing.assert_array_equal(ends, [0, 0, np.inf, np.inf, np.nan])
