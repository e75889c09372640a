"""One eager training step of the reference network at batch 64: minigrad beside PyTorch, interleaved.

    python -m benchmarks.step [--rounds 9] [--calls 40]

The losses of both over 20 steps from the same weights are compared first (without dropout, whose masks differ).
"""

import argparse
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch

import minigrad
from benchmarks.harness import interleave, write
from minigrad import nn, optim

BATCH, SIZES = 64, (784, 512, 256, 10)
RNG = np.random.default_rng(0)
X, Y = RNG.random((BATCH, SIZES[0]), np.float32), RNG.integers(0, SIZES[-1], BATCH)


def build(lib: object, dropout: float) -> object:
    """The reference network in minigrad.nn or torch.nn: the same code makes both."""
    hidden = [
        layer
        for inputs, outputs in pairwise(SIZES[:-1])
        for layer in (lib.Linear(inputs, outputs), lib.BatchNorm1d(outputs), lib.ReLU(), lib.Dropout(dropout))
    ]
    return lib.Sequential(*hidden, lib.Linear(*SIZES[-2:]))


def minigrad_step(model: nn.Module) -> Callable[[], float]:
    """As the README's explicit loop."""
    loss, adam = nn.CrossEntropyLoss(label_smoothing=0.1), optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)

    def step() -> float:
        value = loss(model(X), Y)
        adam.zero_grad()
        model.backward(loss.backward(), input_grad=False)
        adam.step()
        return value

    return step


def torch_step(model: torch.nn.Module, fused: bool | None = None) -> Callable[[], float]:
    """As PyTorch's tutorials, the data in memory."""
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4, fused=fused)
    x, y = torch.from_numpy(X), torch.from_numpy(Y)

    def step() -> float:
        value = loss(model(x), y)
        adam.zero_grad()
        value.backward()
        adam.step()
        return value.item()

    return step


def pair(dropout: float) -> tuple[nn.Module, torch.nn.Module]:
    """Two models with the same weights."""
    ours, theirs = build(nn, dropout), build(torch.nn, dropout)
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in ours.state_dict().items()})
    return ours, theirs


def main() -> None:
    """Compare, time, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=40)
    options = parser.parse_args()
    minigrad.manual_seed(0)

    ours, theirs = pair(dropout=0.0)
    curves = [[step() for _ in range(20)] for step in (minigrad_step(ours), torch_step(theirs))]
    np.testing.assert_allclose(*curves, rtol=1e-3, err_msg="the two do not train alike: no time is reported")

    ours, theirs = pair(dropout=0.2)
    contestants = {
        "minigrad": minigrad_step(ours),
        "PyTorch eager": torch_step(theirs),
        "PyTorch eager, fused Adam": torch_step(pair(0.2)[1], fused=True),
    }
    samples = interleave(contestants, options.rounds, options.calls)
    print(table(write("step", {"batch": BATCH, "sizes": SIZES, "samples": samples})))


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    lines = ["| one training step, batch 64 | median ms | 10th percentile ms | minigrad takes |", "|---|---|---|---|"]
    ours = np.median(result["samples"]["minigrad"])
    for name, samples in result["samples"].items():
        median, fast = np.median(samples), np.percentile(samples, 10)
        lines.append(f"| {name} | {median * 1e3:.2f} | {fast * 1e3:.2f} | {ours / median:.2f} of it |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
