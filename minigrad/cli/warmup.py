"""`minigrad warmup`: compiling all kernels before they are needed."""

import argparse
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING

from minigrad.cli.parser import Commands, add_command
from minigrad.kernels.compiling import listening
from minigrad.showing import is_terminal

if TYPE_CHECKING:
    from minigrad.engine.warmup import Task

MOST_PROCESSES = 8  # each needs some 300 MB


def add(commands: Commands) -> None:
    """Add the command `warmup`."""
    what = "compile all kernels now, once on this machine, instead of each when it is first needed"
    parser = add_command(commands, "warmup", run, what)
    parser.add_argument("--all", action="store_true", help="for float64 too, not only for float32")
    parser.add_argument("--quiet", "-q", action="store_true", help="say nothing but errors")


def run(args: argparse.Namespace) -> int:
    """Compile in as many processes as there are processors, showing a bar, and say how many kernels and how long."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    from minigrad import engine
    from minigrad.cli.errors import CommandError
    from minigrad.cli.measure import require_environment
    from minigrad.engine.threads import available_processors
    from minigrad.engine.warmup import tasks
    from minigrad.files import user_cache

    require_environment()
    if engine.why_nothing():
        raise CommandError(f"there is nothing to compile: {engine.why_nothing()}")
    from minigrad.kernels.jit._jit import cache_directory

    directory = cache_directory()
    if directory is None:  # why has been said
        raise CommandError("what is compiled could not be kept")
    if not os.access(directory, os.W_OK):
        raise CommandError(f"what is compiled could not be kept: {directory} can only be read")
    start = perf_counter()
    work = [(task, dtype) for dtype in ("float32", "float64")[: 1 + args.all] for task in tasks()]
    count = min(available_processors(), MOST_PROCESSES)
    processes = ProcessPoolExecutor(count, get_context("spawn"), initializer=_end_at_ctrl_c)
    with processes:
        done = processes.map(_compile, *zip(*work, strict=True))
        try:
            compiled = sum(_with_bar(done, len(work), not args.quiet and is_terminal(sys.stdout)))
        except BrokenProcessPool:
            raise CommandError("a process that compiled ended; is there memory for it?") from None
    if not args.quiet:
        print(f"{compiled} kernels compiled in {perf_counter() - start:.1f} s; they are kept in {user_cache()}")
    return 0


def _with_bar(done: Iterator[int], total: int, is_shown: bool) -> Iterable[int]:
    """Return the same, with a bar that moves on where one is to be shown and rich is there to show it."""
    if not is_shown or find_spec("rich") is None:
        return done
    from rich.progress import track

    return track(done, "compiling", total, transient=True)


def _end_at_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # at once, and without a word: the command says one


def _compile(task: "Task", dtype: str) -> int:
    """Run a task, and return how many kernels were compiled for it."""
    compiled: list[str] = []
    with listening(compiled.append):
        task.run(dtype)
    return len(compiled)
