"""The network in `torch.nn` or `minigrad.nn`: the same names, so the same code."""

from typing import Any

from benchmarks.workloads import Workload


def network(nn: Any, workload: Workload) -> Any:
    """Return the model, with `nn`'s own initial weights."""
    layers: list[Any] = []
    for inputs, outputs in workload.layers()[:-1]:
        layers.append(nn.Linear(inputs, outputs))
        if workload.batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(nn.ReLU())
        if workload.dropout:
            layers.append(nn.Dropout(workload.dropout))
    return nn.Sequential(*layers, nn.Linear(*workload.layers()[-1]))


def linears(model: Any) -> list[Any]:
    """Return the linear layers from first to last."""
    return [layer for layer in model if type(layer).__name__ == "Linear"]
