"""Transfer learning: another head, a frozen backbone, learning rates by layer."""

from itertools import pairwise

import numpy as np
import pytest

from minigrad import models, nn, optim
from minigrad.train import Checkpoint, LRSchedule, Trainer

IMAGES = np.random.default_rng(0).standard_normal((6, 1, 8, 8)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])


class Wrapped(nn.Composite):
    """A model in a list of a model of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Identity()
        self.parts = [nn.Flatten(), models.mlp(64, [7, 6], 5, batch_norm=True, rng=0)]

    def compose(self) -> nn.Module:
        return nn.Sequential(self.scale, *self.parts)


class Listed(nn.Composite):
    """A head in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [nn.Flatten(), nn.Linear(64, 6, rng=0), nn.ReLU(), nn.Linear(6, 5, rng=1)]

    def compose(self) -> nn.Module:
        return nn.Sequential(*self.parts)


# A model, the place of its head, and the head's inputs.
MODELS = {
    "cnn": (lambda: models.cnn(image_size=8, filters=[2, 3], rng=0), "7", 12),
    "mlp": (lambda: models.mlp(64, [7, 6], 5, rng=0), "5", 6),
    "resnet20": (lambda: models.resnet20(in_channels=1, rng=0), "fc", 64),
    "chain of models": (lambda: nn.Sequential(nn.Identity(), models.resnet20(in_channels=1, rng=0)), "1.fc", 64),
    "of one's own": (Wrapped, "parts.1.7", 6),
    "in a list": (Listed, "parts.3", 6),
}


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def found(request):
    make, name, inputs = request.param
    return make(), name, inputs


@pytest.mark.parametrize("hidden", [[], [4], [4, 9]])
def test_a_head_is_replaced(found, hidden) -> None:
    model, name, inputs = found
    before = model.state_dict()
    assert models.replace_head(model.requires_grad_(False).eval(), 3, hidden, rng=7) is model
    after = model.state_dict()
    kept = [key for key in before if not key.startswith(f"{name}.")]
    for key in kept:
        np.testing.assert_array_equal(after[key], before[key], err_msg=key)
    sizes = [inputs, *hidden, 3]
    places = [f"{name}.{2 * i}" for i in range(len(hidden) + 1)] if hidden else [name]
    shapes = {}
    for place, (before_it, behind_it) in zip(places, pairwise(sizes), strict=True):
        shapes |= {f"{place}.weight": (behind_it, before_it), f"{place}.bias": (behind_it,)}
    assert {key: array.shape for key, array in after.items() if key not in kept} == shapes
    assert [key for key, p in model.named_parameters() if p.requires_grad] == list(shapes)
    assert not any(module.training for module in model.modules())
    assert model(IMAGES).shape == (6, 3)


def test_dropout_and_precision() -> None:
    model = models.replace_head(models.mlp(4, [5], 3, rng=0).to(np.float64), 2, [6, 7], dropout=0.5, rng=0)
    kinds = [type(layer).__name__ for layer in model[3]]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert {parameter.dtype for parameter in model.parameters()} == {np.dtype(np.float64)}
    assert model[3][2].seed != model[3][5].seed


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (nn.Linear(3, 2), {}, r"want a Linear at the end, inside the model; it has Linear as its last"),
        (
            nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)),
            {},
            r"it has Sequential\[1\].BatchNorm1d as its last layer",
        ),
        (nn.Sequential(nn.Linear(3, 2), nn.Conv2d(1, 1, 1)), {}, r"it has Sequential\[1\].Conv2d as its last layer"),
        (nn.Sequential(nn.ReLU()), {}, "it has no parameters"),
        (models.mlp(3, [4], 2), {"dropout": 0.5}, "a dropout lies behind hidden layers, and there are none"),
        (models.mlp(3, [4], 2), {"hidden": [-1]}, "want positive sizes, got 4 and -1"),
        (models.mlp(3, [4], 2), {"hidden": [5], "dropout": 2}, "want a probability"),
    ],
)
def test_a_head_that_cannot_be_replaced(model, arguments, message) -> None:
    before = repr(model)
    with pytest.raises(ValueError, match=message):
        models.replace_head(model, 3, **arguments)
    assert repr(model) == before


def test_a_place_that_is_not_there() -> None:
    model = models.resnet20(rng=0)
    for target in ("head", "layer1.7", "layer1.0.conv3", "fc.weight", ""):
        with pytest.raises(AttributeError, match="there is no module"):
            model.set_submodule(target, nn.Identity())


@pytest.mark.parametrize("hidden", [[], [4]])
def test_a_frozen_backbone(found, hidden) -> None:
    model, name, _ = found
    models.freeze_backbone(models.replace_head(model, 3, hidden))
    trained = [key for key, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained == [key for key, _ in model.named_parameters() if key.startswith(f"{name}.")]
    assert models.head_name(model) == name


@pytest.mark.parametrize("model", [nn.Sequential(nn.ReLU()), nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), nn.ReLU()])
def test_nothing_but_a_head(model) -> None:
    with pytest.raises(ValueError, match="freeze_backbone: want a model of two children or more that have parameters"):
        models.freeze_backbone(model)


def test_groups_hold_everything_once(found) -> None:
    model, name, _ = found
    groups = models.layer_groups(model, lr=0.1, decay=0.5)
    assert groups[0]["name"] == name
    assert [group["lr"] for group in groups] == [0.1 * 0.5**k for k in range(len(groups))]
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(map(id, model.parameters()))
    assert repr(optim.SGD(groups, momentum=0.9)).count("lr=") == len(groups)


def test_groups_with_tied_weights() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    optim.Adam(models.layer_groups(model, lr=0.1, decay=1.0))


@pytest.mark.parametrize("decay", [0, -1, 1.5, np.nan])
def test_a_decay_out_of_range(decay) -> None:
    with pytest.raises(ValueError, match="layer_groups: want a decay above 0 and at most 1"):
        models.layer_groups(models.mlp(3, [4], 2), 0.1, decay)


# ------------------------------------------------------------------------------------------------------- training


def trainer_of(folder, **options) -> Trainer:
    """Return a training of a half frozen model, with groups, a schedule and a checkpoint after each epoch."""
    model = models.replace_head(models.mlp(64, [7, 6], 5, batch_norm=True, rng=0), 3, [4], rng=1)
    model[1].requires_grad_(False)
    model[2].requires_grad_(False)
    adam = optim.Adam(models.layer_groups(model, lr=0.05, decay=0.5))
    schedule = LRSchedule(optim.CosineAnnealingLR(adam, 12), every="step")
    return Trainer(
        model, nn.CrossEntropyLoss(), adam, callbacks=[schedule, Checkpoint(folder)], progress=False, **options
    )


@pytest.mark.parametrize("compiled", [True, False])
def test_a_resumed_training_ends_as_one_without_interruption(compiled, tmp_path, monkeypatch) -> None:
    data = IMAGES, LABELS
    whole = trainer_of(tmp_path / "whole", compiled=compiled)
    frozen = [whole.model[1].weight.data.copy(), whole.model[2].running_mean.copy()]
    whole.fit(data, epochs=4, batch_size=2)
    np.testing.assert_array_equal(whole.model[1].weight.data, frozen[0])
    np.testing.assert_array_equal(whole.model[2].running_mean, frozen[1])
    assert whole.model[5].running_mean.any()

    broken = trainer_of(tmp_path / "broken", compiled=compiled)

    def stop(self, trainer) -> None:
        if trainer.epoch == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_epoch_start", stop)
        broken.fit(data, epochs=4, batch_size=2)
    resumed = trainer_of(tmp_path / "broken", compiled=compiled)
    resumed.resume(tmp_path / "broken")
    resumed.fit(data, epochs=4, batch_size=2)
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], array, err_msg=name)
    assert resumed.history["lr"] == whole.history["lr"]


def test_a_trainer_wants_something_to_train(tmp_path) -> None:
    model = models.mlp(3, [4], 2).requires_grad_(False)
    with pytest.raises(ValueError, match="Trainer: all parameters that the optimizer holds are frozen"):
        Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1))
