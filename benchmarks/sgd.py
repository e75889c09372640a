"""Six networks by plain gradient descent (examples/sgd_configurations.py), three seeds, PyTorch beside minigrad.

    python -m benchmarks.sgd [--seeds 3]

Both start from the same weights, see the same batches, and choose their weights on the validation images every 50
steps, as the example says. The reference is what another project reached by hand.
"""

import argparse
import importlib.util
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.harness import write
from minigrad import data


def load_example() -> ModuleType:
    """Return examples/sgd_configurations.py, which is no package."""
    path = Path(__file__).parents[1] / "examples" / "sgd_configurations.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = load_example()


def torch_accuracy(configuration: Any, parts: tuple[data.ArrayDataset, ...], seed: int) -> float:
    """Train the same network in PyTorch and return its test accuracy."""
    train, validation, test = parts
    sizes = (784, *configuration.hidden, 10)
    layers: list[torch.nn.Module] = [torch.nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    state = EXAMPLE.build(configuration, seed).state_dict()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    sgd, loss = torch.optim.SGD(model.parameters(), lr=configuration.lr), torch.nn.CrossEntropyLoss()
    batches = data.Loader(train, configuration.batch_size, shuffle=True, seed=seed)
    steps, best, weights = 0, -1.0, state
    for _ in range(EXAMPLE.EPOCHS):
        for x, y in batches:
            sgd.zero_grad()
            loss(model(torch.from_numpy(x)), torch.from_numpy(y)).backward()
            sgd.step()
            steps += 1
            if steps % EXAMPLE.STEPS_BETWEEN == 0 and (reached := share_right(model, validation)) > best:
                best, weights = reached, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(weights)
    return share_right(model, test)


def share_right(model: torch.nn.Module, part: data.ArrayDataset) -> float:
    """Return the accuracy of a PyTorch model."""
    right = 0
    with torch.no_grad():
        for x, y in data.Loader(part, 1000):
            right += int((model(torch.from_numpy(x)).argmax(1).numpy() == y).sum())
    return right / len(part)


def main() -> None:
    """Train, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    train, test = data.fashion_mnist()
    parts = (*data.split(train, validation=10_000), test)
    rows = []
    for configuration in EXAMPLE.CONFIGURATIONS:
        ours = [EXAMPLE.accuracy(configuration, *parts, seed, progress=False) for seed in seeds]
        theirs = [torch_accuracy(configuration, parts, seed) for seed in seeds]
        row = {
            "hidden": list(configuration.hidden),
            "lr": configuration.lr,
            "batch_size": configuration.batch_size,
            "reference": configuration.target,
            "minigrad": ours,
            "torch": theirs,
        }
        rows.append(row)
        print(row, flush=True)
    print(table(write("sgd", {"rows": rows})))


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    lines = [
        "| hidden | lr | batch | reference | minigrad, mean ± sd | PyTorch, mean ± sd |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        hidden = ", ".join(map(str, row["hidden"]))
        means = [f"{np.mean(row[who]):.2%} ± {np.std(row[who], ddof=1):.2%}" for who in ("minigrad", "torch")]
        lines.append(f"| {hidden} | {row['lr']} | {row['batch_size']} | {row['reference']:.2%} | {' | '.join(means)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
