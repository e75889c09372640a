"""The rows of the proof as tables, one for each kind of subject, for a terminal and for docs/proof.md."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tests.checks.errors import SHARE

DIFFERENCES, OUTPUT, INPUT_GRADIENT = ("differences",), ("y", "value"), ("dx",)


class Sheet(NamedTuple):
    """One table."""

    title: str
    headings: list[str]
    lines: list[list[str]]


def sheets(rows: list[Any]) -> list[Sheet]:
    """Return a table for each kind that has rows."""
    found = []
    for kind, (title, headings, measured) in KINDS.items():
        lines = [[row.name, *measured(row), *_counts(row)] for row in rows if row.kind == kind]
        if lines:
            found.append(Sheet(title, ["", *headings, "cases", "mutants caught", ""], lines))
    return found


def _counts(row: Any) -> list[str]:
    mutants = f"{row.caught} of {row.mutants}" if row.mutants else "-"
    return [f"{row.cases:,}", mutants, "FAILS" if row.failure else "ok"]


def _largest(errors: Iterable[float]) -> str:
    found = list(errors)
    return f"{max(found):.1e}" if found else "-"


def _gradients(row: Any) -> list[str]:
    """Of a layer or loss: each error of the proof, the last being those of parameters, buffers, and after training."""

    def among(names: tuple[str, ...]) -> str:
        return _largest(error for name, error in row.float64.items() if name in names)

    known = (*DIFFERENCES, *OUTPUT, *INPUT_GRADIENT, SHARE)
    others = _largest(error for name, error in row.float64.items() if name not in known)
    share = f"{100 * row.float64[SHARE]:.0f} %" if SHARE in row.float64 else "-"
    return [among(DIFFERENCES), among(OUTPUT), among(INPUT_GRADIENT), others, share]


def _values(row: Any) -> list[str]:
    """Of what has no gradient: the errors in both precisions."""
    return [_largest(row.float64.values()), _largest(row.float32.values())]


GRADIENTS = ["finite differences", "PyTorch: y", "dx", "parameters", "float32, of its bound"]
PRECISIONS = ["float64", "float32"]
KINDS: dict[str, tuple[str, list[str], Callable[[Any], list[str]]]] = {
    "layer": ("Layers and containers", GRADIENTS, _gradients),
    "loss": ("Losses", GRADIENTS, _gradients),
    "optimizer": ("Optimizers: weights beside PyTorch's", PRECISIONS, _values),
    "schedule": ("Schedules: learning rates beside PyTorch's", PRECISIONS, _values),
    "clipping": ("Clipping: gradients beside PyTorch's", PRECISIONS, _values),
    "averaging": ("Weight averages beside PyTorch's", PRECISIONS, _values),
    "initial values": ("Initial values: mean and deviation beside the law's", PRECISIONS, _values),
    "kernel": ("Kernels: Numba's beside NumPy's", PRECISIONS, _values),
}


def summary(rows: list[Any]) -> str:
    """Return the last line."""
    failed = sum(bool(row.failure) for row in rows)
    caught, mutants = sum(row.caught for row in rows), sum(row.mutants for row in rows)
    cases = sum(row.cases for row in rows)
    return f"{len(rows) - failed} of {len(rows)} pass, {cases:,} cases, {caught} of {mutants} mutants caught"


def show(rows: list[Any]) -> None:
    """Print the tables, and what failed."""
    console = Console(width=140)
    for sheet in sheets(rows):
        table = Table(title=sheet.title)
        for i, heading in enumerate(sheet.headings):
            table.add_column(heading, justify="right" if 0 < i < len(sheet.headings) - 1 else "left")
        for line in sheet.lines:
            table.add_row(*line)
        console.print(table, highlight=False)
    for row in rows:
        if row.failure:
            console.print(f"{row.kind} {row.name} FAILS:\n{row.failure}", highlight=False, markup=False)
    console.print(summary(rows), highlight=False)


def markdown(rows: list[Any]) -> str:
    """Return the tables as Markdown."""
    parts = []
    for sheet in sheets(rows):
        rule = ["---", *["---:"] * (len(sheet.headings) - 2), "---"]
        lines = ["| " + " | ".join(cells) + " |" for cells in (sheet.headings, rule, *sheet.lines)]
        parts.append("\n".join([f"## {sheet.title}", "", *lines]))
    return "\n\n".join([*parts, f"{summary(rows)}."])
