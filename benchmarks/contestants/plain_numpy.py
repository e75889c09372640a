"""NumPy written plainly, as one writes a network by hand for the first time."""

import numpy as np

from benchmarks.contestants.base import Array, Predictor
from benchmarks.contestants.base import Trainer as Base
from benchmarks.workloads import Workload

MOMENTUM, EPS = 0.1, 1e-5  # BatchNorm's


class Trainer(Base):
    """Lists of arrays, one for each layer."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self.rng = np.random.default_rng(workload.seed)
        self.params = [{"weight": weight.T.copy(), "bias": bias} for weight, bias in workload.weights()]
        self.running = []
        if workload.batch_norm:
            for layer, units in zip(self.params, workload.sizes[1:-1], strict=False):
                layer |= {"scale": np.ones(units, np.float32), "shift": np.zeros(units, np.float32)}
                self.running.append([np.zeros(units, np.float32), np.ones(units, np.float32)])
        self.m, self.v = ([{k: np.zeros_like(w) for k, w in layer.items()} for layer in self.params] for _ in "mv")
        self.steps = 0

    def forward(self, x: Array, training: bool) -> tuple[Array, list[dict[str, Array]]]:
        """Return the scores, and of each hidden layer what its backward needs."""
        saved = []
        for number, layer in enumerate(self.params[:-1]):
            kept = {"x": x}
            x = x @ layer["weight"] + layer["bias"]
            if self.running:
                x = self.normalise(x, layer, self.running[number], kept, training)
            kept["positive"] = x > 0
            x = np.maximum(x, 0)
            if self.workload.dropout and training:
                keep = 1 - self.workload.dropout
                kept["mask"] = (self.rng.random(x.shape, np.float32) < keep) / np.float32(keep)
                x = x * kept["mask"]
            saved.append(kept)
        return x @ self.params[-1]["weight"] + self.params[-1]["bias"], [*saved, {"x": x}]

    def normalise(
        self, x: Array, layer: dict[str, Array], running: list[Array], kept: dict[str, Array], training: bool
    ) -> Array:
        """Return BatchNorm's output, and move its running statistics."""
        mean, var = (x.mean(axis=0), x.var(axis=0)) if training else running
        if training:
            unbiased = var * len(x) / (len(x) - 1)
            running[:] = [(1 - MOMENTUM) * a + MOMENTUM * b for a, b in zip(running, (mean, unbiased), strict=True)]
        kept["scale"] = 1 / np.sqrt(var + EPS)
        kept["normal"] = (x - mean) * kept["scale"]
        return kept["normal"] * layer["scale"] + layer["shift"]

    def backward(self, dy: Array, saved: list[dict[str, Array]]) -> list[dict[str, Array]]:
        """Return the gradients, one dictionary for each layer."""
        grads: list[dict[str, Array]] = []
        for layer, kept in zip(reversed(self.params), reversed(saved), strict=True):
            grad = {}
            if "mask" in kept:
                dy = dy * kept["mask"]
            if "positive" in kept:
                dy = dy * kept["positive"]
            if "normal" in kept:
                grad = {"scale": (dy * kept["normal"]).sum(axis=0), "shift": dy.sum(axis=0)}
                projection = grad["shift"] / len(dy) + kept["normal"] * (grad["scale"] / len(dy))
                dy = (dy - projection) * (layer["scale"] * kept["scale"])
            grads.append({"weight": kept["x"].T @ dy, "bias": dy.sum(axis=0)} | grad)
            if layer is not self.params[0]:
                dy = dy @ layer["weight"].T
        return grads[::-1]

    def step(self, x: Array, y: Array) -> float:
        scores, saved = self.forward(x, training=True)
        classes, smoothing = scores.shape[1], self.workload.label_smoothing
        targets = np.eye(classes, dtype=np.float32)[y] * (1 - smoothing) + np.float32(smoothing / classes)
        shifted = scores - scores.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.update(self.backward((np.exp(log_p) - targets) / len(x), saved))
        return float(-(targets * log_p).sum() / len(x))

    def update(self, grads: list[dict[str, Array]]) -> None:
        """Take Adam's step."""
        self.steps += 1
        lr, decay = self.workload.lr, self.workload.weight_decay
        for layer, grad, m, v in zip(self.params, grads, self.m, self.v, strict=True):
            for name, w in layer.items():
                g = grad[name] + decay * w
                m[name] = 0.9 * m[name] + 0.1 * g
                v[name] = 0.999 * v[name] + 0.001 * g**2
                mean, var = m[name] / (1 - 0.9**self.steps), v[name] / (1 - 0.999**self.steps)
                layer[name] = w - lr * mean / (np.sqrt(var) + 1e-8)

    def predictor(self, x: Array) -> Predictor:
        return lambda: self.forward(x, training=False)[0]
