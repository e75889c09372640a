import numpy as np
import pytest
import torch

from minigrad import nn, optim
from minigrad.train import Trainer, accuracy, binary_accuracy, confusion_matrix, top_k
from minigrad.train.metrics import Means, resolve


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
    classes, sides = nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss()
    assert resolve(None, classes, np.zeros((4, 3)), np.zeros(4, np.int64)) == {"accuracy": accuracy}
    assert resolve(None, classes, np.zeros((4, 3)), np.zeros((4, 3))) == {}
    assert resolve(None, classes, np.zeros((4, 3, 5)), np.zeros((4, 5), np.int64)) == {}
    assert resolve(None, sides, np.zeros((4, 1)), np.zeros((4, 1))) == {"accuracy": binary_accuracy}
    assert resolve(None, sides, np.zeros(4), np.zeros(4)) == {"accuracy": binary_accuracy}
    assert resolve(None, sides, np.zeros((4, 3)), np.zeros((4, 3))) == {}
    assert resolve(None, nn.MSELoss(), np.zeros((4, 1)), np.zeros((4, 1))) == {}


def test_metrics_by_name():
    outputs, index, sides = np.zeros((4, 3)), np.zeros(4, np.int64), np.zeros((4, 3))
    assert resolve(["accuracy", "top_5"], nn.CrossEntropyLoss(), outputs, index) == {
        "accuracy": accuracy,
        "top_5": top_k,
    }
    assert resolve("accuracy", nn.BCEWithLogitsLoss(), outputs, sides) == {"accuracy": binary_accuracy}
    assert resolve({"right": "accuracy"}, nn.CrossEntropyLoss(), outputs, index) == {"right": accuracy}
    assert resolve([top_k], nn.CrossEntropyLoss(), outputs, index) == {"top_k": top_k}


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        (["acuracy"], ValueError, "no metric is called 'acuracy', known are accuracy, .*; did you mean 'accuracy'?"),
        (["accuracy", accuracy], ValueError, "'accuracy' comes twice"),
        ([3], TypeError, "want names or functions .* got 3"),
        (["loss"], ValueError, "no metric is called 'loss'"),
    ],
)
def test_metrics_that_are_not_known(metrics, error, message):
    model = nn.Linear(3, 2, rng=0)
    with pytest.raises(error, match=message):
        Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), metrics=metrics)


def test_accuracy_by_name_wants_what_can_be_judged():
    model = nn.Linear(3, 2, rng=0)
    trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), metrics=["accuracy"], progress=False)
    with pytest.raises(ValueError, match=r"accuracy: want outputs \(N, C\) and integer targets .* got \(4, 2\)"):
        trainer.fit((np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)), epochs=1)


def test_binary_accuracy_counts_sides_of_zero_and_no_nan():
    outputs, targets = np.array([2.0, -1, 0, np.nan, np.nan]), np.array([1.0, 1, 0, 0, 1])
    assert binary_accuracy(outputs, targets) == pytest.approx(2 / 5)
    with pytest.raises(ValueError, match="want a target for each output"):
        binary_accuracy(outputs, targets[:, None])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_means_are_of_samples_not_of_batches(reduction):
    means = Means(nn.MSELoss(reduction=reduction), {"first": lambda outputs, targets: outputs[0, 0]})
    for value, size in ((2.0, 3), (6.0, 1)):
        outputs, targets = np.full((size, 2), value), np.zeros((size, 2))
        means.add(means.criterion.measure(outputs, targets), outputs, targets)
    assert means.result() == {"loss": {"mean": 12.0, "sum": 24.0}[reduction], "first": 3.0}
