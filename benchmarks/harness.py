"""Interleaved timing, and where it was measured."""

import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import minigrad
from minigrad.cli.info import processor

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Return what a figure means nothing without: CPU, cores, threads, versions."""
    return {
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "minigrad": minigrad.__version__,
        "numpy": np.__version__,
        "numba": version("numba"),
        "torch": torch.__version__,
    }


def interleave(contestants: dict[str, Callable[[], Any]], rounds: int, calls: int) -> dict[str, list[float]]:
    """Return seconds a call: in each round everyone is called `calls` times in turn. The first round is not counted."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, call in contestants.items():
            for _ in range(calls):
                start = time.perf_counter()
                call()
                if number:
                    samples[name].append(time.perf_counter() - start)
    return samples


def write(name: str, result: dict[str, Any]) -> dict[str, Any]:
    """Write the result with the machine beside it, and return both."""
    result = {"machine": machine(), **result}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(_rounded(result)) + "\n")
    return result


def read(name: str) -> dict[str, Any]:
    """Return what `write` wrote."""
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return result


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
