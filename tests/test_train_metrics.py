import numpy as np
import pytest
import torch

from minigrad import nn
from minigrad.train import accuracy, confusion_matrix, top_k
from minigrad.train.metrics import Means, default_metrics


def scores(rng, samples=41, classes=7):
    return rng.standard_normal((samples, classes)).astype(np.float32), rng.integers(0, classes, samples)


def test_accuracy_and_top_k_against_sorting():
    outputs, targets = scores(np.random.default_rng(0))
    ranked = torch.from_numpy(outputs).argsort(descending=True).numpy()
    for k in range(1, 8):
        assert top_k(outputs, targets, k) == np.mean([t in r[:k] for t, r in zip(targets, ranked, strict=True)])
    assert accuracy(outputs, targets) == top_k(outputs, targets, 1)
    assert top_k(outputs, targets, 7) == 1


def test_nan_outputs_are_wrong():
    outputs, targets = np.full((5, 3), np.nan, np.float32), np.full(5, 2)
    assert accuracy(outputs, targets) == 0
    assert top_k(outputs, targets, k=2) == 0


@pytest.mark.parametrize("metric", [accuracy, top_k])
def test_metrics_refuse_what_does_not_fit(metric):
    with pytest.raises(ValueError, match=rf"{metric.__name__}: want .* got \(4, 3\) and int64 \(5,\)"):
        metric(np.zeros((4, 3)), np.zeros(5, np.int64))
    with pytest.raises(ValueError, match="float64"):
        metric(np.zeros((4, 3)), np.zeros(4))
    with pytest.raises(ValueError, match="k of at least 1, got 0"):
        top_k(np.zeros((4, 3)), np.zeros(4, np.int64), k=0)


def test_confusion_matrix_against_a_loop():
    outputs, targets = scores(np.random.default_rng(1))
    expected = np.zeros((7, 7), np.int64)
    for row, target in zip(outputs, targets, strict=True):
        expected[target, row.argmax()] += 1
    matrix = confusion_matrix(outputs, targets)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, expected)
    np.testing.assert_array_equal(confusion_matrix(outputs.argmax(1).astype(np.uint8), targets, 7), expected)
    assert confusion_matrix(np.array([0]), np.array([0]), classes=3).shape == (3, 3)


def test_confusion_matrix_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"got \(3,\) and \(4,\)"):
        confusion_matrix(np.zeros(3, np.int64), np.zeros(4, np.int64))
    with pytest.raises(ValueError, match=r"want targets to be integers in \[0, 2\)"):
        confusion_matrix(np.array([0, 1]), np.array([0, 2]), classes=2)
    with pytest.raises(ValueError, match="want predictions to be integers"):
        confusion_matrix(np.array([0.5, 1]), np.array([0, 1]))
    with pytest.raises(ValueError, match="want targets to be integers"):
        confusion_matrix(np.array([0, 1]), np.array([0, -1]))


def test_accuracy_is_the_default_for_classes_only():
    assert list(default_metrics(np.zeros((4, 3)), np.zeros(4, np.int64))) == ["accuracy"]
    assert default_metrics(np.zeros((4, 3)), np.zeros((4, 3))) == {}
    assert default_metrics(np.zeros((4, 3, 5)), np.zeros((4, 5), np.int64)) == {}


@pytest.mark.parametrize(("reduction", "values"), [("mean", (1.0, 4.0)), ("sum", (3.0, 4.0))])
def test_means_are_of_samples_not_of_batches(reduction, values):
    means = Means(nn.MSELoss(reduction=reduction), {"first": lambda outputs, targets: outputs[0, 0]})
    means.add(values[0], np.full((3, 2), 2.0), np.zeros((3, 2)))
    means.add(values[1], np.full((1, 2), 6.0), np.zeros((1, 2)))
    assert means.result() == {"loss": 1.75, "first": 3.0}
