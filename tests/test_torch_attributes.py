"""Attributes, options and their defaults, and names of parameters and buffers, beside PyTorch's classes."""

import inspect
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pytest
import torch

from minigrad import nn, optim
from tests.cases import LOSSES, MODULES
from tests.cases.case import ModuleCase
from tests.cases.optimizer import OPTIMIZERS
from tests.cases.schedule import SCHEDULES

KERNELS = "chooses among PyTorch's kernels"
GONE = "PyTorch's own documentation calls it deprecated"
FLAT = "kept in flat arrays; state_dict() has it"

# Class as a pattern, name, and why it is not here or another value. A row that is not needed any more fails.
LISTED = {
    ("*", "size_average"): GONE,
    ("Hardtanh", "min_value"): GONE,
    ("Hardtanh", "max_value"): GONE,
    ("*", "reduce"): GONE,
    ("*", "rng"): "a generator or seed of one's own",
    ("*", "l1"): "a penalty of minigrad's",
    ("*", "device"): "there is one",
    ("*", "dtype"): "float32; `model.to` converts",
    ("Embedding", "max_norm"): "rows are not changed by looking them up",
    ("Embedding", "norm_type"): "of max_norm",
    ("Embedding", "scale_grad_by_freq"): "not built",
    ("Embedding", "sparse"): "gradients are dense",
    ("Embedding", "_weight"): "PyTorch's private way to give the weight",
    ("Embedding", "_freeze"): "PyTorch's private way to freeze it",
    ("Softmax", "dim"): "the last axis; PyTorch guesses from the number of axes, and warns",
    ("LogSoftmax", "dim"): "the last axis; PyTorch guesses from the number of axes, and warns",
    ("*", "foreach"): KERNELS,
    ("*", "fused"): KERNELS,
    ("*", "capturable"): KERNELS,
    ("*", "differentiable"): "there is no graph",
    ("Adam", "decoupled_weight_decay"): "a class of its own: AdamW",
    ("*", "state"): FLAT,
    ("*Loss", "training"): "a loss is the same in training and evaluation",
    ("Upsample", "name"): "the class's",
    ("Parameter", "data"): "a parameter without values is of no use",
    ("ReduceLROnPlateau", "default_min_lr"): "the default of min_lr, which is there",
    ("ReduceLROnPlateau", "mode_worse"): "the first value of best, which is there",
    ("OneCycleLR", "use_beta1"): "found by the optimizer's options",
    ("MultiStepLR", "milestones"): "a list in order instead of a Counter",
}
OTHER_OBJECTS = {"optimizer", "schedulers"}

# Of what a difference is: the class, the attribute or option, and what there is to say.
Difference = tuple[str, str, str]


def plain(value: Any) -> Any:
    """Return a value of either library in a form to compare: one number for each axis is that number."""
    if isinstance(value, (nn.Parameter, torch.Tensor, np.ndarray)):
        return tuple(value.shape)
    if isinstance(value, (tuple, list)) and value and all(item == value[0] for item in value):
        return value[0]
    return value


def compared(what: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[Difference]:
    """Yield what PyTorch's has, and ours has not or has otherwise."""
    for name, value in theirs.items():
        if name not in ours or plain(ours[name]) != plain(value):
            yield what, name, f"{plain(ours[name])!r} instead of {plain(value)!r}" if name in ours else "missing"


def attributes_of(ours: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(ours, name) for name in names if hasattr(ours, name)}


def public(twin: Any) -> dict[str, Any]:
    """Return the public attributes of an object of PyTorch, a module's parameters and buffers among them."""
    parts = {**twin._parameters, **twin._buffers} if isinstance(twin, torch.nn.Module) else {}
    return {name: value for name, value in (vars(twin) | parts).items() if name[0] != "_"}


def options(cls: type) -> dict[str, Any]:
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p.default for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def twins() -> list[tuple[str, Any, Any]]:
    """Return the cases' objects with PyTorch's, where that has the class."""
    modules = [(case.cls, case.make(), case.torch_twin()) for case in MODULES if case.torch_twin]
    losses = [(case.cls, case.make(), case.torch_twin()) for case in LOSSES]
    return [pair for pair in modules + losses if type(pair[2]).__name__ == pair[0]]


def of_attributes() -> Iterator[Difference]:
    for cls, ours, theirs in twins():
        yield from compared(cls, attributes_of(ours, public(theirs)), public(theirs))
    for case in OPTIMIZERS:
        mine = case.make([nn.Parameter(np.ones(2)) for _ in case.shapes])
        yours = case.twin([torch.ones(2) for _ in case.shapes])
        held = {"defaults": None, "param_groups": None}  # whose items are compared one by one
        yield from compared(case.cls, attributes_of(mine, public(yours)) | held, public(yours) | held)
        groups = zip([mine.defaults, *mine.param_groups], [yours.defaults, *yours.param_groups], strict=True)
        for group, twin in groups:
            yield from compared(case.cls, group | {"params": None}, twin | {"params": None})
    for case in SCHEDULES:
        theirs = {name: value for name, value in public(case.twin()).items() if name not in OTHER_OBJECTS}
        yield from compared(case.cls, attributes_of(case.make(), theirs), theirs)


def of_options() -> Iterator[Difference]:
    for library, twin in ((nn, torch.nn), (optim, torch.optim), (optim, torch.optim.lr_scheduler)):
        for name, cls in vars(library).items():
            theirs = getattr(twin, name, None)
            if inspect.isclass(cls) and inspect.isclass(theirs) and not inspect.isabstract(cls):
                mine, yours = options(cls), options(theirs)
                yield from compared(name, mine, yours)
                yield from ((name, option, "not PyTorch's") for option in mine.keys() - yours.keys())
                if [option for option in mine if option in yours] != [option for option in yours if option in mine]:
                    yield name, "order", f"{list(mine)} instead of {list(yours)}"


@pytest.fixture(scope="module")
def found() -> list[Difference]:
    return [*of_attributes(), *of_options()]


def rows(cls: str, name: str) -> set[tuple[str, str]]:
    return {row for row in LISTED if fnmatchcase(cls, row[0]) and name == row[1]}


def test_every_difference_is_listed(found: list[Difference]) -> None:
    assert [difference for difference in found if not rows(*difference[:2])] == []


def test_every_row_of_the_list_is_needed(found: list[Difference]) -> None:
    assert LISTED.keys() - {row for cls, name, _ in found for row in rows(cls, name)} == set()


def test_names_of_parameters_and_buffers() -> None:
    for cls, ours, theirs in twins():
        if isinstance(ours, nn.Module):
            assert list(ours.state_dict()) == list(theirs.state_dict()), cls
            for names in ("named_parameters", "named_buffers"):
                mine, yours = ([name for name, _ in getattr(each, names)()] for each in (ours, theirs))
                assert mine == yours, cls


def in_place(library: Any, base: type) -> set[str]:
    """Return the names of the classes with an option `inplace`."""
    classes = {name: cls for name, cls in vars(library).items() if inspect.isclass(cls) and issubclass(cls, base)}
    return {name for name, cls in classes.items() if "inplace" in options(cls)}


def test_what_can_be_asked_to_work_in_place() -> None:
    """As in ported models; x is never written to all the same."""
    names = in_place(nn, nn.Module)
    assert names == in_place(torch.nn, torch.nn.Module) & set(vars(nn))
    for name in sorted(names):
        x = np.linspace(-4, 4, 24).reshape(2, 3, 4)
        before, layers = x.copy(), [getattr(nn, name)(inplace=inplace).eval() for inplace in (True, False)]
        np.testing.assert_array_equal(layers[0](x), layers[1](x), name)
        np.testing.assert_array_equal(x, before, name)


@pytest.mark.parametrize("case", [case for case in MODULES if case.torch_twin], ids=repr)
@pytest.mark.parametrize("part", ["bias", "weight"])
def test_a_part_that_is_set_to_none(case: ModuleCase, part: str) -> None:
    """Where PyTorch's layer can go on without it, ours can: it is not used, nor in the state."""
    ours = case.module()
    theirs, x = case.twin(ours), case.input()
    if getattr(ours, part, None) is None or (part == "weight" and "Norm" not in case.cls):
        return
    setattr(ours, part, None)
    setattr(theirs, part, None)
    np.testing.assert_allclose(ours(x), theirs(torch.from_numpy(x)).detach().numpy(), atol=1e-8)
    ours.backward(np.ones_like(ours(x)))
    assert list(ours.state_dict()) == list(theirs.state_dict())
