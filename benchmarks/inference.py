"""Outputs in evaluation mode, of one sample and of 10,000, from an array in memory to an array in memory."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.contestants import AT_ITS_BEST, CONTESTANTS, MINIGRAD, PYTORCH, PYTORCH_FUSED
from benchmarks.contestants.base import Array
from benchmarks.tables import best, cell, markdown, ratio
from benchmarks.worker import LeftOutError, Worker, interleave, workers
from benchmarks.workloads import Workload, plain, reference

SAMPLES = (1, 10_000)
BLOCKS, SECONDS = 3, 0.05
TOLERANCE = 1e-4  # of a probability


def measure(rounds: int) -> dict[str, Any]:
    """Return samples of everyone for each network and number of samples."""
    with workers({one.name: one.environment for one in CONTESTANTS}) as crew:
        rows = [race(crew, workload, rounds, count) for workload in (reference(64), plain(64)) for count in SAMPLES]
    return {"rows": rows}


def race(crew: Mapping[str, Worker], workload: Workload, rounds: int, count: int) -> dict[str, Any]:
    """Compare the outputs, then time everyone who can do this."""
    print(f"{workload.name}: {count}", flush=True)
    outputs, left_out = {}, {}
    for one in CONTESTANTS:
        try:
            crew[one.name].build(one.trainer, workload, **one.options)
            outputs[one.name] = probabilities(crew[one.name].call("show", count))
        except LeftOutError as error:
            left_out[one.name] = str(error)
            print(f"  without {one.name}: {error}", flush=True)
    for name, found in outputs.items():
        np.testing.assert_allclose(found, outputs[PYTORCH.name], rtol=0, atol=TOLERANCE, err_msg=name)
    samples = interleave({name: crew[name] for name in outputs}, "infer", rounds, BLOCKS, SECONDS)
    return {"workload": asdict(workload), "count": count, "samples": samples, "left_out": left_out}


def probabilities(scores: Array) -> Array:
    """Return the softmax, which is the same for scores and for logarithms of probabilities."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    names = [one.name for one in CONTESTANTS if one is not PYTORCH_FUSED]  # whose forward is PyTorch's
    rows = []
    for row in result["rows"]:
        samples = row["samples"]
        torch = best(samples, AT_ITS_BEST)
        network = row["workload"]["name"].split(",")[0]
        times = [cell(samples.get(name), 1e3) for name in names]
        rows.append([f"{network}, {row['count']}", *times, ratio(samples, torch, MINIGRAD.name)])
    titles = ["inference, ms: median (10th percentile)", *names]
    return markdown([*titles, "PyTorch at its best / minigrad"], rows)
