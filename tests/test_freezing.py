"""Frozen parameters: no gradient, no update, no backward that nobody needs; PyTorch's numbers for the rest."""

import copy

import numpy as np
import pytest
import torch

from minigrad import nn, optim
from minigrad.gradcheck import gradcheck
from minigrad.nn.parameter import Parameter
from tests.cases import MODULES
from tests.cases.case import ModuleCase

FROZEN = {"prefix": [0, 1], "middle": [3, 4], "normalisation": [4], "backbone": [0, 1, 3, 4], "all": [0, 1, 3, 4, 7]}
X = np.random.default_rng(0).standard_normal((4, 2, 5, 3))
DY = np.random.default_rng(1).standard_normal((4, 3))


def network() -> nn.Sequential:
    conv = [nn.Conv2d(2, 4, 3, padding=1, rng=0), nn.BatchNorm2d(4), nn.ReLU()]
    more = [nn.Conv2d(4, 6, 3, padding=1, rng=1), nn.BatchNorm2d(6), nn.ReLU()]
    return nn.Sequential(*conv, *more, nn.Flatten(), nn.Linear(90, 3, rng=2)).to(np.float64)


def twin(model: nn.Sequential) -> torch.nn.Sequential:
    """Return the network that `model` is, in PyTorch."""
    conv = [torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU()]
    more = [torch.nn.Conv2d(4, 6, 3, padding=1), torch.nn.BatchNorm2d(6), torch.nn.ReLU()]
    other = torch.nn.Sequential(*conv, *more, torch.nn.Flatten(), torch.nn.Linear(90, 3)).double()
    other.load_state_dict({name: torch.from_numpy(array) for name, array in model.state_dict().items()})
    return other


def freeze(model: nn.Sequential, other: torch.nn.Sequential, which: list[int]) -> None:
    """Freeze these layers in both. PyTorch wants to be told of the statistics."""
    for i in which:
        model[i].requires_grad_(False)
        other[i].requires_grad_(False).eval()


@pytest.mark.parametrize("which", FROZEN.values(), ids=FROZEN)
def test_gradients_and_steps_are_pytorchs(which: list[int]) -> None:
    model = network()
    other = twin(model)
    freeze(model, other, which)
    before = model.state_dict()
    ours = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    theirs = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        model.zero_grad()
        theirs.zero_grad()
        y, y_torch = model(X), other(torch.from_numpy(X))
        np.testing.assert_allclose(y, y_torch.detach().numpy(), rtol=1e-9, atol=1e-12)
        model.backward(DY, input_grad=False)
        if y_torch.requires_grad:
            y_torch.backward(torch.from_numpy(DY))
        for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
            want = np.zeros(p.shape) if q.grad is None else q.grad.numpy()
            np.testing.assert_allclose(p.grad, want, rtol=1e-8, atol=1e-10, err_msg=name)
        ours.step()
        theirs.step()
    after = model.state_dict()
    for name, array in other.state_dict().items():
        np.testing.assert_allclose(after[name], array.numpy(), rtol=1e-8, atol=1e-10, err_msg=name)
        if int(name[0]) in which:
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    numbers = {i for i, p in enumerate(model.parameters()) if p.requires_grad}
    assert set(ours.state_dict()["state"]) == numbers


def test_dx_goes_through_what_is_frozen() -> None:
    model = network()
    other = twin(model)
    freeze(model, other, FROZEN["all"])
    x = torch.from_numpy(X).requires_grad_()
    other(x).backward(torch.from_numpy(DY))
    y = model(X)
    np.testing.assert_allclose(model.backward(DY), x.grad.numpy(), rtol=1e-9, atol=1e-12)
    assert not any(parameter.grad.any() for parameter in model.parameters()), y


TRAINED = [case for case in MODULES if any(case.make().parameters())]


@pytest.mark.parametrize("case", TRAINED, ids=lambda case: case.name)
def test_every_layer_leaves_the_gradients_out(case: ModuleCase) -> None:
    """And keeps its running statistics; dx is what it is in evaluation."""
    layer, x = case.module().requires_grad_(False), case.input()
    before = layer.state_dict()
    y = layer(x)
    dx = layer.backward(np.ones_like(y))
    assert not any(parameter.grad.any() for parameter in layer.parameters())
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    if not any(type(module).__name__.startswith("Dropout") for module in layer.modules()):
        np.testing.assert_array_equal(layer.eval()(x), y)
        np.testing.assert_array_equal(layer.backward(np.ones_like(y)), dx)


def test_a_half_frozen_layer_trains_the_other_half() -> None:
    for layer in (nn.Linear(2, 3, rng=0), nn.BatchNorm1d(2)):
        layer.bias.requires_grad = False
        y = layer(np.array([[1, 2], [3, 5]], np.float32))
        layer.backward(np.arange(1, y.size + 1, dtype=np.float32).reshape(y.shape))
        assert np.all(layer.weight.grad)
        assert not layer.bias.grad.any()
        assert layer.is_learning


def branches(first: nn.Module, last: nn.Module) -> list[nn.Module]:
    """Return every container around a chain of two."""
    chain = nn.Sequential(first, nn.Tanh(), last)
    around = [nn.Residual(chain), nn.Residual(nn.Tanh(), chain), nn.Sum(nn.Tanh(), chain), nn.Concat(chain, nn.Tanh())]
    return [chain, *around]


@pytest.mark.parametrize("number", range(5))
def test_the_backward_ends_behind_what_is_frozen(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = nn.Linear(3, 3, rng=0).requires_grad_(False), nn.Linear(3, 3, rng=1)
    model = branches(first, last)[number]
    y = model(np.ones((2, 3), np.float32))
    monkeypatch.setattr(first, "_backward", lambda saved, dy: pytest.fail("went on"))
    monkeypatch.setattr(last, "_backward", lambda saved, dy: pytest.fail("did more than it had to"))
    model.backward(np.ones_like(y), input_grad=False)
    assert last.weight.grad.all()


def test_a_frozen_model_has_no_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in branches(nn.Linear(3, 3), nn.Linear(3, 3)):
        model.requires_grad_(False)
        y = model(np.ones((2, 3), np.float32))
        for module in model.modules():
            monkeypatch.setattr(module, "_backward", lambda saved, dy: pytest.fail("went on"))
        model.backward(np.ones_like(y), input_grad=False)


def test_frozen_for_a_while() -> None:
    """The optimizer's state is kept as it is, and goes on from there: as in PyTorch, where its gradient is None."""
    rng = np.random.default_rng(0)
    ours = [Parameter(rng.standard_normal(shape)) for shape in ((3, 2), (4,), (5,))]
    theirs = [torch.nn.Parameter(torch.from_numpy(p.data.copy())) for p in ours]
    options = {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}
    adam, torch_adam = optim.Adam(ours, **options), torch.optim.Adam(theirs, **options)
    for frozen in ([], [1], [0, 1], [2], []):
        before = copy.deepcopy((adam.state_dict()["state"], [p.data for p in ours]))
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            p.requires_grad = i not in frozen
            gradient = rng.standard_normal(p.shape)
            p.grad = gradient.copy()
            q.grad = torch.from_numpy(gradient) if p.requires_grad else None
        adam.step()
        torch_adam.step()
        for i in frozen:
            np.testing.assert_array_equal(ours[i].data, before[1][i])
            for name, value in before[0][i].items():
                np.testing.assert_array_equal(adam.state_dict()["state"][i][name], value)
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-10)
    steps = [entry["step"] for entry in adam.state_dict()["state"].values()]
    assert steps == [int(torch_adam.state[q]["step"]) for q in theirs] == [4, 3, 4]


@pytest.mark.parametrize("make", [optim.Adam, lambda p: optim.SGD(p, lr=0.1, momentum=0.9)], ids=["adam", "sgd"])
def test_a_state_with_different_steps_is_loaded(make) -> None:
    def copies() -> list[Parameter]:
        return [Parameter(np.full(3, i + 1.0)) for i in range(3)]

    def go_on(parameters: list[Parameter], optimizer: optim.Optimizer) -> None:
        for parameter in parameters:
            parameter.grad = np.array(parameter.data)
        optimizer.step()

    ours = copies()
    ours[0].requires_grad = False
    optimizer = make(ours)
    go_on(ours, optimizer)
    ours[0].requires_grad, ours[2].requires_grad = True, False
    state = optimizer.state_dict()
    assert set(state["state"]) == {1, 2}
    others = copies()
    for parameter, source in zip(others, ours, strict=True):
        parameter.data[...] = source.data
    resumed = make(others)
    resumed.load_state_dict(state)
    others[2].requires_grad = False
    for _ in range(2):
        go_on(ours, optimizer)
        go_on(others, resumed)
    for parameter, source in zip(others, ours, strict=True):
        np.testing.assert_array_equal(parameter.data, source.data)


def test_copies_stay_frozen() -> None:
    model = network().requires_grad_(False)
    assert not copy.deepcopy(model).is_trained
    assert not model.to(np.float32).is_trained
    assert model.requires_grad_().is_trained
    assert not Parameter([1.0], requires_grad=False).requires_grad


def test_gradcheck_leaves_out_what_is_frozen() -> None:
    model = network()
    model[0].requires_grad_(False)
    gradcheck(model, X)
