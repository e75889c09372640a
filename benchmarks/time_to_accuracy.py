"""Seconds of training to a validation accuracy on Fashion-MNIST, the same recipe in each library.

The recipe is `reference` of `minigrad recipes`. All start from the same weights and see the same images in the same
order; the dropout masks are each library's own. Four times an epoch the outputs of the 6,000 validation images are
computed, which counts; compiling does not. A round is a seed.
"""

from dataclasses import replace
from typing import Any

from benchmarks.contestants import JAX, KERAS, MINIGRAD, PYTORCH_COMPILED, PYTORCH_FUSED
from benchmarks.tables import NOTHING, cell, markdown, median, number
from benchmarks.training import PATH, warm_up
from benchmarks.worker import workers
from benchmarks.workloads import reference

ENTRANTS = (MINIGRAD, PYTORCH_FUSED, PYTORCH_COMPILED, JAX, KERAS)
TARGETS = (0.88, 0.895)
EPOCHS = 20  # at most
SEEDS = 3  # at most: a run takes long


def measure(rounds: int) -> dict[str, Any]:
    """Return the looks of everyone, seed by seed."""
    with workers({one.name: one.environment for one in ENTRANTS}) as crew:
        facts = warm_up(crew, ENTRANTS, reference(64))
        looks: dict[str, list[Any]] = {name: [] for name in facts["ready"]}
        for seed in range(min(rounds, SEEDS)):
            workload = replace(reference(64), seed=seed)
            for one in ENTRANTS:
                if one.name in looks:
                    crew[one.name].build(PATH, one, workload)
                    looks[one.name].append(crew[one.name].call("until", TARGETS[-1], EPOCHS))
    return {"targets": TARGETS, "looks": looks, **facts}


def reached(looks: list[list[float]], target: float) -> float | None:
    """Return the seconds at the first look that saw this accuracy.

    >>> reached([[1.0, 0.8], [2.0, 0.9], [3.0, 0.85]], 0.85), reached([[1.0, 0.8]], 0.85)
    (2.0, None)
    """
    return next((seconds for seconds, accuracy in looks if accuracy >= target), None)


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    rows = []
    for name, runs in result["looks"].items():
        cells = []
        for target in result["targets"]:
            seconds = [reached(looks, target) for looks in runs]
            each = ", ".join(NOTHING if one is None else number(one) for one in seconds)
            middle = NOTHING if None in seconds else number(median(seconds))
            cells += [f"**{middle}** ({each})"]
        rows.append([name, *cells, cell([result["ready"][name]])])
    titles = [f"s to {target:.1%} of the validation images: median (seeds)" for target in result["targets"]]
    return markdown(["", *titles, "s to get ready, not counted"], rows)
