"""Several trainings at once, as a search over parameters does them: one after the other, and side by side by joblib.

    python -m benchmarks.parallel_jobs

Each job trains a small network of its own. joblib tells its workers by variables how many threads they should have: one
where there are as many workers as processors. Beside it stands one job at a time, with one thread and with all.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import joblib
import numpy as np

import minigrad
from benchmarks.contestants.base import threads
from minigrad import models, nn, optim
from minigrad.train import Trainer

EXPONENTS = (2.0, 2.3, 2.6, 2.9, 3.1, 3.4, 3.7, 4.0)
EPOCHS, ROUNDS, SAMPLES, WIDTH = 20, 5, 4000, 256


def train(exponent: float) -> float:
    """Train a network with the learning rate 10 ** -exponent; return its last loss."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((SAMPLES, 64)).astype(np.float32), rng.integers(0, 10, SAMPLES)
    model = models.mlp(64, [WIDTH, WIDTH], 10)
    adam = optim.Adam(model.parameters(), lr=10**-exponent)
    history = Trainer(model, nn.CrossEntropyLoss(), adam, progress=False).fit((x, y), epochs=EPOCHS, batch_size=64)
    return float(history["loss"][-1])


def one_at_a_time(count: int) -> None:
    """Do all jobs in this process, with `count` threads."""
    minigrad.set_num_threads(count)
    for exponent in EXPONENTS:
        train(exponent)


def side_by_side(count: int) -> None:
    """Do them in `count` processes, which go on from one call to the next."""
    joblib.Parallel(count)(joblib.delayed(train)(exponent) for exponent in EXPONENTS)


def main() -> None:
    """Measure in turns, and print the medians."""
    count = threads()
    ways: dict[str, Callable[[], None]] = {
        "one at a time, one thread": partial(one_at_a_time, 1),
        f"one at a time, {count} threads": partial(one_at_a_time, count),
        f"{count} at a time, by joblib": partial(side_by_side, count),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):  # the first starts the processes and loads the kernels
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(samples) for name, samples in seconds.items()}
    together = list(medians.values())[-1]
    for name, median in medians.items():
        print(f"{name:26} {median:6.2f} s for {len(EXPONENTS)} trainings, {median / together:.2f} of joblib's")


if __name__ == "__main__":
    main()
