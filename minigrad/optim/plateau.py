"""ReduceLROnPlateau: a smaller learning rate once a metric has stopped to improve."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Literal

from minigrad.numbers import is_real
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.schedule import for_groups, require, require_optimizer, require_state, set_lrs
from minigrad.showing import ShownAsCall


class ReduceLROnPlateau(ShownAsCall):
    """Multiplies the learning rates by factor after more than patience steps in a row without improvement.

    Call `step(metric)` after each validation.

    Arguments:
        optimizer: the optimizer whose learning rates are set.
        mode: "min" where a smaller metric is better, or "max".
        factor: by what learning rates are multiplied, in [0, 1).
        patience: steps without improvement that are tolerated.
        threshold: by how much a metric must be better than the best to count: see threshold_mode.
        threshold_mode: "rel", a part of the best one, or "abs".
        cooldown: steps after a change in which nothing is counted.
        min_lr: the lowest learning rate, for all groups or a list for each.
        eps: a change that is not larger is not made.
    """

    optimizer: Optimizer
    factor: float
    patience: int
    threshold: float
    cooldown: int
    eps: float
    min_lrs: list[float]
    best: float
    num_bad_epochs: int
    cooldown_counter: int
    last_epoch: int

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        require_optimizer(self, optimizer)
        require(self, mode in ("min", "max"), "mode 'min' or 'max'", mode)
        require(self, 0 <= factor < 1, "factor in [0, 1)", factor)
        require(self, threshold_mode in ("rel", "abs"), "threshold_mode 'rel' or 'abs'", threshold_mode)
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.min_lrs = for_groups(self, optimizer, "min_lr", min_lr)
        self.best = inf if mode == "min" else -inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0

    def step(self, metrics: float) -> None:
        """Count one step with its metric, and reduce the learning rates if it is time. NaN is no improvement."""
        self.last_epoch += 1
        if self._is_better(float(metrics)):
            self.best, self.num_bad_epochs = float(metrics), 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            self._reduce()

    def _is_better(self, metric: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        margin = sign * self.threshold
        bound = self.best * (1 + margin) if self.threshold_mode == "rel" else self.best + margin
        return sign * metric > sign * bound

    def _reduce(self) -> None:
        lrs = self.get_last_lr()
        reduced = [max(lr * self.factor, low) for lr, low in zip(lrs, self.min_lrs, strict=True)]
        set_lrs(
            self, self.optimizer, [new if old - new > self.eps else old for old, new in zip(lrs, reduced, strict=True)]
        )

    def get_last_lr(self) -> list[float]:
        """Return the learning rates of the groups."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the best metric, the counters and the learning rates."""
        return {
            "best": self.best,
            "num_bad_epochs": self.num_bad_epochs,
            "cooldown_counter": self.cooldown_counter,
            "last_epoch": self.last_epoch,
            "_last_lr": self.get_last_lr(),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict()` gave (PyTorch's has these keys too), and set the learning rates so.

        Raises:
            ValueError: for what is missing, or is not as `state_dict()` has it. Nothing has been changed then.
        """
        keys = "best", "num_bad_epochs", "cooldown_counter", "last_epoch", "_last_lr"
        require_state(self, state_dict, len(self.optimizer.param_groups), *keys)
        require(self, is_real(state_dict["best"]), "a number as best", state_dict["best"])
        self.best = float(state_dict["best"])
        self.num_bad_epochs, self.cooldown_counter, self.last_epoch = (int(state_dict[key]) for key in keys[1:4])
        set_lrs(self, self.optimizer, state_dict["_last_lr"])
