"""The battery: every property that every module has. Each raises AssertionError, and returns the errors it measured."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from minigrad import nn, optim
from minigrad.gradcheck import gradcheck
from tests.cases.case import At, ModuleCase, laid_out
from tests.checks.errors import (
    FLOAT64_BOUND,
    Check,
    Errors,
    assert_within,
    float32_bounds,
    relative_errors,
    share_of_bounds,
)

STEPS = 20
LR = 1e-3  # a run that diverges would amplify rounding


def derivative(case: ModuleCase, at: At) -> Errors | None:
    """The backward pass agrees with finite differences, jointly and for each array."""
    if not case.has_derivative:
        return None
    return {"differences": gradcheck(case.module(at), case.input(at), seed=at.seed)}


def derivative_in_float32(case: ModuleCase, at: At) -> None:
    """The backward pass in float32 does so too: for inputs that are not made to lose digits."""
    if case.has_derivative and at.dtype == np.float32:
        gradcheck(case.module(at), case.input(at), dtype=np.float32, seed=at.seed)


def torch_parity(case: ModuleCase, at: At) -> Errors | None:
    """y, dx, every parameter's gradient and every buffer are PyTorch's."""
    if case.torch_twin is None:
        return None
    module, x = case.module(at), case.input(at)
    y, pullback = module.vjp(laid_out(x, at.layout))
    dy = at.cotangent(y)
    dx = pullback(laid_out(dy, at.layout))
    ours = {"y": y, "dx": dx} if x.dtype.kind == "f" else {"y": y}
    ours |= {name: parameter.grad for name, parameter in module.named_parameters()}
    ours |= dict(module.named_buffers())

    def theirs(dtype: Any, x: np.ndarray, dy: np.ndarray) -> dict[str, np.ndarray]:
        return _torch_results(
            case.twin(case.module(at), dtype), x.astype(dtype) if "dx" in ours else x, dy.astype(dtype)
        )

    errors = relative_errors(ours, theirs(np.float64, x, dy))
    if at.dtype == np.float64:
        return assert_within(errors, FLOAT64_BOUND)
    part = case.largest_part(module, x) * float(np.abs(dy).max())
    return share_of_bounds(errors, float32_bounds(theirs, at.rng(50), x, dy, part=max(1.0, part)))


def _torch_results(twin: torch.nn.Module, x: np.ndarray, dy: np.ndarray) -> dict[str, np.ndarray]:
    tensor = torch.from_numpy(x.copy())
    tensor.requires_grad_(tensor.is_floating_point())
    y = twin(tensor)
    if y.requires_grad:
        y.backward(torch.from_numpy(dy))
    results = {"y": y, "dx": tensor.grad} if tensor.requires_grad else {"y": y}
    results |= {name: parameter.grad for name, parameter in twin.named_parameters()}
    results |= dict(twin.named_buffers())
    return {name: value.detach().numpy() for name, value in results.items()}


def torch_training(case: ModuleCase, at: At) -> Errors | None:
    """After 20 steps of SGD with momentum towards random targets the parameters and buffers are PyTorch's."""
    if case.torch_twin is None or at.dtype != np.float64 or not case.make().state_dict():
        return None
    module = case.module(at)
    twin = case.twin(module)
    idle = nn.Parameter(np.zeros(1)), torch.nn.Parameter(torch.zeros(1))  # for a layer that has none
    sgd = optim.SGD([*module.parameters(), idle[0]], lr=LR, momentum=0.5)
    twin_sgd = torch.optim.SGD([*twin.parameters(), idle[1]], lr=LR, momentum=0.5)
    for step in range(STEPS):
        x = case.input(at, stream=step)
        y = module(x)
        target = at.cotangent(y, stream=step)
        sgd.zero_grad()
        module.backward(np.asarray((y - target) / y.size))
        sgd.step()
        twin_sgd.zero_grad()
        twin_y = twin(torch.from_numpy(x))
        if twin_y.requires_grad:
            twin_y.backward((twin_y.detach() - torch.from_numpy(target)) / y.size)
        twin_sgd.step()
    theirs = {name: value.numpy() for name, value in twin.state_dict().items()}
    errors = relative_errors({"y": y, **module.state_dict()}, {"y": twin_y.detach().numpy(), **theirs})
    return {f"{name} after {STEPS} steps": error for name, error in assert_within(errors, FLOAT64_BOUND).items()}


def reference(case: ModuleCase, at: At) -> Errors | None:
    """y is that of a naive definition."""
    if case.reference is None:
        return None
    module, x = case.module(at), case.input(at)
    expected = case.reference(module, x)
    return assert_within(relative_errors({"y": module(x)}, {"y": expected}), 1e-12)


def memory_contract(case: ModuleCase, at: At) -> None:
    """Nothing is written that is not ours, nothing aliases that is not declared, dtypes and shapes stay."""
    module, x = case.module(at), case.input(at)
    before = x.copy()
    y, saved = module._forward(x)
    held = [array.copy() for array in _arrays_in(saved)]
    dy = at.cotangent(y)
    dy_before, output = dy.copy(), y.copy()
    dx = module._backward(saved, dy)
    np.testing.assert_array_equal(x, before, "the input was written to")
    np.testing.assert_array_equal(dy, dy_before, "the cotangent was written to")
    np.testing.assert_array_equal(y, output, "the output was written to")
    for array, copied in zip(_arrays_in(saved), held, strict=True):
        np.testing.assert_array_equal(array, copied, "a saved value was written to")
        for name, buffer in module.named_buffers():
            assert not np.shares_memory(array, buffer), f"{name} is saved itself, and the next forward may move it"
    assert case.returns_view or not (np.shares_memory(y, x) or np.shares_memory(dx, dy)), "an undeclared view"
    assert y.dtype == dx.dtype == at.dtype, f"{y.dtype} and {dx.dtype} of {np.dtype(at.dtype)}"
    assert dx.shape == x.shape, f"dx of shape {dx.shape} for {x.shape}"
    assert y.flags.c_contiguous, "y is not contiguous"
    assert dx.flags.c_contiguous, "dx is not contiguous"
    for name, parameter in module.named_parameters():
        assert parameter.grad.dtype == at.dtype, f"the gradient of {name} is {parameter.grad.dtype}"
        assert parameter.grad.shape == parameter.shape, f"the gradient of {name} has shape {parameter.grad.shape}"
        assert not np.shares_memory(parameter.grad, dy), f"the gradient of {name} is the cotangent"


def _arrays_in(saved: object) -> Iterator[np.ndarray]:
    if isinstance(saved, np.ndarray):
        yield saved
    elif isinstance(saved, (list, tuple)):
        for item in saved:
            yield from _arrays_in(item)


def gradients_add(case: ModuleCase, at: At) -> None:
    """A second backward doubles the gradient, in the same memory."""
    module, x = case.module(at), case.input(at)
    y, pullback = module.vjp(x)
    dy = at.cotangent(y)
    # What is summed may cancel: the rounding goes with the largest term, not with the sum.
    term = np.abs(dy).max(initial=0) * np.abs(x).max(initial=1)
    pullback(dy)
    once = {name: parameter.grad.copy() for name, parameter in module.named_parameters()}
    memory = {name: parameter.grad for name, parameter in module.named_parameters()}
    pullback(dy)
    for name, parameter in module.named_parameters():
        # A shared layer adds several times: the order of the sums differs.
        largest = max(np.abs(once[name]).max(), term)
        bound = 16 * np.finfo(at.dtype).eps * largest
        np.testing.assert_allclose(parameter.grad, 2 * once[name], rtol=0, atol=bound, err_msg=name)
        assert parameter.grad is memory[name], f"the gradient of {name} has moved"


def without_input_gradient(case: ModuleCase, at: At) -> None:
    """`input_grad=False` gives no dx and the same parameter gradients."""
    module, twin, x = case.module(at), case.module(at), case.input(at)
    dy = at.cotangent(module(x))
    assert module.backward(dy, input_grad=False) is None
    twin(x)
    twin.backward(dy)
    for (name, mine), theirs in zip(module.named_parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(mine.grad, theirs.grad, name)


def pullbacks_in_any_order(case: ModuleCase, at: At) -> None:
    """Two forwards, then their pullbacks in either order: as when each is pulled back before the next forward."""
    inputs = [case.input(at, stream=stream) for stream in (1, 2)]
    apart = case.module(at)
    expected = []
    for stream, x in enumerate(inputs):
        y, pullback = apart.vjp(x)
        expected.append(pullback(at.cotangent(y, stream)))
    for order in ((0, 1), (1, 0)):
        module = case.module(at)
        forwards = [module.vjp(x) for x in inputs]
        for i in order:
            y, pullback = forwards[i]
            np.testing.assert_array_equal(pullback(at.cotangent(y, i)), expected[i])
        for (name, mine), theirs in zip(module.named_parameters(), apart.parameters(), strict=True):
            bound = 16 * float(np.finfo(at.dtype).eps)  # the sums have another order
            assert_within(relative_errors({name: mine.grad}, {name: theirs.grad}), bound)


def last_in_first_out(case: ModuleCase, at: At) -> None:
    """`backward` belongs to the last forward that has not had one."""
    module, twin = case.module(at), case.module(at)
    inputs = [case.input(at, stream=stream) for stream in (1, 2)]
    dy = at.cotangent(module(inputs[0]))
    module(inputs[1])
    pullbacks = [twin.vjp(x)[1] for x in inputs]
    for pullback in reversed(pullbacks):
        np.testing.assert_array_equal(module.backward(dy), pullback(dy))


def any_memory_layout(case: ModuleCase, at: At) -> None:
    """The memory under the input and the cotangent changes not a bit of the results."""
    module, twin, x = case.module(at), case.module(at), case.input(at)
    y, expected = module(laid_out(x, at.layout)), twin(x)
    np.testing.assert_array_equal(y, expected)
    dy = at.cotangent(y)
    np.testing.assert_array_equal(module.backward(laid_out(dy, at.layout)), twin.backward(dy))
    for (name, mine), theirs in zip(module.named_parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(mine.grad, theirs.grad, name)


def samples_are_independent(case: ModuleCase, at: At) -> Errors | None:
    """A batch gives what its samples give alone, where the layer does not couple them."""
    if not case.shape or (case.couples_batch and (at.training or not case.differs_in_eval)):
        return None
    module, x = case.module(at), case.input(at)
    apart = np.concatenate([module(x[i : i + 1]) for i in range(len(x))])
    # A GEMM of one row may sum in another order.
    bound = 16 * x.size * float(np.finfo(at.dtype).eps)
    assert_within(relative_errors({"y": module(x)}, {"y": apart}), bound)
    return None


def evaluation_leaves_no_trace(case: ModuleCase, at: At) -> None:
    """In evaluation two forwards are equal, no_grad keeps nothing, and no state changes."""
    if at.training:
        return
    module, x = case.module(at), case.input(at)
    state = module.state_dict()
    with nn.no_grad():
        first, second = module(x), module(x)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, module(x))
    assert len(module._saved) == 1, "no_grad kept something, or a forward outside of it did not"
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value, state[name], name)


def state_round_trip(case: ModuleCase, at: At) -> None:
    """A state loads into a new module, and is a copy."""
    module, other = case.module(at), case.make().to(at.dtype)
    other.load_state_dict(module.state_dict())
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value, other.state_dict()[name], name)
        value += 1
    for (name, mine), theirs in zip(module.state_dict().items(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(mine, theirs, name)


def deepcopy_is_independent(case: ModuleCase, at: At) -> None:
    """A copy has the same values in memory of its own, and no saved values."""
    module, x = case.module(at), case.input(at)
    module(x)
    twin = copy.deepcopy(module)
    assert len(twin._saved) == 0, "saved values were copied"
    fresh = copy.deepcopy(case.module(at))
    for mine, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        assert mine is not theirs
        assert not np.shares_memory(mine.data, theirs.data)
    np.testing.assert_array_equal(case.module(at)(x), fresh(x))


def repr_names_the_class(case: ModuleCase, at: At) -> None:
    """The repr begins like the constructor's call."""
    module = case.make()
    assert repr(module).startswith(type(module).__name__ + "("), repr(module)


def nan_stays(case: ModuleCase, at: At) -> None:
    """One NaN in the input is seen in the output; all of them, where some elements reach no output."""
    if case.integers is not None or at.training:
        return
    module, x = case.module(at), case.input(at)
    if case.skips and np.array_equal(module(x), module(x + 1)):
        return
    x.flat[slice(None) if case.skips else 0] = np.nan
    assert np.isnan(module(x)).any(), "the NaN is gone"


def evaluation_differs_only_where_declared(case: ModuleCase, at: At) -> None:
    """Training and evaluation give the same bits unless the case says otherwise."""
    if case.differs_in_eval:
        return
    train, evaluate = case.module(replace(at, training=True)), case.module(replace(at, training=False))
    np.testing.assert_array_equal(train(case.input(at)), evaluate(case.input(at)))


FIXED_CHECKS: dict[str, Check] = {"derivative in float32": derivative_in_float32}
CHECKS: dict[str, Check] = {
    "derivative": derivative,
    "torch parity": torch_parity,
    "torch training": torch_training,
    "reference": reference,
    "memory contract": memory_contract,
    "gradients add": gradients_add,
    "without input gradient": without_input_gradient,
    "pullbacks in any order": pullbacks_in_any_order,
    "last in, first out": last_in_first_out,
    "any memory layout": any_memory_layout,
    "samples are independent": samples_are_independent,
    "evaluation leaves no trace": evaluation_leaves_no_trace,
    "state round trip": state_round_trip,
    "deepcopy is independent": deepcopy_is_independent,
    "repr names the class": repr_names_the_class,
    "NaN stays": nan_stays,
    "evaluation differs only where declared": evaluation_differs_only_where_declared,
}
