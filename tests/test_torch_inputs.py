"""Our layers, losses and optimizers on the inputs on which PyTorch tests its own."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

from minigrad import nn, optim
from tests import torch_inputs
from tests.discovery import classes_of
from tests.optim_twins import assert_same, make, make_torch, parameters, run, run_torch, tensors
from tests.torch_inputs import ABSENT, LAYERS, LISTED, LOSSES, TorchCase, our_schedule, ours

ALL = [
    *LAYERS,
    *LOSSES,
    *torch_inputs.MODULE_ERRORS,
    *torch_inputs.OPTIMIZERS,
    *torch_inputs.SCHEDULES,
    *torch_inputs.OPTIMIZER_ERRORS,
]
DTYPES = {torch.float64: np.float64, torch.float32: np.float32}
Layout = Callable[[torch.Tensor], torch.Tensor]


def every_other(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([x, x], dim=-1)[..., 1]


def channels_last(x: torch.Tensor) -> torch.Tensor:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.to(memory_format=formats[x.ndim]) if x.ndim in formats else x


def over(cases: list[TorchCase]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=str)


dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
layouts = pytest.mark.parametrize("layout", [every_other, channels_last])
modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


def bound(dtype: torch.dtype, terms: int = 0) -> float:
    """Return how far two right answers may lie apart, relative to their size.

    float32: a value comes out of at most 30 operations (an exponential counts as 4) and sums over at most 20 features
    or classes; a loss and a gradient of a parameter are also sums over all `terms` elements. Rounding errors are
    independent, so n of them add up to about √n units, and a sum of n terms of either sign is √n smaller than the sum
    of their magnitudes, to which the errors are relative: n units of 2⁻²⁴ in all, in each of the two.
    """
    return 1e-10 if dtype == torch.float64 else 2 * (30 + 20 + terms) * 2.0**-24


def assert_close(mine: Any, theirs: torch.Tensor, rtol: float, least: float, what: str) -> None:
    """Compare by the largest element; `least` is the size below which a result is a difference of larger numbers."""
    expected = theirs.detach().numpy()
    assert np.shape(mine) == expected.shape, what
    size = np.max(np.abs(expected), initial=least, where=np.isfinite(expected))
    np.testing.assert_allclose(mine, expected, rtol=0, atol=rtol * size, err_msg=what)


def refused_if_listed(case: TorchCase) -> AbstractContextManager[Any]:
    """What is listed must be refused. So a row that would pass is noticed, and a wrong number cannot be listed."""
    return pytest.raises((ValueError, NameError)) if case.reason else nullcontext()


def module_pair(case: TorchCase, item: Any, dtype: torch.dtype, training: bool) -> tuple[nn.Module, torch.nn.Module]:
    """Return our layer and PyTorch's, with the same random state: no weight is 1, no bias 0."""
    arguments = item.constructor_input
    twin = getattr(torch.nn, case.cls)(*arguments.args, **arguments.kwargs).to(dtype).train(training)
    generator = torch.Generator().manual_seed(0)
    for value in twin.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5, generator=generator)
    module = getattr(nn, case.cls)(*ours(arguments.args), **ours(arguments.kwargs)).to(DTYPES[dtype]).train(training)
    module.load_state_dict(ours(dict(twin.state_dict())))
    return module, twin


def loss_pair(case: TorchCase, item: Any) -> tuple[nn.Loss, torch.nn.Module]:
    arguments = item.constructor_input
    twin = getattr(torch.nn, case.cls)(*arguments.args, **arguments.kwargs)
    return getattr(nn, case.cls)(*ours(arguments.args), **ours(arguments.kwargs)), twin


def arguments_of(item: Any) -> list[torch.Tensor]:
    return [*item.forward_input.args, *item.forward_input.kwargs.values()]


def cotangent(shape: tuple[int, ...], dtype: torch.dtype) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(DTYPES[dtype])


# -------------------------------------------------------------------------------------------- layers and losses


@over(LAYERS)
@modes
@dtypes
def test_layer_equals_torch(case: TorchCase, training: bool, dtype: torch.dtype) -> None:
    item = case.input(dtype=dtype, training=training)
    (x,) = arguments_of(item)
    with refused_if_listed(case):
        module, twin = module_pair(case, item, dtype, training)
        y, pullback = module.vjp(ours(x))
        leaf = x.clone().requires_grad_(x.is_floating_point())
        expected = twin(leaf)
        dy = cotangent(y.shape, dtype)
        dx = pullback(dy)
        expected.backward(torch.from_numpy(dy))
        assert y.dtype == dx.dtype == DTYPES[dtype]
        assert_close(y, expected, bound(dtype), 1, "y")
        assert_close(dx, torch.zeros(x.shape) if leaf.grad is None else leaf.grad, bound(dtype), 1, "dx")
        gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
        for name, parameter in twin.named_parameters():
            assert_close(gradients.pop(name), parameter.grad, bound(dtype, x.numel()), 1, f"gradient of {name}")
        assert not gradients
        for name, buffer in twin.named_buffers():
            assert_close(module.state_dict()[name], buffer, bound(dtype), 1, name)


@over(LOSSES)
@dtypes
def test_loss_equals_torch(case: TorchCase, dtype: torch.dtype) -> None:
    item = case.input(dtype=dtype)
    x, target = arguments_of(item)
    loss, twin = loss_pair(case, item)
    with refused_if_listed(case):
        value, pullback = loss.vjp(ours(x), ours(target))
        leaf = x.clone().requires_grad_()
        expected = twin(leaf, target)
        dvalue = cotangent(np.shape(value), dtype)
        dx = pullback(dvalue)
        expected.backward(torch.from_numpy(dvalue))
        assert dx.dtype == DTYPES[dtype]
        assert_close(value, expected, bound(dtype, x.numel()), 0, "value")
        assert_close(dx, leaf.grad, bound(dtype, x.numel()), 1 / x.numel(), "dx")  # a mean divides by the size


@over([case for case in LAYERS if not case.reason])
@modes
@layouts
def test_layer_in_any_layout(case: TorchCase, training: bool, layout: Layout) -> None:
    item = case.input(training=training)
    (x,) = arguments_of(item)
    module, other = (module_pair(case, item, torch.float64, training)[0] for _ in range(2))
    y, pullback = module.vjp(np.array(ours(x), order="C"))
    again, other_pullback = other.vjp(ours(layout(x)))
    dy = torch.from_numpy(cotangent(y.shape, torch.float64))
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(other_pullback(ours(layout(dy))), pullback(ours(dy)))


@over([case for case in LOSSES if not case.reason])
@layouts
def test_loss_in_any_layout(case: TorchCase, layout: Layout) -> None:
    item = case.input()
    x, target = arguments_of(item)
    loss, _ = loss_pair(case, item)
    value, pullback = loss.vjp(ours(x), ours(target))
    again, other_pullback = loss.vjp(ours(layout(x)), ours(layout(target)))
    dvalue = torch.from_numpy(cotangent(np.shape(value), torch.float64))
    np.testing.assert_array_equal(again, value)
    np.testing.assert_array_equal(other_pullback(ours(layout(dvalue))), pullback(ours(dvalue)))


def refused(case: TorchCase, error: Any, call: Callable[[], Any]) -> bool:
    """Return whether the call is refused with a type like PyTorch's, and with words of our own."""
    try:
        call()
    except (TypeError, ValueError) as raised:
        same_type = isinstance(raised, TypeError) == (error.error_type is TypeError)
        return same_type and str(raised).startswith(f"{case.cls}: ")
    return False


@over(torch_inputs.MODULE_ERRORS)
@dtypes
def test_module_refuses_what_torch_refuses(case: TorchCase, dtype: torch.dtype) -> None:
    error = case.input(dtype=dtype)
    item = error.module_error_input

    def call(package: Any, convert: Callable[[Any], Any]) -> None:
        arguments = item.constructor_input
        module = getattr(package, case.cls)(*convert(arguments.args), **convert(arguments.kwargs))
        module(*convert(arguments_of(item)))

    with pytest.raises(error.error_type, match=error.error_regex):
        call(torch.nn, lambda tensors: tensors)
    is_refused = refused(case, error, lambda: call(nn, ours))
    assert is_refused != bool(case.reason), "neither refused nor listed, or both"


# --------------------------------------------------------------------------------------------------- optimizers


@over(torch_inputs.OPTIMIZERS)
def test_optimizer_equals_torch(case: TorchCase) -> None:
    options, mine, theirs = case.input().kwargs, parameters(), tensors()
    with refused_if_listed(case):
        run(make(case.cls, mine, **ours(options)), mine)
        run_torch(make_torch(case.cls, theirs, **options), theirs)
        assert_same(mine, theirs)


@over(torch_inputs.SCHEDULES)
def test_schedules_together_equal_torch(case: TorchCase) -> None:
    mine, theirs = parameters(), tensors()
    optimizer, twin = make(case.cls, mine), make_torch(case.cls, theirs)
    with refused_if_listed(case):
        schedules = [our_schedule(make_schedule, optimizer) for make_schedule in case.input()]
        schedules += [make_schedule(twin) for make_schedule in case.input()]
        for step in range(30):  # beyond two changes of the slowest, ReduceLROnPlateau, at a metric that stays
            run(optimizer, mine, [step])
            run_torch(twin, theirs, [step])
            for schedule in schedules:
                schedule.step(*[1.0] * (type(schedule).__name__ == "ReduceLROnPlateau"))
            lr, expected = (group["lr"] for o in (optimizer, twin) for group in o.param_groups)
            assert lr == pytest.approx(expected, rel=1e-12, abs=0)
        assert_same(mine, theirs)


@over(torch_inputs.OPTIMIZER_ERRORS)
def test_optimizer_refuses_what_torch_refuses(case: TorchCase) -> None:
    error = case.input()
    item = error.optimizer_error_input
    mine, theirs = parameters(), tensors()
    if item.params is not None:
        mine, theirs = ours(item.params), deepcopy(item.params)  # PyTorch writes into its groups
    with pytest.raises(error.error_type, match=error.error_regex):
        make_torch(case.cls, theirs, **item.kwargs)
    is_refused = refused(case, error, lambda: make(case.cls, mine, **ours(item.kwargs)))
    assert is_refused != bool(case.reason), "neither refused nor listed, or both"


# ----------------------------------------------------------------------------------------------------- the list


def test_every_class_is_on_the_list_or_run() -> None:
    classes = {cls.__name__ for base in (nn.Module, nn.Loss, optim.Optimizer) for cls in classes_of(base)}
    assert classes - {case.cls for case in (*LAYERS, *LOSSES, *torch_inputs.OPTIMIZERS)} == set(ABSENT)


@pytest.mark.parametrize(("cls", "what", "reason"), LISTED)
def test_every_row_of_the_list_is_about_an_input(cls: str, what: str, reason: str) -> None:
    assert reason
    assert any(case.matches(cls, what) for case in ALL)
