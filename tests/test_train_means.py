"""Means over batches do not depend on how large the batches are, and leave out what the loss ignores."""

import numpy as np
import pytest

import minigrad
from minigrad import data, nn, optim
from minigrad.train import Trainer

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((200, 8)).astype(np.float32), RNG.integers(0, 3, 200)
SOME = np.where(np.arange(200) % 3 == 0, -100, Y)
FIRST = np.where(np.arange(200) < 8, -100, Y)
VALUES, SIDES = RNG.standard_normal((200, 3)).astype(np.float32), (RNG.random((200, 3)) < 0.5).astype(np.float32)
WEIGHT = np.array([1, 10, 100], np.float32)
SOFT = RNG.dirichlet(np.ones(3), 200).astype(np.float32)

LOSSES = {
    "plain": (nn.CrossEntropyLoss(), Y),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), Y),
    "class weights": (nn.CrossEntropyLoss(weight=WEIGHT), Y),
    "class weights, smoothing": (nn.CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.1), Y),
    "ignored": (nn.CrossEntropyLoss(), SOME),
    "ignored, sum": (nn.CrossEntropyLoss(reduction="sum"), SOME),
    "a batch is ignored": (nn.CrossEntropyLoss(), FIRST),
    "ignored and weighted": (nn.CrossEntropyLoss(weight=WEIGHT, ignore_index=1), Y),
    "log-probabilities": (nn.NLLLoss(weight=WEIGHT), SOME),
    "soft targets": (nn.CrossEntropyLoss(weight=WEIGHT), SOFT),
    "squares": (nn.MSELoss(), VALUES),
    "squares, sum": (nn.MSELoss(reduction="sum"), VALUES),
    "sides": (nn.BCEWithLogitsLoss(weight=WEIGHT, pos_weight=2 * WEIGHT), SIDES),
}


def trainer(loss, **options):
    model = nn.Linear(8, 3, rng=0)
    return Trainer(model, loss, optim.SGD(model.parameters(), lr=1e-12), progress=False, **options)


def expected(loss, y):
    """The definition: the sum of all losses over that of the weights."""
    with minigrad.no_grad():
        value = loss(nn.Linear(8, 3, rng=0)(X), y)
    return value / (len(y) if loss.reduction == "sum" else 1)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_the_mean_loss_does_not_depend_on_the_batch_size(name, compiled):
    loss, y = LOSSES[name]
    want = expected(loss, y)
    for size in (200, 64, 8):
        run = trainer(loss, compiled=compiled)
        assert run.evaluate((X, y), batch_size=size)["loss"] == pytest.approx(want, rel=1e-6)
        row = run.fit(data.Loader((X, y), size), (X, y), epochs=1).rows[0]
        assert (row["loss"], row["val_loss"]) == pytest.approx((want, want), rel=1e-6)


@pytest.mark.parametrize("step", [minigrad.compile, minigrad.engine.EagerStep])
@pytest.mark.filterwarnings("ignore:minigrad.compile")
def test_so_does_that_of_an_epoch_by_hand(step):
    for name in ("class weights", "a batch is ignored", "squares, sum"):
        loss, y = LOSSES[name]
        for size in (200, 64, 8):
            model = nn.Linear(8, 3, rng=0)
            epoch = step(model, loss, optim.SGD(model.parameters(), lr=1e-12), batch_size=size).epoch
            assert epoch(X, y) == pytest.approx(expected(loss, y), rel=1e-6)


@pytest.mark.parametrize("compiled", [True, False])
def test_accuracy_leaves_out_what_is_ignored(compiled):
    run = trainer(nn.CrossEntropyLoss(), compiled=compiled)
    right = run.predict(X).argmax(axis=1) == SOME
    want = right[SOME >= 0].mean()
    assert run.evaluate((X, SOME), batch_size=7)["accuracy"] == pytest.approx(want)
    row = run.fit(data.Loader((X, SOME), 7), (X, SOME), epochs=1).rows[0]
    assert (row["accuracy"], row["val_accuracy"]) == pytest.approx((want, want))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("columns", "metrics"), [(1, None), (1, ["accuracy"]), (3, "accuracy"), (3, ["binary_accuracy"])]
)
def test_binary_accuracy_is_a_column(columns, metrics, compiled):
    model, y = nn.Linear(8, columns, rng=0), SIDES[:, :columns]
    run = Trainer(
        model,
        nn.BCEWithLogitsLoss(),
        optim.SGD(model.parameters(), lr=1e-12),
        metrics=metrics,
        progress=False,
        compiled=compiled,
    )
    want = float(np.mean((run.predict(X) > 0) == (y > 0.5)))
    name = "accuracy" if metrics is None or "accuracy" in metrics else "binary_accuracy"
    row = run.fit(data.Loader((X, y), 7), (X, y), epochs=1).rows[0]
    assert (row[name], row[f"val_{name}"]) == pytest.approx((want, want))
    assert run.evaluate((X, y), batch_size=9)[name] == pytest.approx(want)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_batch_that_is_all_ignored_moves_nothing(compiled):
    """Its loss is NaN, as in PyTorch, but no reason to stop; its gradient is 0."""
    run = trainer(nn.CrossEntropyLoss(), compiled=compiled)
    before = run.model.state_dict()
    row = run.fit((X[:8], np.full(8, -100)), epochs=1).rows[0]
    assert np.isnan([row["loss"], row["accuracy"]]).all()
    for name, array in run.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_custom_metrics_get_the_samples_that_count():
    seen = []

    def count(outputs, targets):
        seen.append((len(outputs), targets.min()))
        return 1.0

    trainer(nn.CrossEntropyLoss(), metrics=[count]).evaluate((X, FIRST), batch_size=16)
    assert seen[0] == (8, 0)
    assert sum(size for size, _ in seen) == 192
