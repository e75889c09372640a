"""What a process costs: from its start to its first finished step, its memory, the import, the space on the disk.

A process trains the reference network at batch 64 from batches in memory. Its caches of compiled code lie in a folder
that is empty at first (cold), and afterwards holds what the first one left (warm). Linux only.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from time import perf_counter
from typing import Any

from packaging.requirements import Requirement

from benchmarks.contestants import JAX, KERAS, MINIGRAD, NUMPY, PYTORCH, PYTORCH_COMPILED, TINYGRAD, Contestant
from benchmarks.contestants.base import threads
from benchmarks.once import LEFT_OUT
from benchmarks.tables import cell, markdown, ratio
from benchmarks.worker import LeftOutError, WorkerError, thread_variables

ENTRANTS = (MINIGRAD, PYTORCH, PYTORCH_COMPILED, JAX, TINYGRAD, KERAS, NUMPY)  # scikit-learn cannot do this network
ROOT = Path(__file__).parents[1]
COLD_ROUNDS = 2  # at most: compiling takes long
CACHES = ("MINIGRAD_CACHE", "TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME")
PACKAGES = {  # of each module that is imported
    "minigrad": ("minigrad",),
    "numpy": ("numpy",),
    "torch": ("torch",),
    "jax": ("jax", "optax"),
    "sklearn.neural_network": ("scikit-learn",),
    "tinygrad": ("tinygrad",),
    "keras": ("keras", "jax"),
}


def measure(rounds: int) -> dict[str, Any]:
    """Return samples of all of it."""
    found = {module: packages for module, packages in PACKAGES.items() if all(map(installed, packages))}
    imports = {module: [] for module in found}
    for number in range(rounds + 1):  # the first round fills the disk's cache
        for module, samples in imports.items():
            took = seconds_to_import(module)
            if number:
                samples.append(took)
    return {**trained(rounds), "imports": imports, "bytes": {name: size(packages) for name, packages in found.items()}}


def trained(rounds: int) -> dict[str, Any]:
    """Return the seconds to the first step with cold and warm caches, and the peaks of memory in bytes."""
    found: dict[str, dict[str, Any]] = {"cold": {}, "warm": {}, "memory": {}, "left_out": {}}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for place, one in enumerate(ENTRANTS):
                if one.name not in found["left_out"]:
                    try:
                        run(one, Path(folder) / f"{place}-{min(number, COLD_ROUNDS - 1)}", found)
                    except LeftOutError as error:
                        found["left_out"][one.name] = str(error)
                        print(f"  without {one.name}: {error}", flush=True)
    return found


def run(one: Contestant, caches: Path, found: dict[str, dict[str, Any]]) -> None:
    """Add a sample of each kind; a cold one if there is no such folder yet."""
    if not caches.exists():
        caches.mkdir()
        found["cold"].setdefault(one.name, []).append(process(one, caches)[0])
    seconds, memory = process(one, caches)
    found["warm"].setdefault(one.name, []).append(seconds)
    found["memory"].setdefault(one.name, []).append(memory)


def process(one: Contestant, caches: Path) -> tuple[float, float]:
    """Return the seconds from the start of a training process to its first finished step, and its peak of memory.

    Raises:
        LeftOutError: if a library is missing, or cannot do it.
        WorkerError: if it fails.
    """
    environment = inherited() | thread_variables(threads()) | one.environment | dict.fromkeys(CACHES, str(caches))
    command = [sys.executable, "-m", "benchmarks.once", one.name]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    start = perf_counter()
    with subprocess.Popen(command, env=environment, **pipes) as running:
        running.stdout.readline()
        seconds = perf_counter() - start
        rest, errors = running.communicate()
    if running.returncode:
        reason = errors.strip().rpartition("\n")[2]
        raise LeftOutError(reason.removeprefix(LEFT_OUT)) if reason.startswith(LEFT_OUT) else WorkerError(errors)
    return seconds, float(rest)


def seconds_to_import(module: str) -> float:
    """Import in a new process and return the seconds that the import took."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    command, environment = [sys.executable, "-c", code], inherited() | KERAS.environment
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def inherited() -> dict[str, str]:
    """Return our environment, with which Python may keep byte code: installed packages have theirs, a checkout not."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def installed(package: str) -> bool:
    """Return whether it is there."""
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def size(packages: Iterable[str]) -> int:
    """Return the bytes of the files of these packages and of all that they need."""
    wanted, seen = list(packages), set()
    total = 0
    while wanted:
        name = wanted.pop()
        if name.lower().replace("_", "-") in seen or not installed(name):
            continue
        seen.add(name.lower().replace("_", "-"))
        found = distribution(name)
        needs = map(Requirement, found.requires or [])
        wanted += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
        total += sum(path.stat().st_size for path in files(found) if path.is_file())
    return total


def files(found: Distribution) -> Iterable[Path]:
    """Return the files of a package; of this one the sources, for it may be installed as a link to them."""
    if found.name == "minigrad":
        return (ROOT / "minigrad").rglob("*.py")
    return (Path(file.locate()) for file in found.files or [])


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    rows = []
    for one in ENTRANTS:
        if one.name in result["warm"]:
            kinds = [cell(result[kind].get(one.name)) for kind in ("warm", "cold")]
            shares = [ratio(result[kind], one.name, PYTORCH.name) for kind in ("warm", "memory")]
            rows.append([one.name, *kinds, shares[0], cell(result["memory"][one.name], 1e-6), shares[1]])
    titles = ["a training process", "s from its start to its first step, caches warm", "cold", "warm, of PyTorch's"]
    first = markdown([*titles, "peak memory MB", "of PyTorch's"], rows)
    rows = [
        [module, cell(samples), ratio(result["imports"], module, "torch"), f"{result['bytes'][module] / 1e6:.0f}"]
        for module, samples in result["imports"].items()
    ]
    titles = ["`import`", "s: median (10th percentile)", "of torch's", "MB on the disk, with all that it needs"]
    return first + "\n\n" + markdown(titles, rows)
