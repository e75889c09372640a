"""The inputs on which PyTorch tests its own classes, for those that we have too, and the list of what cannot run here.

`module_db` and `optim_db` come with PyTorch. An entry names a class and makes its inputs: arguments for the constructor
and for the call, options, schedules, and what must be refused.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from types import FunctionType
from typing import Any

import hypothesis
import torch

from minigrad import nn, optim
from minigrad.nn.parameter import Parameter

# The import loads a Hypothesis profile of PyTorch's, under the name "dev", for all tests of the process.
_name = hypothesis.settings.get_current_profile_name()
_profile = hypothesis.settings.get_profile(_name)
try:
    from torch.testing._internal.common_modules import module_db
    from torch.testing._internal.common_optimizers import optim_db
finally:
    hypothesis.settings.register_profile(_name, _profile)
    hypothesis.settings.load_profile(_name)

EMPTY = "an empty batch is refused: a mean over nothing is NaN, and it is a bug of the caller's"
FOREACH = "chooses among PyTorch's kernels; minigrad has one for each optimizer, and no such option"
CAPTURE = "a tensor matters where a GPU captures the step; here an array of one number is that number"

# Class, description, and why the input is refused here, or why one that PyTorch refuses is taken.
LISTED = [
    ("BatchNorm?d", "zero_batch", EMPTY),
    ("MaxPool?d", "return_indices", "a layer gives one array"),
    ("LayerNorm", "1d_empty_elementwise_affine", EMPTY),
    ("Adam", "*ConstantLR*", "minigrad has no ConstantLR"),
    ("SGD", "*ConstantLR*", "minigrad has no ConstantLR"),
    ("Adam", "*PolynomialLR*", "minigrad has no PolynomialLR"),
    ("SGD", "*PolynomialLR*", "minigrad has no PolynomialLR"),
    ("Adam*", "lr as Tensor doesn't work with foreach*", FOREACH),
    ("Adam*", "betas*as a Tensor is not supported for capturable=False and foreach=True", FOREACH),
    ("Adam*", "betas must be either both floats or both Tensors", CAPTURE),
]

# Classes of ours for which PyTorch lists no inputs.
ABSENT = {
    "Concat": "PyTorch has no such class",
    "Conv2dSame": "PyTorch has no such class",
    "Dropout": "random; PyTorch's tests of it draw inputs of their own",
    "Dropout2d": "random; PyTorch's tests of it draw inputs of their own",
    "Flatten": "PyTorch's tests of it draw inputs of their own",
    "Identity": "PyTorch's tests of it draw inputs of their own",
    "PixelShuffle": "PyTorch's tests of it draw inputs of their own",
    "Residual": "PyTorch has no such class",
    "Sequential": "PyTorch's tests of it draw inputs of their own",
    "Sum": "PyTorch has no such class",
    "Unflatten": "PyTorch's tests of it draw inputs of their own",
    "Upsample": "PyTorch's tests of it draw inputs of their own",
}

_MODULES = {name: info for info in module_db if hasattr(nn, name := info.module_cls.__name__)}
_OPTIMIZERS = {info.name: info for info in optim_db if hasattr(optim, info.name)}


@dataclass(frozen=True)
class TorchCase:
    """One of PyTorch's inputs: for which class, which function makes it, which one it is, and its description."""

    cls: str
    make: Callable[..., Any]
    index: int
    what: str

    @property
    def reason(self) -> str | None:
        """Why it is listed, or None."""
        return next((reason for cls, what, reason in LISTED if self.matches(cls, what)), None)

    def matches(self, cls: str, what: str) -> bool:
        """Return whether a row of the list is about this case."""
        return fnmatchcase(self.cls, cls) and fnmatchcase(self.what, what)

    def input(self, **options: Any) -> Any:
        """Return the input as PyTorch made it: the same numbers each time."""
        return _made(self.make, self.cls, **options)[self.index]

    def __str__(self) -> str:
        return "-".join([self.cls, re.sub(r"\W+", "_", self.what).strip("_") or "plain", str(self.index)])


@cache
def _made(make: Callable[..., Any], cls: str, **options: Any) -> list[Any]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return list(make(cls, **options))


def _cases(make: Callable[..., Any], classes: Iterable[str], describe: Callable[[Any], str]) -> list[TorchCase]:
    return [
        TorchCase(cls, make, index, describe(item)) for cls in classes for index, item in enumerate(_made(make, cls))
    ]


def _inputs(cls: str, dtype: torch.dtype = torch.float64, training: bool = True) -> list[Any]:
    info = _MODULES[cls]
    return info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=training)


def _errors(cls: str, dtype: torch.dtype = torch.float64) -> list[Any]:
    info = _MODULES[cls]
    make = info.module_error_inputs_func
    return make(info, device="cpu", dtype=dtype, requires_grad=False, training=True) if make else []


def _options(cls: str) -> list[Any]:
    return _OPTIMIZERS[cls].optim_inputs_func(device="cpu")


def _schedules(cls: str) -> list[Any]:
    return _OPTIMIZERS[cls].scheduler_inputs


def _option_errors(cls: str) -> list[Any]:
    return _OPTIMIZERS[cls].optim_error_inputs_func(device="cpu", dtype=torch.float64)


def _names(schedules: list[Any]) -> str:
    """Name the classes that functions such as `lambda opt: StepLR(opt, gamma=0.9)` make."""
    return "+".join(make.__code__.co_names[0] for make in schedules)


def _kinds_of(base: type) -> list[str]:
    return [name for name in _MODULES if issubclass(getattr(nn, name), base)]


LAYERS = _cases(_inputs, _kinds_of(nn.Module), lambda item: item.desc)
LOSSES = _cases(_inputs, _kinds_of(nn.Loss), lambda item: item.desc)
MODULE_ERRORS = _cases(_errors, _MODULES, lambda item: item.error_regex)
OPTIMIZERS = _cases(_options, _OPTIMIZERS, lambda item: item.desc)
SCHEDULES = _cases(_schedules, _OPTIMIZERS, _names)
OPTIMIZER_ERRORS = _cases(_option_errors, _OPTIMIZERS, lambda item: item.optimizer_error_input.desc)


def ours(value: Any, known: dict[int, Parameter] | None = None) -> Any:
    """Return PyTorch's arguments as minigrad takes them: arrays for tensors, strides kept, and our parameters."""
    known = {} if known is None else known
    if isinstance(value, torch.nn.Parameter):
        return known.setdefault(id(value), Parameter(value.detach().numpy()))
    if isinstance(value, torch.Tensor):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {key: ours(item, known) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(ours(item, known) for item in value)
    return value


def our_schedule(make: FunctionType, optimizer: optim.Optimizer) -> Any:
    """Call `lambda opt: StepLR(opt, gamma=0.9)` where the name means our class."""
    return FunctionType(make.__code__, vars(optim).copy())(optimizer)
