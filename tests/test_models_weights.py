"""Weights by name and from files, without a network."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from minigrad import io, models, nn
from minigrad.models import weights
from minigrad.models.weights import PRETRAINED, Pretrained, load_weights

URL = "https://example.org/archive"


@pytest.fixture
def trained() -> nn.Linear:
    return nn.Linear(3, 2, rng=1)


@pytest.fixture
def source(trained: nn.Linear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that is downloaded as ResNet18's weights "plain", and as "zipped" from an archive."""
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    file, archive = tmp_path / "linear.pth", tmp_path / "archive"
    io.save_torch(file, trained.state_dict())
    with zipfile.ZipFile(archive, "w") as writer:
        writer.write(file, "inside/linear.pth")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    known = {
        "plain": Pretrained("a.pth", digest, str(file)),
        "zipped": Pretrained("b.pth", digest, str(archive), "inside/linear.pth"),
        "other": Pretrained("c.pth", "0" * 64, str(file)),
        "not zipped": Pretrained("d.pth", digest, str(file), "inside/linear.pth"),
        "nowhere": Pretrained("e.pth", digest, URL, "inside/linear.pth"),
    }
    monkeypatch.setitem(PRETRAINED, "resnet18", known)
    return file


def retrieve(url: str, path: Path) -> None:
    if url == URL:
        raise ConnectionError("no route")
    path.write_bytes(Path(url).read_bytes())


@pytest.mark.parametrize("name", ["plain", "zipped"])
def test_a_name_is_downloaded_once(
    name: str, source: Path, trained: nn.Linear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "retrieve", retrieve)
    path = weights.fetch(PRETRAINED["resnet18"][name])
    assert path.read_bytes() == source.read_bytes()
    monkeypatch.delattr(weights, "retrieve")
    model = load_weights(nn.Linear(3, 2, rng=2), "resnet18", name)
    np.testing.assert_array_equal(model.weight.data, trained.weight.data)


def test_what_is_damaged_is_downloaded_again(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "retrieve", retrieve)
    path = weights.fetch(PRETRAINED["resnet18"]["plain"])
    path.write_bytes(b"cut off")
    assert weights.fetch(PRETRAINED["resnet18"]["plain"]).read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other", r"linear\.pth: not c\.pth: its sha256 is [0-9a-f]{64}, want 0{64}"),
        ("not zipped", "want a zip archive with inside/linear.pth"),
        ("nowhere", rf"e\.pth: cannot be downloaded: no route\nFetch it elsewhere from {URL}, .* give its path"),
        ("gone", "no file gone, and no weights of that name; known are plain, zipped"),
    ],
)
def test_what_is_not_found_is_an_error(
    name: str, message: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "retrieve", retrieve)
    with pytest.raises(models.WeightsError, match=message):
        load_weights(nn.Linear(3, 2), "resnet18", name)
    assert not list((tmp_path / "cache").rglob("*.pth"))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_a_file(suffix: str, trained: nn.Linear, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    (io.save_state if suffix == ".safetensors" else io.save_torch)(path, trained.state_dict())
    model = load_weights(nn.Linear(3, 2, rng=2), "resnet34", path)
    np.testing.assert_array_equal(model.weight.data, trained.weight.data)


def test_other_classes_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    io.save_state(tmp_path / "resnet.safetensors", models.resnet18(4).state_dict())
    with pytest.raises(models.WeightsError) as caught:
        models.resnet18(3, weights=tmp_path / "resnet.safetensors")
    lines = str(caught.value).splitlines()
    assert "  shape: fc.weight is (3, 512), got (4, 512)" in lines
    assert len(lines) == 4
    assert "models.replace_head(models.resnet18(weights=...)" in lines[-1]


def test_a_file_of_another_kind_is_an_error(tmp_path: Path) -> None:
    torch.save([torch.ones(2, 3)], tmp_path / "list.pth")
    with pytest.raises(models.WeightsError, match=r"list\.pth: want arrays by name, got a list"):
        load_weights(nn.Linear(3, 2), "resnet18", tmp_path / "list.pth")
    with pytest.raises(io.StateFileError, match="not a PyTorch file"):
        load_weights(nn.Linear(3, 2), "resnet18", __file__)


def test_names_are_those_of_functions() -> None:
    for network, known in PRETRAINED.items():
        assert callable(getattr(models, network))
        for wanted in known.values():
            assert wanted.url.startswith("https://")
            assert wanted.file.split("-")[-1][:8] == wanted.sha256[:8]
