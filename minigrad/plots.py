"""Pictures of training runs, as files. They need matplotlib: `pip install minigrad[plot]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from minigrad.io import atomic_path
from minigrad.train import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 150
TRAINING: Final = "--"
VALIDATION: Final = "-"
RING: dict[str, Any] = {"marker": "o", "markersize": 9, "markerfacecolor": "none"}
CHOSEN = "chosen epoch"


def curves(histories: Mapping[str, History], path: str | Path, chosen: Mapping[str, int] | None = None) -> None:
    """Draw loss and accuracy against the epoch, one colour a run: dashed in training, solid in validation.

    Without accuracy in any of the histories there is one panel. The legend names what is drawn. The name of a single
    run is the title.

    Arguments:
        histories: runs by name.
        path: the file; its suffix says which format (png, svg, pdf). An old file is replaced.
        chosen: the epochs whose weights were kept, by run. Each is marked.
    """
    if not any(len(history) for history in histories.values()):
        raise ValueError("curves: want at least one history with an epoch in it, got none")
    columns = [
        column
        for column in ("loss", "accuracy")
        if any({column, f"val_{column}"} & set(history.columns) for history in histories.values())
    ]
    figure = _figure(5.6 * len(columns) + 0.4, 4.6)
    colours = _colours(len(histories))
    for axes, column in zip(np.atleast_1d(figure.subplots(1, len(columns))), columns, strict=True):
        for (name, history), colour in zip(histories.items(), colours, strict=True):
            _draw_run(axes, history, column, colour)
            _mark_epoch(axes, history, column, (chosen or {}).get(name), colour)
        _finish_panel(axes, column)
    _add_legend(figure, list(histories), colours)
    _save(figure, path)


def confusion_matrix(matrix: npt.ArrayLike, classes: Sequence[str], path: str | Path) -> None:
    """Draw a confusion matrix: counts in the cells, coloured by their share of the row.

    Arguments:
        matrix: (C, C) counts, a row for each true class, as `minigrad.train.confusion_matrix` gives them.
        classes: names of the C classes.
        path: the file; its suffix says which format (png, svg, pdf). An old file is replaced.
    """
    counts = np.asarray(matrix)
    names = [str(name) for name in classes]
    size = len(names)
    if counts.shape != (size, size) or size == 0:
        raise ValueError(f"confusion_matrix: want a matrix ({size}, {size}) for {size} classes, got {counts.shape}")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = _figure(0.62 * size + 2.6, 0.55 * size + 2.0)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black" if count else "0.7"
        axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=9)
    is_long = max(map(len, names)) > 4
    slant: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if is_long else {}
    axes.set_xticks(range(size), names, parse_math=False, **slant)
    axes.set_yticks(range(size), names, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    total = counts.sum()
    axes.set_title(f"{np.trace(counts) / max(total, 1):.2%} of {total:,} right", fontsize=11)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, label="share of the true class")
    _save(figure, path)


def _figure(width: float, height: float) -> Figure:
    """Return a figure that pyplot knows nothing of, so that it neither leaks nor opens a window."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install minigrad[plot]") from error
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout=layout, facecolor="white")


def _save(figure: Figure, path: str | Path) -> None:
    path = Path(path)
    with atomic_path(path) as part:
        figure.savefig(part, format=path.suffix[1:] or "png")


def _colours(runs: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["tab10"](i) if runs <= 10 else colormaps["turbo"](i / (runs - 1)) for i in range(runs)]


def _draw_run(axes: Axes, history: History, column: str, colour: Any) -> None:
    for key, style in ((column, TRAINING), (f"val_{column}", VALIDATION)):
        if key in history.columns:
            epochs, values = history["epoch"], np.array(history[key])
            marker = "o" if len(history) <= 30 else None
            axes.plot(epochs, values, style, color=colour, linewidth=1.6, marker=marker, markersize=3)


def _mark_epoch(axes: Axes, history: History, column: str, epoch: int | None, colour: Any) -> None:
    """Ring the value of an epoch: the one in validation, if there is one."""
    key = f"val_{column}" if f"val_{column}" in history.columns else column
    if epoch in history["epoch"] and key in history.columns:
        value = history[key][history["epoch"].index(epoch)]
        axes.plot([epoch], [value], linestyle="", color=colour, label=CHOSEN, **RING)


def _finish_panel(axes: Axes, column: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.set_xlabel("epoch")
    axes.set_ylabel(column)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if column == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.grid(True, color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _add_legend(figure: Figure, names: Sequence[str], colours: Sequence[Any]) -> None:
    """Name what the panels show, once, below them: the styles in the colour of a single run, else in grey."""
    from matplotlib.lines import Line2D

    drawn = [line for axes in figure.axes for line in axes.lines]
    is_single = len(names) == 1
    colour = colours[0] if is_single else "0.3"
    entries = [] if is_single else [(Line2D([], [], color=c), name) for c, name in zip(colours, names, strict=True)]
    if any(line.get_linestyle() == TRAINING for line in drawn):
        entries.append((Line2D([], [], linestyle=TRAINING, color=colour), "training"))
    if any(line.get_linestyle() == VALIDATION for line in drawn):
        entries.append((Line2D([], [], linestyle=VALIDATION, color=colour), "validation"))
    if any(line.get_label() == CHOSEN for line in drawn):
        entries.append((Line2D([], [], linestyle="", color=colour, **RING), CHOSEN))
    handles, texts = zip(*entries, strict=True)
    # matplotlib leaves a label out that begins with "_", so the texts are set afterwards.
    numbers = [str(number) for number in range(len(texts))]
    legend = figure.legend(handles, numbers, loc="outside lower center", ncols=min(len(texts), 6), frameon=False)
    for label, text in zip(legend.get_texts(), texts, strict=True):
        label.set_parse_math(False)
        label.set_text(text)
    if is_single:
        figure.suptitle(names[0], fontsize=11, parse_math=False)
