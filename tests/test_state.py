"""What `load_state_dict` takes, refuses and returns, beside PyTorch's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minigrad import compile, models, nn, optim
from minigrad.engine.eager import EagerStep
from minigrad.io import load_torch
from tests.backend import needs_engine

NORMS: list[tuple[str, dict[str, Any]]] = [
    ("BatchNorm1d", {}),
    ("BatchNorm2d", {}),
    ("BatchNorm2d", {"affine": False, "momentum": None}),
    ("InstanceNorm2d", {"track_running_stats": True}),
]


def unchanged(model: nn.Module, before: dict[str, np.ndarray]) -> None:
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name], strict=True)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(("name", "options"), NORMS)
def test_a_state_from_before_num_batches_tracked(name: str, options: dict[str, Any], strict: bool) -> None:
    """PyTorch has counted batches since 0.4.1; in a state without the count it keeps the one that is there."""
    ours, theirs = getattr(nn, name)(3, **options), getattr(torch.nn, name)(3, **options)
    ours.num_batches_tracked += 7
    state = {key: value + 1 for key, value in ours.state_dict().items() if key != "num_batches_tracked"}
    keys = nn.Sequential(ours).load_state_dict({f"0.{key}": value for key, value in state.items()}, strict)
    expected = torch.nn.Sequential(theirs).load_state_dict(
        {f"0.{k}": torch.tensor(v) for k, v in state.items()}, strict
    )
    assert tuple(keys) == tuple(expected) == ([], [])
    assert ours.num_batches_tracked == 7
    np.testing.assert_array_equal(ours.running_mean, np.ones(3))


def test_old_files_of_torchvision_load_into_our_networks(tmp_path: Path) -> None:
    """Such as resnet18-5c106cde.pth, which torchvision had before it counted batches."""
    state = models.resnet18().state_dict()
    old = {key: torch.tensor(value) for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    loaded = models.resnet18(weights=tmp_path / "old.pth").state_dict()
    for key, value in state.items():
        np.testing.assert_array_equal(loaded[key], value)


def test_a_checkpoint_says_where_its_weights_are(tmp_path: Path) -> None:
    state = {f"module.{key}": torch.tensor(value) for key, value in models.resnet20(2).state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "x.pth")
    loaded = load_torch(tmp_path / "x.pth")
    with pytest.raises(
        ValueError, match=r"(?s)unexpected: epoch int.*The model's state is below 'state_dict': load state\["
    ):
        models.resnet20(2).load_state_dict(loaded)
    with pytest.raises(ValueError, match=r"The keys begin with 'module\.', which is DataParallel's\. Take it away: "):
        models.resnet20(2).load_state_dict(loaded["state_dict"])


def test_other_missing_buffers_are_errors() -> None:
    state = nn.BatchNorm1d(3).state_dict()
    del state["running_var"]
    with pytest.raises(ValueError, match=r"missing: running_var \(3,\)"):
        nn.BatchNorm1d(3).load_state_dict(state)


def test_keys_that_were_not_loaded_are_returned() -> None:
    state = {"1.weight": np.ones((2, 3)), "0.bias": np.ones(3), "head": np.ones(1)}
    ours = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).load_state_dict(state, strict=False)
    twin = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    theirs = twin.load_state_dict({name: torch.tensor(value) for name, value in state.items()}, strict=False)
    assert ours.missing_keys == theirs.missing_keys == ["0.weight", "1.bias"]
    assert ours.unexpected_keys == theirs.unexpected_keys == ["head"]
    assert repr(ours) == "IncompatibleKeys(missing_keys=['0.weight', '1.bias'], unexpected_keys=['head'])"
    loaded = nn.Linear(2, 3).load_state_dict(nn.Linear(2, 3).state_dict())
    assert repr(loaded) == repr(torch.nn.Linear(2, 3).load_state_dict(torch.nn.Linear(2, 3).state_dict()))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (np.array(["a", "b"]), r"type: bias: want numbers, got <U1 \(2,\)"),
        (np.array(["2020-01-01"] * 2, "M8[D]"), r"want numbers, got datetime64\[D\] \(2,\)"),
        (np.array([None, 1.0], object), "want numbers, got ndarray"),
        (np.array([b"ab", b"c"]), r"want numbers, got \|S2"),
        (np.zeros(2, [("x", "f4")]), "want numbers, got"),
        (None, "want numbers, got NoneType"),
        ([1.0, [2.0]], "want numbers, got a list"),
        ("ab", r"want numbers, got <U2 \(\)"),
        ({"a": 1.0}, "want numbers, got dict"),
        (np.array([1j, 1]), "want float32, got complex128"),
        (np.array([1.0, 1e300]), r"want float32, got float64 with values that it has not, such as 1e\+300"),
        (np.ones(3), r"shape: bias is \(2,\), got \(3,\)"),
        (torch.ones(2, requires_grad=True), "want numbers, got a Tensor"),
    ],
)
def test_what_is_refused_changes_nothing(bias: Any, message: str, strict: bool) -> None:
    model = nn.Linear(3, 2, rng=0)
    before = model.state_dict()
    with pytest.raises(ValueError, match=rf"(?s)Linear\.load_state_dict:\n.*{message}"):
        model.load_state_dict({"weight": np.ones((2, 3)), "bias": bias}, strict)
    unchanged(model, before)


@pytest.mark.parametrize("count", [np.nan, 1.5, np.inf, 1e300, np.uint64(2**63), 1j])
def test_a_count_is_an_integer(count: Any) -> None:
    norm = nn.BatchNorm1d(3)
    before = norm.state_dict()
    with pytest.raises(ValueError, match="type: num_batches_tracked: want int64, got "):
        norm.load_state_dict(before | {"num_batches_tracked": count, "running_mean": np.ones(3)})
    unchanged(norm, before)


@pytest.mark.parametrize(
    "bias",
    [
        [1, 2],
        np.array([True, False]),
        np.array([1, 2**40]),
        np.array([1.1, np.inf]),
        np.array([np.nan, 1e-300]),
        np.array([0.1, 2], np.float16),
        nn.Parameter([0.1, 0.2]),
        torch.ones(2),
    ],
    ids=str,
)
def test_numbers_are_converted_as_in_torch(bias: Any) -> None:
    ours, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    ours.load_state_dict({"weight": np.ones((2, 3)), "bias": bias})
    values = torch.as_tensor(bias.data if isinstance(bias, nn.Parameter) else bias)
    theirs.load_state_dict({"weight": torch.ones((2, 3)), "bias": values})
    np.testing.assert_array_equal(ours.bias.data, theirs.bias.detach().numpy(), strict=True)


@pytest.mark.parametrize("count", [3, 3.0, np.array([3]), np.array(3, np.uint8), True])
def test_counts_of_other_forms(count: Any) -> None:
    """PyTorch 0.3 wrote numbers as arrays of one."""
    norm, twin = nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    norm.load_state_dict(norm.state_dict() | {"num_batches_tracked": count})
    twin.load_state_dict({**twin.state_dict(), "num_batches_tracked": torch.as_tensor(count)})
    assert norm.num_batches_tracked == twin.num_batches_tracked.item()


def prefixed(prefix: str) -> Callable[[dict[str, np.ndarray]], dict[str, Any]]:
    return lambda state: {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize(
    ("wrap", "remedy"),
    [
        (prefixed("module."), r"begin with 'module\.', which is DataParallel's\. Take it away: \{key\.removeprefix"),
        (prefixed("_orig_mod."), r"begin with '_orig_mod\.', which is torch\.compile's"),
        (prefixed("model.net."), r"The keys begin with 'model\.net\.'\. Take it away: \{key\.removeprefix"),
        (lambda state: {"epoch": 3, "state_dict": state}, r"below 'state_dict': load state\['state_dict'\]"),
    ],
)
def test_known_other_forms_come_with_a_remedy(wrap: Callable[..., dict[str, Any]], remedy: str) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with pytest.raises(ValueError, match=rf"(?s)missing: 0\.weight .*{remedy}"):
        model.load_state_dict(wrap(model.state_dict()))


def test_a_list_is_no_state() -> None:
    with pytest.raises(TypeError, match=r"Linear\.load_state_dict: want arrays by name, got list"):
        nn.Linear(3, 2).load_state_dict([np.ones((2, 3))])


def images(name: str) -> np.ndarray:
    shape = (5, 3, 4, 2)[: 2 if name.endswith("1d") else 4]
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


WITHOUT = {"running_mean": None, "running_var": None, "num_batches_tracked": None}
CHANGES: list[dict[str, Any]] = [{"bias": None}, {"weight": None, "bias": None}]
# Not of InstanceNorm2d: PyTorch refuses it without its running statistics, and moves them where it is told not to.
CHANGES_OF_BATCH_NORM = [*CHANGES, WITHOUT, {"num_batches_tracked": None}, {"track_running_stats": False}]


CHANGED = [
    *[("BatchNorm1d", {}, changed) for changed in CHANGES_OF_BATCH_NORM],
    *[("BatchNorm2d", {}, changed) for changed in CHANGES_OF_BATCH_NORM],
    *[("BatchNorm2d", {"affine": False, "momentum": None}, changed) for changed in ({}, WITHOUT)],
    *[("InstanceNorm2d", {"track_running_stats": True, "affine": True}, changed) for changed in CHANGES],
]


@pytest.mark.parametrize(("name", "options", "changed"), CHANGED)
@pytest.mark.parametrize("training", [True, False])
def test_what_is_set_afterwards_is_followed(
    name: str, options: dict[str, Any], changed: dict[str, Any], training: bool
) -> None:
    """As in PyTorch: what is None is not used, and a layer that does not track leaves its running statistics."""
    ours, theirs = getattr(nn, name)(3, **options), getattr(torch.nn, name)(3, **options)
    state = {key: value + 2 for key, value in ours.state_dict().items()}
    ours.load_state_dict(state)
    theirs.load_state_dict({key: torch.tensor(value) for key, value in state.items()})
    ours.train(training)
    theirs.train(training)
    for attribute, value in changed.items():
        setattr(ours, attribute, value)
        setattr(theirs, attribute, value)
    x = images(name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    np.testing.assert_allclose(ours(x), theirs(torch.tensor(x)).detach().numpy(), atol=1e-5)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], value.numpy(), atol=1e-6, err_msg=key)


@needs_engine
@pytest.mark.parametrize(("name", "options", "changed"), CHANGED)
def test_compiled_follows_it(name: str, options: dict[str, Any], changed: dict[str, Any]) -> None:
    """A step and outputs that are compiled afterwards are those of the layer as it is then."""
    models = [nn.Sequential(getattr(nn, name)(3, **options), nn.Flatten(), nn.Linear(24, 2, rng=0)) for _ in range(2)]
    if name.endswith("1d"):
        models = [nn.Sequential(model[0], nn.Linear(3, 2, rng=0)) for model in models]
    for model in models:
        for attribute, value in changed.items():
            setattr(model[0], attribute, value)
    x, y, loss = images(name), np.arange(5) % 2, nn.CrossEntropyLoss()
    steps = [
        make(model, loss, optim.SGD(model.parameters(), lr=0.1), 5)
        for make, model in zip((compile, EagerStep), models, strict=True)
    ]
    outputs = models[0].compiled()
    for round in range(2):
        for step in steps:
            step(x, y)
        np.testing.assert_allclose(outputs(x), models[1].eval()(x), atol=1e-4)
        models[1].train()
        for key, value in models[1].state_dict().items():
            np.testing.assert_allclose(models[0].state_dict()[key], value, atol=1e-4, err_msg=f"{round} {key}")
