"""The pickles in PyTorch's files, read by a machine that knows tensors, numbers, texts and containers, and no code.

A pickle is a program for a small stack machine, which may call any function of any module. This one calls none: a
name in a pickle is a text here, and what the few that are known stand for is done by `_CALLS`. Containers are made
once and shared where the pickle shares them, and every length is checked against what is there, so time and memory
are bounded by the length of the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from operator import index
from typing import IO, Any, ClassVar, NamedTuple

import numpy as np

from minigrad.io.state import Array
from minigrad.io.torch_storage import DTYPES, STORAGES, RefusedError, Storage, itemsize

UNTYPED = "torch.storage.UntypedStorage"
# Names that are values: of dtypes, of classes that some calls are told, and of ways to quantize.
VALUES = re.compile(
    r"torch\.(Tensor|nn\.parameter\.Parameter|storage\.UntypedStorage|\w+Storage|per_(tensor|channel)_\w+"
    r"|bool|b?float\w+|complex\d+|q?u?int\w+|bits\w+|(strided|sparse_\w+|contiguous_format|channels_last\w*))"
)
# Tensors that are no arrays, by what would make them, and what to save instead.
NO_ARRAYS = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor; save tensor.to_dense()",
    "torch._utils._rebuild_qtensor": "a quantized tensor; save tensor.dequantize()",
    "torch._utils._rebuild_nested_tensor": "a nested tensor; save tensor.unbind()",
    "torch.nested._internal.nested_tensor.NestedTensor": "a nested tensor; save tensor.unbind()",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the device meta, which has no numbers",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a class of its own; save its parts",
    "torch.distributed.tensor.DTensor": "a distributed tensor; save tensor.full_tensor()",
}
DEPTH = 100  # of the tuples that may be keys: CPython hashes nested ones by recursion


class _Name(str):
    """The name of something in a module. A text of the pickle is none, so it cannot be called."""

    __slots__ = ()


class _Span(NamedTuple):
    """What a tensor may look at: some numbers of a storage. Those of bytes have no dtype."""

    storage: Storage
    dtype: str | None
    room: range


class Unpickler:
    """Reads one pickle.

    Arguments:
        file: at the pickle's beginning; afterwards at its end. It reads no more than it has, as BytesIO.
        storage: returns the storage of a key, for a count of numbers and their size in bytes.
    """

    def __init__(self, file: IO[bytes], storage: Callable[[str, int, int], Storage]) -> None:
        self._file, self._storage = file, storage
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []  # the stacks below the marks
        self._memo: dict[int, Any] = {}
        here = file.tell()
        file.seek(0, 2)
        self._steps_left = 4 * file.tell()
        file.seek(here)

    def load(self) -> Any:
        """Return what the pickle holds.

        Raises:
            RefusedError: for a name that is not known.
            Exception: of any kind, for a pickle that is corrupt.
        """
        from pickletools import genops  # slow to load

        for opcode, argument, _ in genops(self._file):
            if opcode.name not in self._OPCODES:
                raise RefusedError(f"holds the pickle's opcode {opcode.name}, which torch.save does not write")
            self._OPCODES[opcode.name](self, argument)
        return self._stack.pop()

    def _spend(self, steps: int) -> None:
        """Count steps that need no bytes of the file for themselves: more than the file's own ones are a trap."""
        self._steps_left -= steps
        if self._steps_left < 0:
            raise RefusedError("a pickle that is made to take more time and memory than its length accounts for")

    # ---------------------------------------------------------------------------------------------------- opcodes

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _push_bytes(self, text: str) -> None:
        self._push(text.encode("latin-1").decode())  # a text of Python 2

    def _mark(self, _: None) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _marked_items(self) -> list[Any]:
        items, self._stack = self._stack, self._marked.pop()
        return items

    def _pop(self, count: int) -> list[Any]:
        if count > len(self._stack):
            raise RefusedError("a pickle that takes more than it has")
        items = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return items

    def _global(self, name: str) -> None:
        self._push(_known(".".join(name.split(" ", 1))))

    def _stack_global(self, _: None) -> None:
        module, name = self._pop(2)
        self._push(_known(f"{module}.{name}"))

    def _reduce(self, _: None) -> None:
        function, arguments = self._pop(2)
        self._push(self._call(function, arguments))

    def _call(self, function: Any, arguments: Any) -> Any:
        if type(function) is not _Name or function not in self._CALLS or type(arguments) is not tuple:
            raise RefusedError(f"calls {function}")
        self._spend(sum(len(item) for item in arguments if isinstance(item, (str, bytes, list, tuple, dict, set))))
        return self._CALLS[function](self, *arguments)

    def _build(self, _: None) -> None:
        target, _state = self._stack[-2], self._pop(1)
        if not isinstance(target, (dict, np.ndarray)):  # whose attributes, as `_metadata`, are left out
            raise RefusedError(f"sets attributes of a {type(target).__name__}")

    def _append(self, items: list[Any]) -> None:
        self._target(list).extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._target(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self._key(key)] = value

    def _add_items(self, items: list[Any]) -> None:
        self._target(set).update(map(self._key, items))

    def _target(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise RefusedError(f"a {type(self._stack[-1]).__name__} that is used as a {kind.__name__}")
        return self._stack[-1]

    def _key(self, value: Any, depth: int = 0) -> Any:
        """Return a key of a dict or set if its hash is quickly found, and not everybody's.

        All integers beyond 64 bits can have one hash, and nested tuples can be hashed in exponential time.
        """
        self._spend(1)
        if isinstance(value, (tuple, frozenset)) and depth < DEPTH:
            for item in value:
                self._key(item, depth + 1)
        elif not isinstance(value, (str, bytes, float, type(None))) and not (
            isinstance(value, int) and value.bit_length() <= 64
        ):
            raise RefusedError(f"a {type(value).__name__} as a key")
        return value

    def _persistent(self, _: None) -> None:
        what, kind, key, _device, count, *view = self._stack.pop()
        if what != "storage" or type(kind) is not _Name:
            raise RefusedError(f"holds a {what} that is no storage")
        dtype = STORAGES.get(kind.removeprefix("torch."))
        if dtype is None and kind != UNTYPED:
            raise RefusedError(f"holds a {kind}; save tensor.float()")
        count = index(count)
        room = range(count)
        if view and view[0] is not None:
            _, start, size = view[0]
            room = range(index(start), index(start) + index(size))
        if count < 0 or room.start < 0 or not room.start <= room.stop <= count:
            raise RefusedError(f"holds a storage of {count} numbers and a part of it, {room}")
        self._push(_Span(self._storage(str(key), count, itemsize(dtype) if dtype else 1), dtype, room))

    _OPCODES: ClassVar[dict[str, Callable[[Unpickler, Any], Any]]] = {
        **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda self, _: None),
        **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), _push),
        **dict.fromkeys(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _push),
        **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _push),
        **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), _push_bytes),
        "NONE": lambda self, _: self._push(None),
        "NEWTRUE": lambda self, _: self._push(True),
        "NEWFALSE": lambda self, _: self._push(False),
        "EMPTY_LIST": lambda self, _: self._push([]),
        "EMPTY_DICT": lambda self, _: self._push({}),
        "EMPTY_SET": lambda self, _: self._push(set()),
        "EMPTY_TUPLE": lambda self, _: self._push(()),
        "MARK": _mark,
        "POP": lambda self, _: self._pop(1),
        "POP_MARK": lambda self, _: self._marked_items(),
        "TUPLE": lambda self, _: self._push(tuple(self._marked_items())),
        "TUPLE1": lambda self, _: self._push(tuple(self._pop(1))),
        "TUPLE2": lambda self, _: self._push(tuple(self._pop(2))),
        "TUPLE3": lambda self, _: self._push(tuple(self._pop(3))),
        "LIST": lambda self, _: self._push(self._marked_items()),
        "FROZENSET": lambda self, _: self._push(frozenset(map(self._key, self._marked_items()))),
        "APPEND": lambda self, _: self._append(self._pop(1)),
        "APPENDS": lambda self, _: self._append(self._marked_items()),
        "SETITEM": lambda self, _: self._set_items(self._pop(2)),
        "SETITEMS": lambda self, _: self._set_items(self._marked_items()),
        "ADDITEMS": lambda self, _: self._add_items(self._marked_items()),
        **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda self, key: self._push(self._memo[key])),
        **dict.fromkeys(
            ("PUT", "BINPUT", "LONG_BINPUT"), lambda self, key: self._memo.__setitem__(key, self._stack[-1])
        ),
        "MEMOIZE": lambda self, _: self._memo.__setitem__(len(self._memo), self._stack[-1]),
        "GLOBAL": _global,
        "STACK_GLOBAL": _stack_global,
        "REDUCE": _reduce,
        "NEWOBJ": _reduce,
        "BUILD": _build,
        "BINPERSID": _persistent,
    }

    # -------------------------------------------------------------------------------------- what stands for names

    def _dict(self, items: Iterable[tuple[Any, Any]] = ()) -> dict[Any, Any]:
        return {self._key(key): value for key, value in items}

    def _counter(self, counts: Any) -> Counter[Any]:
        if not isinstance(counts, dict):  # whose keys have been checked
            raise RefusedError(f"holds a Counter of a {type(counts).__name__}")
        return Counter(counts)

    def _set(self, items: Iterable[Any] = ()) -> set[Any]:
        return set(map(self._key, items))

    def _encode(self, text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise RefusedError(f"holds bytes as {encoding}")
        return text.encode("latin-1")

    def _bytearray(self, content: bytes = b"") -> bytearray:
        if not isinstance(content, bytes):  # a number would be a length
            raise RefusedError(f"holds a bytearray of a {type(content).__name__}")
        return bytearray(content)

    def _device(self, kind: str, number: int | None = None) -> str:
        return str(kind) if number is None else f"{kind}:{number}"

    def _tensor(self, span: Any, offset: int, shape: Any, strides: Any, *rest: Any) -> Array:
        """Return the tensor of `rest`: requires_grad, hooks and, since 1.12, its metadata."""
        if not isinstance(span, _Span) or span.dtype is None:
            raise RefusedError("holds a tensor without a typed storage")
        return _view(span, span.dtype, (offset, shape, strides), rest[2:])

    def _tensor_of_bytes(
        self, span: Any, offset: int, shape: Any, strides: Any, _grad: Any, _hooks: Any, dtype: str, *metadata: Any
    ) -> Array:
        """Return the tensor of a dtype that has no class of storages."""
        if not isinstance(span, _Span) or span.dtype is not None:
            raise RefusedError("holds a tensor without a storage of bytes")
        name = str(dtype).removeprefix("torch.")
        if name not in DTYPES:
            raise RefusedError(f"holds a tensor of {dtype}, which NumPy has not; save tensor.float()")
        return _view(span, name, (offset, shape, strides), metadata)

    def _parameter(self, tensor: Any, *_: Any) -> Array:
        if not isinstance(tensor, np.ndarray):
            raise RefusedError(f"holds a parameter of a {type(tensor).__name__}")
        return tensor

    _CALLS: ClassVar[dict[str, Callable[..., Any]]] = {
        "collections.OrderedDict": _dict,
        "collections.Counter": _counter,
        **dict.fromkeys(("builtins.set", "__builtin__.set"), _set),
        **dict.fromkeys(
            ("builtins.frozenset", "__builtin__.frozenset"), lambda self, items: frozenset(self._set(items))
        ),
        **dict.fromkeys(("builtins.complex", "__builtin__.complex"), lambda self, re, im: complex(re, im)),
        **dict.fromkeys(("builtins.bytearray", "__builtin__.bytearray"), _bytearray),
        "_codecs.encode": _encode,
        **dict.fromkeys(("builtins.bytes", "__builtin__.bytes"), lambda self: b""),
        "torch.Size": lambda self, sizes=(): tuple(sizes),
        "torch.device": _device,
        "torch.serialization._get_layout": lambda self, name: name,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor_v3": _tensor_of_bytes,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
        "torch._utils._rebuild_device_tensor_from_cpu_tensor": _parameter,
        "torch.nn.parameter.Parameter": _parameter,
        "torch._tensor._rebuild_from_type_v2": lambda self, function, _cls, arguments, _state: self._call(
            function, arguments
        ),
    }


def _known(name: str) -> _Name:
    """Return a name that may stand in a pickle."""
    if name in NO_ARRAYS:
        raise RefusedError(f"holds {NO_ARRAYS[name]}")
    if name not in Unpickler._CALLS and not VALUES.fullmatch(name):
        raise RefusedError(f"holds {name}; only tensors, numbers, strings, lists and dicts are read. Save a state_dict")
    return _Name(name)


def _view(span: _Span, dtype: str, form: tuple[int, Any, Any], metadata: tuple[Any, ...]) -> Array:
    offset, shape, strides = form
    signs = metadata[0] if metadata and metadata[0] else {}
    return span.storage.view(
        dtype,
        span.room,
        index(offset),
        tuple(map(index, shape)),
        tuple(map(index, strides)),
        (bool(signs.get("conj")), bool(signs.get("neg"))),
    )
