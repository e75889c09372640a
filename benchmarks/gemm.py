"""Every matrix product of these networks: minigrad's tile beside OpenBLAS (NumPy) and MKL (PyTorch), in GFLOP/s."""

from typing import Any

from benchmarks.contestants.base import threads
from benchmarks.tables import markdown, median, number
from benchmarks.worker import interleave, thread_variables, workers
from benchmarks.workloads import WORKLOADS

LIBRARIES = {
    "minigrad": "benchmarks.products:Tile",
    "OpenBLAS": "benchmarks.products:OpenBLAS",
    "MKL": "benchmarks.products:MKL",
}
FORMS = ("forward", "input gradient", "weight gradient")
COUNTS = tuple(sorted({1, threads()}))  # of threads
BLOCKS, SECONDS = 2, 0.03  # in shorter ones a pool of threads is not yet awake


def measure(rounds: int) -> dict[str, Any]:
    """Return seconds a product for each shape and form."""
    entrants = {f"{name}, {count}": (path, count) for count in COUNTS for name, path in LIBRARIES.items()}
    rows = []
    with workers({name: thread_variables(count) for name, (_, count) in entrants.items()}) as crew:
        for M, D, K in shapes():
            for form in FORMS:
                for name, (path, count) in entrants.items():
                    crew[name].build(path, form, M, D, K, count)
                samples = interleave(crew, "run", rounds, BLOCKS, SECONDS)
                rows.append({"form": form, "shape": (M, D, K), "samples": samples})
    return {"rows": rows, "counts": COUNTS}


def shapes() -> list[tuple[int, int, int]]:
    """Return the samples, inputs and outputs of every linear layer, each once."""
    return sorted({(workload.batch, *layer) for workload in WORKLOADS for layer in workload.layers()})


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown, a row for each product: those that minigrad loses too."""
    columns = [(name, count) for count in result["counts"] for name in LIBRARIES]
    titles = ["samples x inputs x outputs", "product", *(f"{name}, {threads_of(count)}" for name, count in columns)]
    rows = []
    for row in result["rows"]:
        M, D, K = row["shape"]
        rates = {key: 2e-9 * M * D * K / median(samples) for key, samples in row["samples"].items()}
        cells = [mark(rates, name, count) for name, count in columns]
        rows.append([f"{M} x {D} x {K}", row["form"], *cells])
    return markdown(titles, rows)


def threads_of(count: int) -> str:
    """Return the number in words.

    >>> threads_of(1), threads_of(2)
    ('1 thread', '2 threads')
    """
    return f"{count} thread{'s' * (count > 1)}"


def mark(rates: dict[str, float], name: str, count: int) -> str:
    """Return the rate, in bold if it is the highest on so many threads."""
    rate = rates[f"{name}, {count}"]
    text = number(rate)
    return f"**{text}**" if rate == max(rates[f"{other}, {count}"] for other in LIBRARIES) else text
