"""What the Trainer makes of data at its door, eagerly and compiled: samples, targets, order, own classes."""

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.data import ArrayDataset, Loader
from minigrad.train import Trainer
from minigrad.train.form import Form

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
COUNTS = RNG.integers(0, 9, (50, 4))
CODES = RNG.integers(0, 7, (50, 4))
IMAGES = RNG.integers(0, 256, (20, 3, 9, 8), np.uint8)


@pytest.fixture(params=[True, False], ids=["compiled", "eager"])
def compiled(request):
    return request.param


def linear(outputs=2, seed=0):
    return nn.Sequential(nn.Linear(4, 5, rng=seed), nn.ReLU(), nn.Linear(5, outputs, rng=seed))


def convolutional(channels):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, rng=0), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2, rng=0)
    )


def make(compiled, model=None, loss=None):
    model = model or linear()
    adam = optim.Adam(model.parameters(), lr=0.01)
    return Trainer(model, loss or nn.CrossEntropyLoss(), adam, progress=False, compiled=compiled)


def trained(compiled, train, make_model=linear, loss=None, validation=None):
    """Return all that comes of a training."""
    trainer = make(compiled, make_model(), loss)
    history = trainer.fit(train, validation or train, epochs=2, batch_size=16)
    weights = [parameter.data for parameter in trainer.model.parameters()]
    return {**{name: history[name] for name in history.columns if "seconds" not in name}, "w": weights}


def assert_same(got, want):
    assert got.keys() == want.keys()
    for name in want:
        for one, other in zip(got[name], want[name], strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


# ------------------------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.int8, bool, "list"])
def test_samples_of_any_numbers(compiled, dtype):
    x = COUNTS.tolist() if dtype == "list" else COUNTS.astype(dtype)
    got = trained(compiled, (x, Y))
    assert_same(got, trained(compiled, (np.asarray(x).astype(np.float32), Y)))
    pairs = list(zip(np.asarray(x), Y, strict=True))
    assert_same(got, trained(compiled, pairs))


def test_numbers_that_the_models_floats_cannot_hold():
    x, y = X.astype(np.float64), Y.astype(np.float64)
    x[3, 1] = y[5] = 1e300
    with pytest.raises(ValueError, match="x holds numbers that float32 cannot: scale them"):
        make(False).fit((x, Y))
    with pytest.raises(ValueError, match="y holds numbers that float32 cannot"):
        make(False, linear(1), nn.MSELoss()).fit((X, y))
    x[3, 1] = np.inf
    assert not np.isfinite(make(False).predict(x)[3]).any()


def test_a_model_in_float64_takes_all_in_float64(compiled):
    def wide():
        model = linear()
        for parameter in model.parameters():
            parameter.data = parameter.data.astype(np.float64)
        return model

    trainer = make(compiled, wide())
    trainer.fit((X, Y), epochs=1)
    assert trainer.predict(X.tolist()).dtype == np.float64


def test_integers_stay_where_a_layer_takes_them(compiled):
    def embedding():
        return nn.Sequential(nn.Embedding(7, 3, rng=0), nn.Flatten(), nn.Linear(12, 2, rng=0))

    want = trained(compiled, (CODES, Y), embedding)
    for x in (CODES.astype(np.uint8), CODES.astype(np.int32), CODES.tolist(), list(zip(CODES, Y, strict=True))):
        assert_same(trained(compiled, x if type(x[0]) is tuple else (x, Y), embedding), want)
    with pytest.raises(nn.LayerError, match="want integer indices"):
        make(compiled, embedding()).fit((CODES + 0.5, Y))


class OneHot(nn.Module):
    """A layer of one's own that takes integers."""

    takes_integers = True

    def _forward(self, x):
        assert x.dtype.kind == "i"
        return np.eye(9, dtype=np.float32)[x].reshape(len(x), -1), x

    def _backward(self, x, dy):
        return np.zeros(x.shape, dy.dtype)


def test_a_layer_of_ones_own_states_that_it_takes_integers():
    model = nn.Sequential(OneHot(), nn.Linear(36, 2, rng=0))
    assert make(False, model).fit((COUNTS, Y), epochs=1)["loss"][0] > 0


def test_images_get_their_channels_where_the_model_has_them(compiled):
    labels = np.arange(20) % 2
    want = trained(compiled, (IMAGES, labels), lambda: convolutional(3))
    channels_last = np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1))
    assert_same(trained(compiled, (channels_last, labels), lambda: convolutional(3)), want)
    grey = trained(compiled, (IMAGES[:, :1], labels), lambda: convolutional(1))
    assert_same(trained(compiled, (IMAGES[:, 0], labels), lambda: convolutional(1)), grey)


def test_the_first_layer_of_a_composite_is_the_one_it_uses_first():
    class Net(nn.Composite):
        def __init__(self):
            super().__init__()
            self.head, self.body = nn.Linear(4, 2, rng=0), convolutional(3)[:3]

        def compose(self):
            return nn.Sequential(self.body, self.head)

    assert make(True, Net()).predict(IMAGES.transpose(0, 2, 3, 1)).shape == (20, 2)


def test_what_fits_is_neither_copied_nor_changed():
    for x, model in ((X, linear()), (IMAGES, convolutional(3)), (X.astype(np.float64), linear())):
        loader = Loader((x, np.arange(len(x)) % 2), 16, shuffle=True)
        before = dict(vars(loader))
        formed = Form(model, nn.CrossEntropyLoss()).of(loader)
        assert (formed is loader) == (x.dtype != np.float64)
        assert vars(loader) == before


def test_a_loader_counts_its_epochs_though_its_data_are_converted(compiled):
    loader = Loader((X.astype(np.float64), Y), 16, shuffle=True)
    twice, once = make(compiled), make(compiled)
    twice.fit(loader, epochs=1)
    twice.fit(loader, epochs=1)
    once.fit(Loader((X, Y), 16, shuffle=True), epochs=2)
    assert twice.history["loss"] == once.history["loss"]
    assert (loader.epoch, loader.data.x.dtype) == (2, np.float64)


# ------------------------------------------------------------------------------------------------------- targets


LOSSES = [nn.MSELoss, nn.L1Loss, nn.HuberLoss, nn.SmoothL1Loss, nn.BCEWithLogitsLoss]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, bool])
def test_values_of_one_output_may_be_a_row(compiled, loss, dtype):
    want = trained(compiled, (X, Y.astype(np.float32)[:, None]), lambda: linear(1), loss())
    y = Y.astype(dtype)
    assert_same(trained(compiled, (X, y), lambda: linear(1), loss(), validation=(X, y.tolist())), want)
    trainer = make(compiled, linear(1), loss())
    assert trainer.evaluate((X, y)) == trainer.evaluate((X, Y.astype(np.float32)[:, None]))


def test_values_stay_a_row_where_outputs_are_one():
    model = nn.Sequential(nn.Linear(4, 1, rng=0), nn.Flatten(0))
    assert make(False, model, nn.MSELoss()).fit((X, Y), epochs=1)["loss"][0] > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y.astype(bool),
        lambda y: y.astype(np.int8),
        lambda y: y.astype(np.uint8),
        lambda y: y.astype(np.float64),
        lambda y: y[:, None],
        lambda y: y.astype(np.float32)[:, None],
        lambda y: y.tolist(),
    ],
    ids=["bool", "int8", "uint8", "float", "column", "float column", "list"],
)
def test_classes_in_any_form(compiled, change):
    want = trained(compiled, (X, Y))
    y = change(Y)
    assert_same(trained(compiled, (X, y)), want)
    assert make(compiled).evaluate((X, y)) == make(compiled).evaluate((X, Y))


def test_classes_as_rows_of_0_and_1(compiled):
    rows = np.eye(2)[Y]
    want = trained(compiled, (X, rows.astype(np.float32)))
    for y in (rows, rows.astype(int), rows.astype(bool)):
        assert_same(trained(compiled, (X, y)), want)


def test_ignored_targets_stay(compiled):
    y = np.where(np.arange(50) < 9, -100, Y)
    assert_same(trained(compiled, (X, y.astype(float))), trained(compiled, (X, y)))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y + 0.5, r"CrossEntropyLoss wants classes 0, 1, .* for instance [01].5: for numbers take .* MSELoss"),
        (np.where(Y, np.nan, 0), "for instance nan"),
        (Y + 1, r"want class indices in \[0, 2\), got 1 to 2: classes, y = np.unique\(y, return_inverse=True\)"),
        (Y - 1, r"got -1 to 0: classes, y = np.unique"),
    ],
)
def test_labels_that_number_no_classes_are_told_what_to_do(compiled, y, message):
    with pytest.raises(ValueError, match=message):
        make(compiled).fit((X, y), epochs=1)
    with pytest.raises(ValueError, match=message):
        make(compiled).evaluate((X, y))


def test_one_output_for_classes_is_told_what_to_do(compiled):
    with pytest.raises(ValueError, match="got 0 to 1: for one output take BCEWithLogitsLoss"):
        make(compiled, linear(1)).fit((X, Y), epochs=1)


def test_a_loss_of_ones_own_gets_what_it_was_given():
    class Own(nn.Loss):
        def _forward(self, x, target):
            assert target.dtype == np.int8
            return ((x[:, 0] - target) ** 2), None, (x, target)

        def _backward(self, saved, dlosses):
            x, target = saved
            return 2 * (x - target[:, None]) * dlosses[:, None]

    assert make(False, linear(1), Own()).fit((X, Y.astype(np.int8)), epochs=1)["loss"][0] > 0


# ----------------------------------------------------------------------------------------- order, and what is refused


def test_predictions_come_in_the_order_of_the_data(compiled):
    trainer = make(compiled)
    shuffled = Loader((X, Y), 16, shuffle=True, drop_last=True)
    trainer.fit(shuffled, epochs=1)
    want = trainer.predict(X)
    np.testing.assert_allclose(trainer.predict(shuffled), want, rtol=1e-6, atol=1e-6)
    whole = trainer.evaluate((X, Y))
    assert trainer.evaluate(shuffled) == pytest.approx(whole, rel=1e-6)
    assert shuffled.epoch == 1


@pytest.mark.parametrize(
    "data",
    [
        X.astype(np.float64),
        X.tolist(),
        list(X),
        (X, Y),
        ArrayDataset(X, Y),
        list(zip(X, Y, strict=True)),
        Loader((X, Y), 7),
    ],
    ids=["float64", "list", "rows", "pair", "ArrayDataset", "pairs", "Loader"],
)
def test_predict_takes_samples_with_and_without_labels(compiled, data):
    np.testing.assert_allclose(make(compiled).predict(data), make(compiled).predict(X), rtol=1e-6, atol=1e-6)


def test_one_sample_is_told_what_to_do(compiled):
    message = r"predict: got one sample of shape {}, want samples \(N, \*\): give x\[None\]"
    for x in (X[0], X[0].tolist()):
        with pytest.raises(ValueError, match=message.format(r"\(4,\)")):
            make(compiled).predict(x)
    with pytest.raises(ValueError, match=message.format(r"\(4,\)")):
        make(compiled, nn.Linear(4, 4, rng=0)).predict(X[0])
    with pytest.raises(ValueError, match=message.format(r"\(3, 9, 8\)")):
        make(compiled, convolutional(3)).predict(IMAGES[0])


def test_what_a_loader_prepared_is_not_taken_raw(compiled):
    trainer = make(compiled)
    trainer.fit(Loader((X, Y), mean=0.5, std=2.0), epochs=1)
    for call in (lambda: trainer.evaluate((X, Y)), lambda: trainer.predict(X)):
        with pytest.raises(ValueError, match=r"Loader normalises \(mean 0.5, std 2.0\), so give a Loader here, too"):
            call()
    prepared = Loader((X, Y), 1000, mean=0.5, std=2.0)
    np.testing.assert_array_equal(trainer.predict(prepared), make_outputs(trainer, (X - 0.5) / 2))
    trainer.fit((X, Y), epochs=1)
    assert len(trainer.predict(X)) == 50


def make_outputs(trainer, x):
    return trainer.predict(Loader((x.astype(np.float32), np.zeros(len(x))), 1000))


PAIR = r"give both as one pair, "


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.fit(X, Y), rf"fit: got samples without labels \(ndarray\): {PAIR}fit\(\(X, y\)\)"),
        (lambda t: t.fit(X.tolist(), Y.tolist()), rf"fit: got samples without labels \(list\): {PAIR}fit"),
        (lambda t: t.fit(X[:, :2].tolist(), Y.tolist()), rf"fit: got samples without labels \(list\): {PAIR}fit"),
        (lambda t: t.fit((X, Y), X), rf"validation data: got samples without labels \(ndarray\): {PAIR}\(X, y\)"),
        (lambda t: t.evaluate(X, Y), rf"evaluate: got samples without labels \(ndarray\): {PAIR}evaluate\(\(X, y\)\)"),
        (lambda t: t.predict(X, Y), r"predict: got labels too, want samples alone: predict\(X\)"),
        (
            lambda t: t.fit({"x": X, "y": Y}),
            r"training data: .* got dict with the keys 'x', 'y': give its arrays as one",
        ),
        (lambda t: t.predict({"x": X}), "predict: .* got dict with the keys 'x'"),
        (lambda t: t.predict("abc"), "predict: .* got str"),
        (lambda t: t.predict(["a", "b"]), r"predict: x must hold numbers, got dtype <U1 \(text\)"),
        (lambda t: t.fit((X, Y), epochs=1.5), "fit: want an integer for epochs, got 1.5"),
        (lambda t: t.fit((X, Y), epochs="3"), "fit: want an integer for epochs, got '3'"),
        (lambda t: t.fit((X, Y), batch_size="a"), "fit: want an integer for batch_size, got 'a'"),
        (lambda t: t.fit((X, Y), seed=1.0), "want an integer for seed, got 1.0"),
        (lambda t: t.evaluate((X, Y), 2.5), "evaluate: want an integer for batch_size, got 2.5"),
    ],
)
def test_calls_that_others_would_write_are_told_what_to_write(call, message):
    with pytest.raises(TypeError, match=message):
        call(make(False))


# --------------------------------------------------------------------------------------------------- own classes


class Shifted(ArrayDataset):
    """Has an `__getitem__` of its own."""

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x + 1, y


class Mixed(Loader):
    """Makes batches of its own."""

    def batch(self, index):
        x, y = super().batch(index)
        return x + 1, y


class Backwards(Loader):
    """Has an order of its own."""

    def order(self, epoch):
        return super().order(epoch)[::-1].copy()


class Iterated(Loader):
    """Iterates by itself, over the first half."""

    def __len__(self):
        return 2

    def __iter__(self):
        for start in (0, 16):
            yield self.batch(np.arange(start, start + 16))
        self.epoch += 1


def test_an_own_data_set_or_loader_is_used(compiled):
    want = trained(compiled, Loader((X + np.float32(1), Y), 16))
    assert_same(trained(compiled, Loader(Shifted(X, Y), 16)), want)
    assert_same(trained(compiled, Mixed((X, Y), 16)), want)
    assert_same(trained(compiled, Mixed((X.astype(np.float64), Y), 16)), want)


def test_an_own_order_and_iteration_are_used(compiled):
    trainer, backwards = make(compiled), Backwards((X, Y), 50)
    want = trainer.predict(X)
    np.testing.assert_allclose(trainer.predict(backwards), want[::-1], rtol=1e-6, atol=1e-6)
    half = Iterated((X, Y), 16)
    np.testing.assert_allclose(trainer.predict(half), want[:32], rtol=1e-6, atol=1e-6)
    got = trained(compiled, half)
    assert_same(got, trained(compiled, Loader((X[:32], Y[:32]), 16)))
