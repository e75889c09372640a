"""Nothing public without a case, and no case without its class."""

import pytest

import minigrad
from minigrad import data, io, models, nn, optim, train
from tests import test_optim, test_schedules
from tests.cases import LOSSES, MODULES
from tests.cases.kernel import KERNELS
from tests.discovery import classes_of, kernels_of, modules_of


def test_every_module_has_a_case() -> None:
    assert {type(case.make()) for case in MODULES} == classes_of(nn.Module)


def test_every_loss_has_a_case() -> None:
    assert {type(case.make()) for case in LOSSES} == classes_of(nn.Loss)


def test_every_optimizer_has_a_case() -> None:
    assert {name for name, _ in test_optim.CASES} == {cls.__name__ for cls in classes_of(optim.Optimizer)}


def test_every_schedule_has_a_case() -> None:
    composed = {"SequentialLR"}  # made of others: test_schedules.py has its own tests of it
    assert {name for name, _ in test_schedules.CASES} | composed == {
        cls.__name__ for cls in classes_of(optim.LRScheduler)
    }


def test_every_kernel_has_a_twin_and_a_case() -> None:
    assert set(kernels_of("reference")) == set(kernels_of("jit")) == set(KERNELS)


def test_case_names_are_unique() -> None:
    names = [case.name for case in (*MODULES, *LOSSES)]
    assert len(names) == len(set(names))


def test_every_layer_refuses_something() -> None:
    """Identity takes anything, and an empty chain is one; every other class has an input that it must refuse."""
    refusing = {type(case.make()) for case in MODULES if case.errors}
    assert classes_of(nn.Module) - refusing == {nn.Identity}


@pytest.mark.parametrize("package", [minigrad, nn, optim, data, io, models, train], ids=lambda p: p.__name__)
def test_public_names_exist_and_are_documented(package: object) -> None:
    for name in package.__all__:
        value = getattr(package, name)
        assert value.__doc__ or not callable(value), f"{package.__name__}.{name} has no docstring"


def test_every_module_and_loss_documents_its_backward() -> None:
    for cls in classes_of(nn.Module) | classes_of(nn.Loss):
        for heading in ("Backward:", "Saved:", ">>>"):
            assert heading in cls.__doc__, f"{cls.__name__} documents no {heading}"


def test_discovery_sees_a_class_that_has_no_case() -> None:
    """The registry test would fail for it: shown on a class put where the walk looks."""

    class Forgotten(nn.Identity):
        """A layer that nobody registered."""

    Forgotten.__module__ = nn.__name__
    nn.Forgotten = Forgotten
    try:
        assert Forgotten in classes_of(nn.Module)
    finally:
        del nn.Forgotten


def test_no_file_is_long() -> None:
    for module in modules_of(minigrad):
        with open(module.__file__) as file:
            assert len(file.readlines()) <= 400, module.__file__
