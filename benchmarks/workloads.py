"""What is trained: the networks, the batch sizes, the settings, and the numbers to train them on."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
BATCHES = 8  # different ones, taken in turn


@dataclass(frozen=True)
class Workload:
    """A multi-layer perceptron with ReLU, trained with Adam on cross-entropy, one batch at a time.

    Arguments:
        name: as the tables show it.
        sizes: inputs, hidden units, classes.
        batch: samples in a batch.
        batch_norm: whether each hidden layer is normalised before its ReLU.
        dropout: probability of a zero after each ReLU.
        label_smoothing: of the cross-entropy.
        lr: Adam's learning rate.
        weight_decay: the factor of Adam's L2 penalty.
        seed: of the initial weights and of the dropout masks.
    """

    name: str
    sizes: tuple[int, ...]
    batch: int
    batch_norm: bool = False
    dropout: float = 0.0
    label_smoothing: float = 0.0
    lr: float = 1e-3
    weight_decay: float = 1e-4
    seed: int = 0

    def without_dropout(self) -> "Workload":
        """Return what can be compared loss by loss: every library draws other masks."""
        return replace(self, dropout=0.0)

    def layers(self) -> list[tuple[int, int]]:
        """Return the inputs and outputs of each linear layer."""
        return list(pairwise(self.sizes))

    def weights(self) -> list[tuple[Floats, Floats]]:
        """Return the weight (outputs, inputs) and the bias of each linear layer, drawn as PyTorch draws them."""
        rng = np.random.default_rng(self.seed)
        pairs = []
        for inputs, outputs in self.layers():
            bound = inputs**-0.5
            shapes = (outputs, inputs), (outputs,)
            weight, bias = (rng.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes)
            pairs.append((weight, bias))
        return pairs

    def batches(self) -> list[tuple[Floats, Integers]]:
        """Return batches of random samples; each batch has its share of every class, which scikit-learn wants."""
        rng = np.random.default_rng((self.seed, 1))
        labels = np.arange(self.batch) % self.sizes[-1]
        return [
            (rng.standard_normal((self.batch, self.sizes[0]), np.float32), rng.permutation(labels))
            for _ in range(BATCHES)
        ]

    def samples(self, count: int) -> Floats:
        """Return so many random samples to evaluate."""
        return np.random.default_rng(2).random((count, self.sizes[0]), np.float32)

    def parameters(self) -> int:
        """Return how many numbers the optimizer updates."""
        linear = sum((inputs + 1) * outputs for inputs, outputs in self.layers())
        return linear + self.batch_norm * 2 * sum(self.sizes[1:-1])


def reference(batch: int) -> Workload:
    """Return the reference network of the recipes."""
    return Workload(
        f"reference, batch {batch}", (784, 512, 256, 10), batch, batch_norm=True, dropout=0.2, label_smoothing=0.1
    )


def plain(batch: int) -> Workload:
    """Return the reference network without what scikit-learn has not: BatchNorm, Dropout, label smoothing."""
    return Workload(f"plain, batch {batch}", (784, 512, 256, 10), batch)


BATCH_SIZES = (32, 64, 128, 256, 512)
TABULAR = Workload("tabular, batch 32", (16, 64, 64, 4), 32)
WIDE = Workload("wide, batch 128", (2048, 2048, 2048, 10), 128)
WORKLOADS = (*map(reference, BATCH_SIZES), *map(plain, BATCH_SIZES), TABULAR, WIDE)
