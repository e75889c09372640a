"""`python -m tests.fuzz --count 20000 --seed 0`: damaged inputs for every command, none of which may raise anything.

Each input of a command (pictures, .npy, IDX, weights of every kind, the files of a run, a checkpoint, a user's Python
file) is made whole once, and then again and again with some bytes changed, removed, repeated or cut off. The command
runs in this process: it has to end with a known exit code, and with a word on standard error where that is not 0.
"""

import argparse
import gzip
import io
import json
import resource
import shutil
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

from minigrad import models
from minigrad.cli import main as minigrad
from minigrad.io import save_state, save_torch
from tests.cli_toy import QUICK, SHAPE, images, raise_in_epoch, toy_in_catalog, train

INDENTED = ("  ", "Remove the file;")  # a list of keys, or the advice of a damaged data set
CODES = (0, 1, 2)  # of a command that nobody interrupts
SECONDS = 20.0  # of one command
MEMORY = 8 << 30  # bytes of addresses for all of them
SHORT = ("--epochs", "1", "--limit", "20", "--eager", "--quiet")
TRAIN = ("train", "toy", "--hidden", "4", *SHORT)
NO_IMAGES = "predict train-y"  # labels: the only file that is refused whole (the 30 of test-y could be an image)
NUMBERS = (b"0", b"-1", b"1e400", b"NaN", b"99999999999", b"null", b'"x"', b"[]", b"{}", b"true")

VALUES = (0, -1, 7, 0.5, 1e300, float("nan"), 10**30, None, True, "", "x", [], [0], [3, 3, 3], {}, {"name": "cnn"})


@dataclass(frozen=True)
class Target:
    """A file that a command reads, and the command that reads it."""

    name: str
    file: Path
    command: Callable[[Path], list[str]]


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes with a few places changed."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at = (
            int(rng.integers(0, max(1, len(data))))
            if rng.random() < 0.5
            else int(rng.integers(0, min(300, len(data) or 1)))
        )
        match int(rng.integers(0, 6)):
            case 0:
                data[at : at + 1] = bytes([int(rng.integers(0, 256))])
            case 1:
                del data[at : at + int(rng.integers(1, 9))]
            case 2:
                data[at:at] = data[at : at + int(rng.integers(1, 30))]
            case 3:
                data[at : at + 1] = NUMBERS[int(rng.integers(0, len(NUMBERS)))]
            case 4:
                del data[at:]
            case 5:
                data[at : at + 4] = rng.bytes(4)
    return bytes(data)


def edited(content: bytes, rng: np.random.Generator) -> bytes:
    """Return the JSON of an object with one value, at any depth, changed or removed."""
    whole = json.loads(content)
    places = [(whole, key) for key in whole]
    for inner, key in places:  # which grows
        value = inner[key]
        if isinstance(value, dict | list) and value:
            places += [(value, key) for key in (value if isinstance(value, dict) else range(len(value)))]
    inner, key = places[int(rng.integers(0, len(places)))]
    if rng.random() < 0.2:
        del inner[key]
    else:
        inner[key] = VALUES[int(rng.integers(0, len(VALUES)))]
    return json.dumps(whole).encode()


def targets(folder: Path) -> Iterator[Target]:
    """Make one of everything, and yield it. The run has been trained on the toy data set."""
    from PIL import Image

    run, out = folder / "run", folder / "out"
    pixels, _ = images(4, 1)
    for suffix in ("png", "jpg", "gif", "bmp", "tif", "tga", "webp", "ppm"):
        file = folder / f"picture.{suffix}"
        Image.fromarray(pixels[0]).convert("RGB").save(file)
        yield Target(f"predict a {suffix}", file, lambda path: ["predict", str(run), str(path)])
    np.save(folder / "array.npy", pixels)
    yield Target("predict a npy", folder / "array.npy", lambda path: ["predict", str(run), str(path)])
    for file in sorted((folder / "data").iterdir()):
        yield Target(f"predict {file.name}", file, lambda path: ["predict", str(run), str(path)])
        yield Target(
            f"train on {file.name}", file, lambda path: [*TRAIN, "--data", str(path.parent), "--out", str(out)]
        )
        yield Target(f"verify {file.name}", file, lambda path: ["data", "verify", str(path.parent)])
    packed = folder / "images.gz"
    packed.write_bytes(gzip.compress((folder / "data" / "test-x").read_bytes(), mtime=0))
    yield Target("predict a gz", packed, lambda path: ["predict", str(run), str(path)])
    for name in ("config.json", "model.safetensors"):
        yield Target(f"evaluate {name}", run / name, lambda path: ["evaluate", str(path.parent)])
        yield Target(
            f"finetune {name}",
            run / name,
            lambda path: ["finetune", "toy", "--weights", str(path.parent), *SHORT, "--out", str(out)],
        )
    state = models.mlp(prod(SHAPE), [4], 3).state_dict()
    options = ["--model", "mlp", "--hidden", "4", *SHORT, "--out", str(out)]
    for name, save in {
        "weights.pth": save_torch,
        "legacy.pth": save_legacy,
        "weights.safetensors": save_state,
    }.items():
        save(folder / name, state)
        yield Target(
            f"finetune {name}", folder / name, lambda path: ["finetune", "toy", "--weights", str(path), *options]
        )
    last = interrupted(folder / "half") / "checkpoint" / "last.safetensors"
    resumed = folder / "resumed" / "checkpoint" / "last.safetensors"

    def resume(path: Path) -> list[str]:
        shutil.rmtree(folder / "resumed", ignore_errors=True)
        shutil.copytree(last.parents[1], folder / "resumed")
        shutil.copy(path, resumed)
        return ["train", "toy", *QUICK, "--quiet", "--eager", "--resume", "--out", str(folder / "resumed")]

    yield Target("resume last.safetensors", last, resume)
    user = folder / "scale.py"
    user.write_text("from minigrad import nn\n\n\nclass Scale(nn.Tanh):\n    pass\n")
    yield Target("gradcheck scale.py", user, lambda path: ["gradcheck", f"{path}:Scale", "--shape", "3", "2"])


def save_legacy(path: Path, state: dict[str, np.ndarray]) -> None:
    """Write weights as PyTorch did before version 1.6."""
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def interrupted(folder: Path) -> Path:
    """Return the folder of a run that Ctrl-C ended in its second epoch."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        raise_in_epoch(patch, 2, KeyboardInterrupt())
        assert train(folder, "--eager") == 130
    return folder / "run"


def outcome(command: list[str]) -> tuple[int, str]:
    """Run a command; return its exit code, and what is wrong with how it ended, or an empty string."""
    out, err, start = io.StringIO(), io.StringIO(), time.perf_counter()
    try:
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = minigrad(command)
    except BaseException as error:
        return -1, f"{type(error).__name__}: {error}"
    if code not in CODES:
        return code, f"exit code {code}"
    if code and not (err.getvalue() + out.getvalue()).strip():
        return code, "no word about what is wrong"
    _, *more = err.getvalue().splitlines() or [""]
    if code == 1 and not all(line.startswith(INDENTED) for line in more):
        return code, f"more than a line and a list: {err.getvalue()}"
    seconds = time.perf_counter() - start
    return code, f"took {seconds:.0f} s" if seconds > SECONDS else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with TemporaryDirectory() as name:
        failures = search(Path(name), args.count, args.seed)
    sys.exit(bool(failures))


def search(folder: Path, count: int, seed: int) -> list[str]:
    """Try `count` damaged inputs; return what went wrong."""
    rng, tried, failures = np.random.default_rng(seed), Counter[tuple[str, int]](), []
    with toy_in_catalog(folder):
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            assert train(folder, "--epochs", "1") == 0
            all_targets = list(targets(folder))
        for target in all_targets:  # a damaged file says nothing where the whole one is refused
            code, wrong = outcome(target.command(target.file))
            assert code == (target.name == NO_IMAGES), (target.name, code, wrong)
        for number in range(count):
            target = all_targets[number % len(all_targets)]
            content = target.file.read_bytes()
            damage = edited if target.file.suffix == ".json" and rng.random() < 0.5 else mutated
            target.file.write_bytes(damage(content, rng))
            code, wrong = outcome(target.command(target.file))
            target.file.write_bytes(content)
            tried[target.name, code] += 1
            if wrong:
                failures.append(f"{target.name}, number {number}: {wrong[:300]}")
                print(failures[-1], flush=True)
    for target in all_targets:
        codes = ", ".join(
            f"{times} with {code}" for (name, code), times in sorted(tried.items()) if name == target.name
        )
        print(f"{target.name:30}  ended {codes}")
    print(f"{count} damaged inputs, {len(failures)} foreign exceptions")
    return failures


if __name__ == "__main__":
    main()
