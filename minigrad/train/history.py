"""What a training run measured: a row for each epoch."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from minigrad.files import atomic_path
from minigrad.showing import ShownAsCall, as_html

Row = dict[str, float]


@dataclass(frozen=True, repr=False)
class Monitor(ShownAsCall):
    """A column of the history that is to become small or large.

    Arguments:
        column: its name, such as `val_loss`.
        mode: `"min"`, `"max"`, or `"auto"`: a name that ends with loss or error is to become small, one that ends
            with accuracy large.
        min_delta: by how much a value must be better than the best one to count, not negative.

    >>> Monitor("val_loss").is_better(0.3, 0.4), Monitor("val_accuracy").is_better(0.3, 0.4)
    (True, False)
    """

    column: str
    mode: str = "auto"
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max", "auto"):
            raise ValueError(f"mode: want 'min', 'max' or 'auto', got {self.mode!r}")
        if self.min_delta < 0:
            raise ValueError(f"min_delta: want at least 0, got {self.min_delta}")
        if self.mode == "auto" and not self.column.endswith(("loss", "error", "accuracy")):
            raise ValueError(f"mode='auto' does not know {self.column!r}: say mode='min' or mode='max'")

    def is_better(self, value: float, best: float | None) -> bool:
        """Return whether `value` is better than the best so far. What is not finite never is."""
        if not math.isfinite(value):
            return False
        if best is None:
            return True
        to_max = self.mode == "max" or (self.mode == "auto" and self.column.endswith("accuracy"))
        return value > best + self.min_delta if to_max else value < best - self.min_delta

    def require(self, columns: Sequence[str], who: str) -> None:
        """Raise unless the column is one of `columns`."""
        if self.column not in columns:
            raise ValueError(f"{who}: no column {self.column!r} to monitor, there are {', '.join(columns)}")


class History:
    """The rows of a run, and how it ended.

    Attributes:
        rows: a dict for each epoch: `epoch` (from 1), `loss` and the metrics (running means over the training
            batches, while the weights change), the same with `val_` (after the epoch), `lr` (of the first parameter
            group, at the end of the epoch), `seconds` (of training) and `val_seconds` (of validation).
        stopped: None after the last epoch; `"early"`, `"interrupted"` (Ctrl-C), `"terminated"` (SIGTERM) or `"error"`
            before it.

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"], len(history), history.best("loss")
    ([0.5, 0.25], 2, {'epoch': 2, 'loss': 0.25})
    """

    def __init__(self, rows: Sequence[Mapping[str, float]] = (), stopped: str | None = None) -> None:
        self.rows: list[Row] = [dict(row) for row in rows]
        self.stopped = stopped

    @property
    def columns(self) -> list[str]:
        """The names of all columns, in the order in which they came."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: str) -> list[float]:
        """Return a column; NaN for the epochs that lack it."""
        if column not in self.columns:
            raise KeyError(f"no column {column!r}, there are {', '.join(self.columns) or 'none yet'}")
        return [row.get(column, math.nan) for row in self.rows]

    def best(self, monitor: str = "val_loss", mode: str = "auto") -> Row:
        """Return the row with the best value of `monitor`, the first one of equals.

        Arguments:
            monitor: the name of a column.
            mode: `"min"`, `"max"` or `"auto"`, as in `Monitor`.
        """
        rule = Monitor(monitor, mode)
        rule.require(self.columns, "History.best")
        best: Row | None = None
        for row in self.rows:
            if rule.is_better(row.get(monitor, math.nan), None if best is None else best[monitor]):
                best = row
        if best is None:
            raise ValueError(f"History.best: no finite value of {monitor!r} in {len(self)} epochs")
        return best

    def save(self, path: str | Path) -> None:
        """Write the history as JSON. A value that is not finite becomes null."""
        rows = [{k: v if math.isfinite(v) else None for k, v in row.items()} for row in self.rows]
        with atomic_path(Path(path)) as part:
            part.write_text(json.dumps({"stopped": self.stopped, "rows": rows}, indent=1) + "\n", "utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. A null becomes NaN."""
        text = Path(path).read_text("utf-8")
        try:
            content = json.loads(text)
            rows = [{k: math.nan if v is None else v for k, v in row.items()} for row in content["rows"]]
            return cls(rows, content["stopped"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: not a history that minigrad saved ({error})") from None

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        shown = [[_as_text(row[name]) if name in row else "" for name in self.columns] for row in self.rows]
        return as_html([self.columns, *shown])

    def __repr__(self) -> str:
        return f"History(epochs={len(self)}, columns={self.columns}, stopped={self.stopped!r})"


def _as_text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"
