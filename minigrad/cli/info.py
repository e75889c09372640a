"""`minigrad info`: versions, threads, BLAS, caches, data."""

import argparse
import math
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import minigrad
from minigrad import kernels
from minigrad.cli.parser import Commands, add_command
from minigrad.data import CATALOG, find
from minigrad.engine.threads import OWN, SHARED, available_processors, cgroup_quota, decision
from minigrad.files import user_cache

OPTIONAL = {"matplotlib": "extra: plot", "pillow": "extra: image"}
THREAD_VARIABLES = (OWN, *SHARED, "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
UNKNOWN = "unknown"


def add(commands: Commands) -> None:
    """Add the command `info`."""
    add_command(commands, "info", run, "print versions, threads, BLAS, caches, and the data sets that are found")


def run(args: argparse.Namespace) -> int:
    """Print everything."""
    packages = versions() | {name: _version(name) or f"not installed ({why})" for name, why in OPTIONAL.items()}
    sections = {
        "versions": packages,
        "machine": machine(),
        "threads": threads(),
        "kernels": kernel_cache(),
        "data sets": {name: str(find(name) or "not found (see `minigrad data where`)") for name in CATALOG},
    }
    for title, lines in sections.items():
        print(title)
        for name, text in lines.items():
            print(f"  {name:22}  {text}")
    return 0


def versions() -> dict[str, str]:
    """Return the versions of what computes."""
    packages = {name: _version(name) or "not installed" for name in ("numba", "safetensors")}
    return {
        "minigrad": minigrad.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        **packages,
        "kernels": _backend(),
    }


def _backend() -> str:
    """Return which kernels run, or what is wrong with the environment's wish for others."""
    try:
        return kernels.backend()
    except ValueError as error:
        return str(error)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def machine() -> dict[str, str]:
    """Return the system, the processor, and the BLAS that NumPy calls."""
    config = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    simd = config.get("SIMD Extensions", {})
    return {
        "system": platform.platform(),
        "processor": processor(),
        "instructions": " ".join([*simd.get("baseline", []), *simd.get("found", [])]) or UNKNOWN,
        "BLAS": f"{blas.get('name', UNKNOWN)} {blas.get('version', '')}".strip(),
    }


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine() or UNKNOWN)


def threads() -> dict[str, str]:
    """Return how many processors there are, and what limits this process to fewer of them."""
    quota = cgroup_quota()
    try:
        wanted = "{0.threads} (decided by {0.by})".format(decision())
    except ValueError as error:
        wanted = str(error)
    return {
        "processors": str(os.cpu_count()),
        "control group's quota": "none" if math.isinf(quota) else f"{quota:g} processors",
        "this process may use": str(available_processors()),
        "a compiled step uses": wanted,
    } | {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}


def kernel_cache() -> dict[str, str]:
    """Return which kernels run, and where compiled ones are kept. Without Numba there are none."""
    backend = _backend()
    in_use = {"jit": "jit (compiled by Numba)", "reference": "reference (NumPy)"}.get(backend, backend)
    try:
        lines = {"in use": in_use, "cache": f"{user_cache()}, {_content(user_cache().glob('kernels-*'))}"}
    except OSError as error:  # no home folder, or no permission
        lines = {"in use": in_use, "cache": f"none: {error.filename}: {error.strerror}"}
    if backend == "jit":
        from minigrad.kernels.jit._jit import cache_directory

        folder = cache_directory()
        lines["of this version"] = f"{folder.name}, {_content([folder])}" if folder else "not kept"
    return lines


def _content(folders: Iterable[Path]) -> str:
    files = [path for folder in folders for path in folder.rglob("*.nb*")]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    return f"{len(files)} files of compiled kernels, {megabytes:.1f} MB"
