"""Having every kernel compiled: small networks that together use all of them, eagerly and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from minigrad import kernels, nn, optim
from minigrad.data.augmentation import Augmentation
from minigrad.data.preparation import Preparation
from minigrad.engine.build import compile
from minigrad.engine.eager import EagerStep
from minigrad.nn import Loss, Module
from minigrad.nn.parameter import Array
from minigrad.optim import Optimizer

N, D, C = 8, 4, 3  # samples, features, classes

Make = Callable[[Any], Optimizer]


class Task(NamedTuple):
    """A network to be trained for a step.

    Arguments:
        name: of what it is there for.
        layers: of the network.
        loss: at its end.
        x: samples.
        y: targets.
        make_optimizer: from the parameters.
        clip_norm: of the gradients.
        preparation: of the samples.
    """

    name: str
    layers: tuple[Module, ...]
    loss: Loss
    x: Array
    y: Array
    make_optimizer: Make = partial(optim.SGD, lr=0.1)
    clip_norm: float | None = None
    preparation: Preparation = Preparation()

    def run(self, dtype: npt.DTypeLike) -> None:
        """Do an eager step, a compiled one, an epoch of one, and an evaluation of either kind."""
        dtype = np.float32 if self.x.dtype == np.uint8 else dtype  # which is what a Loader makes of images
        model = nn.Sequential(*self.layers).to(dtype)
        x = self.x.astype(dtype) if self.x.dtype.kind == "f" else self.x
        y = self.y.astype(dtype) if self.y.dtype.kind == "f" else self.y
        parts = model, self.loss, self.make_optimizer(model.parameters()), N, self.clip_norm
        with np.errstate(all="ignore"):
            x_batch = self.preparation.batch(x, np.arange(N), np.arange(N), epoch=0)
            EagerStep(*parts)(x_batch, y)
            compile(*parts[:4], clip_norm=self.clip_norm).run_epoch(x, y, preparation=self.preparation)
            model.compiled()(x_batch)
            model.eval()
            with nn.no_grad():
                model(x_batch)


def tasks() -> Iterator[Task]:
    """Yield networks that together use every layer, loss and optimizer in each form that has kernels of its own."""
    from minigrad.engine.lowering import CHAINED_FROM  # loads Numba

    rng = np.random.default_rng(0)
    x, cube = rng.standard_normal((N, D)), rng.standard_normal((N, D, 2))
    y, images, words = np.arange(N) % C, np.arange(N * D, dtype=np.uint8).reshape(N, D), np.arange(N) % D
    cross_entropy, mse, last = nn.CrossEntropyLoss(), nn.MSELoss(), nn.Linear(D, C)

    for layer in _layers():
        yield Task(type(layer).__name__, (nn.Linear(D, D), layer, last), cross_entropy, x, y)
    pictures, lines = rng.standard_normal((N, 2, D, D)), rng.standard_normal((N, 2, D))
    for layer in _image_layers():
        with kernels.trying():
            features = nn.Flatten()(layer(pictures.astype(np.float32))).shape[1]
        chain: tuple[Module, ...] = (nn.Conv2d(2, 2, 1), layer, nn.Flatten(), nn.Linear(features, C))
        yield Task(f"{type(layer).__name__} of images", chain, cross_entropy, pictures, y)
    yield Task("a chain of image layers", _image_chain(), cross_entropy, pictures, y)
    yield Task("convolutions by patches", _patch_chain(), cross_entropy, pictures, y)
    for layer in (nn.Conv1d(2, 2, 1), nn.MaxPool1d(1), nn.AvgPool1d(1), nn.AdaptiveAvgPool1d(D)):
        chain = nn.Conv1d(2, 2, 1), layer, nn.Flatten(), nn.Linear(2 * D, C)
        yield Task(f"{type(layer).__name__} of lines", chain, cross_entropy, lines, y)
    for layer in (nn.BatchNorm1d(D), nn.PReLU(D), nn.Softmax(dim=1), nn.LogSoftmax(dim=1)):
        yield Task(f"{type(layer).__name__} of (N, C, L)", (nn.Linear(2, 2), layer), mse, cube, cube)
    yield Task("Embedding", (nn.Embedding(D, D, padding_idx=0), nn.LayerNorm(D), last), cross_entropy, words, y)
    yield Task("images", (nn.Linear(D, C),), cross_entropy, images, y)
    yield Task("normalised samples", (nn.Linear(D, C),), cross_entropy, x, y, preparation=Preparation(0.5))
    augmented = Preparation(augment=Augmentation(rotation=9))
    for name, kind in (("bytes", np.uint8), ("floats", np.float64)):
        images = cube.astype(kind)
        yield Task(f"augmented images of {name}", (nn.Linear(2, 2),), mse, images, cube, preparation=augmented)

    yield Task("NLLLoss", (nn.Linear(D, C), nn.LogSoftmax(dim=1)), nn.NLLLoss(), x, y)
    for loss in (mse, nn.L1Loss(), nn.HuberLoss(), nn.SmoothL1Loss(), nn.BCEWithLogitsLoss()):
        yield Task(type(loss).__name__, (nn.Linear(D, D),), loss, x, x)
    yield Task("CrossEntropyLoss of soft targets", (nn.Linear(D, D),), cross_entropy, x, x)
    yield Task("CrossEntropyLoss of (N, C, L)", (nn.Linear(2, 2),), cross_entropy, cube, np.zeros((N, 2), np.int64))

    # Large enough for threads to share the work, and for each row's update to follow its gradient.
    width = CHAINED_FROM // D
    for name, make in _optimizers():
        yield Task(name, (nn.Linear(D, width), nn.Linear(width, C)), cross_entropy, x, y, make)
        yield Task(f"{name} after clipping", (nn.Linear(D, C),), cross_entropy, x, y, make, clip_norm=1.0)


def _layers() -> list[Module]:
    shared = nn.LayerNorm(D)
    return [
        *(nn.ReLU(), nn.LeakyReLU(), nn.PReLU(), nn.ELU(), nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU()),
        *(nn.Tanh(), nn.Sigmoid(), nn.Hardtanh(), nn.Softplus(), nn.Softmax(), nn.LogSoftmax()),
        *(nn.BatchNorm1d(D), nn.BatchNorm1d(D, momentum=None), nn.LayerNorm(D), nn.Dropout(0.5)),
        nn.Sequential(nn.BatchNorm1d(D), nn.ReLU(), nn.Dropout(0.5)),
        nn.Sequential(nn.BatchNorm1d(D), nn.ReLU(), nn.Linear(D, D), nn.ReLU(), nn.Dropout(0.5)),
        nn.Sequential(shared, nn.ReLU(), shared),
        nn.Sum(nn.ReLU(), nn.Tanh()),
        nn.Sequential(nn.Concat(nn.ReLU(), nn.Tanh(), axis=1), nn.Linear(2 * D, D)),
    ]


def _image_layers() -> list[Module]:
    return [
        *(nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), nn.ConvTranspose2d(2, 2, 3)),
        *(nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Upsample(scale_factor=2), nn.ZeroPad2d(1)),
        *(nn.Conv2dSame(2, 2, 3, groups=2), nn.BatchNorm2d(2), nn.GroupNorm(1, 2), nn.Dropout2d(0.5)),
        nn.InstanceNorm2d(2, affine=True, track_running_stats=True),
    ]


def _image_chain() -> tuple[Module, ...]:
    """Layers between which the channels stay last, and some behind which they do not."""
    body = nn.Sequential(nn.Conv2d(D, D, 3, padding=1), nn.BatchNorm2d(D), nn.ReLU6(), nn.Hardswish())
    head = nn.Flatten(), nn.Unflatten(1, (2 * D, 2 * D)), nn.Flatten(), nn.Linear(4 * D * D, C)
    return nn.Conv2d(2, D, 1), nn.Residual(body), nn.PixelShuffle(2), *head


def _patch_chain() -> tuple[Module, ...]:
    """Convolutions by patches, of few channels and of many, and a residual block's sum."""
    few, many = 16, 96
    body = nn.Sequential(nn.Conv2d(few, few, 3, padding=1), nn.BatchNorm2d(few))
    tail = nn.Conv2d(few, many, 1), nn.Conv2d(many, many, 3, padding=1), nn.Flatten(), nn.Linear(many * D * D, C)
    return nn.Conv2d(2, few, 1), nn.Residual(body), nn.ReLU(), *tail


def _optimizers() -> Iterator[tuple[str, Make]]:
    for momentum in (0.0, 0.9):
        yield "SGD", partial(optim.SGD, lr=0.1, momentum=momentum)
        for centered in (False, True):
            yield "RMSprop", partial(optim.RMSprop, momentum=momentum, centered=centered)
    for amsgrad in (False, True):
        yield "Adam", partial(optim.Adam, amsgrad=amsgrad)
    yield "Adagrad", optim.Adagrad
    yield "EMA", _averaged


def _averaged(parameters: Any) -> Optimizer:
    parameters = list(parameters)
    optim.EMA(parameters).update()
    return optim.SGD(parameters, lr=0.1)
