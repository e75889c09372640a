"""What losses refuse, and single behaviours of theirs. The battery is in test_battery.py."""

import re
from typing import Any

import numpy as np
import pytest

from minigrad import nn


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
    (
        "ignored soft targets",
        lambda: nn.CrossEntropyLoss(ignore_index=1)(X, X / 3),
        "ignore_index is for class indices, got 1 and soft targets",
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
