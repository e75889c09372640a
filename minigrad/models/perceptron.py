"""The multi-layer perceptron."""

from collections.abc import Callable, Sequence

import numpy as np

from minigrad import nn
from minigrad.nn.rng import generator

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "hardtanh": nn.Hardtanh,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


def mlp(
    in_features: int,
    hidden: Sequence[int],
    classes: int,
    *,
    activation: str = "relu",
    batch_norm: bool = False,
    dropout: float = 0.0,
    rng: np.random.Generator | int | None = None,
) -> nn.Sequential:
    """Return Flatten, for each hidden layer Linear [BatchNorm1d] activation [Dropout], and a last Linear.

    Arguments:
        in_features: values in one sample, after flattening.
        hidden: units in each hidden layer; without any it is a linear classifier.
        classes: outputs.
        activation: a key of `ACTIVATIONS`.
        batch_norm: whether to normalise before each activation.
        dropout: probability of a zero after each activation, in [0, 1]; 0 leaves the layer out.
        rng: generator or seed of the initial weights and the dropout masks.

    Shape:
        x: (N, *) with in_features values in each sample, y: (N, classes), scores without a softmax.

    Raises:
        ValueError: for an unknown activation, a size below 1, or a dropout that is no probability.

    >>> mlp(784, [16], 10, dropout=0.2)
    Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Linear(784, 16, bias=True)
      (2): ReLU()
      (3): Dropout(p=0.2)
      (4): Linear(16, 10, bias=True)
    )
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"mlp: want an activation of {', '.join(ACTIVATIONS)}, got {activation!r}")
    rng = generator(rng)
    layers: list[nn.Module] = [nn.Flatten()]
    sizes = [in_features, *hidden]
    for inputs, outputs in zip(sizes, hidden, strict=False):
        layers.append(nn.Linear(inputs, outputs, rng=rng))
        if batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(ACTIVATIONS[activation]())
        if dropout:
            layers.append(nn.Dropout(dropout, rng=rng))
    return nn.Sequential(*layers, nn.Linear(sizes[-1], classes, rng=rng))
