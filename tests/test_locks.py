"""What killed processes leave, and two runs that write to one folder."""

import copy
import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import locks, nn, optim
from minigrad.cli import main
from minigrad.files import atomic_path
from minigrad.locks import DAY, OWNER, WRITER, InUseError, temporary_folder, writing_to
from minigrad.train import Callback, Checkpoint, Trainer, TrainingError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")

WRITE = """
import sys
from minigrad.files import atomic_path
with atomic_path(sys.argv[1]) as path:
    path.write_text("half")
    print("ready", flush=True)
    sys.stdin.readline()
"""
HOLD = """
import sys
from pathlib import Path
from minigrad.locks import writing_to
with writing_to(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def process(code: str, argument: Path) -> Iterator[subprocess.Popen[str]]:
    """Run code until it says that it is ready."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(argument)], **pipes) as started:
        assert started.stdout is not None
        try:
            assert started.stdout.readline() == "ready\n"
            yield started
        finally:
            started.kill()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("whole")


# ------------------------------------------------------------------------------------------------- temporary folders


def test_the_next_writer_removes_what_killed_ones_left_and_leaves_the_living_alone(tmp_path: Path) -> None:
    with (
        process(WRITE, tmp_path / "killed") as killed,
        process(WRITE, tmp_path / "stopped") as stopped,
        process(WRITE, tmp_path / "living") as living,
    ):
        stopped.send_signal(signal.SIGSTOP)
        killed.kill()
        killed.wait()
        assert len(names(tmp_path)) == 3
        write(tmp_path / "a")
        assert len(names(tmp_path)) == 3
        stopped.send_signal(signal.SIGCONT)
        for one in (stopped, living):
            one.communicate("\n", timeout=60)
            assert one.returncode == 0
    assert names(tmp_path) == ["a", "living", "stopped"]
    assert (tmp_path / "stopped").read_text() == "half"


def test_writers_in_threads_leave_each_other_alone(tmp_path: Path) -> None:
    def some(number: int) -> None:
        for _ in range(20):
            with temporary_folder(tmp_path) as folder:
                (folder / "file").touch()
                assert (folder / "file").exists()
                done.append(number)

    done: list[int] = []
    threads = [threading.Thread(target=some, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 80
    assert names(tmp_path) == []


def make_folder(parent: Path, owner: str | None, seconds_old: float) -> Path:
    """Make a temporary folder as another process left it."""
    folder = parent / ".minigrad-other"
    folder.mkdir()
    (folder / "file").touch()
    if owner is not None:
        (folder / OWNER).write_text(owner)
    for path in (*folder.iterdir(), folder):
        os.utime(path, (path.stat().st_mtime - seconds_old,) * 2)
    return folder


@pytest.mark.parametrize(
    ("owner", "age", "stays"),
    [
        (None, 0, True),  # of an older version, of a file system without locks, or just being made
        (None, DAY - 60, True),
        (None, DAY + 60, False),
        ("another system", 0, True),
        ("another system", DAY + 60, False),
        (locks._system(), 0, False),
    ],
)
def test_age_decides_where_locks_say_nothing(tmp_path: Path, owner: str | None, age: float, stays: bool) -> None:
    folder = make_folder(tmp_path, owner, age)
    write(tmp_path / "a")
    assert folder.exists() == stays


def test_an_old_folder_with_a_new_file_is_in_use(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "another system", 2 * DAY)
    os.utime(folder / "file")
    write(tmp_path / "a")
    assert folder.exists()


def test_links_and_files_of_such_names_are_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    make_folder(target, locks._system(), 2 * DAY).rename(target / "inside")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / ".minigrad-link").symlink_to(target / "inside")
    (tmp_path / "there" / ".minigrad-file").touch()
    write(tmp_path / "there" / "a")
    assert names(tmp_path / "there") == [".minigrad-file", ".minigrad-link", "a"]
    assert names(target / "inside") == [OWNER, "file"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written, and nobody is refused. Of folders, age decides."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    folder = make_folder(tmp_path, locks._system(), 0)
    monkeypatch.setattr("fcntl.flock", refuse)
    write(tmp_path / "a")
    assert folder.exists()
    with writing_to(tmp_path), writing_to(tmp_path), temporary_folder(tmp_path) as own:
        assert names(own) == []
    os.utime(folder / OWNER, (0, 0))
    assert names(tmp_path) == [".minigrad-other", "a"]


# --------------------------------------------------------------------------------------------------- runs at one time


def test_a_second_run_is_refused_and_told_which_is_the_first(tmp_path: Path) -> None:
    with process(HOLD, tmp_path) as holder:
        said = json.loads((tmp_path / WRITER).read_text())
        assert said["process"] == holder.pid
        message = (
            rf"is in use: process {holder.pid} on host {said['host']}, since 20\S+, writes there. Wait for its end"
        )
        with pytest.raises(InUseError, match=message), writing_to(tmp_path):
            pytest.fail("the block must not run")
        holder.kill()
        holder.wait()
    assert names(tmp_path) == [WRITER]
    with writing_to(tmp_path):  # what the killed one left does not block
        assert json.loads((tmp_path / WRITER).read_text())["process"] == os.getpid()
    assert names(tmp_path) == []


def test_one_that_has_not_yet_said_its_name_is_another_process(tmp_path: Path) -> None:
    with writing_to(tmp_path):
        for content in ("", "{", "[]", "{}"):
            (tmp_path / WRITER).write_text(content)
            with pytest.raises(InUseError, match="is in use: another process writes there"), writing_to(tmp_path):
                pytest.fail("the block must not run")


def test_an_error_lets_the_folder_go(tmp_path: Path) -> None:
    with pytest.raises(KeyError), writing_to(tmp_path):
        raise KeyError
    assert names(tmp_path) == []


def test_never_two_at_a_time(tmp_path: Path) -> None:
    """Also where one ends, and removes the file, while the next has opened it."""
    inside, most, entered = 0, 0, [0] * 4

    def some(number: int) -> None:
        nonlocal inside, most
        while entered[number] < 50:
            with suppress(InUseError), writing_to(tmp_path):
                inside += 1
                most = max(most, inside)
                entered[number] += 1
                inside -= 1

    threads = [threading.Thread(target=some, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert entered == [50] * 4
    assert names(tmp_path) == []


class Copy(Callback):
    """Copies the trainer in the middle of a fit."""

    def on_epoch_end(self, trainer: Trainer, row: Any) -> None:
        pickle.loads(pickle.dumps(copy.deepcopy(trainer.callbacks)))


def fit(folder: Path) -> None:
    model = nn.Linear(5, 3, rng=0)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    trainer = Trainer(model, nn.MSELoss(), sgd, callbacks=[Copy(), Checkpoint(folder)], progress=False, compiled=False)
    trainer.fit((np.ones((8, 5), np.float32), np.ones((8, 3), np.float32)), epochs=1)


def test_two_trainers_with_one_checkpoint_folder(tmp_path: Path) -> None:
    with writing_to(tmp_path), pytest.raises(TrainingError, match=r"Checkpoint: .* is in use: process \d+ on host"):
        fit(tmp_path)
    assert names(tmp_path) == []
    make_folder(tmp_path, locks._system(), 0)  # the start of a run removes it
    fit(tmp_path)
    fit(tmp_path)
    assert names(tmp_path) == ["best.safetensors", "last.safetensors"]


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_two_commands_with_one_out(tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with writing_to(tmp_path):
        assert main(["train", "mnist", "--out", str(tmp_path), *more]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path} is in use: process {os.getpid()} on host" in said
    assert said.count("\n") == 1
