"""A compiled epoch: the batches of an eager one, in one native call."""

from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import data, nn, optim
from minigrad.engine import TrainingStep
from tests.backend import needs_engine
from tests.cases.schedule import SCHEDULES, ScheduleCase
from tests.engine_runs import programs_of
from tests.engine_twins import adam, compiled, network, samples, twins

pytestmark = needs_engine

MANY = 29


def float32_network() -> nn.Sequential:
    return network().to(np.float32)


def pixels(count: int = MANY) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (count, 3), np.uint8), rng.integers(0, 5, count)


def orders(count: int = MANY) -> list[np.ndarray]:
    return [np.random.default_rng(epoch).permutation(count) for epoch in range(3)]


@pytest.mark.parametrize("batch_size", [1 + MANY // 3, MANY - 2, MANY, 2 * MANY])
@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_epochs(batch_size: int, clip_norm: float | None) -> None:
    """The last batch is smaller, or the only one."""
    x, y = samples(MANY)
    both = twins(network(), batch_size=batch_size, clip_norm=clip_norm)
    for order in orders():
        both.note(lambda step, order=order: step.epoch(x, y, order))


@pytest.mark.parametrize("normalised", [{}, {"mean": 0.2, "std": 0.5}], ids=["as it is", "normalised"])
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
def test_samples_of_all_kinds(kind: str, normalised: dict[str, float]) -> None:
    """A batch is what a Loader makes of it: what the kernel that gathers rounds, both round alike."""
    x, y = pixels() if kind == "uint8" else samples(MANY)
    model = network() if kind == "float64" else float32_network()
    x = x.astype(kind)
    both = twins(model, batch_size=8)
    for order in orders():
        both.note(lambda step, order=order: step.epoch(x, y, order, **normalised))
    assert both.compiled.epoch(x, y) == pytest.approx(both.eager.epoch(x, y), rel=1e-4)


@pytest.mark.parametrize("kind", ["int64", "int32", "uint16"])
def test_samples_are_indices(kind: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 11, (MANY, 4)).astype(kind), rng.integers(0, 5, MANY)
    model = nn.Sequential(nn.Embedding(11, 3, padding_idx=2, rng=0), nn.Flatten(), nn.Linear(12, 5, rng=0))
    both = twins(model.to(np.float64), batch_size=8)
    for order in orders():
        both.note(lambda step, order=order: step.epoch(x, y, order))
    both.step(x[:7], y[:7])


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (nn.MSELoss(), lambda rng: rng.standard_normal((MANY, 4, 5))),
        (nn.BCEWithLogitsLoss(reduction="sum"), lambda rng: rng.random((MANY, 4, 5))),
        (nn.CrossEntropyLoss(ignore_index=2), lambda rng: rng.integers(0, 4, (MANY, 5))),
        (nn.CrossEntropyLoss(), lambda rng: rng.dirichlet(np.ones(4), (MANY, 5)).swapaxes(1, 2)),
    ],
    ids=["numbers", "a sum", "classes of each place", "shares"],
)
def test_targets_of_all_kinds(loss: nn.Loss, target: Any) -> None:
    """Samples with three axes."""
    x, y = np.random.default_rng(1).standard_normal((MANY, 4, 3)), target(np.random.default_rng(2))
    model = nn.Sequential(nn.Linear(3, 5, rng=0), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(5, 5, rng=1)).to(np.float64)
    both = twins(model, loss=loss, batch_size=8)
    for order in orders():
        both.note(lambda step, order=order: step.epoch(x, y, order))


def test_some_samples_again_and_again() -> None:
    x, y = samples(MANY)
    order = np.array([3, 28, 3, 0, 1, 3, 1, 1], np.int32)
    both = twins(network(), batch_size=4)
    for _ in range(2):
        both.note(lambda step: step.epoch(x, y, order))


def test_samples_in_a_list_and_in_another_layout() -> None:
    x, y = samples(MANY)
    both = twins(network(), batch_size=8)
    both.note(lambda step: step.epoch(np.asfortranarray(x)[::-1], y.tolist(), list(range(MANY))))
    x.flags.writeable = False
    both.note(lambda step: step.epoch(x[::2], y[::2]))


def test_an_epoch_gives_what_each_step_came_to() -> None:
    x, y = samples(MANY)
    both = twins(network(), batch_size=8)
    for order in orders():
        ours, theirs = (step.run_epoch(x, y, order) for step in (both.compiled, both.eager))
        np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-12)
        assert ours.samples.tolist() == theirs.samples.tolist() == [8, 8, 8, 5]
        assert ours.correct == theirs.correct
    assert 0 < ours.correct < MANY


def still(model: nn.Module) -> optim.SGD:
    return optim.SGD(model.parameters(), lr=0.0)


def test_the_loss_of_an_epoch_is_the_mean_of_its_samples() -> None:
    """Also where the last batch is smaller, and where losses are sums."""
    x, _ = samples(5)
    for loss in (nn.MSELoss(), nn.MSELoss(reduction="sum")):
        target = np.arange(15.0).reshape(5, 3)
        both = twins(nn.Linear(3, 3, rng=0).to(np.float64), still, loss, batch_size=2)
        whole = both.eager.loss(both.eager.model(x), target) / (5 if loss.reduction == "sum" else 1)
        assert both.compiled.epoch(x, target) == pytest.approx(whole)
        assert both.eager.epoch(x, target) == pytest.approx(whole)


def test_correct_answers_are_those_of_the_batch_before_its_update() -> None:
    """Where a class cannot be told they are not counted."""
    x, y = samples(MANY)
    both = twins(nn.Linear(3, 5, rng=0).to(np.float64), still, batch_size=8)
    right = int((both.eager.model(x).argmax(axis=1) == y).sum())
    assert both.compiled.run_epoch(x, y).correct == both.eager.run_epoch(x, y).correct == right
    regression = twins(nn.Linear(3, 5, rng=0).to(np.float64), still, nn.MSELoss(), batch_size=8)
    assert regression.compiled.run_epoch(x, x @ np.ones((3, 5))).correct is None


def test_a_loader_and_an_epoch_take_the_same_batches() -> None:
    x, y = pixels()
    loader = data.Loader((x, y), 8, shuffle=True, seed=3, mean=0.3, std=0.4)
    both = twins(float32_network(), batch_size=8)
    for epoch in range(2):
        losses = [both.eager(*batch) for batch in loader]
        ours = both.compiled.run_epoch(x, y, loader.order(epoch), loader.preparation)
        np.testing.assert_allclose(ours.losses, losses, rtol=1e-4)


AUGMENTED: list[dict[str, Any]] = [
    {"augment": data.Augmentation(flip=0.5, crop=1, erasing=0.5), "seed": 5},
    {"augment": data.Augmentation(rotation=90), "mean": (0.1, 0.2, 0.3), "std": 0.5, "channels": 3},
    {"size": (4, 6)},
    {"mean": (0.2,), "std": (0.5,)},
]


def pictures(kind: type = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    return rng.integers(0, 256, (MANY, 1, 5, 3)).astype(kind), rng.integers(0, 5, MANY)


@pytest.mark.parametrize("options", AUGMENTED, ids=lambda options: " ".join(options))
@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_images_are_augmented_as_a_loader_does_it(options: dict[str, Any], kind: type) -> None:
    x, y = pictures(kind)
    loader = data.Loader((x, y), 8, shuffle=True, **options)
    features = next(iter(loader))[0][0].size
    model = nn.Sequential(nn.Flatten(), nn.Linear(features, 5, rng=0)).to(
        np.float64 if kind is np.float64 else np.float32
    )
    both = twins(model, batch_size=8)
    for epoch in range(3):
        order = loader.order(epoch)
        losses = [both.eager(*batch) for batch in loader]
        ours = both.compiled.run_epoch(x, y, order, loader.preparation, epoch)
        np.testing.assert_allclose(ours.losses, losses, rtol=1e-4)
        assert both.compiled.epoch(x, y, order, number=epoch, **options) == pytest.approx(
            both.eager.epoch(x, y, order, number=epoch, **options), rel=1e-4
        )


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_augment_alike(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit. The images are large enough for threads to share them; the batches are of 8 and of 5."""
    rng = np.random.default_rng(6)
    x, y = rng.integers(0, 256, (MANY, 1, 40, 50), np.uint8), rng.integers(0, 5, MANY)
    augment, losses = data.Augmentation(0.5, 2, 20, 0.5), []
    for count in (1, threads):
        monkeypatch.setattr("minigrad.engine.step.get_num_threads", lambda count=count: count)
        step = compiled(nn.Sequential(nn.Flatten(), nn.Linear(2000, 5, rng=0)), batch_size=8)
        losses.append([step.epoch(x, y, augment=augment, number=epoch) for epoch in range(2)])
        assert len(programs_of(step)) == 2  # none for each epoch, nor for each augmentation
        step.epoch(x, y, augment=data.Augmentation(), seed=9)
        assert len(programs_of(step)) == 2
    assert losses[0] == losses[1]


def test_epochs_and_steps_take_turns() -> None:
    x, y = samples(MANY)
    both = twins(network(), batch_size=8)
    for order in orders():
        both.note(lambda step, order=order: step.epoch(x, y, order))
        both.train(2)
        both.do(lambda step: step.optimizer.param_groups[0].update(lr=0.003))


@pytest.mark.parametrize(
    "case", [case for case in SCHEDULES if case.cls != "ReduceLROnPlateau"], ids=lambda case: case.name
)
def test_every_schedule(case: ScheduleCase) -> None:
    """Stepped after each update, over two groups; what it sets stays set. (A plateau is seen once an epoch.)"""
    x, y = samples(MANY)

    def grouped(model: nn.Module) -> optim.Optimizer:
        parameters = list(model.parameters())
        groups = [{"params": parameters[half::2], "lr": lr} for half, lr in enumerate(case.lrs)]
        return getattr(optim, case.rule)(groups)

    both = twins(nn.Linear(3, 5, rng=0).to(np.float64), grouped, batch_size=4)
    schedules = {id(step): case.make(step.optimizer) for step in (both.eager, both.compiled)}
    for order in orders():
        both.note(lambda step, order=order: step.epoch(x, y, order, schedule=schedules[id(step)]))
    ours, theirs = (schedules[id(step)] for step in (both.compiled, both.eager))
    assert ours.last_epoch == theirs.last_epoch == 24
    assert ours.get_last_lr() == theirs.get_last_lr()


def test_an_epoch_ends_at_a_loss_that_is_no_number() -> None:
    """Where that is asked for: before its update, and with the schedule where the steps are."""
    x, y = samples(MANY)
    x[17] = np.inf
    both = twins(nn.Linear(3, 5, rng=0).to(np.float64), batch_size=8)
    schedules = {id(step): optim.ExponentialLR(step.optimizer, 0.5) for step in (both.eager, both.compiled)}
    with np.errstate(invalid="ignore"):
        results = [
            step.run_epoch(x, y, schedule=schedules[id(step)], stop_on_nan=True) for step in (both.eager, both.compiled)
        ]
    for result in results:
        assert np.isfinite(result.losses).tolist() == [True, True, False]
        assert result.samples.tolist() == [8, 8, 8]
    for p, q in zip(both.eager.parameters, both.compiled.parameters, strict=True):
        assert np.isfinite(q.data).all()
        np.testing.assert_allclose(q.data, p.data, rtol=1e-12)


def test_an_epoch_is_one_program_for_each_form() -> None:
    """However many steps it has; the last batch has one of its own."""
    x, y = samples(MANY)
    step = minigrad.compile(model := network(), nn.CrossEntropyLoss(), adam(model), batch_size=8)
    for order in orders():
        step.epoch(x, y, order)
    assert len(programs_of(step)) == 2


BAD = [
    ({"order": [0, MANY]}, "want an order of numbers in \\[0, 29\\), not empty"),
    ({"order": [-1]}, "want an order"),
    ({"order": []}, "want an order"),
    ({"order": [[0, 1]]}, "want an order"),
    ({"y": np.zeros(MANY - 1, int)}, "want as many targets as samples, got 28 and 29"),
    ({"std": 0.0}, "want std > 0, got 0.0"),
    ({"std": float("nan")}, "want std > 0"),
    ({"augment": data.Augmentation(flip=1)}, r"want images \(N, H, W\) or \(N, C, H, W\), got .* \(29, 3\)"),
    ({"y": np.full(MANY, 5)}, r"CrossEntropyLoss: want class indices in \[0, 5\), got 5 to 5"),
    ({"y": np.full(MANY, -1)}, "want class indices"),
    ({"x": np.zeros((MANY, 4))}, r"Sequential\[0\].Linear: want input of shape \(\*, 3\), got \(8, 4\)"),
    ({"x": np.zeros((MANY, 3), np.float32)}, "input is float32, weight is float64"),
    ({"x": np.zeros((MANY, 3), int)}, "float32 or float64 input, got int64"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD, ids=[f"{[*wrong]} {message[:30]}" for wrong, message in BAD])
def test_what_an_epoch_refuses(wrong: dict[str, Any], message: str) -> None:
    """In the same words as an eager one, and before anything has been trained."""

    def refused(step: TrainingStep) -> None:
        x, y = samples(MANY)
        before = step.model.state_dict()
        with pytest.raises(ValueError, match=message):
            step.epoch(**{"x": x, "y": y, **wrong})
        for name, array in step.model.state_dict().items():
            assert "running" in name or "num_batches" in name or np.array_equal(array, before[name])

    both = twins(network(), batch_size=8)
    both.do(refused)
    assert np.isfinite(both.compiled.epoch(*samples(MANY)))
