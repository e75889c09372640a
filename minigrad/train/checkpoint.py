"""A checkpoint at the end of every epoch, from which a run goes on as if it had not been interrupted."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigrad.io import StateFileError, load_state, save_state
from minigrad.locks import writing_to
from minigrad.train.callbacks import Callback, require_writable
from minigrad.train.errors import TrainingError
from minigrad.train.history import Monitor, Row
from minigrad.train.state import capture
from minigrad.train.tree import read_tree, write_tree

if TYPE_CHECKING:
    from minigrad.train.trainer import Trainer

LAST, BEST = "last.safetensors", "best.safetensors"


class Checkpoint(Callback):
    """Writes the state of the training run at the end of every epoch, for `Trainer.resume(folder)`.

    `last.safetensors` holds everything that the rest of the run depends on: the arrays of model, optimizer and
    callbacks as tensors, the rest (history, schedules, positions of the random streams) as JSON in its metadata. Each
    one replaces the one before in a single move, so a crash at any moment leaves a whole one. `best.safetensors` holds
    the model's state alone, of the best epoch so far, for `minigrad.io.load_state`.

    Arguments:
        folder: where to write. It is made if it is not there. A new run replaces the files of an old one.
        monitor: column by which the best epoch is told; by default `val_loss`, without validation `loss`.
        mode: `"min"`, `"max"`, or `"auto"` (by the column's name, see `Monitor`).
        keep_every: if given, every so many epochs a copy stays, as `epoch-0010.safetensors`.

    During `fit` the folder belongs to this run (which a file `.minigrad.lock` tells). TrainingError is raised at the
    start where another run writes to it, or it cannot be written.
    """

    folder: Path
    monitor: str | None
    mode: str
    keep_every: int | None

    acts_last = True  # the state of the other callbacks is part of it

    def __init__(
        self,
        folder: str | Path,
        monitor: str | None = None,
        mode: str = "auto",
        keep_every: int | None = None,
    ) -> None:
        if keep_every is not None and keep_every < 1:
            raise ValueError(f"Checkpoint: want keep_every of at least 1 epoch, got {keep_every}")
        self.folder, self.monitor, self.mode, self.keep_every = Path(folder), monitor, mode, keep_every
        self.best: float | None = None
        self._during_fit = ExitStack()

    def on_fit_start(self, trainer: Trainer) -> None:
        """Check the column and take the folder."""
        column = self.monitor or ("val_loss" if "val_loss" in trainer.columns else "loss")
        self._rule = Monitor(column, self.mode)
        self._rule.require(trainer.columns, "Checkpoint")
        require_writable(self.folder, "Checkpoint")
        try:
            self._during_fit.enter_context(writing_to(self.folder))
        except OSError as error:
            raise TrainingError(f"Checkpoint: {error}") from None
        if not trainer.is_resumed:
            self.best = None

    def on_fit_end(self, trainer: Trainer) -> None:
        """Let the folder go."""
        self._during_fit.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: all but the folder, which one run has at a time."""
        return vars(self) | {"_during_fit": ExitStack()}

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """Write the files."""
        column = self._rule.column
        if self._rule.is_better(row[column], self.best):
            self.best = row[column]
            with trainer.validation_weights():
                weights = trainer.model.state_dict()
            save_state(self.folder / BEST, weights, {"epoch": str(trainer.epoch), column: str(row[column])})
        state = capture(trainer)
        if self.keep_every and trainer.epoch % self.keep_every == 0:
            write_tree(self.folder / f"epoch-{trainer.epoch:04d}.safetensors", state)
        write_tree(self.folder / LAST, state)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value so far."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the best value so far."""
        self.best = state["best"]


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return the state in a checkpoint folder, or in a file of one.

    Raises:
        TrainingError: if there is none, it is damaged, or is another kind of file. Where the folder has a file that is
            whole, the message names the newest.
    """
    path = Path(path)
    file = path / LAST if path.is_dir() else path
    if not file.is_file():
        raise TrainingError(f"no checkpoint to resume from: {file} is not there{_remedy(file)}")
    try:
        return read_tree(file)
    except StateFileError as error:
        raise TrainingError(f"{error}{_remedy(file)}") from error


def _remedy(file: Path) -> str:
    """Return what else is in the folder of a file that cannot be read."""
    others = [other for other in file.parent.glob("*.safetensors") if other.name not in (file.name, BEST)]
    for other in sorted(others, key=lambda other: other.stat().st_mtime, reverse=True):
        with suppress(StateFileError, TrainingError):
            epoch = len(read_tree(other)["history"])
            return f". The newest whole checkpoint is {other}, of epoch {epoch}: resume from that"
    with suppress(StateFileError):
        load_state(file.parent / BEST)
        return (
            f". No other checkpoint is there, but the best epoch's weights are: load_state({str(file.parent / BEST)!r})"
        )
    return ""
