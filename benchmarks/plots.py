"""Pictures of the measured results, made from the files alone.

python -m benchmarks.plots
"""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.contestants import CONTESTANTS
from benchmarks.harness import RESULTS, read
from benchmarks.step import floor_of
from benchmarks.tables import median

COLORS = {one.name: f"C{number}" for number, one in enumerate(CONTESTANTS)}
DOTS_PER_INCH = 110


def draw() -> list[Path]:
    """Write a picture of each result that has one and is there; return where they are."""
    written = []
    for name, make in {"step": step, "time_to_accuracy": time_to_accuracy}.items():
        if (RESULTS / f"{name}.json").exists():
            path = RESULTS / f"{name}.png"
            make(read(name)).savefig(path, dpi=DOTS_PER_INCH)
            written.append(path)
    return written


def step(result: dict[str, Any]) -> Figure:
    """Return the time of a step in units of its floor: a column for each workload, a mark for each contestant."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    rows = result["rows"]
    for one in CONTESTANTS:
        found = [(place, row) for place, row in enumerate(rows) if one.name in row["samples"]]
        heights = [median(row["samples"][one.name]) / floor_of(row["samples"]) for _, row in found]
        style = "D" if one.name == "minigrad" else "o"
        axes.plot([place for place, _ in found], heights, style, color=COLORS[one.name], label=one.name)
    axes.axhline(1, color="black", linewidth=1, label="floor: products and traffic")
    axes.set_xticks(range(len(rows)), [row["workload"]["name"].replace(", ", ",\n") for row in rows], fontsize=8)
    axes.set_yscale("log")
    axes.set_ylabel("median time of a training step / its floor")
    axes.grid(axis="y", which="both", alpha=0.3)
    figure.legend(loc="outside upper center", fontsize=8, ncols=6)
    return figure


def time_to_accuracy(result: dict[str, Any]) -> Figure:
    """Return the best validation accuracy so far over the seconds of training, a line for each seed."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, runs in result["looks"].items():
        for number, looks in enumerate(runs):
            seconds, accuracies = zip(*looks, strict=True)
            so_far = [max(accuracies[: look + 1]) for look in range(len(looks))]
            axes.step(seconds, so_far, where="post", color=COLORS[name], label=None if number else name)
    for target in result["targets"]:
        axes.axhline(target, color="black", linewidth=0.5)
    axes.set_xscale("log")
    axes.set_xlabel("seconds of training")
    axes.set_ylabel("best validation accuracy so far")
    axes.set_ylim(bottom=0.82)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", fontsize=8, ncols=5)
    return figure


if __name__ == "__main__":
    print(*draw(), sep="\n")
