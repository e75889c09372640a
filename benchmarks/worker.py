"""A process of its own for each contestant: thread pools and caches of two libraries never meet.

A worker sleeps until it is asked; the parent asks one at a time, so exactly one of them computes.
"""

import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.contestants.base import UnsupportedError, threads

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "MINIGRAD_NUM_THREADS",
)

WARM_UP = 0.1  # seconds: by then the threads of a pool are awake, each on a processor of its own
SETTLE = 0.03  # seconds: as long as threads of OpenBLAS spin when their work is done


class LeftOutError(Exception):
    """A contestant cannot take part; the message says why."""


class WorkerError(Exception):
    """A contestant failed; the message is its traceback."""


class Worker:
    """An object in a process of its own.

    Arguments:
        environment: variables that it has besides ours. Unless they say otherwise, its libraries may use as many
            threads as there are processors for us.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        # Not a daemon, which may have no processes of its own: PyTorch's DataLoader has. A closed pipe ends it, too.
        self._process = context.Process(target=_serve, args=(other,))
        with _environment(thread_variables(threads()) | environment):
            self._process.start()
        other.close()

    def build(self, path: str, *arguments: Any, **options: Any) -> float:
        """Make an object of the class at "module:Name" in place of the last one, and return the seconds it took.

        Raises:
            LeftOutError: if a library is missing, or cannot do it.
        """
        return self._ask(_Server.build, path, arguments, options)

    def call(self, method: str, *arguments: Any) -> Any:
        """Return what the object's method returns."""
        return self._ask(_Server.call, method, arguments)

    def calibrate(self, method: str, seconds: float) -> int:
        """Return how many steps of `method(steps)` take about so many seconds; this warms it up."""
        return self._ask(_Server.calibrate, method, seconds)

    def time(self, method: str, steps: int, blocks: int) -> list[float]:
        """Return the seconds a step in each of so many blocks of `method(steps)`, after one that is not counted."""
        return self._ask(_Server.time, method, steps, blocks)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()

    def _ask(self, *request: Any) -> Any:
        self._pipe.send(request)
        try:
            kind, result = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise WorkerError(f"the process ended with {self._process.exitcode}") from None
        if kind is not None:
            raise kind(result)
        return result


def thread_variables(count: int) -> dict[str, str]:
    """Return the environment that gives libraries so many threads."""
    return dict.fromkeys(THREAD_VARIABLES, str(count))


@contextmanager
def workers(environments: Mapping[str, Mapping[str, str]]) -> Iterator[dict[str, Worker]]:
    """Give a worker for each name, with its environment, until the block ends."""
    crew = {name: Worker(environment) for name, environment in environments.items()}
    try:
        yield crew
    finally:
        for worker in crew.values():
            worker.close()


def interleave(
    crew: Mapping[str, Worker], method: str, rounds: int, blocks: int, seconds: float
) -> dict[str, list[float]]:
    """Return the seconds a step: in each round everyone does `blocks` blocks of about so many seconds, in turn."""
    steps = {name: worker.calibrate(method, seconds) for name, worker in crew.items()}
    samples: dict[str, list[float]] = {name: [] for name in crew}
    for _ in range(rounds):
        for name, worker in crew.items():
            time.sleep(SETTLE)
            samples[name] += worker.time(method, steps[name], blocks)
    return samples


class _Server:
    """What runs in the worker."""

    def __init__(self) -> None:
        self.object: Any = None

    def build(self, path: str, arguments: Iterable[Any], options: Mapping[str, Any]) -> float:
        module, name = path.split(":")
        make = getattr(import_module(module), name)
        self.object = None  # the old one's memory first
        start = time.perf_counter()
        self.object = make(*arguments, **options)
        return time.perf_counter() - start

    def call(self, method: str, arguments: Iterable[Any]) -> Any:
        return getattr(self.object, method)(*arguments)

    def calibrate(self, method: str, seconds: float) -> int:
        run, steps = getattr(self.object, method), 1
        start = time.perf_counter()
        while time.perf_counter() - start < WARM_UP:
            run(steps)
        while (took := min(_seconds(run, steps) for _ in range(3))) < seconds / 2:
            steps *= 2
        return max(1, round(steps * seconds / took))

    def time(self, method: str, steps: int, blocks: int) -> list[float]:
        run = getattr(self.object, method)
        run(steps)
        return [_seconds(run, steps) / steps for _ in range(blocks)]


def _seconds(run: Callable[[int], Any], steps: int) -> float:
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


def _serve(pipe: Connection) -> None:
    server = _Server()
    while True:
        try:
            do, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = None, do(server, *arguments)
        except (ImportError, UnsupportedError) as error:
            answer = LeftOutError, str(error)
        except Exception:
            answer = WorkerError, traceback.format_exc()
        pipe.send(answer)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for processes that start inside the block."""
    old = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(old)
