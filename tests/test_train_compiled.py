"""The Trainer with compiled steps: the same as without, and who cannot have them."""

import numpy as np
import pytest

import minigrad
from minigrad import engine, nn, optim
from minigrad.data import ArrayDataset, Augmentation, Loader
from minigrad.train import (
    Averaging,
    Callback,
    EarlyStopping,
    LRSchedule,
    NonFiniteError,
    StopOnNaN,
    Trainer,
    accuracy,
    steps,
)
from tests.backend import needs_engine

ALL_AT_ONCE, ONE_BY_ONE = float("inf"), 0.0  # seconds that a native call should take at least


def blobs(samples=90, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples)
    return ArrayDataset((rng.standard_normal((samples, 5)) + 2 * y[:, None]).astype(dtype), y)


def make(*callbacks, optimizer=optim.Adam, schedule=None, middle=None, dtype=np.float64, **options):
    rng = np.random.default_rng(0)
    dropout = nn.Dropout(0.2, rng=rng)
    layers = nn.Linear(5, 7, rng=rng), nn.BatchNorm1d(7), middle or nn.ReLU(), dropout, nn.Linear(7, 3, rng=rng)
    model = nn.Sequential(*layers).to(dtype)
    updates = optimizer(model.parameters(), lr=0.01)
    if schedule:
        callbacks = (*callbacks, *(LRSchedule(each(updates), every="step") for each in schedule))
    loss = options.pop("loss", None) or nn.CrossEntropyLoss()
    return Trainer(model, loss, updates, callbacks=callbacks, **({"progress": False} | options))


def fit(trainer, data=None, epochs=3, **options):
    return trainer.fit(data or blobs(), blobs(seed=1), **({"epochs": epochs, "batch_size": 16, "seed": 3} | options))


def same_bits(one, other):
    for name, array in one.model.state_dict().items():
        np.testing.assert_array_equal(array, other.model.state_dict()[name], err_msg=name, strict=True)
    for mine, others in zip(one.history.rows, other.history.rows, strict=True):
        assert {**mine, "seconds": 0, "val_seconds": 0} == {**others, "seconds": 0, "val_seconds": 0}


class Count(Callback):
    """Counts the steps after which it is called."""

    def __init__(self):
        self.steps = []

    def on_step_end(self, trainer):
        self.steps.append((trainer.step, round(trainer.means.loss, 6), trainer.means.samples))


@pytest.fixture
def calls(monkeypatch):
    """Return how many samples each native call of a fit took."""
    taken, run = [], engine.TrainingStep.run_epoch

    def counted(self, x, y, order=None, **options):
        taken.append(len(order))
        return run(self, x, y, order, **options)

    monkeypatch.setattr(engine.TrainingStep, "run_epoch", counted)
    monkeypatch.setattr(steps, "SECONDS", ALL_AT_ONCE)
    return taken


# ------------------------------------------------------------------------------------------- the same as eager


@needs_engine
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": optim.SGD, "clip_norm": 0.1},
        {"schedule": [lambda o: optim.OneCycleLR(o, max_lr=0.1, total_steps=18)]},
        {"schedule": [lambda o: optim.StepLR(o, 5), lambda o: optim.ExponentialLR(o, 0.9)]},
        {"loss": nn.CrossEntropyLoss(reduction="sum")},
        {"metrics": {"right": accuracy}},
        {"metrics": {}},
    ],
    ids=["plain", "clipped", "schedule", "two schedules", "sum", "accuracy by another name", "no metrics"],
)
@pytest.mark.parametrize("count", [False, True], ids=["many steps at once", "one by one"])
def test_it_is_what_the_eager_trainer_does(options, count):
    counts = [[Count()] if count else [] for _ in range(2)]
    compiled, eager = (
        make(*each, compiled=is_so, **options) for is_so, each in zip((True, False), counts, strict=True)
    )
    fit(compiled)
    fit(eager)
    assert compiled.history.columns == eager.history.columns
    for column in compiled.history.columns:
        if not column.endswith("seconds"):
            np.testing.assert_allclose(compiled.history[column], eager.history[column], rtol=1e-9, err_msg=column)
    for name, array in compiled.model.state_dict().items():
        np.testing.assert_allclose(array, eager.model.state_dict()[name], rtol=1e-7, atol=1e-10, err_msg=name)
    assert compiled.model[3].step == eager.model[3].step == 18
    if count:
        assert counts[0][0].steps == counts[1][0].steps


@needs_engine
def test_images_are_normalised_as_a_loader_does_it():
    rng = np.random.default_rng(0)
    images, y = rng.integers(0, 256, (50, 5), np.uint8), np.arange(50, dtype=np.uint8) % 3
    trainers = [make(dtype=np.float32, compiled=compiled) for compiled in (True, False)]
    for trainer in trainers:
        trainer.fit(Loader((images, y), 16, shuffle=True, mean=0.3, std=0.4, drop_last=True), epochs=3)
    np.testing.assert_allclose(trainers[0].history["loss"], trainers[1].history["loss"], rtol=1e-5)


@needs_engine
@pytest.mark.parametrize("seconds", [ALL_AT_ONCE, ONE_BY_ONE])
def test_images_are_augmented_as_a_loader_does_it(seconds, monkeypatch):
    """In two fits of two epochs, however many steps a call does; what is validated is not augmented."""
    monkeypatch.setattr(steps, "SECONDS", seconds)
    rng = np.random.default_rng(0)
    images, y = rng.integers(0, 256, (50, 5, 4), np.uint8), np.arange(50) % 3
    trainers = []
    for compiled in (True, False):
        model = nn.Sequential(nn.Flatten(), nn.Linear(20, 3, rng=0))
        adam = optim.Adam(model.parameters())
        trainers.append(Trainer(model, nn.CrossEntropyLoss(), adam, progress=False, compiled=compiled))
        batches = Loader((images, y), 16, True, mean=0.3, augment=Augmentation(0.5, 1, 20, 0.5))
        for _ in range(2):
            trainers[-1].fit(batches, batches, epochs=2)
    for column in ("loss", "val_loss"):
        np.testing.assert_allclose(trainers[0].history[column], trainers[1].history[column], rtol=1e-5)
    plain = Loader((images, y), 16, mean=0.3)
    assert trainers[0].history["val_loss"][-1] == pytest.approx(trainers[0].evaluate(plain)["loss"])
    np.testing.assert_array_equal(
        trainers[0].predict(Loader((images, y), 16, mean=0.3, augment=Augmentation(1.0))), trainers[0].predict(plain)
    )


@needs_engine
def test_averaging():
    compiled, eager = make(compiled=True), make(compiled=False)
    for trainer in (compiled, eager):
        trainer.callbacks.append(Averaging(optim.EMA(trainer.model.parameters(), decay=0.5)))
        fit(trainer)
    np.testing.assert_allclose(compiled.history["val_loss"], eager.history["val_loss"], rtol=1e-9)


@needs_engine
def test_it_is_the_compiled_step_over_the_batches():
    trainer, other, data = make(), make(), blobs()
    fit(trainer)
    step = minigrad.compile(other.model, other.loss, other.optimizer, batch_size=16)
    loader = Loader(data, 16, shuffle=True, seed=3)
    losses = [step.epoch(data.x, data.y, loader.order(epoch)) for epoch in range(3)]
    other.history = trainer.history
    same_bits(trainer, other)
    assert trainer.history["loss"] == pytest.approx(losses, rel=1e-14)


@needs_engine
def test_how_many_steps_a_call_does_changes_nothing(monkeypatch):
    trainers = [make(schedule=[lambda o: optim.CosineAnnealingLR(o, 18)]) for _ in range(3)]
    for trainer, seconds in zip(trainers, (ALL_AT_ONCE, ONE_BY_ONE, 1e-4), strict=True):
        monkeypatch.setattr(steps, "SECONDS", seconds)
        fit(trainer)
    same_bits(trainers[0], trainers[1])
    same_bits(trainers[0], trainers[2])


@needs_engine
@pytest.mark.parametrize("event", ["on_epoch_start", "on_step_end"])
def test_options_of_layers_and_loss_may_change(event):
    def anneal(self, trainer):
        trainer.model[2].negative_slope *= 0.9
        trainer.loss.label_smoothing += 0.01

    trainers = [
        make(type("Anneal", (Callback,), {event: anneal})(), middle=nn.LeakyReLU(0.5), compiled=compiled)
        for compiled in (True, False)
    ]
    for trainer in trainers:
        fit(trainer)
    np.testing.assert_allclose(trainers[0].history["loss"], trainers[1].history["loss"], rtol=1e-9)


# ------------------------------------------------------------------------------------- how many steps in a call


@needs_engine
def test_calls_grow_up_to_an_epoch(calls):
    fit(make(schedule=[lambda o: optim.StepLR(o, 5)]), epochs=3)
    assert calls == [16, 32, 42, 64, 26, 90]


@needs_engine
def test_calls_shrink_when_they_take_long(calls, monkeypatch):
    class Slow(Callback):
        def on_epoch_end(self, trainer, row):
            monkeypatch.setattr(steps, "SECONDS", ONE_BY_ONE)

    fit(make(Slow()), epochs=3)
    assert calls == [16, 32, 42, 64, 26, *[16] * 5, 10]


@needs_engine
@pytest.mark.parametrize("why", ["callback", "two schedules", "loader", "items"])
def test_one_step_a_call_where_something_happens_in_between(why, calls):
    class Mirrored(Loader):
        def batch(self, index):
            x, y = super().batch(index)
            return -x, y

    data = blobs()
    trainer = make(
        *([Count()] if why == "callback" else []),
        schedule=[lambda o: optim.StepLR(o, 5)] * 2 if why == "two schedules" else None,
    )
    if why == "loader":
        data = Mirrored(data, 16, shuffle=True, seed=3)
    elif why == "items":
        data = [(data.x[i], data.y[i]) for i in range(len(data))]
    fit(trainer, data, epochs=1)
    assert calls == [16] * 5 + [10]
    other = make()
    fit(other, ArrayDataset(-blobs().x, blobs().y) if why == "loader" else None, epochs=1)
    if why != "two schedules":
        same_bits(trainer, other)


@needs_engine
def test_the_epoch_is_counted_by_the_loader_when_it_is_whole():
    loader, trainer = Loader(blobs(), 16, shuffle=True), make()
    trainer.fit(loader, epochs=2)
    assert loader.epoch == 2

    class Interrupt(Callback):
        def on_step_end(self, trainer):
            raise KeyboardInterrupt

    trainer.callbacks.append(Interrupt())
    assert trainer.fit(loader, epochs=1).stopped == "interrupted"
    assert loader.epoch == 2


# --------------------------------------------------------------------------------------- losses that are not finite


def end_of(trainer, data):
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as caught:
        fit(trainer, data)
    assert trainer.history.stopped == "error"
    return str(caught.value)


def with_nan():
    data = blobs()
    data.x[7, 2] = np.nan
    return data


def diverging(compiled):
    trainer = make(optimizer=optim.SGD, compiled=compiled)
    trainer.optimizer.param_groups[0]["lr"] = 1e200
    return trainer


@needs_engine
@pytest.mark.parametrize("count", [False, True], ids=["many steps at once", "one by one"])
def test_nan_ends_the_fit_at_the_same_step_with_the_same_words(count, monkeypatch):
    monkeypatch.setattr(steps, "SECONDS", ALL_AT_ONCE)
    for make_it, data in (
        (lambda compiled: make(*[Count()] * count, compiled=compiled), with_nan()),
        (lambda compiled: diverging(compiled), None),
    ):
        trainers = [make_it(compiled) for compiled in (True, False)]
        words = [end_of(trainer, data) for trainer in trainers]
        assert words[0] == words[1]
        assert trainers[0].step == trainers[1].step > 1
        one, other = (trainer.model.state_dict() for trainer in trainers)
        for name in one:  # weights as before that step, running statistics as after its forward
            # The gradient of a bias in front of a BatchNorm is 0, so it is rounding, times the learning rate.
            atol = 1e-10 * (max(1, np.abs(other["0.weight"]).max()) if name == "0.bias" else 1)
            np.testing.assert_allclose(one[name], other[name], rtol=1e-7, atol=atol, err_msg=name)
        assert trainers[0].model[3].step == trainers[1].model[3].step


@needs_engine
def test_nan_in_the_last_small_batch():
    data = blobs()
    order = Loader(data, 16, shuffle=True, seed=3).order(0)
    data.x[order[-1]] = np.inf
    assert end_of(make(EarlyStopping()), data).startswith(
        "loss is nan in epoch 1, step 6: the input of 1 of 10 samples"
    )


@needs_engine
def test_nan_stops_all_threads(monkeypatch):
    """The layers are large enough to be shared."""
    monkeypatch.setattr(steps, "SECONDS", ALL_AT_ONCE)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((256, 128)).astype(np.float32), np.arange(256) % 3
    x[200] = np.nan
    ends = []
    for threads in (1, 2, 4):
        model = nn.Sequential(nn.Linear(128, 256, rng=0), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 3, rng=1))
        trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()), progress=False)
        monkeypatch.setattr("minigrad.engine.threads._chosen", threads)
        with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match=r"epoch 1, step 7: .* 1 of 32 samples"):
            trainer.fit(Loader((x, y), 32), epochs=1)
        ends.append(model.state_dict())
    for name, array in ends[0].items():
        np.testing.assert_array_equal(array, ends[1][name], err_msg=name)
        np.testing.assert_array_equal(array, ends[2][name], err_msg=name)


@needs_engine
def test_nan_may_be_allowed():
    trainers = [make(stop_on_nan=False, compiled=compiled) for compiled in (True, False)]
    with np.errstate(all="ignore"):
        histories = [fit(trainer, with_nan()) for trainer in trainers]
    assert np.isnan(histories[0]["loss"]).all()
    assert histories[0]["accuracy"] == histories[1]["accuracy"]


# ------------------------------------------------------------------------------------------------- who is eager


class Own(nn.Identity):
    """A layer without a lowering."""


class Watch(Callback):
    def on_loss(self, trainer, x, y, value):
        pass


@needs_engine
@pytest.mark.parametrize(
    ("callbacks", "options", "reason"),
    [
        ([], {"middle": nn.Residual(Own())}, r"Sequential[2].body.Own has no lowering"),
        ([], {"metrics": {"f1": lambda outputs, y: 1.0}}, "the metric 'f1' wants the outputs of each batch"),
        ([Watch()], {}, "Watch acts on each loss before the update"),
    ],
)
def test_what_cannot_be_compiled_is_said_once(callbacks, options, reason, capsys):
    trainer = make(*callbacks, progress=True, **options)
    fit(trainer, epochs=1)
    fit(trainer, epochs=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(("epoch ", "compiling"))] == [
        f"{reason}, so each step runs eagerly"
    ]


@needs_engine
@pytest.mark.parametrize("options", [{}, {"compiled": False, "middle": Own()}, {"stop_on_nan": True}])
def test_nothing_is_said_elsewhere(options, capsys):
    fit(make(StopOnNaN(), progress=True, **options), epochs=1)
    assert "eagerly" not in capsys.readouterr().out


def test_without_a_compiler_it_is_said_once_in_a_process(monkeypatch, capsys):
    monkeypatch.setattr(steps, "_said_in_this_process", set())
    for name in ("why_nothing", "why_eager"):
        monkeypatch.setattr(engine, name, lambda *parts: "there is no compiler")
    for _ in range(2):
        fit(make(progress=True), epochs=1)
    assert capsys.readouterr().out.count("there is no compiler, so each step runs eagerly\n") == 1
