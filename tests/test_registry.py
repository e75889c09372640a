"""Nothing public without a case, and no case without its class."""

import inspect
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

import minigrad
from minigrad import data, engine, io, models, nn, optim, train
from minigrad.nn import init
from tests.backend import needs_engine, needs_numba
from tests.cases import (
    LOSSES,
    MODULES,
    clip,
    drawn,
    drawn_image,
    drawn_losses,
    ema,
    initialiser,
    kernel,
    optimizer,
    schedule,
)
from tests.cases.clip import CLIPS
from tests.cases.ema import AVERAGES
from tests.cases.initialiser import INITIALISERS
from tests.cases.kernel import KERNELS
from tests.cases.optimizer import OPTIMIZERS
from tests.cases.schedule import SCHEDULES
from tests.discovery import classes_of, kernels_of, modules_of


def test_every_module_has_a_case() -> None:
    drawn_classes = {*drawn.DRAWN, *drawn_image.DRAWN}
    assert {type(case.make()) for case in MODULES} == drawn_classes == classes_of(nn.Module)


def test_every_loss_has_a_case() -> None:
    assert {type(case.make()) for case in LOSSES} == set(drawn_losses.DRAWN) == classes_of(nn.Loss)


def names_in(cases: list[Any]) -> set[str]:
    return {case.cls for case in cases}


def test_every_optimizer_has_a_case() -> None:
    found = {cls.__name__ for cls in classes_of(optim.Optimizer)}
    assert names_in(OPTIMIZERS) == set(optimizer.DRAWN) == found


def test_every_schedule_has_a_case() -> None:
    found = {cls.__name__ for cls in classes_of(optim.LRScheduler) | {optim.ReduceLROnPlateau}}
    assert names_in(SCHEDULES) == set(schedule.DRAWN) == found


def test_everything_in_optim_has_a_case() -> None:
    """What is no class of its own kind too: clipping, averaging, a schedule that is no LRScheduler."""
    drawn_names = {*optimizer.DRAWN, *schedule.DRAWN, *clip.DRAWN, *ema.DRAWN}
    found = set(optim.__all__) - {"LRScheduler", "Optimizer", "Trainable"}  # what the others are made of
    assert names_in([*OPTIMIZERS, *SCHEDULES, *CLIPS, *AVERAGES]) == drawn_names == found


def test_every_initialiser_has_a_case() -> None:
    found = {
        n for n, f in inspect.getmembers(init, inspect.isfunction) if f.__module__ == init.__name__ and n[0] != "_"
    }
    # calculate_gain fills nothing; test_init.py compares it with PyTorch's.
    assert names_in(INITIALISERS) == set(initialiser.DRAWN) == found - {"calculate_gain"}


def test_every_kernel_has_a_case() -> None:
    assert names_in(KERNELS) == set(kernel.DRAWN) == set(kernels_of("reference"))


@needs_numba
def test_every_kernel_has_a_twin() -> None:
    assert names_in(KERNELS) == set(kernels_of("jit"))


@pytest.mark.parametrize(
    "cases",
    [[*MODULES, *LOSSES], OPTIMIZERS, SCHEDULES, INITIALISERS, KERNELS, CLIPS, AVERAGES],
    ids=["modules and losses", "optimizers", "schedules", "initialisers", "kernels", "clipping", "averages"],
)
def test_case_names_are_unique(cases: list[Any]) -> None:
    names = [case.name for case in cases]
    assert len(names) == len(set(names))


def test_every_layer_refuses_something() -> None:
    """Identity takes anything, and an empty chain is one; every other class has an input that it must refuse."""
    refusing = {type(case.make()) for case in MODULES if case.errors}
    assert classes_of(nn.Module) - refusing == {nn.Identity}


@needs_engine
def test_everything_lowers() -> None:
    """Every layer, loss and optimizer of the library can be compiled."""
    from minigrad.engine.lowering import _LOWERINGS
    from minigrad.engine.registry import has_lowering

    found = classes_of(nn.Module) | classes_of(nn.Loss) | classes_of(optim.Optimizer)
    assert has_lowering(nn.Identity())
    assert found | {nn.Composite} == set(_LOWERINGS)


@pytest.mark.parametrize("package", [minigrad, nn, optim, data, engine, io, models, train], ids=lambda p: p.__name__)
def test_public_names_exist_and_are_documented(package: object) -> None:
    for name in package.__all__:
        value = getattr(package, name)
        assert value.__doc__ or not callable(value), f"{package.__name__}.{name} has no docstring"


def test_every_module_and_loss_documents_its_backward() -> None:
    for cls in classes_of(nn.Module) | classes_of(nn.Loss):
        for heading in ("Backward:", "Saved:", ">>>"):
            assert heading in cls.__doc__, f"{cls.__name__} documents no {heading}"


@pytest.mark.parametrize(
    ("package", "base", "registry"),
    [
        (nn, nn.Identity, test_every_module_has_a_case),
        (nn, nn.MSELoss, test_every_loss_has_a_case),
        (optim, optim.SGD, test_every_optimizer_has_a_case),
        (optim, optim.StepLR, test_every_schedule_has_a_case),
        pytest.param(nn, nn.Identity, test_everything_lowers, marks=needs_engine),
    ],
    ids=["module", "loss", "optimizer", "schedule", "lowering"],
)
def test_a_class_without_a_case_fails(package: Any, base: type, registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    registry()
    forgotten = type("Forgotten", (base,), {"__module__": package.__name__})
    monkeypatch.setattr(package, "Forgotten", forgotten, raising=False)
    with pytest.raises(AssertionError, match="Forgotten"):
        registry()


@pytest.mark.parametrize(
    ("module", "registry"),
    [
        ("minigrad.nn.init", test_every_initialiser_has_a_case),
        ("minigrad.kernels.reference.loss", test_every_kernel_has_a_case),
        pytest.param("minigrad.kernels.jit.loss", test_every_kernel_has_a_twin, marks=needs_numba),
    ],
)
def test_a_function_without_a_case_fails(module: str, registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgotten() -> None:
        pass

    registry()
    forgotten.__module__ = module
    monkeypatch.setattr(import_module(module), "forgotten", forgotten, raising=False)
    with pytest.raises(AssertionError, match="forgotten"):
        registry()


def test_a_public_name_without_a_case_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    test_everything_in_optim_has_a_case()
    monkeypatch.setattr(optim, "__all__", [*optim.__all__, "clip_forgotten_"])
    with pytest.raises(AssertionError, match="clip_forgotten_"):
        test_everything_in_optim_has_a_case()


@pytest.mark.parametrize(
    ("table", "registry"),
    [
        ("OPTIMIZERS", test_every_optimizer_has_a_case),
        ("SCHEDULES", test_every_schedule_has_a_case),
        ("CLIPS", test_everything_in_optim_has_a_case),
        ("AVERAGES", test_everything_in_optim_has_a_case),
        ("INITIALISERS", test_every_initialiser_has_a_case),
        ("KERNELS", test_every_kernel_has_a_case),
    ],
)
def test_a_case_of_nothing_fails(table: str, registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = globals()[table]
    monkeypatch.setitem(globals(), table, [*cases, replace(cases[0], cls="Gone")])
    with pytest.raises(AssertionError, match="Gone"):
        registry()


@pytest.mark.parametrize(
    ("table", "registry"), [("MODULES", test_every_module_has_a_case), ("LOSSES", test_every_loss_has_a_case)]
)
def test_a_stale_case_fails(table: str, registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = globals()[table]
    gone = type("Gone", (type(cases[0].make()),), {})
    monkeypatch.setitem(globals(), table, [*cases, replace(cases[0], make=lambda: object.__new__(gone))])
    with pytest.raises(AssertionError, match="Gone"):
        registry()


def test_no_file_is_long() -> None:
    for module in modules_of(minigrad):
        with open(module.__file__) as file:
            assert len(file.readlines()) <= 400, module.__file__
