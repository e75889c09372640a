"""Samples in words: medians, ratios, Markdown."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

Samples = Mapping[str, Sequence[float]]
NOTHING = "–"


def median(samples: Sequence[float]) -> float:
    """Return the median."""
    return float(np.median(samples))


def cell(samples: Sequence[float] | None, scale: float = 1.0) -> str:
    """Return the median and, in brackets, the 10th percentile: what the machine gives when nobody disturbs it.

    >>> cell([0.001, 0.002, 0.003], 1e3), cell(None)
    ('2 (1.2)', '–')
    """
    if not samples:
        return NOTHING
    return f"{number(scale * median(samples))} ({number(scale * float(np.percentile(samples, 10)))})"


def number(value: float) -> str:
    """Return three digits, without an exponent.

    >>> number(0.01234), number(5.678), number(1234.5)
    ('0.0123', '5.68', '1234')
    """
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def best(samples: Samples, names: Iterable[str]) -> str:
    """Return which of these that took part has the least median.

    >>> best({"a": [3.0], "b": [2.0]}, ["a", "b", "c"])
    'b'
    """
    return min((name for name in names if name in samples), key=lambda name: median(samples[name]))


def ratio(samples: Samples, theirs: str, ours: str) -> str:
    """Return how many times our median theirs is.

    >>> ratio({"we": [2.0], "they": [7.0]}, "they", "we"), ratio({"they": [7.0]}, "they", "we")
    ('3.5', '–')
    """
    if ours not in samples or theirs not in samples:
        return NOTHING
    return number(median(samples[theirs]) / median(samples[ours]))


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("| --- |", "|---|").replace(" --- |", "---|")
