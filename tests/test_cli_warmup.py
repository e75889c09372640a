"""`minigrad warmup`, and what is said where kernels are compiled."""

import importlib
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minigrad import engine
from minigrad.cli import main
from minigrad.engine import warmup
from minigrad.kernels import compiling
from tests.backend import needs_engine
from tests.cli_toy import one_line


@needs_engine
def test_all_is_compiled_once_and_counted(monkeypatch, capsys, empty_cache):
    (task,) = (task for task in warmup.tasks() if task.name == "images")
    monkeypatch.setattr(warmup, "tasks", lambda: [task])
    assert main(["warmup"]) == 0
    compiled = len(list(empty_cache.rglob("*.nbc")))
    assert compiled > 4
    out, err = capsys.readouterr()
    assert re.fullmatch(rf"{compiled} kernels compiled in [0-9.]+ s; they are kept in {empty_cache}\n", out)
    assert err == ""
    assert main(["warmup"]) == 0
    assert capsys.readouterr().out.startswith("0 kernels compiled in ")
    assert main(["warmup", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@needs_engine
@pytest.mark.parametrize(("options", "dtypes"), [([], ["float32"]), (["--all"], ["float32", "float64"])])
def test_all_tasks_are_done(options, dtypes, monkeypatch, capsys, empty_cache):
    done = []
    monkeypatch.setattr(warmup.Task, "run", lambda self, dtype: done.append((self.name, dtype)))
    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", lambda *_, initializer: ThreadPoolExecutor(1))
    assert main(["warmup", *options]) == 0
    assert done == [(task.name, dtype) for dtype in dtypes for task in warmup.tasks()]
    assert capsys.readouterr().out.startswith("0 kernels compiled in ")


@needs_engine
def test_where_nothing_can_be_kept(monkeypatch, capsys):
    monkeypatch.setattr(importlib.import_module("minigrad.kernels.jit._jit"), "cache_directory", lambda: None)
    assert main(["warmup"]) == 1
    want = "minigrad warmup: error: what is compiled could not be kept\n"
    assert one_line(capsys.readouterr().err) == want


@needs_engine
def test_a_cache_that_can_only_be_read_is_told_before(monkeypatch, capsys, empty_cache):
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    assert main(["warmup"]) == 1
    assert re.search(r"could not be kept: \S+kernels-\w+ can only be read\n", one_line(capsys.readouterr().err))


@needs_engine
def test_the_tasks_use_every_layer_loss_and_optimizer():
    from minigrad.engine.lowering import _LOWERINGS

    used = set()
    for task in warmup.tasks():
        optimizer = task.make_optimizer(task.layers[0].parameters())
        modules = [module for layer in task.layers for module in layer.modules()]
        used |= {type(part) for part in (*modules, task.loss, optimizer)}
    missing = {kind.__name__ for kind in set(_LOWERINGS) - used}
    assert missing <= {"Identity", "Flatten", "Residual", "AdamW", "Composite"}  # whose kernels are those of others


@needs_engine
def test_the_tasks_use_every_kernel():
    code = """
import numpy as np
from minigrad.engine import program, warmup
from tests.discovery import kernels_of

compiled, entry = set(), program.entry
program.entry = lambda kernel, kinds: compiled.add(kernel) or entry(kernel, kinds)
for task in warmup.tasks():
    task.run(np.float32)
print(*(name for name, kernel in kernels_of("jit").items() if not kernel.signatures and kernel not in compiled))
"""
    missing = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert missing.stdout == "\n"


@needs_engine
@pytest.mark.parametrize(
    "name",
    [
        *("ReLU", "images", "augmented images of bytes", "convolutions by patches"),
        *("Adagrad", "EMA", "CrossEntropyLoss of (N, C, L)"),
    ],
)
def test_a_task_leaves_nothing_to_compile(name):
    """A second run of it, in a new process, finds all kernels in the cache; here: in this process."""
    (task,) = (task for task in warmup.tasks() if task.name == name)
    task.run(np.float32)
    compiled = []
    with compiling.listening(compiled.append):
        task.run(np.float32)
    assert compiled == []


def test_where_there_is_nothing_to_compile(monkeypatch, capsys):
    monkeypatch.setattr(engine, "why_nothing", lambda: "Numba is not installed")
    assert main(["warmup"]) == 1
    want = "minigrad warmup: error: there is nothing to compile: Numba is not installed\n"
    assert one_line(capsys.readouterr().err) == want


# ------------------------------------------------------------------------------------------ who is told of a kernel


def test_listeners_are_told_of_each_kernel_and_nobody_else(monkeypatch, capsys):
    monkeypatch.setattr(compiling, "_untold", [])
    heard, said = [], []
    with compiling.listening(heard.append), compiling.listening(compiling.once(said.append)):
        for _ in range(2 * compiling.MANY):
            compiling.tell("relu_forward")
    assert heard == ["relu_forward"] * 2 * compiling.MANY
    assert said == [compiling.SENTENCE]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_many_kernels_that_nobody_hears_of_are_one_line_in_a_terminal(is_terminal, monkeypatch, capsys):
    monkeypatch.setattr(compiling, "_untold", [])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    for _ in range(compiling.MANY - 1):
        compiling.tell("relu_forward")
    assert capsys.readouterr().err == ""
    for _ in range(compiling.MANY):
        compiling.tell("relu_forward")
    assert capsys.readouterr().err == (f"minigrad: {compiling.SENTENCE}\n" if is_terminal else "")


@needs_engine
def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    command = [sys.executable, "-m", "minigrad", "gradcheck", "minigrad.nn:ReLU", "--shape", "2", "3"]
    done = subprocess.run(
        command, env=os.environ | {"MINIGRAD_CACHE": str(tmp_path / "file")}, capture_output=True, text=True
    )
    assert done.returncode == 0
    line = one_line(done.stderr)
    assert line.startswith(f"minigrad gradcheck: cannot use {tmp_path / 'file'}")
    assert "each process compiles kernels anew" in line
