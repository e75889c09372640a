"""Cases of the containers, each with a twin in PyTorch."""

from typing import Any

import numpy as np
import torch

from minigrad import nn
from tests.cases.case import ErrorCase, ModuleCase


class TorchSum(torch.nn.Sequential):
    def forward(self, x: Any) -> Any:
        return sum(branch(x) for branch in self)


class TorchConcat(torch.nn.Sequential):
    axis = 1

    def forward(self, x: Any) -> Any:
        return torch.cat([branch(x) for branch in self], self.axis)


class TorchResidual(torch.nn.Module):
    def __init__(self, body: torch.nn.Module, shortcut: torch.nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut or torch.nn.Identity()

    def forward(self, x: Any) -> Any:
        return self.body(x) + self.shortcut(x)


def shared(lib: Any) -> Any:
    """A layer used three times, once in each branch of a sum and once behind it."""
    layer, join = lib.Linear(3, 3), (nn.Sum if lib is nn else TorchSum)
    return lib.Sequential(join(lib.Sequential(layer, lib.Tanh()), layer), layer)


def deep(lib: Any) -> Any:
    """Every container inside every other."""
    total, concat, residual = (nn.Sum, nn.Concat, nn.Residual) if lib is nn else (TorchSum, TorchConcat, TorchResidual)
    body = lib.Sequential(concat(lib.Linear(3, 5), lib.Identity()), lib.BatchNorm1d(8), lib.Linear(8, 3))
    tail = total(residual(lib.Sigmoid(), lib.SiLU()), concat(lib.Linear(3, 1), lib.Linear(3, 2)))
    return lib.Sequential(residual(body), lib.Tanh(), tail)


CONTAINERS = [
    ModuleCase(
        "Sequential",
        lambda: nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 2)),
        (5, 3),
        lambda: torch.nn.Sequential(torch.nn.Linear(3, 7), torch.nn.Tanh(), torch.nn.Linear(7, 2)),
        errors=(ErrorCase("features", np.ones((4, 5)), r"^Sequential\[0\].Linear: want input of shape \(\*, 3\)"),),
    ),
    ModuleCase("Sequential-empty", nn.Sequential, (5, 3), torch.nn.Sequential, returns_view=True),
    ModuleCase("shared", lambda: shared(nn), (5, 3), lambda: shared(torch.nn)),
    ModuleCase("deep", lambda: deep(nn), (5, 3), lambda: deep(torch.nn), couples_batch=True, differs_in_eval=True),
    ModuleCase(
        "Sum",
        lambda: nn.Sum(nn.Linear(3, 7), nn.Sequential(nn.Linear(3, 7), nn.Sigmoid()), nn.Linear(3, 7, bias=False)),
        (5, 3),
        lambda: TorchSum(
            torch.nn.Linear(3, 7),
            torch.nn.Sequential(torch.nn.Linear(3, 7), torch.nn.Sigmoid()),
            torch.nn.Linear(3, 7, bias=False),
        ),
        errors=(ErrorCase("features", np.ones((4, 5)), r"^Sum\[0\].Linear: "),),
    ),
    ModuleCase(
        "Sum-of-what-branches-save",
        lambda: nn.Sum(nn.Tanh(), nn.Linear(3, 3), nn.Sigmoid()),
        (5, 3),
        lambda: TorchSum(torch.nn.Tanh(), torch.nn.Linear(3, 3), torch.nn.Sigmoid()),
    ),
    ModuleCase("Sum-one", lambda: nn.Sum(nn.Identity()), (5, 3), lambda: TorchSum(torch.nn.Identity())),
    ModuleCase(
        "Residual",
        lambda: nn.Residual(nn.Sequential(nn.Linear(3, 3), nn.Tanh())),
        (5, 3),
        lambda: TorchResidual(torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh())),
        errors=(ErrorCase("features", np.ones((4, 5)), r"^Residual.body\[0\].Linear: "),),
    ),
    ModuleCase(
        "Residual-shortcut",
        lambda: nn.Residual(nn.Linear(3, 7), nn.Linear(3, 7, bias=False)),
        (5, 3),
        lambda: TorchResidual(torch.nn.Linear(3, 7), torch.nn.Linear(3, 7, bias=False)),
    ),
    ModuleCase(
        "Concat",
        lambda: nn.Concat(nn.Linear(3, 7), nn.Identity(), nn.Linear(3, 2)),
        (5, 3),
        lambda: TorchConcat(torch.nn.Linear(3, 7), torch.nn.Identity(), torch.nn.Linear(3, 2)),
        errors=(ErrorCase("features", np.ones((4, 5)), r"^Concat\[0\].Linear: "),),
    ),
    ModuleCase(
        "Concat-axis",
        lambda: nn.Concat(nn.Linear(3, 7), nn.Linear(3, 2), axis=-1),
        (5, 4, 3),
        lambda: (lambda twin: setattr(twin, "axis", -1) or twin)(
            TorchConcat(torch.nn.Linear(3, 7), torch.nn.Linear(3, 2))
        ),
    ),
]
