"""A tree of dicts, lists, arrays and values as one file: the arrays as tensors, the rest as JSON beside them.

A dict is a JSON object where its keys are strings that do not begin with `$`. What JSON has not is an object with one
key that does: `$array` (the name of a tensor), `$items` (a dict with other keys, as pairs), `$tuple`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.io import save_state
from minigrad.io.state import read_state
from minigrad.nn.parameter import Array
from minigrad.train.errors import TrainingError

FORMAT = "minigrad checkpoint 2"
READABLE = (FORMAT, "minigrad checkpoint 1")  # the first had no tuples: it read them as lists


def write_tree(path: Path, tree: Mapping[str, Any]) -> None:
    """Write a tree to a safetensors file, the JSON in its metadata, so that a crash cannot part them.

    Arguments:
        path: the file; an older one is replaced.
        tree: of dicts (keys: strings, numbers, None, and tuples of such), lists, tuples, arrays, strings, numbers and
            None. NumPy's scalars come back as Python's numbers, and derived classes as what they derive from.

    Raises:
        TrainingError: for anything else, which would not come back as it was. The message says where it lies.
        StateFileError: for an array that the format cannot hold, of objects say, or a file that cannot be written.
    """
    arrays: dict[str, Array] = {}
    try:
        text = json.dumps(_encode(tree, "", arrays))
    except RecursionError:
        raise TrainingError(f"{path}: the tree is too deep, or holds itself") from None
    except ValueError as error:  # of an integer of more than 4,300 digits
        raise TrainingError(f"{path}: {error}") from None
    save_state(path, arrays, {"format": FORMAT, "tree": text})


def read_tree(path: Path) -> dict[str, Any]:
    """Read what `write_tree` wrote.

    Raises:
        TrainingError: for another kind of file.
        StateFileError: for a file that is damaged, missing, or cannot be read.
    """
    arrays, metadata = read_state(path)
    if metadata.get("format") not in READABLE:
        raise TrainingError(f"{path}: not a training checkpoint of minigrad (of weights alone: load_state)")
    try:
        tree = _decode(json.loads(metadata["tree"]), arrays)
    except (KeyError, ValueError, TypeError, RecursionError) as error:  # only without a checksum, as older files are
        raise TrainingError(f"{path}: damaged: {error!r}") from None
    if not isinstance(tree, dict):
        raise TrainingError(f"{path}: damaged: holds {type(tree).__name__}, want a dict")
    return tree


def _encode(value: Any, path: str, arrays: dict[str, Array]) -> Any:
    """Move the arrays below `value` to `arrays` and return JSON that says where they were."""
    match value:
        case np.ndarray():
            name = _free_name(path, arrays)
            arrays[name] = value
            return {"$array": name}
        case np.generic() if not isinstance(value.item(), np.generic):
            return _encode(value.item(), path, arrays)
        case Mapping():
            return _encode_items(value, path, arrays)
        case tuple():
            return {"$tuple": _encode(list(value), path, arrays)}
        case list():
            return [_encode(item, f"{path}.{i}", arrays) for i, item in enumerate(value)]
        case None | bool() | int() | float() | str():
            return value
    raise TrainingError(
        f"{path or 'the tree'} is {type(value).__name__}, which a checkpoint cannot hold; "
        "want dicts, lists, tuples, arrays, numbers, strings or None"
    )


def _encode_items(items: Mapping[Any, Any], path: str, arrays: dict[str, Array]) -> Any:
    encoded = [(key, _encode(item, f"{path}.{key}" if path else str(key), arrays)) for key, item in items.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key in items):
        return dict(encoded)
    return {"$items": [[_encode_key(key, path), item] for key, item in encoded]}


def _encode_key(key: Any, path: str) -> Any:
    arrays: dict[str, Array] = {}
    encoded = _encode(key, f"a key of {path or 'the tree'}", arrays)
    if arrays or isinstance(key, Mapping | list):
        raise TrainingError(
            f"a key of {path or 'the tree'} is {type(key).__name__}; want strings, numbers, tuples or None"
        )
    return encoded


def _free_name(path: str, arrays: Mapping[str, Array]) -> str:
    """Return a name for a tensor: its path, unless that is taken ({"a": {"b": x}, "a.b": y}) or cannot be a name."""
    base = path.encode(errors="backslashreplace").decode()
    name, count = base, 1
    while name in arrays or name == "__metadata__":
        count += 1
        name = f"{base} ({count})"
    return name


def _decode(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Undo `_encode`."""
    match value:
        case {"$array": str(name)}:
            return arrays[name]
        case {"$tuple": list(items)}:
            return tuple(_decode(item, arrays) for item in items)
        case {"$items": list(items)}:
            return {_decode(key, arrays): _decode(item, arrays) for key, item in items}
        case dict():
            return {key: _decode(item, arrays) for key, item in value.items()}
        case list():
            return [_decode(item, arrays) for item in value]
    return value
