"""One training step: every contestant, every workload, and the floor, interleaved in one run.

    python -m benchmarks.step [--rounds 7] [--only "reference, batch 64" ...]

Batches lie in memory. First the losses of all over the first steps are compared, from the same weights, without
dropout, whose masks differ: nobody is timed who trains otherwise. With `--only` the result is printed, not kept.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.contestants import AT_ITS_BEST, CONTESTANTS, MINIGRAD, PYTORCH, Contestant
from benchmarks.harness import write
from benchmarks.tables import NOTHING, Samples, best, cell, markdown, median, number, ratio
from benchmarks.worker import LeftOutError, Worker, interleave, workers
from benchmarks.workloads import BATCHES, WORKLOADS, Workload

PARITY_STEPS = BATCHES  # one on each
TOLERANCE = 1e-3  # of the loss; a gradient that is hardly more than rounding is a whole step to Adam
BLOCKS, SECONDS = 3, 0.05  # of each contestant in each round
GEMMS = {"GEMMs, minigrad": "benchmarks.floor:TileGemms", "GEMMs, OpenBLAS": "benchmarks.floor:NumpyGemms"}
TRAFFIC = {"Adam's memory traffic": "benchmarks.floor:Traffic"}
FLOOR = GEMMS | TRAFFIC


def measure(rounds: int, workloads: Sequence[Workload] = WORKLOADS) -> dict[str, Any]:
    """Return samples of everyone for each workload."""
    with workers({one.name: one.environment for one in CONTESTANTS} | {name: {} for name in FLOOR}) as crew:
        return {"parity_steps": PARITY_STEPS, "rows": [race(crew, workload, rounds) for workload in workloads]}


def race(crew: Mapping[str, Worker], workload: Workload, rounds: int) -> dict[str, Any]:
    """Compare the losses, then time everyone who can do this workload."""
    print(workload.name, flush=True)
    curves, ready, left_out = {}, {}, {}
    for one in CONTESTANTS:
        try:
            curves[one.name], ready[one.name] = first_losses(crew[one.name], one, workload.without_dropout())
            if workload.dropout:
                crew[one.name].build(one.trainer, workload, **one.options)
        except LeftOutError as error:
            left_out[one.name] = str(error)
            print(f"  without {one.name}: {error}", flush=True)
    parity = {one.name: disagreement(one.name, curves) for one in CONTESTANTS if one.name in curves}
    for name, path in FLOOR.items():
        crew[name].build(path, workload)
    racing = {name: worker for name, worker in crew.items() if name not in left_out}
    return {
        "workload": asdict(workload),
        "samples": interleave(racing, "run", rounds, BLOCKS, SECONDS),
        "ready": ready,
        "parity": parity,
        "left_out": left_out,
    }


def first_losses(worker: Worker, one: Contestant, workload: Workload) -> tuple[list[float], float]:
    """Return the losses of the first steps, without the penalty, and the seconds until the first step was done."""
    seconds = worker.build(one.trainer, workload, **one.options)
    losses = []
    for step in range(PARITY_STEPS):
        penalty = worker.call("penalty")
        start = time.perf_counter()
        losses.append(worker.call("run", 1) - penalty)
        if step == 0:
            seconds += time.perf_counter() - start
    return losses, seconds


def disagreement(name: str, curves: Mapping[str, Sequence[float]]) -> float:
    """Return the largest relative difference from PyTorch's losses.

    Raises:
        ValueError: if it is more than the tolerance.
    """
    losses, expected = np.array(curves[name]), np.array(curves[PYTORCH.name])
    worst = float(np.max(np.abs(losses - expected) / np.abs(expected)))
    if not worst <= TOLERANCE:
        raise ValueError(f"{name} does not train as PyTorch does: losses differ by {worst:.1e} of their value")
    return worst


def floor_of(samples: Samples) -> float:
    """Return the medians of the products, by whoever is faster, and of the traffic, added."""
    return median(samples[best(samples, GEMMS)]) + sum(median(samples[name]) for name in TRAFFIC)


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown: times, ratios, and what was not counted."""
    return "\n\n".join([ratios(result), times(result), getting_ready(result)])


def ratios(result: dict[str, Any]) -> str:
    """Return how many times faster minigrad is."""
    titles = ["one training step", "minigrad ms", "times faster than PyTorch at its best"]
    titles += ["than PyTorch as it comes", "than the fastest other", "minigrad / floor"]
    rows = []
    for row in result["rows"]:
        samples = row["samples"]
        torch = best(samples, AT_ITS_BEST)
        other = best(samples, [name for name in samples if name not in FLOOR and not name.startswith("minigrad")])
        ours = samples.get(MINIGRAD.name)
        rows.append(
            [
                row["workload"]["name"],
                cell(ours, 1e3),
                f"**{ratio(samples, torch, MINIGRAD.name)}** ({torch.removeprefix('PyTorch, ')})",
                ratio(samples, PYTORCH.name, MINIGRAD.name),
                f"{ratio(samples, other, MINIGRAD.name)} ({other})",
                number(median(ours) / floor_of(samples)) if ours else NOTHING,
            ]
        )
    return markdown(titles, rows)


def times(result: dict[str, Any]) -> str:
    """Return everyone's times."""
    names = [one.name for one in CONTESTANTS]
    rows = []
    for row in result["rows"]:
        samples = row["samples"]
        cells = [cell(samples.get(name), 1e3) for name in names]
        rows.append([row["workload"]["name"], *cells, number(1e3 * floor_of(samples))])
    return markdown(["ms: median (10th percentile)", *names, "floor"], rows)


def getting_ready(result: dict[str, Any]) -> str:
    """Return what is not in the times: building, compiling, the first step."""
    names = [one.name for one in CONTESTANTS]
    seconds = {name: [row["ready"][name] for row in result["rows"] if name in row["ready"]] for name in names}
    cells = [cell(seconds[name]) for name in names]
    return markdown(["s until the first step is done, of all workloads", *names], [["not counted above", *cells]])


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", metavar="WORKLOAD", nargs="+", choices=[workload.name for workload in WORKLOADS])
    options = parser.parse_args()
    if options.only:
        print(table(measure(options.rounds, [one for one in WORKLOADS if one.name in options.only])))
    else:
        print(table(write("step", measure(options.rounds))))


if __name__ == "__main__":
    main()
