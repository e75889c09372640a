"""A whole epoch of Fashion-MNIST, from images of bytes in memory to its last step: the reference network, batch 64."""

from dataclasses import asdict
from typing import Any

from benchmarks.contestants import (
    AT_ITS_BEST,
    MINIGRAD,
    MINIGRAD_EAGER,
    PYTORCH_COMPILED,
    PYTORCH_FUSED,
    PYTORCH_LOADER,
)
from benchmarks.tables import best, cell, markdown, ratio
from benchmarks.training import warm_up
from benchmarks.worker import workers
from benchmarks.workloads import reference

ENTRANTS = (MINIGRAD, MINIGRAD_EAGER, PYTORCH_LOADER, PYTORCH_FUSED, PYTORCH_COMPILED)


def measure(rounds: int) -> dict[str, Any]:
    """Return the seconds of an epoch, a sample of each contestant in each round."""
    workload = reference(64)
    with workers({one.name: one.environment for one in ENTRANTS}) as crew:
        facts = warm_up(crew, ENTRANTS, workload)
        samples: dict[str, list[float]] = {name: [] for name in facts["ready"]}
        for _ in range(rounds):
            for name, seconds in samples.items():
                seconds.append(crew[name].call("epoch"))
    return {"workload": asdict(workload), "samples": samples, **facts}


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    samples = result["samples"]
    torch = best(samples, AT_ITS_BEST)
    rows = [
        [name, cell(found), ratio(samples, name, MINIGRAD.name), cell([result["ready"][name]])]
        for name, found in samples.items()
    ]
    titles = [
        "an epoch of Fashion-MNIST",
        "s: median (10th percentile)",
        "times minigrad's",
        "s to get ready, not counted",
    ]
    return markdown(titles, rows) + f"\n\nPyTorch in memory at its best: {torch.removeprefix('PyTorch, ')}."
