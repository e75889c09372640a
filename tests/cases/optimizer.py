"""Cases of the optimizers: every class with every option, and what Hypothesis draws for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st

from minigrad import optim
from minigrad.nn.parameter import Parameter
from tests.cases.drawn import numbers, shapes
from tests.optim_twins import SHAPES

Options = Mapping[str, Any]


@dataclass(frozen=True)
class OptimizerCase:
    """One optimizer with one set of options, and those in which its second group differs, if it has one."""

    cls: str
    options: Options = field(default_factory=dict)
    second: Options | None = None
    l1: float = 0.3  # minigrad's own: where PyTorch steps beside it, the penalty is added to what PyTorch does
    shapes: tuple[tuple[int, ...], ...] = tuple(SHAPES)

    @property
    def name(self) -> str:
        groups = [self.options] if self.second is None else [self.options, self.second]
        shown = [" ".join(f"{key}={value}" for key, value in group.items()) for group in groups]
        return f"{self.cls} {' then '.join(shown)}".strip()

    def make(self, parameters: list[Parameter]) -> optim.Optimizer:
        """Return the optimizer."""
        return getattr(optim, self.cls)(self._grouped(parameters), **self.options, l1=self.l1)

    def twin(self, tensors: list[torch.Tensor]) -> torch.optim.Optimizer:
        """Return PyTorch's, which has no l1."""
        return getattr(torch.optim, self.cls)(self._grouped(tensors), **self.options)

    def _grouped(self, params: list[Any]) -> list[Any]:
        if self.second is None:
            return params
        return [{"params": params[::2]}, {"params": params[1::2], **self.second}]


OPTIMIZERS = [
    OptimizerCase("SGD"),
    OptimizerCase("SGD", {"lr": 0.1, "weight_decay": 0.2}),
    OptimizerCase("SGD", {"lr": 0.05, "momentum": 0.9}),
    OptimizerCase("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    OptimizerCase("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.1, "maximize": True}),
    OptimizerCase("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    OptimizerCase("SGD", {"lr": 0.01, "momentum": 0.8, "maximize": True, "weight_decay": 0.1}),
    OptimizerCase("SGD", {"lr": 1, "momentum": 0}),
    OptimizerCase("SGD", {"lr": 0.1}, {"lr": 0.01, "momentum": 0.9, "maximize": True}),
    OptimizerCase("Adam"),
    OptimizerCase("Adam", {"lr": 0.05, "betas": (0.7, 0.95), "eps": 0.01, "weight_decay": 0.1}),
    OptimizerCase("Adam", {"lr": 0.05, "amsgrad": True, "betas": (0.5, 0.6)}),
    OptimizerCase("Adam", {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1}),
    OptimizerCase("Adam", {"lr": 0.05, "amsgrad": True, "maximize": True, "weight_decay": 0.3}),
    OptimizerCase("Adam", {"lr": 0.05, "betas": (0.0, 0.0), "eps": 0.1}),
    OptimizerCase("Adam", {"lr": 0.05}, {"amsgrad": True, "betas": (0.5, 0.9)}),
    OptimizerCase("AdamW"),
    OptimizerCase("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
    OptimizerCase("AdamW", {"lr": 0.05, "weight_decay": 0.5}),
    OptimizerCase("AdamW", {"lr": 0.05, "amsgrad": True, "maximize": True, "betas": (0.5, 0.6)}),
    OptimizerCase("AdamW", {"lr": 0.05}, {"lr": 0.02, "weight_decay": 0.3}),
    OptimizerCase("RMSprop"),
    OptimizerCase("RMSprop", {"lr": 0.05, "alpha": 0.8, "eps": 0.01, "weight_decay": 0.1}),
    OptimizerCase("RMSprop", {"lr": 0.05, "centered": True, "eps": 0.1}),
    OptimizerCase("RMSprop", {"lr": 0.05, "momentum": 0.7, "maximize": True}),
    OptimizerCase("RMSprop", {"lr": 0.05, "momentum": 0.7, "centered": True, "eps": 0.1, "weight_decay": 0.1}),
    OptimizerCase(
        "RMSprop", {"lr": 0.05, "momentum": 0.7, "centered": True, "eps": 0.1, "weight_decay": 0.1, "maximize": True}
    ),
    OptimizerCase("RMSprop", {"lr": 0.05}, {"momentum": 0.5, "centered": True, "alpha": 0.9}),
    OptimizerCase("Adagrad"),
    OptimizerCase("Adagrad", {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.1}),
    OptimizerCase("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2, "weight_decay": 0.1}),
    OptimizerCase("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 0.1, "maximize": True}),
    OptimizerCase("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "maximize": True}),
    OptimizerCase("Adagrad", {"lr": 0.1}, {"lr_decay": 0.3, "weight_decay": 0.1, "maximize": True}),
]

# ---------------------------------------------------------------------------------------------------------- drawing

LR = numbers(1e-4, 0.1)
EPS = st.sampled_from([1e-8, 1e-6, 1e-3, 0.1])
FLAG = st.booleans()
# A penalty that goes through the normalisation of Adam, RMSprop or Adagrad stays below the least gradient (0.4, where
# weights are about 4 at most), so that the two never cancel: see `gradient` of optim_twins.
COUPLED_DECAY = numbers(0, 0.05)


def options(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw some of the options, each within its range."""
    return st.fixed_dictionaries({}, optional=optional)


def together(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw options that limit each other: all of them, so that a second group cannot mix two draws."""
    return st.fixed_dictionaries(strategies)


def joined(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda drawn: {k: v for part in drawn for k, v in part.items()})


# Nesterov's momentum wants no dampening.
MOMENTUM = together(momentum=numbers(0, 0.99), dampening=numbers(0, 1), nesterov=st.just(False)) | together(
    momentum=numbers(0.01, 0.99), dampening=st.just(0.0), nesterov=st.just(True)
)
# Centered, v - a² loses digits where the last gradients were alike: with a memory as long as the run they are not.
MEAN_SQUARE = together(alpha=numbers(0.5, 0.99), centered=st.just(False)) | together(
    alpha=numbers(0.9, 0.99), centered=st.just(True)
)
# With a short memory of squares, a single small gradient would be magnified like a first one.
BETAS = st.tuples(numbers(0, 0.99), numbers(0.5, 0.999))

OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "SGD": joined(options(lr=LR, weight_decay=numbers(0, 1), maximize=FLAG), st.just({}) | MOMENTUM),
    "Adam": options(lr=LR, betas=BETAS, eps=EPS, weight_decay=COUPLED_DECAY, amsgrad=FLAG, maximize=FLAG),
    "AdamW": options(lr=LR, betas=BETAS, eps=EPS, weight_decay=numbers(0, 1), amsgrad=FLAG, maximize=FLAG),
    "RMSprop": joined(
        options(lr=LR, eps=EPS, weight_decay=COUPLED_DECAY, momentum=numbers(0, 0.9), maximize=FLAG),
        st.just({}) | MEAN_SQUARE,
    ),
    "Adagrad": options(
        lr=LR,
        lr_decay=numbers(0, 1),
        weight_decay=COUPLED_DECAY,
        initial_accumulator_value=numbers(0, 1),
        eps=EPS,
        maximize=FLAG,
    ),
}


def second(options: dict[str, Any]) -> dict[str, Any]:
    """Return options for a second group. PyTorch's Adagrad takes what sums begin with from the first for both."""
    return {name: value for name, value in options.items() if name != "initial_accumulator_value"}


DRAWN: dict[str, st.SearchStrategy[OptimizerCase]] = {
    cls: st.builds(
        OptimizerCase,
        st.just(cls),
        drawn,
        second=st.none() | drawn.map(second),
        l1=numbers(0, 0.3),
        shapes=st.lists(shapes(0, 3), min_size=2, max_size=4).map(tuple),
    )
    for cls, drawn in OPTIONS.items()
}
