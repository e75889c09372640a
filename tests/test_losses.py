"""Every loss against finite differences and PyTorch, its weights, and what it refuses."""

import re
from typing import Any

import numpy as np
import pytest
import torch

from minigrad import nn
from minigrad.gradcheck import gradcheck
from tests.cases import LOSSES, LossCase

# float32: a mean of at most 60 terms of a few rounded operations each: 60 * 4 * 6e-8 = 1.5e-5.
BOUND = {np.float64: 1e-10, np.float32: 1.5e-5}

cases = pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


@cases
def test_backward_is_the_derivative(case: LossCase) -> None:
    for seed in range(3):
        assert gradcheck(case.make(), *case.draw(seed=seed), seed=seed) < 1e-7


@cases
def test_backward_is_the_derivative_with_sample_weights(case: LossCase) -> None:
    x, target = case.draw()
    unbatched = len(case.shape) == 1 and isinstance(case.make(), (nn.CrossEntropyLoss, nn.NLLLoss))
    weights = None if unbatched else np.random.default_rng(1).uniform(0.5, 2, len(x))
    assert gradcheck(case.make(), x, target, weights) < 1e-7


@cases
@dtypes
def test_equals_torch(case: LossCase, dtype: type) -> None:
    loss, twin = case.make(), case.torch_twin()
    if dtype is np.float64:
        twin = twin.double()
    else:
        twin = twin.float()
    x, target = case.draw(dtype)
    tensor = torch.from_numpy(x.copy()).requires_grad_()
    expected = twin(tensor, torch.from_numpy(np.array(target)))
    value = loss(x, target)
    np.testing.assert_allclose(value, expected.detach().numpy(), rtol=BOUND[dtype], atol=BOUND[dtype])
    dvalue = np.random.default_rng(2).standard_normal(np.shape(value)).astype(dtype)
    expected.backward(torch.from_numpy(np.array(dvalue)))
    dx = loss.backward(dvalue)
    np.testing.assert_allclose(dx, tensor.grad.numpy(), rtol=BOUND[dtype], atol=BOUND[dtype])
    assert dx.dtype == dtype
    assert dx.flags.c_contiguous


@cases
def test_inputs_are_left_alone(case: LossCase) -> None:
    x, target = case.draw()
    before, target_before = x.copy(), np.array(target)
    loss = case.make()
    loss(x, target)
    dx = loss.backward() if loss.reduction != "none" else loss.backward(np.ones(loss(x, target).shape))
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(target, target_before)
    assert not np.shares_memory(dx, x)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_sample_weight_is_the_same_as_repetition(reduction: str) -> None:
    """A sample of weight 3 counts as three samples."""
    rng = np.random.default_rng(0)
    x, repeats = rng.standard_normal((4, 5)), np.array([1, 3, 2, 1])
    for loss, target in (
        (nn.CrossEntropyLoss(np.arange(1.0, 6), reduction=reduction, label_smoothing=0.1), np.array([0, 4, 2, 1])),
        (nn.MSELoss(reduction), rng.standard_normal((4, 5))),
    ):
        value = loss(x, target, sample_weight=repeats)
        assert value == pytest.approx(loss(np.repeat(x, repeats, axis=0), np.repeat(target, repeats, axis=0)))


def test_all_ignored_is_nan_as_in_torch() -> None:
    loss = nn.CrossEntropyLoss(ignore_index=1)
    assert np.isnan(loss(np.ones((2, 3)), [1, 1]))


def test_extreme_logits_stay_finite() -> None:
    x = np.array([[1e4, -1e4, 0.0]], np.float32)
    assert nn.CrossEntropyLoss()(x, [0]) == 0
    assert nn.CrossEntropyLoss()(x, [1]) == pytest.approx(2e4)
    assert nn.BCEWithLogitsLoss()(x, np.array([[1, 0, 1]])) == pytest.approx(np.log(2) / 3)


X = np.ones((4, 3), np.float32)
BAD = [
    ("too large", lambda: nn.CrossEntropyLoss()(X, [0, 1, 3, 2]), "want class indices in [0, 3), got 0 to 3"),
    ("negative", lambda: nn.CrossEntropyLoss()(X, [0, -1, 1, 2]), "want class indices in [0, 3), got -1 to 2"),
    (
        "float labels",
        lambda: nn.CrossEntropyLoss()(X, np.ones(4)),
        "want integer class indices of shape (4,), got float64 (4,)",
    ),
    ("wrong length", lambda: nn.CrossEntropyLoss()(X, [0, 1]), "of shape (4,), got int64 (2,)"),
    ("one-hot ints", lambda: nn.CrossEntropyLoss()(X, np.ones((4, 3), int)), "of shape (4,), got int64 (4, 3)"),
    ("nll floats", lambda: nn.NLLLoss()(X, np.ones((4, 3))), "of shape (4,), got float64 (4, 3)"),
    (
        "class weights",
        lambda: nn.CrossEntropyLoss([1.0, 2.0])(X, [0, 1, 2, 0]),
        "a weight for each of 3 classes, got (2,)",
    ),
    ("smoothing", lambda: nn.CrossEntropyLoss(label_smoothing=1.5), "label_smoothing in [0, 1], got 1.5"),
    ("reduction", lambda: nn.MSELoss("average"), "MSELoss: want reduction 'mean', 'sum' or 'none', got 'average'"),
    ("target shape", lambda: nn.MSELoss()(X, np.ones((4, 1))), "want a target of shape (4, 3), got float64 (4, 1)"),
    (
        "integer scores",
        lambda: nn.MSELoss()(np.ones(3, int), np.ones(3)),
        "non-empty float32 or float64 array, got int64",
    ),
    ("no scores", lambda: nn.CrossEntropyLoss()(np.ones((0, 3)), []), "want a non-empty"),
    ("a scalar", lambda: nn.CrossEntropyLoss()(np.array(1.0), 0), "want input of shape (N, C)"),
    ("a list", lambda: nn.MSELoss()([1.0], [1.0]), "got list"),
    ("sample weights", lambda: nn.MSELoss()(X, X, np.ones(3)), "one sample weight for each of (4,), got (3,)"),
    (
        "pos_weight",
        lambda: nn.BCEWithLogitsLoss(pos_weight=np.ones(2))(X, X),
        "want a pos_weight that broadcasts with (4, 3)",
    ),
    ("delta", lambda: nn.HuberLoss(delta=0), "HuberLoss: want delta > 0, got 0"),
    ("beta", lambda: nn.SmoothL1Loss(beta=-1), "SmoothL1Loss: want beta >= 0, got -1"),
]


@pytest.mark.parametrize(("what", "call", "message"), BAD, ids=[row[0] for row in BAD])
def test_bad_input(what: str, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_backward_without_forward() -> None:
    loss = nn.MSELoss()
    with pytest.raises(nn.BackwardError, match="MSELoss: backward without forward"):
        loss.backward()
    with nn.no_grad():
        loss(X, X)
    with pytest.raises(nn.BackwardError, match="MSELoss: backward without forward"):
        loss.backward()


def test_cotangent_of_an_unreduced_loss() -> None:
    loss = nn.MSELoss("none")
    loss(X, X)
    with pytest.raises(ValueError, match=r"cotangent of shape \(4, 3\), got \(4,\)"):
        loss.backward(np.ones(4))


def test_repr() -> None:
    assert repr(nn.HuberLoss(delta=2.0)) == "HuberLoss(reduction='mean', delta=2.0)"
