"""Networks of images: a training step, and outputs for 10,000 images, beside PyTorch in each of its modes.

ONNX Runtime computes outputs beside them.

Batches lie in memory. First the losses of all over the first steps are compared, from the same weights, without
dropout, whose masks differ: nobody is timed who trains otherwise.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.image_workloads import CNN, IMAGE_WORKLOADS, ImageWorkload
from benchmarks.tables import best, cell, markdown, ratio
from benchmarks.worker import Worker, interleave, workers

FILE = "benchmarks.contestants.image_trainers"
MODES = {
    "NCHW": {},
    "NCHW, compiled": {"compiled": True},
    "channels last": {"channels_last": True},
    "channels last, compiled": {"channels_last": True, "compiled": True},
}
TRAINERS: dict[str, tuple[str, dict[str, bool]]] = {"minigrad": (f"{FILE}:Minigrad", {})}
TRAINERS |= {f"PyTorch, {mode}": (f"{FILE}:PyTorch", options) for mode, options in MODES.items()}
PYTORCH = [name for name in TRAINERS if name != "minigrad"]
EVALUATORS = TRAINERS | {"ONNX Runtime": ("benchmarks.contestants.onnx_runtime:OnnxRuntime", {})}
SAMPLES = 10_000
PARITY_STEPS = 3
TOLERANCE = (
    5e-3  # of the loss: PyTorch's own modes differ by 1e-3, as Adam makes whole steps of what is mostly rounding
)
BLOCKS, SECONDS = 2, 0.3


def measure(rounds: int) -> dict[str, Any]:
    """Return samples of everyone for each network, and of the CNN's outputs."""
    with workers({name: {} for name in EVALUATORS}) as crew:
        rows = [race(crew, workload, rounds) for workload in IMAGE_WORKLOADS]
        return {"parity_steps": PARITY_STEPS, "rows": rows, "inference": evaluate(crew, rounds)}


def race(crew: Mapping[str, Worker], workload: ImageWorkload, rounds: int) -> dict[str, Any]:
    """Compare the losses, then time everyone."""
    print(workload.name, flush=True)
    curves = {}
    for name, (path, options) in TRAINERS.items():
        crew[name].build(path, workload.without_dropout(), **options)
        curves[name] = [crew[name].call("run", 1) for _ in range(PARITY_STEPS)]
        if workload.dropout:
            crew[name].build(path, workload, **options)
    expected = np.array(curves[PYTORCH[0]])
    parity = {name: float(np.max(np.abs(curve / expected - 1))) for name, curve in curves.items()}
    for name, worst in parity.items():
        if not worst <= TOLERANCE:
            raise ValueError(f"{name} does not train as PyTorch does: losses differ by {worst:.1e} of their value")
    samples = interleave({name: crew[name] for name in TRAINERS}, "run", rounds, BLOCKS, SECONDS)
    return {"workload": asdict(workload), "samples": samples, "parity": parity}


def evaluate(crew: Mapping[str, Worker], rounds: int) -> dict[str, list[float]]:
    """Compare the CNN's outputs for many images, then time everyone."""
    print(f"{CNN.name}: outputs", flush=True)
    outputs = {}
    for name, (path, options) in EVALUATORS.items():
        crew[name].build(path, CNN, **options)
        outputs[name] = crew[name].call("show", SAMPLES)
    for name, found in outputs.items():
        np.testing.assert_allclose(found, outputs[PYTORCH[0]], rtol=0, atol=1e-4, err_msg=name)
    return interleave(crew, "infer", rounds, BLOCKS, SECONDS)


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    rows = [(f"{row['workload']['name']}: a training step", row["samples"]) for row in result["rows"]]
    rows.append((f"CNN: outputs for {SAMPLES:,} images", result["inference"]))
    lines = []
    for title, samples in rows:
        fastest = best(samples, PYTORCH)
        times = [cell(samples.get(name), 1e3) for name in EVALUATORS]
        lines.append([title, f"**{ratio(samples, fastest, 'minigrad')}** ({fastest})", *times])
    return markdown(["ms: median (10th percentile)", "times faster than PyTorch at its best", *EVALUATORS], lines)
