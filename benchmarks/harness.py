"""Where a figure was measured, and the files that keep the figures."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import minigrad
from benchmarks.contestants.base import threads
from minigrad.cli.info import processor

RESULTS = Path(__file__).parent / "results"
LIBRARIES = (
    "numpy",
    "numba",
    "torch",
    "torchvision",
    "jax",
    "optax",
    "scikit-learn",
    "tinygrad",
    "keras",
    "onnxruntime",
)


def machine() -> dict[str, Any]:
    """Return what a figure means nothing without: CPU, cores, threads, versions."""
    found = {"python": platform.python_version(), "minigrad": minigrad.__version__}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return {"cpu": processor(), "cores": threads(), "threads": threads(), **found}


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
