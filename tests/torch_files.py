"""Files of PyTorch, drawn: trees of tensors of every dtype and view, written in both formats and read by both.

`python -m tests.torch_files --files 5000` compares so many with `torch.load(weights_only=True)`;
`--damaged 20000` damages so many, of which none may raise, print or take more than it should.
"""

import argparse
import io
import os
import pickletools
import random
import sys
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minigrad.io import StateFileError, load_torch
from minigrad.io.torch_storage import DTYPES

NAMED = {getattr(torch, name): shown for name, (_, shown) in DTYPES.items()}
NEW_DTYPES = [torch.uint16, torch.uint32, torch.uint64, torch.complex32]
NUMBERS = [0, -1, 255, 65536, 2**31, -(2**63), 2**70, 1.5, float("nan"), 1 - 2j]
TEXTS = ["", "ä\ud800", "x" * 300, b"a\xff", bytearray(b"abc")]
CONTAINERS = [(), [], {}, OrderedDict(), ((),), {1, "a"}, set(), {(1, "a")}, Counter("abca")]
OF_TORCH = [
    *(torch.Size([2, 3]), torch.Size([]), torch.float32, torch.bfloat16, torch.float8_e5m2, torch.strided),
    *(torch.device("cpu"), torch.device("cuda:1")),
]
LEAVES = [None, True, False, *NUMBERS, *TEXTS, *CONTAINERS, *OF_TORCH]


def assert_same(ours: Any, theirs: Any) -> None:
    """Compare what was read with what PyTorch reads."""
    if isinstance(theirs, torch.Tensor):
        shown, resolved = NAMED[theirs.dtype], theirs.detach().resolve_conj().resolve_neg()
        to = {torch.bfloat16: torch.float32, torch.complex32: torch.complex64}.get(theirs.dtype, theirs.dtype)
        np.testing.assert_array_equal(ours, resolved.to(to).numpy(), strict=True)
        assert ours.dtype == shown
        assert ours.flags.writeable
        if 0 not in ours.shape:
            assert ours.strides == tuple(stride * ours.itemsize for stride in theirs.stride())
    elif isinstance(theirs, dict):
        assert type(ours) is (Counter if isinstance(theirs, Counter) else dict)
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert_same(ours[key], value)
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is (tuple if isinstance(theirs, torch.Size) else type(theirs))
        assert len(ours) == len(theirs)
        for mine, yours in zip(ours, theirs, strict=True):
            assert_same(mine, yours)
    elif isinstance(theirs, (torch.dtype, torch.device, torch.layout)):
        assert ours == str(theirs)
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs or theirs != theirs


class Drawer:
    """Draws trees of a few levels from a generator, among whose tensors some share a storage."""

    def __init__(self, rng: random.Random, new: bool) -> None:
        self.rng = rng
        self.bases = [self._base(new) for _ in range(rng.randint(1, 3))]

    def _base(self, new: bool) -> torch.Tensor:
        dtype = self.rng.choice([dtype for dtype in NAMED if new or dtype not in NEW_DTYPES])
        shape = [self.rng.randint(0, 4) for _ in range(self.rng.randint(0, 4))]
        numbers = np.random.default_rng(self.rng.getrandbits(32)).standard_normal((2, *shape)) * 100
        tensor = torch.tensor(numbers[0])
        if dtype.is_complex:
            return torch.complex(tensor, torch.tensor(numbers[1])).to(dtype)
        return (tensor if dtype.is_floating_point or dtype.is_signed else tensor.abs()).to(dtype)

    def tensor(self) -> torch.Tensor:
        """Return a view of a view of ..., or a parameter."""
        x = self.rng.choice(self.bases)
        for _ in range(self.rng.randint(0, 3)):
            x = self._view(x)
        if self.rng.random() < 0.1 and x.is_floating_point():
            return torch.nn.Parameter(x, requires_grad=self.rng.random() < 0.5)
        return x

    def _view(self, x: torch.Tensor) -> torch.Tensor:
        axis = self.rng.randrange(x.ndim) if x.ndim else 0
        match self.rng.randrange(9):
            case 0 if x.ndim:
                return x.transpose(axis, -1)
            case 1 if x.ndim:
                return x.narrow(axis, *((1, x.shape[axis] - 1) if x.shape[axis] else (0, 0)))
            case 2 if x.ndim:
                return x[(slice(None),) * axis + (slice(None, None, 2),)]
            case 3 if x.ndim and x.shape[axis]:
                return x.select(axis, self.rng.randrange(x.shape[axis]))
            case 4:
                return x.expand(self.rng.randint(0, 3), *x.shape)
            case 5 if x.is_complex() and x.dtype != torch.complex32:
                return x.conj()
            case 6 if x.is_complex() and x.dtype != torch.complex32:
                return x.clone().conj().imag  # a negative view of every other number, in a storage of its own
            case 7 if x.is_floating_point():
                return torch._neg_view(x)
            case 8 if x.ndim and x.numel() and min(x.stride()) > 0 and x.shape[-1] > 1:
                return x.as_strided((x.shape[-1] - 1, 2), (x.stride(-1), x.stride(-1)))  # windows that overlap
        return x

    def tree(self, depth: int = 3) -> Any:
        """Return a tree of tensors and all else that may be in one."""
        if depth == 0 or self.rng.random() < 0.3:
            return self.tensor() if self.rng.random() < 0.6 else self.rng.choice(LEAVES)
        items = [self.tree(depth - 1) for _ in range(self.rng.randint(0, 4))]
        if items and self.rng.random() < 0.2:
            items.append(items[0])  # shared
        kind = self.rng.choice([list, tuple, dict, OrderedDict])
        if kind in (list, tuple):
            return kind(items)
        keys = self.rng.sample(["a", "b.weight", 0, 7, (1, "x"), None, 2.5, True, "ü"], len(items))
        tree = kind(zip(keys, items, strict=True))
        if kind is OrderedDict:
            tree._metadata = {"": {"version": 2}}  # as state_dict() has it
        return tree


def drawn(seed: int) -> tuple[Any, bytes]:
    """Return a tree, and its file in one of the formats."""
    rng = random.Random(seed)
    new, buffer = rng.random() < 0.5, io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of complex32
        tree = Drawer(rng, new).tree()
        torch.save(tree, buffer, _use_new_zipfile_serialization=new)
    return tree, buffer.getvalue()


def compare(path: Path, seed: int) -> None:
    """Compare what a drawn file holds for PyTorch and for us."""
    _, content = drawn(seed)
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of complex32
        theirs = torch.load(path, weights_only=True)
    assert_same(load_torch(path), theirs)


# ------------------------------------------------------------------------------------------------------- damaged


def damaged(seed: int) -> bytes:
    """Return a drawn file with a few bytes changed: anywhere, or in the pickle of a whole archive."""
    rng = random.Random(seed)
    _, content = drawn(rng.randrange(1000))
    if not zipfile.is_zipfile(io.BytesIO(content)) or rng.random() < 0.3:
        return _damaged(content, rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as whole, zipfile.ZipFile(buffer, "w") as archive:
        for name in whole.namelist():
            read = whole.read(name)
            archive.writestr(name, _damaged(read, rng) if name.endswith("data.pkl") else read)
    return buffer.getvalue()


def _damaged(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    opcodes = [ord(opcode.code) for opcode in pickletools.opcodes]
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(changed))
        match rng.randrange(5):
            case 0:
                changed[place] = rng.randrange(256)
            case 1:
                changed[place] = rng.choice(opcodes)
            case 2:
                changed[place : place + 8] = rng.choice([0, 255, 2**31, 2**40, 2**63]).to_bytes(8, "little")
            case 3:
                changed[place:place] = changed[place : place + rng.randint(1, 30)]
            case 4 if len(changed) > 40:
                del changed[place : place + rng.randint(1, 30)]
    return bytes(changed)


def survive(path: Path, seed: int) -> bool:
    """Read a damaged file, and return whether it could be read.

    It raises for any error but ours, for more than seconds (tracemalloc is slow), for more memory than there should be
    for its length, and for anything on the standard error.
    """
    content = damaged(seed)
    path.write_bytes(content)
    with tempfile.TemporaryFile() as printed, _standard_error(printed.fileno()):
        start, is_read = time.process_time(), True
        tracemalloc.start()
        try:
            load_torch(path)
        except StateFileError:
            is_read = False
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        seconds = time.process_time() - start
        printed.seek(0)
        assert printed.read() == b""
    assert seconds < 10, f"{seconds:.1f} s"
    assert peak < 200 * len(content) + 4_000_000, f"{peak} bytes"
    return is_read


@contextmanager
def _standard_error(to: int) -> Iterator[None]:
    """Lead the process's standard error elsewhere, where CPython prints what it cannot raise."""
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(to, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def main() -> None:
    """Compare and damage files, and print how many."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--damaged", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pth"
        for seed in range(args.seed, args.seed + args.files):
            try:
                compare(path, seed)
            except Exception as error:
                raise AssertionError(f"drawn file {seed}") from error
        print(f"{args.files} files read as by torch.load")
        read = 0
        for seed in range(args.seed, args.seed + args.damaged):
            try:
                read += survive(path, seed)
            except Exception as error:
                raise AssertionError(f"damaged file {seed}") from error
        print(f"{args.damaged} damaged files: {read} read, the others refused")


if __name__ == "__main__":
    main()
