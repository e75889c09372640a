"""A layer and a block of one's own, each with its backward pass by hand, checked by finite differences.

python examples/write_a_layer.py [NUMBER OF TRAINING IMAGES]
minigrad gradcheck examples/write_a_layer.py:Gated --arguments 6 4 --shape 5 6

Trained on all images the network made of them must reach 85 % on Fashion-MNIST's test images.
"""

import sys

import numpy as np

import minigrad
from minigrad import data, nn, optim
from minigrad.gradcheck import gradcheck
from minigrad.train import Trainer

TARGET = 0.85


class Scale(nn.Module):
    """y = w x, a trained factor for each feature.

    Backward: ∂y_nc/∂x_nc = w_c and ∂y_nc/∂w_c = x_nc, so dx = w dy and dw_c = Σ_n x_nc dy_nc.

    Saved: x.
    """

    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(np.ones(features, np.float32))

    def _forward(self, x):
        x = self._input(x, f"(N, {self.weight.size})", x.ndim == 2 and x.shape[1] == self.weight.size)
        return x * self.weight.data, x

    def _backward(self, x, dy):
        self.weight.grad += (x * dy).sum(axis=0)
        return dy * self.weight.data


class Gated(nn.Module):
    """y = a(x) σ(g(x)): a linear map, and a gate that lets a part of it through. Two branches, multiplied.

    Backward: by the product rule da = dy σ and dσ = dy a; then each branch's own backward, and x feeds both, so
    dx = a's dx + g's dx.

    Saved: both factors, and what the inner layers saved.
    """

    def __init__(self, features, units):
        super().__init__()
        self.value = nn.Linear(features, units)
        self.gate = nn.Sequential(nn.Linear(features, units), nn.Sigmoid())

    def _forward(self, x):
        a, value_saved = self.value._forward(x)
        s, gate_saved = self.gate._forward(x)
        return a * s, (a, s, value_saved, gate_saved)

    def _backward(self, saved, dy):
        a, s, value_saved, gate_saved = saved
        return self.value._backward(value_saved, dy * s) + self.gate._backward(gate_saved, dy * a)


if __name__ == "__main__":  # `minigrad gradcheck` imports the layers alone
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), Gated(784, 128), Scale(128), nn.Linear(128, 10))
    x = np.random.default_rng(0).standard_normal((5, 784))
    for part, inputs in ((Scale(784), x), (Gated(784, 3), x), (model, x)):
        print(f"{type(part).__name__}: relative error {gradcheck(part, inputs):.1e}")

    train, test = data.fashion_mnist()
    if len(sys.argv) > 1:
        train = train.subset(slice(int(sys.argv[1])))
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=1e-3))
    trainer.fit(train, epochs=3)
    accuracy = trainer.evaluate(test)["accuracy"]
    print(f"test accuracy {accuracy:.2%}")
    assert len(sys.argv) > 1 or accuracy >= TARGET
