"""`minigrad info`: versions, threads, BLAS, caches, data."""

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import minigrad
from minigrad import kernels
from minigrad.cli.parser import Commands, add_command
from minigrad.data import CATALOG, find
from minigrad.files import user_cache

OPTIONAL = {"matplotlib": "extra: plot", "pillow": "extra: image"}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
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
        "kernels": kernels.backend(),
    }


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
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _cgroup_quota()
    limits = {"control group's quota": f"{quota:g} processors" if quota else "none"}
    limits |= {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
    return {"processors": str(os.cpu_count()), "this process may use": str(usable)} | limits


def _cgroup_quota() -> float | None:
    """Return the processors that a container may keep busy, or None if it is not limited (Linux, version 2)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def compiled_kernels() -> list[Path]:
    """Return the files in which compiled kernels are kept."""
    return [path for folder in user_cache().glob("kernels-*") for path in folder.rglob("*.nb*")]


def kernel_cache() -> dict[str, str]:
    """Return which kernels run, and where compiled ones are kept. Without Numba there are none."""
    files = compiled_kernels()
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    return {
        "in use": {"jit": "jit (compiled by Numba)", "reference": "reference (NumPy)"}[kernels.backend()],
        "cache": f"{user_cache()}, {len(files)} files of compiled kernels, {megabytes:.1f} MB",
    }
