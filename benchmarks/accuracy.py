"""Test accuracy of the recipes over seeds 0 to 4, the model chosen on the validation images.

    python -m benchmarks.accuracy [--seeds 5] [--only fashion-mnist:reference]

Each run is the command `minigrad train DATASET --recipe NAME --seed SEED` with one thread, as many runs at a time
as there are cores. The whole takes some five hours on two.
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

from benchmarks.harness import read, write
from minigrad.cli.info import processor

RUNS = (
    ("fashion-mnist", "reference"),
    ("fashion-mnist", "reference-cosine"),
    ("mnist", "reference-cosine"),
    ("fashion-mnist", "best-mlp"),
    ("fashion-mnist", "cnn"),
    ("mnist", "cnn-augmented"),
    ("fashion-mnist", "vgg"),
    ("fashion-mnist", "resnet20"),
)
NAMES = [f"{dataset}:{recipe}" for dataset, recipe in RUNS]


def train(dataset: str, recipe: str, seed: int) -> dict[str, Any]:
    """Train by a recipe and return what came out."""
    kept = {"seed": seed} | run_command("train", dataset, "--recipe", recipe, "--seed", str(seed))
    print(f"{dataset}:{recipe}", kept, flush=True)
    return kept


def run_command(*arguments: str) -> dict[str, Any]:
    """Run a command that trains, in a process of its own with one thread, and return what came out."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "minigrad", *arguments, "--out", out, "--quiet"]
        one_thread = os.environ | {"OPENBLAS_NUM_THREADS": "1", "MINIGRAD_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=one_thread)
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
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", metavar="DATASET:RECIPE", choices=NAMES, help="measure this one, keep the others")
    options = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = read("accuracy")["rows"] if options.only else {}
    for dataset, recipe in RUNS:
        name = f"{dataset}:{recipe}"
        if options.only in (None, name):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                rows[name] = list(pool.map(partial(train, dataset, recipe), range(options.seeds)))
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
