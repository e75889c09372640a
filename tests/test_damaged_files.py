"""State files and checkpoints with some bytes changed: an error, or what was written. Never something else.

`python -m tests.test_damaged_files 4000` does so with as many copies of each.
"""

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.io import StateFileError, load_metadata, load_state, save_state
from minigrad.io.state import CHECKSUM, read_state
from minigrad.train import Checkpoint, EarlyStopping, Trainer, TrainingError
from minigrad.train.tree import read_tree
from tests.test_train_tree import same


def write_checkpoint(folder: Path) -> None:
    """Train for two epochs and leave `last.safetensors` and `best.safetensors`."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(5, 7, rng=0), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3, rng=1))
    callbacks = [Checkpoint(folder), EarlyStopping()]
    trainer = Trainer(
        model,
        nn.CrossEntropyLoss(),
        optim.Adam(model.parameters()),
        callbacks=callbacks,
        progress=False,
        compiled=False,
    )
    data = rng.standard_normal((24, 5)).astype(np.float32), rng.integers(0, 3, 24)
    trainer.fit(data, data, epochs=2, batch_size=8)


def in_order(tree: Any) -> Any:
    """Return arrays and metadata, which come in no particular order, sorted by name."""
    return [dict(sorted(part.items())) for part in (tree if isinstance(tree, tuple) else [tree])]


def outcomes(path: Path, read: Callable[[Path], Any], copies: int) -> Counter[str]:
    """Change a few bytes of as many copies, and count what reading them comes to."""
    content, want, draw, counts = path.read_bytes(), read(path), random.Random(0), Counter[str]()
    copy = path.with_name("copy.safetensors")
    for _ in range(copies):
        changed = bytearray(content)
        for place in draw.sample(range(len(content)), draw.randint(1, 5)):
            # Half of the changes give letters, which JSON takes where it takes letters.
            changed[place] = draw.choice((draw.randrange(256), ord(draw.choice("abcz019. "))))
        copy.write_bytes(changed)
        try:
            got = read(copy)
        except (StateFileError, TrainingError) as error:
            counts["told"] += str(error).startswith(str(copy))
        except BaseException as error:
            counts[f"foreign: {error!r}"] += 1
        else:
            counts["as written" if same(in_order(want), in_order(got)) else "wrong, without a word"] += 1
    return counts


@pytest.mark.parametrize(("name", "read"), [("last", read_tree), ("best", read_state), ("best", load_metadata)])
def test_no_change_passes_without_a_word(tmp_path: Path, name: str, read: Callable[[Path], Any]) -> None:
    write_checkpoint(tmp_path)
    counts = outcomes(tmp_path / f"{name}.safetensors", read, 300)
    assert counts.keys() <= {"told", "as written"}
    assert counts["told"] > 280


@pytest.mark.parametrize("change", [CHECKSUM, "crc64 of errays anX mXtXdata", "c  32 of arrays and metadat@"])
def test_damage_to_the_checksums_name_does_not_hide_it(tmp_path: Path, change: str) -> None:
    path = tmp_path / "m.safetensors"
    save_state(path, {"w": np.arange(5)}, {"made by": "a test"})
    assert load_metadata(path) == {"made by": "a test"}
    assert path.read_bytes().count(CHECKSUM.encode()) == 1
    content = path.read_bytes().replace(CHECKSUM.encode(), change.encode())
    path.write_bytes(content[:-1] + bytes([change == CHECKSUM]))
    for read in (load_state, load_metadata):
        with pytest.raises(StateFileError, match=r"m\.safetensors: damaged: the content is not what was written"):
            read(path)


def test_files_of_others_have_no_checksum_and_are_read(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    for metadata in (None, {"format": "pt"}, {"made by": "minigrad 0.1", "crc": "1"}):
        save_file({"w": np.arange(5)}, tmp_path / "m", metadata)
        assert same(load_state(tmp_path / "m"), {"w": np.arange(5)})
        assert load_metadata(tmp_path / "m") == (metadata or {})


def test_another_program_may_write_the_same_content_in_its_own_way(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    arrays = {"w": np.arange(5), "a": np.ones((2, 3), np.float32)}
    save_state(tmp_path / "ours", arrays, {"made by": "a test", "z": "1"})
    with safe_open(tmp_path / "ours", framework="np") as file:
        metadata = file.metadata()
    save_file(dict(reversed(load_file(tmp_path / "ours").items())), tmp_path / "theirs", metadata)
    assert same(dict(sorted(load_state(tmp_path / "theirs").items())), dict(sorted(arrays.items())))
    save_file(arrays | {"w": np.arange(1, 6)}, tmp_path / "theirs", metadata)
    with pytest.raises(StateFileError, match="another program has changed it, and kept the entry 'crc32"):
        load_state(tmp_path / "theirs")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        write_checkpoint(Path(name))
        for file, reader in (("last.safetensors", read_tree), ("best.safetensors", read_state)):
            print(file, dict(outcomes(Path(name) / file, reader, int(sys.argv[1]))))
