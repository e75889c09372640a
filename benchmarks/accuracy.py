"""Test accuracy of the recipes over seeds from 0 on, the model chosen on the validation images.

    python -m benchmarks.accuracy [--seeds N] [--only fashion-mnist:reference]

Each run is the command `minigrad train DATASET --recipe NAME --seed SEED` with one thread, as many runs at a time
as there are cores; one by itself has them all. The whole takes some five hours on two.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants.base import threads as available
from benchmarks.harness import read, write
from minigrad.cli.info import processor

# How many seeds each is given: fewer, the longer it takes.
RUNS = {
    "fashion-mnist:reference": 5,
    "fashion-mnist:reference-cosine": 5,
    "mnist:reference-cosine": 5,
    "fashion-mnist:best-mlp": 5,
    "fashion-mnist:cnn": 3,
    "mnist:cnn-augmented": 3,
    "fashion-mnist:vgg": 3,
    "fashion-mnist:resnet20": 1,
}


def train(name: str, threads: int, seed: int) -> dict[str, Any]:
    """Train by a recipe and return what came out."""
    dataset, recipe = name.split(":")
    kept = {"seed": seed} | run_command("train", dataset, "--recipe", recipe, "--seed", str(seed), threads=threads)
    print(name, kept, flush=True)
    return kept


def run_command(*arguments: str, threads: int = 1) -> dict[str, Any]:
    """Run a command that trains, in a process of its own with so many threads, and return what came out."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "minigrad", *arguments, "--out", out, "--quiet"]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "MINIGRAD_NUM_THREADS": str(threads)}
        subprocess.run(command, check=True, env=environment)
        metrics = json.loads((Path(out) / "metrics.json").read_text())
    return {
        "validation": metrics["validation"]["accuracy"],
        "test": metrics["test"]["accuracy"],
        "seconds_an_epoch": metrics["seconds_per_epoch"],
        "epochs": metrics["epochs"],
        "cpu": processor(),
    }


def main() -> None:
    """Train, write, print. A part that is measured again replaces its old figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, metavar="N", help="of each (default: as many as the table shows)")
    parser.add_argument("--only", metavar="DATASET:RECIPE", choices=RUNS, help="measure this one, keep the others")
    options = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = read("accuracy")["rows"] if options.only else {}
    for name, count in RUNS.items():
        if options.only in (None, name):
            seeds = options.seeds or count
            at_a_time = min(available(), seeds)
            with ThreadPoolExecutor(at_a_time) as pool:
                rows[name] = list(pool.map(partial(train, name, available() // at_a_time), range(seeds)))
            write("accuracy", {"rows": rows})
    print(table(read("accuracy")))


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    lines = [
        "| data set | recipe | epochs | test accuracy, seed by seed from 0 | mean ± sd | validation | s an epoch |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, runs in result["rows"].items():
        dataset, recipe = name.split(":")
        test, validation, seconds = (
            np.array([run[key] for run in runs]) for key in ("test", "validation", "seconds_an_epoch")
        )
        each = ", ".join(f"{value:.2%}" for value in test)
        mean = f"**{test.mean():.2%}**" + (f" ± {test.std(ddof=1):.2%}" if len(test) > 1 else "")
        lines.append(
            f"| {dataset} | {recipe} | {runs[0]['epochs']} | {each} | {mean} | {validation.mean():.2%} "
            f"| {np.median(seconds):.1f} ({runs[0]['cpu']}) |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
