"""Trees as files: they come back equal, or are refused when they are written."""

import json
import math
import os
from collections import OrderedDict, namedtuple
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minigrad.io import StateFileError, load_metadata, load_state, save_state
from minigrad.io.state import DTYPES
from minigrad.train import TrainingError
from minigrad.train.tree import read_tree, write_tree


def same(one: Any, other: Any) -> bool:
    """Return whether two trees are equal, in the kinds of their containers and in the bits of their arrays too."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and (one.dtype, one.shape, one.tobytes()) == (
            other.dtype,
            other.shape,
            other.tobytes(),
        )
    if isinstance(one, dict):
        return isinstance(other, dict) and same(list(one.items()), list(other.items()))
    if isinstance(one, list | tuple):
        return isinstance(other, type(one)) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return type(one) is type(other) and bool(one == other)


def there_and_back(path: Path, tree: Any) -> dict[str, Any]:
    write_tree(path, tree)
    return read_tree(path)


def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    tree = {
        "state": {0: {"step": 3, "avg": np.arange(6.0).reshape(2, 3)}, 10: {}},
        "groups": [{"lr": 0.1, "params": [0, 1], "name": None, "betas": (0.9, 0.999)}],
        "limits": [float("inf"), True, "text", 2**63 - 1],
        "empty": np.zeros((0, 3), np.float32),
    }
    assert same(tree, there_and_back(tmp_path / "tree", tree))
    stored = json.loads(load_metadata(tmp_path / "tree")["tree"])
    assert stored["groups"] == [{"lr": 0.1, "params": [0, 1], "name": None, "betas": {"$tuple": [0.9, 0.999]}}]
    assert "state.0.avg" in load_state(tmp_path / "tree")


x, y = np.arange(3.0), np.ones(2, np.int8)


@pytest.mark.parametrize(
    "tree",
    [
        {"a": {"b": x}, "a.b": y},
        {"a": {"b": 1}, "a.b": 2},
        {"a.b": y, "a": {"b": x, "b (2)": y}, "a.b (2)": x},
        {1: x, "1": y},
        {"": x},
        {"": {"": y}, ".": x, "a/b": y, "/": {"..": x}},
        {"__metadata__": x},
        {"$array": "w", "w": x},
        {"$items": [[1, 2]]},
        {"a": {"$tuple": [1]}},
        {"\ud800": x, "\\ud800": y, "ü\0": "\udfff"},
        {None: 1, True: x, 2.5: 3, (1, ("a", None)): y, float("inf"): 2, -0.0: "minus"},
        {"nested": [[], {}, (), [[]], ({},), {"a": []}]},
        {"n": [10**400, -(10**4000), 0, -0.0, float("-inf"), 5e-324]},
    ],
)
def test_odd_keys_and_values(tmp_path: Path, tree: dict[Any, Any]) -> None:
    assert same(tree, there_and_back(tmp_path / "tree", tree))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.uint64, np.bool_, np.str_])
def test_scalars_of_numpy_come_back_as_equal_numbers(tmp_path: Path, kind: Any) -> None:
    (value,) = there_and_back(tmp_path / "tree", {kind(1): kind(0.1)}).items()
    assert value == (kind(1), kind(0.1))
    assert not isinstance(value[1], np.generic)


def test_derived_classes_come_back_as_what_they_derive_from(tmp_path: Path) -> None:
    point = namedtuple("point", "x y")
    tree = OrderedDict(b=point(1, x), a=np.arange(4.0)[::2])
    assert same({"b": (1, x), "a": np.array([0.0, 2.0])}, there_and_back(tmp_path / "tree", tree))


keys = st.recursive(
    st.one_of(st.text(), st.sampled_from(["$array", "$items", "$tuple", "a", "a.b", "b"]), st.integers(), st.none())
    | st.floats(allow_nan=True)
    | st.booleans(),
    lambda inner: st.lists(inner, max_size=2).map(tuple),
    max_leaves=3,
)
arrays = st.sampled_from(sorted(DTYPES.values())).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2))
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | arrays
trees = st.dictionaries(
    keys,
    st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(keys, inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


@given(tree=trees)
def test_any_tree_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, tree: dict[Any, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # which takes nearly all of the time
        assert same(tree, there_and_back(tmp_path_factory.getbasetemp() / "tree", tree))


loop: list[Any] = []
loop.append(loop)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": {"b": date(2026, 1, 1)}}, r"a\.b is date, which a checkpoint cannot hold"),
        ({"a": [1, {2}]}, r"a\.1 is set"),
        ({"a": b"x"}, "a is bytes"),
        ({"a": 1j}, "a is complex"),
        ({"a": np.complex64(1)}, "a is complex"),
        ({"a": np.datetime64("2026-01-01")}, "a is date"),
        ({"a": np.longdouble(1)}, "a is longdouble"),
        ({"a": {frozenset(): 1}}, "a key of a is frozenset"),
        ({"a": loop}, "too deep, or holds itself"),
        ({"a": 10**5000}, "4300 digits"),
    ],
)
def test_what_would_not_come_back_is_refused(tmp_path: Path, tree: Any, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        write_tree(tmp_path / "tree", tree)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("array", [np.array([None]), np.array(["x"]), np.zeros(2, complex), np.zeros(2, "M8[s]")])
def test_arrays_that_the_format_cannot_hold_are_refused(tmp_path: Path, array: Any) -> None:
    with pytest.raises(StateFileError, match=r"tree: a\.0 is "):
        write_tree(tmp_path / "tree", {"a": [array]})


def write_old(path: Path, text: str) -> None:
    """Write a checkpoint as the first version did: without a checksum, tuples as lists."""
    from safetensors.numpy import save_file

    save_file({"model.w": x, "a.0": y}, path, {"format": "minigrad checkpoint 1", "tree": text})


def test_old_checkpoints_still_load(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    write_old(
        path, '{"model": {"w": {"$array": "model.w"}}, "a": [{"$array": "a.0"}], "s": {"$items": [[0, {"l": 1}]]}}'
    )
    assert same({"model": {"w": x}, "a": [y], "s": {0: {"l": 1}}}, read_tree(path))


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "3", '{"a": {"$array": "b"}}', '{"a": {"$items": [1]}}', '{"a": {"$items": [[[], 1]]}}']
)
def test_old_checkpoints_with_damaged_json(tmp_path: Path, text: str) -> None:
    write_old(tmp_path / "old.safetensors", text)
    with pytest.raises(TrainingError, match=r"old.safetensors: damaged"):
        read_tree(tmp_path / "old.safetensors")


def test_a_file_of_weights_is_no_checkpoint(tmp_path: Path) -> None:
    save_state(tmp_path / "m", {"w": x})
    with pytest.raises(TrainingError, match="m: not a training checkpoint of minigrad"):
        read_tree(tmp_path / "m")
