"""The decorator of compiled kernels: what it keeps on disk."""

import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import nn
from minigrad.kernels import compiling
from tests.backend import needs_engine

numba = pytest.importorskip("numba", reason="Numba is not installed")
_jit = import_module("minigrad.kernels.jit._jit")
_math = import_module("minigrad.kernels.jit._math")


def sigmoid(x: np.ndarray, y: np.ndarray) -> None:
    for i in range(x.size):
        y[i] = 1 / (1 + _math.exp(-x[i]))


@pytest.fixture
def folder(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; and the JIT is on, whatever the environment says."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    return empty_cache


def hits_of_a_new_process(dtype: Any = np.float64) -> int:
    """Decorate anew, as a process that starts does, run it, and return how often the cache had what was wanted."""
    compiled: Any = _jit.jit()(sigmoid)
    x, y = np.array([-3.0, 0.0, 2.0], dtype), np.zeros(3, dtype)
    compiled(x, y)
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)), rtol=4 * np.finfo(dtype).eps)
    return sum(compiled.stats.cache_hits.values())


def test_compiled_once(folder: Path) -> None:
    assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 1]


def test_processes_that_compile_at_the_same_time_keep_what_each_compiled(folder: Path, tmp_path: Path) -> None:
    """Neither has seen the other's files, and writes where it would if it were alone."""
    hits_of_a_new_process(np.float32)
    shutil.move(folder, tmp_path / "other")
    hits_of_a_new_process(np.float64)
    shutil.copytree(tmp_path / "other", folder, dirs_exist_ok=True)
    assert [hits_of_a_new_process(np.float32), hits_of_a_new_process(np.float64)] == [1, 1]


def test_a_damaged_cache_is_written_anew(folder: Path) -> None:
    hits_of_a_new_process()
    (path,) = folder.rglob("*.nb*")
    path.write_bytes(path.read_bytes()[:20])
    assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 1]


def test_a_cache_that_cannot_be_written_keeps_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(_jit, "atomic_path", refuse)
    assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 0]


def test_without_a_place_to_keep_them_kernels_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_text("not a folder")
    with pytest.warns(UserWarning, match="cannot write into .*MINIGRAD_CACHE") as warnings:
        assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 0]
    assert len(warnings) == 1
    assert _jit.cache_directory() is None


@needs_engine
def test_what_may_only_be_read_compiles_nothing_more() -> None:
    layer, loss, x = nn.Conv1d(1, 1, 1), nn.MSELoss(), np.ones((2, 1, 3))
    layer.to(np.float64)
    for read_only in (False, True):
        x.flags.writeable = not read_only
        told: list[str] = []
        with compiling.listening(told.append):
            layer(x)
            layer.backward(x)
            loss(x, x)
            loss.backward()
    assert told == []


def test_what_is_compiled_is_told(folder: Path) -> None:
    told: list[str] = []
    with compiling.listening(told.append):
        hits_of_a_new_process()
        assert "sigmoid" in told
        told.clear()
        hits_of_a_new_process()
    assert told == []
