"""The decorator of compiled kernels: what it keeps on disk."""

import errno
import os
import shutil
import stat
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


posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes of POSIX")


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


def test_a_cache_that_can_only_be_read_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image of a container. What is compiled beyond it is kept nowhere, which is said once."""

    def refuse(*arguments: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    hits_of_a_new_process()
    monkeypatch.setattr(_jit, "atomic_path", refuse)
    assert hits_of_a_new_process() == 1
    with pytest.warns(UserWarning, match=r"cannot write into .*/kernels-\w+ \(Read-only.*MINIGRAD_CACHE") as warnings:
        assert [hits_of_a_new_process(np.float32), hits_of_a_new_process(np.float32)] == [0, 0]
    assert len(warnings) == 1


def test_a_cache_that_is_removed_meanwhile_is_made_anew(folder: Path) -> None:
    hits_of_a_new_process()
    shutil.rmtree(folder)
    assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 1]


def test_without_a_place_to_keep_them_kernels_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_text("not a folder")
    with pytest.warns(UserWarning, match="cannot use .* for compiled kernels: .*MINIGRAD_CACHE") as warnings:
        assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 0]
    assert len(warnings) == 1
    assert _jit.cache_directory() is None


def test_without_a_home_kernels_run(folder: Path, homeless: None) -> None:
    with pytest.warns(
        UserWarning, match="cannot use ~/.cache for compiled kernels: no home folder is known"
    ) as warnings:
        assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 0]
    assert len(warnings) == 1


# --------------------------------------------------------------------------------- pickles that others may have written


@pytest.mark.parametrize(
    ("owner", "mode", "is_ours"),
    [
        (1000, 0o700, True),
        (1000, 0o755, True),  # as older versions made it
        (0, 0o755, True),  # made by root, when an image was built
        (1000, 0o775, False),
        (1000, 0o757, False),
        (1000, 0o1777, False),
        (0, 0o777, False),
        (1001, 0o700, False),
        (1001, 0o755, False),
    ],
)
def test_what_nobody_else_may_write_is_ours(
    owner: int, mode: int, is_ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert _jit._is_ours(os.stat_result((mode, 0, 0, 1, owner, owner, 0, 0, 0, 0))) == is_ours


def test_windows_keeps_users_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "geteuid", raising=False)
    assert _jit._is_ours(os.stat_result((0o777, 0, 0, 1, 0, 0, 0, 0, 0, 0)))


@posix
def test_nobody_else_can_read_or_write_what_is_made(folder: Path) -> None:
    before = os.umask(0)
    try:
        hits_of_a_new_process()
    finally:
        os.umask(before)
    (path,) = folder.rglob("*.nbc")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@posix
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_folder_that_others_may_write_to_is_not_read(folder: Path, mode: int) -> None:
    hits_of_a_new_process()
    (made,) = folder.iterdir()
    made.chmod(mode)
    _jit.cache_directory.cache_clear()
    with pytest.warns(UserWarning, match=r"kernels-\w+ is not read, since others may write to it .*chmod go-w") as told:
        assert [hits_of_a_new_process(), hits_of_a_new_process()] == [0, 0]
    assert len(told) == 1
    made.chmod(0o755)
    _jit.cache_directory.cache_clear()
    assert hits_of_a_new_process() == 1


@posix
def test_a_file_that_others_may_write_to_is_not_read_but_replaced(folder: Path) -> None:
    hits_of_a_new_process()
    (path,) = folder.rglob("*.nbc")
    path.chmod(0o666)
    with pytest.warns(UserWarning, match=r"some files in .*kernels-\w+ are not read") as told:
        assert hits_of_a_new_process() == 0
    assert len(told) == 1
    assert hits_of_a_new_process() == 1
    assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0


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
