"""Six networks trained by plain gradient descent on Fashion-MNIST: pixels in [0, 1], weights 0.01 N(0, 1), 5 epochs.

python examples/sgd_configurations.py [NUMBER OF TRAINING IMAGES]

At these learning rates the accuracy jumps by a point or more from step to step, so the weights are chosen on the 10,000
validation images, every 50 steps; the test images are looked at once. Trained on 50,000 images each must reach the test
accuracy behind it, which another project reached with the same network by hand, less half a point, the spread over
seeds. `python -m benchmarks.sgd` repeats this over three seeds with PyTorch beside it.
"""

import sys
from dataclasses import dataclass

import minigrad
from minigrad import data, models, nn, optim
from minigrad.train import Callback, Trainer

EPOCHS, STEPS_BETWEEN = 5, 50
SPREAD = 0.005


@dataclass(frozen=True)
class Configuration:
    """One of the six: units of the hidden layers, learning rate, batch size, and the accuracy to be reached."""

    hidden: tuple[int, ...]
    lr: float
    batch_size: int
    target: float


CONFIGURATIONS = (
    Configuration((128,), 0.1, 64, 0.8609),
    Configuration((64,), 0.1, 64, 0.8081),
    Configuration((128, 64), 0.1, 64, 0.7894),
    Configuration((128,), 0.05, 64, 0.8437),
    Configuration((128,), 0.1, 32, 0.8644),
    Configuration((256,), 0.1, 64, 0.8468),
)


class KeepBest(Callback):
    """Looks at the validation images every few steps, and ends with the weights that did best."""

    def __init__(self, validation: data.ArrayDataset) -> None:
        self.validation, self.steps, self.best = validation, 0, -1.0

    def on_step_end(self, trainer: Trainer) -> None:
        """Keep the weights if they are the best so far."""
        self.steps += 1
        if self.steps % STEPS_BETWEEN == 0:
            reached = trainer.evaluate(self.validation)["accuracy"]
            if reached > self.best:
                self.best, self.weights = reached, trainer.model.state_dict()

    def on_fit_end(self, trainer: Trainer) -> None:
        """Restore the best weights."""
        if self.best >= 0:
            trainer.model.load_state_dict(self.weights)


def build(configuration: Configuration, seed: int) -> nn.Sequential:
    """Return the network with its small initial weights."""
    minigrad.manual_seed(seed)
    model = models.mlp(784, configuration.hidden, 10)
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            nn.init.normal_(parameter, std=0.01)
        else:
            nn.init.zeros_(parameter)
    return model


def accuracy(
    configuration: Configuration,
    train: data.ArrayDataset,
    validation: data.ArrayDataset,
    test: data.ArrayDataset,
    seed: int = 0,
    progress: bool = True,
) -> float:
    """Train one configuration and return its test accuracy."""
    model = build(configuration, seed)
    sgd = optim.SGD(model.parameters(), lr=configuration.lr)
    trainer = Trainer(model, nn.CrossEntropyLoss(), sgd, callbacks=[KeepBest(validation)], progress=progress)
    trainer.fit(train, validation, EPOCHS, configuration.batch_size, seed=seed)
    return trainer.evaluate(test)["accuracy"]


def main() -> None:
    """Train all six and compare."""
    train, test = data.fashion_mnist()
    if len(sys.argv) > 1:
        train = train.subset(slice(int(sys.argv[1])))
    parts = data.split(train, validation=1 / 6)
    lines = []
    for configuration in CONFIGURATIONS:
        reached = accuracy(configuration, *parts, test)
        lines.append(f"{configuration}: test accuracy {reached:.2%}")
        assert len(sys.argv) > 1 or reached >= configuration.target - SPREAD, lines[-1]
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
