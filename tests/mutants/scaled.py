"""Wrong by 0.05 %, or whole numbers by 1: a mutant of every class and kernel, so that no check of them cannot fail."""

from collections.abc import Callable
from typing import Any

from minigrad import nn, optim
from tests.discovery import classes_of, kernels_of
from tests.mutants.mutant import Mutant, Patch, replace_jit

WRONG = 1.0005


def wrong_backward(cls: Any) -> Patch:
    right = cls._backward
    return lambda patch: patch.setattr(cls, "_backward", lambda self, saved, dy: right(self, saved, dy) * WRONG)


def wrong_step(cls: Any) -> Patch:
    def update(self: Any, block: Any, group: dict[str, Any]) -> None:
        right(self, block, group | {"lr": group["lr"] * WRONG})

    right = cls._update
    return lambda patch: patch.setattr(cls, "_update", update)


def wrong_rate(cls: Any) -> Patch:
    right = cls._lrs
    return lambda patch: patch.setattr(cls, "_lrs", lambda self, step: [lr * WRONG for lr in right(self, step)])


def wrong_kernel(kernel: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(*arguments: Any) -> None:
        kernel(*arguments)
        output = arguments[1 if kernel.__name__.endswith("_update") else -1]
        if output.dtype.kind == "f":
            output *= WRONG
        else:
            output += 1

    return wrong


def in_order(classes: set[type]) -> list[type]:
    return sorted(classes, key=lambda cls: cls.__name__)


# Embedding has no gradient of its input.
LAYERS = in_order(classes_of(nn.Module) - {nn.Embedding})
MUTANTS = [
    *(Mutant(f"{cls.__name__}: dx wrong by 0.05 %", cls, "derivative", wrong_backward(cls)) for cls in LAYERS),
    *(
        Mutant(f"{cls.__name__}: dx wrong by 0.05 %", cls, "derivative", wrong_backward(cls))
        for cls in in_order(classes_of(nn.Loss))
    ),
    *(
        Mutant(f"{cls.__name__}: a step wrong by 0.05 %", cls, "torch parity", wrong_step(cls))
        for cls in in_order(classes_of(optim.Optimizer))
    ),
    *(
        Mutant(f"{cls.__name__}: a rate wrong by 0.05 %", cls, "torch parity", wrong_rate(cls))
        for cls in in_order(classes_of(optim.LRScheduler))
    ),
    *(
        Mutant(f"{name}: wrong by 0.05 %", name, "jit equals reference", replace_jit(name, wrong_kernel))
        for name in sorted(kernels_of("reference").keys() - {"clear"})  # 0 is 0 at any scale
    ),
]
