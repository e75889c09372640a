"""Time to import minigrad beside torch, each in a fresh process, and what `import minigrad` loads.

python -m benchmarks.imports [--rounds 9]
"""

import argparse
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks.harness import write

HEAVY = ("numba", "scipy", "matplotlib", "rich", "torch", "safetensors", "pooch")


def seconds(module: str) -> float:
    """Import `module` in a new process and return the seconds that the import took."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def loaded() -> list[str]:
    """Return which of the heavy packages `import minigrad` loads."""
    code = f"import minigrad, sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def main() -> None:
    """Measure in turn, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    samples: dict[str, list[float]] = {"minigrad": [], "numpy": [], "torch": []}
    for number in range(rounds + 1):  # the first round fills the disk cache
        for module, times in samples.items():
            took = seconds(module)
            if number:
                times.append(took)
    print(table(write("imports", {"samples": samples, "heavy_packages_loaded": loaded()})))


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    medians = {module: float(np.median(times)) for module, times in result["samples"].items()}
    lines = ["| import | median s | of torch's |", "|---|---|---|"]
    lines += [f"| {module} | {took:.3f} | {took / medians['torch']:.2f} |" for module, took in medians.items()]
    heavy = ", ".join(result["heavy_packages_loaded"]) or "none"
    return "\n".join([*lines, "", f"Of {', '.join(HEAVY)} `import minigrad` loads: {heavy}."])


if __name__ == "__main__":
    main()
