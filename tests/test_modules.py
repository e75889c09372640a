"""The battery: every property that every module has, for every case of the table."""

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from minigrad import nn
from minigrad.gradcheck import gradcheck
from tests.cases import MODULES, ModuleCase

# float32: each output is a sum of at most 8 products of values below 4, each rounded to 6e-8 relative, through at most
# 8 layers: 8 * 8 * 4 * 6e-8 = 1.5e-5.
BOUND = {np.float64: 1e-10, np.float32: 1.5e-5}


def over(cases: list[ModuleCase]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


cases = over(MODULES)
modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def cotangent(y: np.ndarray, seed: int = 1) -> np.ndarray:
    """A random one: ones or y itself hide whole terms of a normalisation's gradient."""
    return np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)


def assert_close(ours: np.ndarray, theirs: np.ndarray, bound: float, what: str) -> None:
    error = np.max(np.abs(ours - theirs), initial=0) / max(1.0, np.max(np.abs(theirs), initial=0))
    assert error <= bound, f"{what}: relative error {error:.2g} > {bound:.2g}"


def arrays_in(saved: object) -> Iterator[np.ndarray]:
    if isinstance(saved, np.ndarray):
        yield saved
    elif isinstance(saved, (list, tuple)):
        for item in saved:
            yield from arrays_in(item)


@over([case for case in MODULES if case.has_derivative])
@modes
def test_backward_is_the_derivative(case: ModuleCase, training: bool) -> None:
    module = case.module(training=training)
    for seed in range(3):
        assert gradcheck(module, case.input(seed=seed), seed=seed) < 1e-7


@over([case for case in MODULES if case.torch_twin])
@modes
@dtypes
def test_equals_torch(case: ModuleCase, training: bool, dtype: type) -> None:
    module, x = case.module(dtype, training), case.input(dtype)
    twin, tensor = case.twin(module), torch.from_numpy(x.copy())
    tensor.requires_grad_(tensor.is_floating_point())
    y, expected = module(x), twin(tensor)
    dy = cotangent(y)
    dx = module.backward(dy)
    if expected.requires_grad:
        expected.backward(torch.from_numpy(dy))
    bound = BOUND[dtype]
    assert_close(y, expected.detach().numpy(), bound, "y")
    if tensor.grad is not None:
        assert_close(dx, tensor.grad.numpy(), bound, "dx")
    gradients = {name: parameter.grad for name, parameter in twin.named_parameters()}
    for name, parameter in module.named_parameters():
        assert_close(parameter.grad, gradients.pop(name).numpy(), bound, f"gradient of {name}")
    assert not gradients
    for name, buffer in twin.named_buffers():
        assert_close(module.state_dict()[name], buffer.numpy(), bound, name)


@over([case for case in MODULES if case.reference])
@modes
def test_equals_reference(case: ModuleCase, training: bool) -> None:
    module, x = case.module(training=training), case.input()
    expected = case.reference(module, x)
    np.testing.assert_allclose(module(x), expected, rtol=1e-12)


@cases
@modes
@dtypes
def test_memory_contract(case: ModuleCase, training: bool, dtype: type) -> None:
    module, x = case.module(dtype, training), case.input(dtype)
    before = x.copy()
    y, saved = module._forward(x)
    held = [array.copy() for array in arrays_in(saved)]
    dy = cotangent(y)
    dy_before, output = dy.copy(), y.copy()
    dx = module._backward(saved, dy)
    np.testing.assert_array_equal(x, before, "the input was written to")
    np.testing.assert_array_equal(dy, dy_before, "the cotangent was written to")
    np.testing.assert_array_equal(y, output, "the output was written to")
    for array, copied in zip(arrays_in(saved), held, strict=True):
        np.testing.assert_array_equal(array, copied, "a saved value was written to")
    assert case.returns_view or not (np.shares_memory(y, x) or np.shares_memory(dx, dy))
    assert y.dtype == dtype
    assert dx.dtype == dtype
    assert dx.shape == x.shape
    assert y.flags.c_contiguous
    assert dx.flags.c_contiguous
    for parameter in module.parameters():
        assert parameter.grad.dtype == dtype
        assert parameter.grad.shape == parameter.shape
        assert not np.shares_memory(parameter.grad, dy)


@cases
@modes
def test_gradients_only_ever_add(case: ModuleCase, training: bool) -> None:
    module, x = case.module(training=training), case.input()
    y, pullback = module.vjp(x)
    pullback(cotangent(y))
    once = {name: parameter.grad.copy() for name, parameter in module.named_parameters()}
    memory = {name: parameter.grad for name, parameter in module.named_parameters()}
    pullback(cotangent(y))
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(parameter.grad, 2 * once[name], rtol=1e-14)
        assert parameter.grad is memory[name]


@cases
@modes
def test_backward_without_the_input_gradient(case: ModuleCase, training: bool) -> None:
    module, twin, x = case.module(training=training), case.module(training=training), case.input()
    dy = cotangent(module(x))
    assert module.backward(dy, input_grad=False) is None
    twin(x)
    twin.backward(dy)
    for mine, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(mine.grad, theirs.grad)


@cases
@modes
def test_pullbacks_in_any_order(case: ModuleCase, training: bool) -> None:
    module, first, second = case.module(training=training), case.input(seed=1), case.input(seed=2)
    twin = copy.deepcopy(module)
    y1, pullback1 = module.vjp(first)
    y2, pullback2 = module.vjp(second)
    forwards = pullback1(cotangent(y1)), pullback2(cotangent(y2))
    twin(first), twin(second)
    backwards = twin.backward(cotangent(y2)), twin.backward(cotangent(y1))
    np.testing.assert_array_equal(forwards[0], backwards[1])
    np.testing.assert_array_equal(forwards[1], backwards[0])


@cases
@modes
def test_any_memory_layout(case: ModuleCase, training: bool) -> None:
    x = case.input()
    expected = case.module(training=training)(x)
    padded = np.zeros([2 * size for size in x.shape], x.dtype)
    strided = padded[tuple(slice(0, None, 2) for _ in x.shape)]
    strided[...] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    for layout in (np.asfortranarray(x), strided, read_only):
        module = case.module(training=training)
        y = module(layout)
        np.testing.assert_array_equal(y, expected)
        dy = cotangent(y)
        dx = module.backward(np.asfortranarray(dy))
        twin = case.module(training=training)
        twin(x)
        np.testing.assert_array_equal(dx, twin.backward(dy))


@over([case for case in MODULES if case.differs_in_eval or not case.couples_batch])
def test_samples_are_independent(case: ModuleCase) -> None:
    module, x = case.module(training=not case.couples_batch), case.input()
    apart = np.concatenate([module(x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_allclose(module(x), apart, rtol=1e-12, atol=1e-12)


@cases
def test_evaluation_is_deterministic_and_leaves_no_trace(case: ModuleCase) -> None:
    module, x = case.module(training=False), case.input()
    state = module.state_dict()
    with nn.no_grad():
        first, second = module(x), module(x)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, module(x))
    assert len(module._saved) == 1  # only of the forward outside no_grad
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


@cases
def test_training_flag_matters_where_declared(case: ModuleCase) -> None:
    train, evaluate = case.module(training=True), case.module(training=False)
    same = np.array_equal(train(case.input()), evaluate(case.input()))
    assert same != case.differs_in_eval


@cases
def test_state_round_trip(case: ModuleCase) -> None:
    module, other = case.module(), case.make().to(np.float64)
    other.load_state_dict(module.state_dict())
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value, other.state_dict()[name])
        value += 1  # a copy: the module does not change
    for (name, mine), theirs in zip(module.state_dict().items(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(mine, theirs, name)


@cases
def test_deepcopy_is_independent(case: ModuleCase) -> None:
    module = case.module()
    x = case.input()
    module(x)
    twin = copy.deepcopy(module)
    assert len(twin._saved) == 0
    for mine, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        assert mine is not theirs
        assert not np.shares_memory(mine.data, theirs.data)
    np.testing.assert_array_equal(case.module()(x), case.module()(x))


@cases
def test_repr_names_the_class(case: ModuleCase) -> None:
    module = case.make()
    assert repr(module).startswith(type(module).__name__ + "(")


ERRORS = [(case, error) for case in MODULES for error in case.errors]


@pytest.mark.parametrize(("case", "error"), ERRORS, ids=[f"{c.name}-{e.what}" for c, e in ERRORS])
def test_bad_input(case: ModuleCase, error: object) -> None:
    module = case.module()
    state = module.state_dict()
    with pytest.raises(nn.LayerError, match=error.match) as raised:
        module(error.x)
    assert type(module).__name__ in str(raised.value)
    assert len(module._saved) == 0
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value, state[name], "a refused input changed the state")


@over([case for case in MODULES if case.integers is None])
def test_nan_stays(case: ModuleCase) -> None:
    module, x = case.module(training=False), case.input()
    x.reshape(-1)[0] = np.nan
    assert np.isnan(module(x)).any()
