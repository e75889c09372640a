"""Arrays by name, copied into a model's own: all or none, with everything that does not fit named at once."""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from minigrad.nn.parameter import Array, Parameter
from minigrad.numbers import as_numbers, convert

# What wraps a model in PyTorch, by what it puts before every key.
WRAPPERS = {"module.": "DataParallel", "_orig_mod.": "torch.compile"}


class IncompatibleKeys(NamedTuple):
    """The keys that `load_state_dict` did not find in the state, and those that it did not expect there."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def load_state(
    own: Mapping[str, Array], state: Mapping[str, object], optional: Collection[str], strict: bool
) -> IncompatibleKeys:
    """Copy `state` into the arrays `own`, converted to their dtypes.

    Arguments:
        own: the arrays to be written, by name.
        state: arrays by the same names, of the same shapes.
        optional: names that the state may lack.
        strict: whether a name that is missing or unknown is an error.

    Raises:
        ValueError: listing all that does not fit. Nothing has been written then.
    """
    missing = [name for name in own if name not in state and name not in optional]
    unexpected = [name for name in state if name not in own]
    problems: list[str] = []
    if strict:
        problems += [f"missing: {name} {own[name].shape}" for name in missing]
        problems += [f"unexpected: {name} {_form(state[name])}" for name in unexpected]
    arrays: dict[str, Array] = {}
    for name in own:
        try:
            if name in state:
                arrays[name] = _fitted(name, state[name], own[name])
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n  ".join(["", *problems, *_remedies(own, state)]))
    for name, array in arrays.items():
        own[name][...] = array
    return IncompatibleKeys(missing, unexpected)


def _form(value: object) -> object:
    """Return an array's shape, or what else it is."""
    return getattr(value, "shape", type(value).__name__)


def _fitted(name: str, value: object, own: Array) -> Array:
    """Return `value` as it can be written into `own`, or raise what is wrong with it."""
    try:
        array = as_numbers(value.data if isinstance(value, Parameter) else value)
        if own.shape == () and array.shape == (1,):  # a number, as PyTorch wrote it before 0.4
            array = array[0]
        if array.shape == own.shape:
            return convert(array, own.dtype)
    except ValueError as error:
        raise ValueError(f"type: {name}: {error}") from None
    raise ValueError(f"shape: {name} is {own.shape}, got {array.shape}")


def _remedies(own: Mapping[str, Array], state: Mapping[str, object]) -> Iterator[str]:
    """Yield what to do about states that are known to come in another form."""
    if prefix := _prefix(own, state):
        whose = f", which is {WRAPPERS[prefix]}'s" if prefix in WRAPPERS else ""
        yield (
            f"The keys begin with {prefix!r}{whose}. Take it away: "
            f"{{key.removeprefix({prefix!r}): value for key, value in state.items()}}"
        )
    for name, value in state.items():
        if isinstance(value, Mapping) and (any(key in value for key in own) or _prefix(own, value)):
            yield f"The model's state is below {name!r}: load state[{name!r}]"


def _prefix(own: Mapping[str, Array], state: Mapping[str, object]) -> str:
    """Return what stands before most of the names in the state; an empty text where they are as they should be."""
    first = next(iter(own), "")
    for key in state:
        if isinstance(key, str) and key.endswith(f".{first}"):
            prefix = key.removesuffix(first)
            if sum(f"{prefix}{name}" in state for name in own) > len(own) / 2:
                return prefix
    return ""
