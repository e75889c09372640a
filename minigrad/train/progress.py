"""What a fit shows: a live bar and a table in a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING

from minigrad.kernels.compiling import once
from minigrad.showing import is_terminal
from minigrad.train.callbacks import Callback
from minigrad.train.history import Row

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from minigrad.train.trainer import Trainer

REFRESH_SECONDS = 0.25


class Silence(Callback):
    """Shows nothing. The base of what shows something."""

    def note(self, text: str) -> None:
        """Show a line."""

    def on_compile(self, kernel: str) -> None:
        """Show that a kernel is compiled now."""


class PlainLines(Silence):
    """Prints a line for each epoch, without control characters: for files, pipes and notebooks."""

    def __init__(self) -> None:
        self._say_once = once(self.note)

    def on_compile(self, kernel: str) -> None:
        """Say it, once."""
        self._say_once(kernel)

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """Print the row."""
        cells = "  ".join(f"{name} {text}" for name, text in shown(row) if name != "epoch")
        self.note(f"epoch {trainer.epoch}/{trainer.last_epoch}  {cells}")

    def on_fit_end(self, trainer: Trainer) -> None:
        """Say why the fit ended early, if it did."""
        if trainer.history.stopped:
            self.note(ending(trainer))

    def note(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)


class LiveBar(PlainLines):
    """Shows a bar with the running loss in an epoch, and a table with a row for each epoch, with rich.

    Arguments:
        console: where to show; standard output by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__()
        self._bar: Progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=console or Console(),
            auto_refresh=False,  # a refreshing thread would take the interpreter from the steps
            transient=True,
        )
        self._task = self._bar.add_task("", visible=False, epoch="", state="")
        self._has_header, self._compiled = False, 0

    def on_fit_start(self, trainer: Trainer) -> None:
        """Begin the display."""
        self._bar.start()

    def on_compile(self, kernel: str) -> None:
        """Say it once, and show how many there have been."""
        super().on_compile(kernel)
        self._compiled += 1
        self._bar.update(self._task, state=f"compiling kernel {self._compiled}: {kernel}")
        self._bar.refresh()

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Begin a bar."""
        epoch = f"{trainer.epoch}/{trainer.last_epoch}"
        self._bar.reset(self._task, total=trainer.steps, visible=True, epoch=epoch, state="")
        self._next = monotonic()

    def on_step_end(self, trainer: Trainer) -> None:
        """Move the bar, a few times a second."""
        if monotonic() >= self._next or trainer.step == trainer.steps:
            self._bar.update(self._task, completed=trainer.step, state=f"loss {trainer.means.loss:.4f}")
            self._bar.refresh()
            self._next = monotonic() + REFRESH_SECONDS

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """Add a row to the table."""
        widths = {name: max(len(name), 8) for name, _ in shown(row)}
        if not self._has_header:
            self.note("  ".join(f"{name:>{width}}" for name, width in widths.items()))
            self._has_header = True
        self.note("  ".join(f"{text:>{widths[name]}}" for name, text in shown(row)))

    def on_fit_end(self, trainer: Trainer) -> None:
        """End the display."""
        self._bar.stop()
        super().on_fit_end(trainer)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


def reporter(wanted: bool | None) -> Silence:
    """Return what shows the progress on this standard output: nothing if it is not wanted."""
    if wanted is False:
        return Silence()
    is_live = is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"
    return LiveBar() if is_live and find_spec("rich") else PlainLines()


def shown(row: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield the columns that people look at, and their values as text."""
    for name, value in row.items():
        if name == "epoch":
            yield name, f"{value:.0f}"
        elif name == "lr":
            yield name, f"{value:.3g}"
        elif name == "seconds":
            yield name, f"{value:.1f}"
        elif name != "val_seconds":
            yield name, f"{value:.4f}"


def ending(trainer: Trainer) -> str:
    """Return in words why the fit ended before its last epoch."""
    reason = trainer.history.stopped
    if reason in ("interrupted", "terminated"):
        return f"{reason} in epoch {trainer.epoch}: the history has {len(trainer.history)} whole epochs"
    if reason == "error":
        return f"ended by an error in epoch {trainer.epoch}"
    return f"stopped after epoch {trainer.epoch}: {reason}"
