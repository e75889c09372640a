"""Steps of an epoch of Fashion-MNIST with augmentation, from images of bytes in memory: the reference CNN, batch 64.

Mirrored, shifted and in part erased, as the data set's policy says; normalised. PyTorch does it as torchvision's
documentation has it: transforms v2 on a data set's items, in a DataLoader with and without processes of its own. First
the mean losses of the same steps are compared, from the same weights: nobody is timed who trains otherwise.
"""

from dataclasses import asdict
from typing import Any

from benchmarks.image_workloads import CNN
from benchmarks.tables import best, cell, markdown, ratio
from benchmarks.worker import workers

FILE = "benchmarks.contestants.augmented"
IMAGES = 16_000  # of 60,000: 250 steps
MODES = {
    "NCHW": {"channels_last": False, "processes": 0},
    "NCHW, 2 processes load": {"channels_last": False, "processes": 2},
    "channels last": {"channels_last": True, "processes": 0},
    "channels last, 2 processes load": {"channels_last": True, "processes": 2},
}
ENTRANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "minigrad": (f"{FILE}:Minigrad", {}),
    "minigrad, no augmentation": (f"{FILE}:Minigrad", {"augmented": False}),
}
ENTRANTS |= {f"PyTorch, {mode}": (f"{FILE}:PyTorch", options) for mode, options in MODES.items()}
PYTORCH = [name for name in ENTRANTS if name.startswith("PyTorch")]
TOLERANCE = 0.05  # of the mean loss: draws and masks are random, and not the same


def measure(rounds: int, images: int = IMAGES) -> dict[str, Any]:
    """Return the seconds for so many images, a sample of each entrant in each round."""
    with workers({name: {} for name in ENTRANTS}) as crew:
        losses = {}
        for name, (path, options) in ENTRANTS.items():
            crew[name].build(path, CNN, images, **options)
            _, losses[name] = crew[name].call("epoch")
        compare(losses)
        samples: dict[str, list[float]] = {name: [] for name in crew}
        for _ in range(rounds):
            for name, seconds in samples.items():
                seconds.append(crew[name].call("epoch")[0])
    return {"workload": asdict(CNN), "images": images, "samples": samples, "losses": losses}


def compare(losses: dict[str, float]) -> None:
    """Raise ValueError where augmented images are not learnt as well as PyTorch learns them."""
    expected = losses[PYTORCH[0]]
    for name in ("minigrad", *PYTORCH):
        if not abs(losses[name] / expected - 1) <= TOLERANCE:
            raise ValueError(f"{name} does not train as PyTorch does: a mean loss of {losses[name]}, not {expected}")


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    samples, images = result["samples"], result["images"]
    rows = [[name, cell(found), ratio(samples, name, "minigrad")] for name, found in samples.items()]
    titles = [f"{images:,} augmented images", "s: median (10th percentile)", "times minigrad's"]
    return markdown(titles, rows) + f"\n\nPyTorch at its best: {best(samples, PYTORCH).removeprefix('PyTorch, ')}."
