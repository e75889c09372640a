"""`python -W error -m tests.other_python`: the package on this Python, without what the tests install.

Imports every module, trains a small network eagerly and compiled, and says what its loss is.
"""

import sys
from importlib import import_module
from pkgutil import walk_packages

import numpy as np

import minigrad
from minigrad import nn, optim
from minigrad.train import Trainer


def main() -> None:
    names = [module.name for module in walk_packages(minigrad.__path__, "minigrad.") if "__main__" not in module.name]
    for name in names:
        import_module(name)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, 8))
    y = (x.sum(axis=1) > 0).astype(int)
    losses = []
    for compiled in (True, False):
        model = nn.Sequential(nn.Linear(8, 16, rng=0), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2, rng=1))
        trainer = Trainer(
            model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()), progress=False, compiled=compiled
        )
        losses.append(trainer.fit((x, y), epochs=3)["loss"][-1])
    assert abs(losses[0] - losses[1]) < 1e-5, losses
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}, NumPy {np.__version__}: {len(names)} modules, loss {losses[0]:.6f}")


if __name__ == "__main__":
    main()
