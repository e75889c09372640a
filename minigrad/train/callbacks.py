"""What happens beside the training steps: the base of all callbacks, and the small ones."""

from __future__ import annotations

import csv
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad.files import atomic_path
from minigrad.locks import temporary_folder
from minigrad.nn.parameter import Array
from minigrad.optim import EMA, LRScheduler, ReduceLROnPlateau
from minigrad.showing import ShownAsCall
from minigrad.train.errors import TrainingError
from minigrad.train.history import History, Monitor, Row

if TYPE_CHECKING:
    from minigrad.train.trainer import Trainer


class Callback(ShownAsCall):
    """Something to do at named moments of a fit. A subclass overrides what it needs.

    Callbacks start and act in the order in which the Trainer was given them, those with `acts_last` after the
    others; they end in reverse order, as nested `with` blocks do. An exception from any of them ends the fit.

    >>> class Shout(Callback):
    ...     def on_epoch_end(self, trainer, row):
    ...         print(f"{row['loss']:.2f}!")
    """

    acts_last = False

    def on_fit_start(self, trainer: Trainer) -> None:
        """Act before the first epoch. `trainer.columns` is known; raise here what is wrong with the arguments."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Act before the first step of epoch `trainer.epoch`."""

    def on_loss(self, trainer: Trainer, x: Array, y: Array, value: float) -> None:
        """Act when the loss of batch `x`, `y` is known: before its backward pass, weights untouched.

        No step is compiled for a Trainer with a callback that does (StopOnNaN aside): to log, `on_step_end` will do.
        """

    def on_step_end(self, trainer: Trainer) -> None:
        """Act after the update of step `trainer.step`. `trainer.means` has the means so far.

        Where a callback does, each step is a native call of its own. Otherwise one call does many of them.
        """

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """Act after the validation. `row` is the last one of `trainer.history`."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Act after the last epoch, however it ended: Ctrl-C and exceptions included."""

    def validation_weights(self) -> AbstractContextManager[None]:
        """Return a context in which the model holds the weights to be validated, if they are not its own."""
        return nullcontext()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of this callback: arrays, numbers and texts, nested in dicts."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned, before a resumed fit starts."""


class LRSchedule(Callback):
    """Steps a learning rate schedule.

    Arguments:
        scheduler: a schedule from `minigrad.optim`, made on the Trainer's optimizer.
        every: `"epoch"` or `"step"` (an optimizer step).
        monitor: the column that ReduceLROnPlateau watches. Others do not look at it.
    """

    scheduler: LRScheduler | ReduceLROnPlateau
    monitor: str

    def __init__(
        self, scheduler: LRScheduler | ReduceLROnPlateau, every: str = "epoch", monitor: str = "val_loss"
    ) -> None:
        if every not in ("epoch", "step"):
            raise ValueError(f"LRSchedule: want every='epoch' or every='step', got {every!r}")
        if isinstance(scheduler, ReduceLROnPlateau) and every == "step":
            raise ValueError("LRSchedule: ReduceLROnPlateau watches a column of the history: every='epoch'")
        self.scheduler, self.every, self.monitor = scheduler, every, monitor

    def on_fit_start(self, trainer: Trainer) -> None:
        """Check the monitored column."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            Monitor(self.monitor, self.scheduler.mode).require(trainer.columns, "LRSchedule")

    def on_step_end(self, trainer: Trainer) -> None:
        """Step, if that is every step."""
        if self.every == "step" and not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """Step, if that is every epoch."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(row[self.monitor])
        elif self.every == "epoch":
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the schedule's state."""
        return self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the schedule's state."""
        self.scheduler.load_state_dict(state)


class CSVLog(Callback):
    """Writes the history to a CSV file at the end of every epoch. The file is whole at any moment.

    Arguments:
        path: the file. Its folder is made if it is not there; an old file is replaced.
    """

    path: Path

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_fit_start(self, trainer: Trainer) -> None:
        """Check that the folder can be written."""
        require_writable(self.path.parent, "CSVLog")

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """Write all rows."""
        write_csv(trainer.history, self.path)


class Averaging(Callback):
    """Averages the weights after every step, and validates and ends with the averaged ones.

    Arguments:
        ema: an average from `minigrad.optim` over the model's parameters.
    """

    acts_last = True  # and so ends first: what EarlyStopping restores is the last word

    def __init__(self, ema: EMA) -> None:
        self.ema = ema

    def on_step_end(self, trainer: Trainer) -> None:
        """Add the new weights to the average."""
        self.ema.update()

    def validation_weights(self) -> AbstractContextManager[None]:
        """Return the context in which the model holds the average."""
        return self.ema.averaged()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Leave the average in the model."""
        self.ema.copy_to()

    def state_dict(self) -> dict[str, Any]:
        """Return the average's state."""
        return self.ema.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the average's state."""
        self.ema.load_state_dict(state)


def write_csv(history: History, path: Path) -> None:
    """Write all rows under the union of their columns."""
    with atomic_path(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, history.columns)
        writer.writeheader()
        writer.writerows(history.rows)


def require_writable(folder: Path, who: str) -> None:
    """Make `folder` and raise TrainingError unless files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder):
            pass
    except OSError as error:
        raise TrainingError(f"{who}: cannot write into {folder}: {error.strerror}") from error
