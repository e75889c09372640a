"""When to stop before the last epoch: no more progress, or a loss that is not a number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.engine.trial import forward_state
from minigrad.nn import Module, no_grad, observe
from minigrad.nn.parameter import Array
from minigrad.train.callbacks import Callback
from minigrad.train.errors import NonFiniteError
from minigrad.train.history import Monitor, Row

if TYPE_CHECKING:
    from minigrad.train.trainer import Trainer


class EarlyStopping(Callback):
    """Stops when a column has not become better for some epochs, and restores the weights of the best epoch.

    They are restored, with the buffers, however the fit ends: patience used up, last epoch, Ctrl-C, or an error such
    as a NaN loss. Each `fit` looks for its own best epoch.

    Arguments:
        monitor: column of the history.
        patience: epochs in a row without a better value after which to stop, at least 1.
        min_delta: by how much a value must be better to count.
        mode: `"min"`, `"max"`, or `"auto"` (by the column's name, see `Monitor`).

    Attributes:
        best: the best value, None before there is one. best_epoch: its epoch, 0 before. wait: epochs since then.
    """

    monitor: Monitor
    patience: int
    best_epoch: int
    wait: int

    def __init__(
        self, monitor: str = "val_loss", patience: int = 5, min_delta: float = 0.0, mode: str = "auto"
    ) -> None:
        if patience < 1:
            raise ValueError(f"EarlyStopping: want patience of at least 1 epoch, got {patience}")
        self.monitor, self.patience = Monitor(monitor, mode, min_delta), patience
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.best_epoch = self.wait = 0
        self._weights: dict[str, Array] = {}

    def on_fit_start(self, trainer: Trainer) -> None:
        """Check the column; forget the last fit, unless this one is resumed."""
        self.monitor.require(trainer.columns, "EarlyStopping")
        if not trainer.is_resumed:
            self._reset()
        self._stop_if_used_up(trainer)

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """Keep the weights if they are the best so far."""
        value = row[self.monitor.column]
        if self.monitor.is_better(value, self.best):
            with trainer.validation_weights():
                weights = trainer.model.state_dict()
            # Together: a signal may come at any time.
            self._weights, self.best, self.best_epoch, self.wait = weights, value, trainer.epoch, 0
        else:
            self.wait += 1
            self._stop_if_used_up(trainer)

    def _stop_if_used_up(self, trainer: Trainer) -> None:
        if self.wait >= self.patience:
            trainer.stop("early")

    def on_fit_end(self, trainer: Trainer) -> None:
        """Restore the best weights."""
        if self._weights:
            trainer.model.load_state_dict(self._weights)
            self._weights = {}
            trainer.note(f"weights of epoch {self.best_epoch}: {self.monitor.column} {self.best:.4g}")

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and its weights."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "wait": self.wait,
            "weights": self._weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the best value and its weights."""
        self.best, self.best_epoch, self.wait = state["best"], state["best_epoch"], state["wait"]
        self._weights = state["weights"]


class StopOnNaN(Callback):
    """Ends the fit with a NonFiniteError when the loss of a batch is NaN or infinite.

    The model is then as it was before that batch: weights, running statistics, masks, the optimizer and its schedules.
    The message names epoch, step and where it began: in the input or the targets, in a parameter, or in which layer's
    output. The Trainer has one of these by itself.
    """

    def on_loss(self, trainer: Trainer, x: Array, y: Array, value: float) -> None:
        """Look at the loss."""
        if not math.isfinite(value):
            origin = find_non_finite(trainer.model, x, y)
            raise NonFiniteError(f"loss is {value} in epoch {trainer.epoch}, step {trainer.step}: {origin}")


def find_non_finite(model: Module, x: Array, y: Array) -> str:
    """Return in words where NaN or infinity begins in a training forward of the model on `x`. It leaves no trace."""
    for name, array in (("input", x), ("targets", y)):
        if not np.isfinite(array).all():
            bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
            return f"the {name} of {bad.sum()} of {len(array)} samples hold NaN or infinity"
    spoilt = [name for name, p in model.named_parameters() if not np.isfinite(p.data).all()]
    if spoilt:
        return (
            f"after the last update parameter {', '.join(spoilt)} is not finite "
            "(lower the learning rate, or set clip_norm)"
        )
    layer = _first_layer(model, x)
    return f"the output of {layer} is the first that is not finite" if layer else "the model's output is finite"


def _first_layer(model: Module, x: Array) -> str | None:
    """Return the path of the first layer whose output is not finite."""
    found: list[str] = []

    def look(path: str, module: Module, x: Array, y: Array) -> None:
        if not np.isfinite(y).all():
            found.append(path)

    put_back = forward_state(model)
    with no_grad(), np.errstate(all="ignore"), observe(model, look):
        model(x)
    put_back()
    return found[0] if found else None
