import subprocess
import sys

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.data import ArrayDataset, Loader
from minigrad.train import Callback, Trainer, TrainingError


def blobs(samples=90, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples)
    return ArrayDataset((rng.standard_normal((samples, 5)) + 2 * y[:, None]).astype(np.float32), y)


def make_model(seed=0):
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Linear(5, 7, rng=rng), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.2, rng=rng), nn.Linear(7, 3, rng=rng)
    )


def make(seed=0, model=None, loss=None, **options):
    model = model or make_model(seed)
    adam = optim.Adam(model.parameters(), lr=0.01)
    return Trainer(model, loss or nn.CrossEntropyLoss(), adam, **({"progress": False} | options))


def same_state(one, other):
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name, strict=True)


class Raise(Callback):
    """Raises in one step."""

    def __init__(self, error, step=2):
        self.error, self.step = error, step

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            raise self.error


# ---------------------------------------------------------------------------------------------------- learning


def test_it_learns_and_says_so():
    trainer = make()
    history = trainer.fit(blobs(), blobs(seed=1), epochs=8, batch_size=16)
    assert history is trainer.history
    measured = ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.columns == ["epoch", *measured, "lr", "seconds", "val_seconds"]
    assert history["epoch"] == list(range(1, 9))
    assert history["lr"] == [0.01] * 8
    assert history["val_loss"][-1] < history["val_loss"][0] / 2
    assert history["val_accuracy"][-1] > 0.8
    assert history.stopped is None
    assert all(seconds > 0 for seconds in history["seconds"] + history["val_seconds"])
    final = trainer.evaluate(blobs(seed=1))
    assert final == {"loss": history["val_loss"][-1], "accuracy": history["val_accuracy"][-1]}


def test_a_step_is_what_one_writes_by_hand():
    data, epochs = blobs(), 3
    trainer = make(clip_norm=0.5, compiled=False)
    trainer.fit(data, epochs=epochs, batch_size=16, seed=4)

    model, loss = make_model(), nn.CrossEntropyLoss()
    adam = optim.Adam(model.parameters(), lr=0.01)
    losses = []
    batches = Loader(data, 16, shuffle=True, seed=4)
    for _ in range(epochs):
        total = 0.0
        for x, y in batches:
            value = loss(model(x), y)
            adam.zero_grad()
            model.backward(loss.backward())
            optim.clip_grad_norm_(model.parameters(), 0.5)
            adam.step()
            total += value * len(x)
        losses.append(total / len(data))
    same_state(model.state_dict(), trainer.model.state_dict())
    assert trainer.history["loss"] == losses


def test_the_same_seed_gives_the_same_bits():
    def train(seed):
        trainer = make()
        trainer.fit(blobs(), epochs=2, batch_size=16, seed=seed)
        return trainer.model.state_dict()

    same_state(train(3), train(3))
    assert not np.array_equal(train(3)["0.weight"], train(4)["0.weight"])


def test_two_fits_are_one_longer_fit():
    once, twice = make(), make()
    once.fit(blobs(), epochs=4, batch_size=16)
    twice.fit(blobs(), epochs=1, batch_size=16)
    twice.fit(blobs(), epochs=3, batch_size=16)
    assert twice.history["epoch"] == [1, 2, 3, 4]
    assert twice.history["loss"] == once.history["loss"]
    same_state(once.model.state_dict(), twice.model.state_dict())


def test_a_loader_brings_its_own_batches():
    data = blobs()
    trainer, other = make(), make()
    loader = Loader(data, 16, shuffle=True, seed=4)
    trainer.fit(loader, Loader(data, 7), epochs=2, batch_size=3, seed=9)
    other.fit((data.x, data.y), (data.x, data.y), epochs=2, batch_size=16, seed=4)
    same_state(trainer.model.state_dict(), other.model.state_dict())
    assert loader.epoch == 2
    assert trainer.history["val_loss"] == pytest.approx(other.history["val_loss"])


def test_a_last_batch_of_one_does_not_break_batch_norm():
    trainer = make()
    trainer.fit(blobs(33), epochs=2, batch_size=16)
    assert trainer.steps == 2
    with pytest.raises(nn.LayerError, match="BatchNorm1d"):
        make().fit(blobs(1), epochs=1)


def test_float64_and_regression_without_accuracy():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 4)), rng.standard_normal((50, 2))
    trainer = make(model=nn.Linear(4, 2, rng=0).to(np.float64), loss=nn.MSELoss())
    assert trainer.fit((x, y), epochs=1).columns == ["epoch", "loss", "lr", "seconds"]
    assert trainer.predict(x).dtype == np.float64
    assert list(trainer.evaluate((x, y))) == ["loss"]


def test_metrics_of_ones_own_are_weighted_by_batch_size():
    data = blobs(50)
    trainer = make(metrics={"error": lambda outputs, targets: np.mean(outputs.argmax(1) != targets)})
    history = trainer.fit(data, data, epochs=1, batch_size=16)
    assert history.columns == ["epoch", "loss", "error", "val_loss", "val_error", "lr", "seconds", "val_seconds"]
    wrong = np.mean(trainer.predict(data.x).argmax(1) != data.y)
    assert trainer.evaluate(data, batch_size=16)["error"] == pytest.approx(wrong)
    assert history["val_error"][0] == pytest.approx(wrong)
    assert list(make(metrics={}).evaluate(data)) == ["loss"]


def test_predict_in_order_and_in_batches():
    trainer, data = make(), blobs()
    outputs = trainer.predict(data.x, batch_size=7)
    assert outputs.shape == (90, 3)
    np.testing.assert_allclose(outputs, trainer.predict(data.x), rtol=1e-5)
    np.testing.assert_array_equal(outputs, trainer.predict(Loader(data, 7)))
    np.testing.assert_array_equal(outputs, trainer.predict(data.x, batch_size=7))


# ------------------------------------------------------------------------------------------- what is left alone


def test_modes_are_put_back():
    trainer = make()
    trainer.model.eval()
    trainer.model[1].train()
    modes = [module.training for module in trainer.model.modules()]
    trainer.fit(blobs(), blobs(), epochs=1)
    trainer.evaluate(blobs())
    trainer.predict(blobs().x)
    with pytest.raises(nn.LayerError):
        trainer.predict(np.zeros((3, 4), np.float32))
    assert [module.training for module in trainer.model.modules()] == modes


def test_training_and_evaluation_happen_in_their_modes():
    seen = []

    class Spy(nn.Identity):
        def _forward(self, x):
            seen.append((self.training, nn.is_recording()))
            return x, None

    trainer = make(model=nn.Sequential(Spy(), nn.Linear(5, 3, rng=0)), metrics={})
    trainer.fit(blobs(), blobs(), epochs=1, batch_size=50)
    assert seen == [(True, True), (True, True), (False, False)]


@pytest.mark.parametrize("error", [None, ZeroDivisionError("mine"), KeyboardInterrupt()])
def test_nothing_is_left_on_the_stacks(error):
    trainer = make(callbacks=[] if error is None else [Raise(error)])
    try:
        trainer.fit(blobs(), blobs(), epochs=1, batch_size=16)
    except ZeroDivisionError:
        assert trainer.history.stopped == "error"
    assert len(trainer.model._saved) == len(trainer.loss._saved) == 0


def test_nothing_is_left_on_the_stacks_when_the_loss_fails():
    data = blobs()
    trainer = make()
    with pytest.raises(ValueError, match="CrossEntropyLoss"):
        trainer.fit((data.x, data.y + 1), epochs=1)
    assert len(trainer.model._saved) == len(trainer.loss._saved) == 0


def test_looking_for_the_columns_changes_nothing():
    trainer = make()
    before, dropout = trainer.model.state_dict(), trainer.model[3]
    trainer._prepare(Loader(blobs()), None, 1)
    same_state(before, trainer.model.state_dict())
    assert dropout.step == 0


# ---------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "want epochs >= 1, got 0"),
        ({"batch_size": 0}, "fit: want batch_size >= 1, got 0"),
        ({"train": (np.zeros((0, 5), np.float32), np.zeros(0, int))}, "training data: .*at least one sample"),
        ({"validation": (np.zeros((0, 5), np.float32), np.zeros(0, int))}, "validation data: .*at least one sample"),
        ({"train": (np.zeros((4, 5), np.float32), np.zeros(3, int))}, "training data: .*4 samples .*y has 3"),
        ({"validation": (np.zeros((4, 5), np.float32), np.zeros(5, int))}, "validation data: .*y has 5"),
        (
            {"train": Loader((np.zeros((9, 2, 2)), np.zeros(9, int)), size=(3, 3)), "validation": blobs()},
            r"brings images to a form \(size \(3, 3\), channels None\), so give a Loader here",
        ),
        ({"train": Loader(blobs(), mean=0.5), "validation": blobs()}, "normalises .*mean 0.5.* give a Loader here"),
    ],
)
def test_bad_data_before_anything_is_trained(arguments, message):
    trainer = make()
    before = trainer.model.state_dict()
    with pytest.raises(ValueError, match=message):
        trainer.fit(**({"train": blobs(), "validation": blobs()} | arguments))
    same_state(before, trainer.model.state_dict())
    assert len(trainer.history) == 0


def test_what_is_no_data_is_named():
    with pytest.raises(TypeError, match=r"fit: got samples without labels \(ndarray\): .* fit\(\(X, y\)\)"):
        make().fit(blobs().x)
    with pytest.raises(ValueError, match=r"predict: .*at least one, got shape \(0, 5\)"):
        make().predict(np.zeros((0, 5), np.float32))
    with pytest.raises(ValueError, match="batch_size >= 1"):
        make().evaluate(blobs(), batch_size=0)
    with pytest.raises(nn.LayerError, match=r"Sequential\[0\].Linear.*\(4, 6\)"):
        make().evaluate((np.zeros((4, 6), np.float32), np.zeros(4, int)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip_norm": 0.0}, "want a positive clip_norm, got 0.0"),
        ({"loss": nn.MSELoss(reduction="none")}, "reduction 'mean' or 'sum', got 'none'"),
        ({"metrics": {"loss": min, "val_f1": min}}, "loss, val_f1 cannot be the name of a metric"),
    ],
)
def test_bad_arguments_of_the_trainer(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_bad_parts_of_the_trainer():
    with pytest.raises(TypeError, match="want Callback objects, got function"):
        make(callbacks=[lambda trainer: None])
    sgd = optim.SGD(make_model().parameters(), lr=0.1)
    with pytest.raises(ValueError, match="the optimizer holds none of the model's parameters"):
        Trainer(make_model(), nn.CrossEntropyLoss(), sgd)


def test_errors_of_a_run_are_one_family():
    from minigrad.train import NonFiniteError

    assert issubclass(NonFiniteError, TrainingError)


def test_import_is_light():
    heavy = {"rich", "matplotlib", "safetensors", "numba", "scipy", "torch", "pooch", "click"}
    code = f"import sys, minigrad.train, minigrad.plots; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
