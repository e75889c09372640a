"""Optimizer: parameter groups and their state around one rule."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from math import inf
from typing import Any, ClassVar

import numpy as np

from minigrad.numbers import is_real
from minigrad.optim.flat import Block, Trainable, blocks_of

Group = dict[str, Any]
Params = Iterable[Trainable] | Iterable[tuple[str, Trainable]] | Iterable[Mapping[str, Any]]

# What a group may hold beside the optimizer's options: names for people, and what a schedule notes there.
_NOTES = {"params", "param_names", "name", "initial_lr"}


class Optimizer(ABC):
    """Changes parameters by their gradients, which it only reads: `zero_grad()` is for the caller to call.

    The parameters of a group lie in one flat array (one for each dtype), their gradients in another, and each
    parameter's `data` and `grad` are views of these: ordinary arrays to everybody else. Where somebody has rebound
    them (`model.to(dtype)`, a second optimizer), the next `step` moves them in again. Parameters that are frozen
    (`requires_grad = False`), and what is kept for them, stay as they are until they are trained again.

    Arguments:
        params: parameters, or pairs (name, parameter), or groups: dicts with `params` and options of their own.
        defaults: the options, for the groups that do not set them.

    Raises:
        TypeError: for a set, which has no order, or for something that is not a parameter.
        ValueError: for no parameters, a parameter that comes twice, names for some parameters only, an unknown option,
            or one out of its range.

    `param_groups` lists the groups as dicts. An option that is changed there holds from the next step on.
    """

    defaults: dict[str, Any]
    non_negative: ClassVar[tuple[str, ...]]
    """Options that must be finite and not negative."""

    below_one: ClassVar[tuple[str, ...]] = ()
    """Options that must be in [0, 1)."""

    state_names: ClassVar[tuple[str, ...]]
    """What is kept for each parameter, under PyTorch's names."""

    def __init__(self, params: Params, defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.param_groups: list[Group] = []
        self._blocks: list[list[Block]] = []
        groups = self._listed(params)
        if not groups:
            raise ValueError(f"{self._name}: want at least one parameter, got none")
        if not isinstance(groups[0], Mapping):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    @abstractmethod
    def _update(self, block: Block, group: Group) -> None:
        """Update `block.data` by `block.grad`, with one kernel call."""

    def step(self) -> None:
        """Update all parameters that are not frozen once by their gradients."""
        self._gather()
        for group, blocks in zip(self.param_groups, self._blocks, strict=True):
            for block in blocks:
                if block.is_trained:
                    self._update(block, group)

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.zero_grad()

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _all_blocks(self) -> list[Block]:
        return [block for blocks in self._blocks for block in blocks]

    def _gather(self) -> None:
        """Have all parameters in flat memory; laid out anew, state included, where one was converted or frozen."""
        if any(block.is_outdated() for block in self._all_blocks()):
            self._lay_out(self._entries())
        for block in self._all_blocks():
            block.gather()

    def _lay_out(self, entries: list[dict[str, Any]]) -> None:
        """Lay all parameters out anew, with this state (one for each)."""
        self._blocks = [
            blocks_of(dict(sorted(item for block in blocks for item in block.parameters.items())), entries)
            for blocks in self._blocks
        ]

    # ------------------------------------------------------------------------------------------------- groups

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group: a dict with `params` (a list, or one), and the options in which it differs from the defaults."""
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(f"{self._name}: want a dict with the key 'params', got {param_group!r}")
        unknown = sorted(set(param_group) - set(self.defaults) - _NOTES)
        if unknown:
            raise ValueError(f"{self._name}: unknown options {unknown}, want {', '.join(self.defaults)}")
        params = param_group["params"]
        names, parameters = self._named([params] if _is_parameter(params) else self._listed(params))
        options = {name: _plain(value) for name, value in (self.defaults | dict(param_group)).items()}
        group = options | {"params": parameters} | names
        self._check(group)
        if any(("param_names" in group) != ("param_names" in other) for other in self.param_groups):
            raise ValueError(f"{self._name}: want names for the parameters of all groups or of none")
        before = [parameter for group in self.param_groups for parameter in group["params"]]
        if len({id(parameter) for parameter in before + parameters}) < len(before + parameters):
            raise ValueError(f"{self._name}: a parameter comes twice, in one group or in two")
        self.param_groups.append(group)
        self._blocks.append(blocks_of(dict(enumerate(parameters, len(before)))))

    def _listed(self, params: Any) -> list[Any]:
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"{self._name}: want parameters in a list, got a set, which has no order")
        if not isinstance(params, Iterable):
            raise TypeError(f"{self._name}: want a list of parameters, got {type(params).__name__}")
        return list(params)

    def _named(self, params: list[Any]) -> tuple[dict[str, list[str]], list[Trainable]]:
        names = [item[0] for item in params if isinstance(item, tuple)]
        if names and len(names) < len(params):
            raise ValueError(f"{self._name}: want names for all parameters of a group or for none")
        parameters = [item[1] if isinstance(item, tuple) else item for item in params]
        for parameter in parameters:
            if not _is_parameter(parameter):
                raise TypeError(
                    f"{self._name}: want parameters (float32 or float64 data, grad, requires_grad), got {parameter!r}"
                )
        return ({"param_names": names} if names else {}), parameters

    def _check(self, group: Group) -> None:
        """Raise for an option that is out of its range."""
        for name in self.non_negative:
            if not (is_real(group[name]) and 0 <= group[name] < inf):
                raise ValueError(f"{self._name}: want {name} >= 0 and finite, got {group[name]}")
        for name in self.below_one:
            if not all(is_real(value) and 0 <= value < 1 for value in np.ravel(group[name])):
                raise ValueError(f"{self._name}: want {name} in [0, 1), got {group[name]}")
        for name, default in self.defaults.items():
            if isinstance(default, bool) and group[name] not in (True, False):
                raise ValueError(f"{self._name}: want {name} to be True or False, got {group[name]!r}")

    # -------------------------------------------------------------------------------------------------- state

    def _entries(self) -> list[dict[str, Any]]:
        """Return a copy of the state of each parameter, in order."""
        entries = sorted(entry for block in self._all_blocks() for entry in block.entries())
        return [entry for _, entry in entries]

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of state and options in PyTorch's form, with the parameters numbered in order.

        `{"state": {0: {"step": 3, "exp_avg": array, ...}, ...}, "param_groups": [{"lr": ..., "params": [0, 1]}]}`
        """
        numbers = count()
        return {
            "state": {number: entry for number, entry in enumerate(self._entries()) if entry},
            "param_groups": [
                group | {"params": [next(numbers) for _ in group["params"]]} for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Copy in what `state_dict()` gave: this class's, or PyTorch's with its tensors as NumPy arrays.

        Parameters that were frozen for a while may have other steps than the rest, or no state.

        Raises:
            ValueError: naming all that does not fit. Nothing has been changed then.
        """
        where = f"{self._name}.load_state_dict"
        saved, state = _parts(where, state_dict)
        got, want = ([len(group["params"]) for group in groups] for groups in (saved, self.param_groups))
        if got != want:
            raise ValueError(f"{where}: want groups of {want} parameters, got {got}")
        options = [{name: _plain(value) for name, value in group.items() if name != "params"} for group in saved]
        for group, changes in zip(self.param_groups, options, strict=True):
            self._check(group | changes)
        numbers = [number for group in saved for number in group["params"]]
        if unknown := [number for number in state if number not in numbers]:
            raise ValueError(f"{where}: state of parameters {unknown}, which are in no group; those are {numbers}")
        entries = [_present(state.get(number, {})) for number in numbers]
        problems = [problem for block in self._all_blocks() for problem in block.problems(entries, self.state_names)]
        if problems:
            raise ValueError("\n  ".join([f"{where}:", *problems]))
        self._lay_out(entries)
        for group, changes in zip(self.param_groups, options, strict=True):
            group.update(changes)

    def __repr__(self) -> str:
        lines = [
            f"  {len(group['params'])} parameters: " + ", ".join(f"{name}={group[name]}" for name in self.defaults)
            for group in self.param_groups
        ]
        return "\n".join([f"{self._name}(", *lines, ")"])


def floats(group: Group, *names: str) -> Iterator[float]:
    """Yield options as floats: for an int, Numba would compile the kernel once more."""
    return (float(group[name]) for name in names)


def _is_parameter(value: Any) -> bool:
    dtype = getattr(getattr(value, "data", None), "dtype", None)
    return dtype in (np.float32, np.float64) and hasattr(value, "grad") and hasattr(value, "requires_grad")


def _parts(where: str, state_dict: Mapping[str, Any]) -> tuple[Sequence[Group], Mapping[int, Mapping[str, Any]]]:
    """Return the groups and the parameters' states of an optimizer's state, or raise what is wrong with its form."""
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
        got = list(state_dict) if isinstance(state_dict, Mapping) else type(state_dict).__name__
        raise ValueError(f"{where}: want the keys 'state' and 'param_groups', got {got}")
    groups, state = state_dict["param_groups"], state_dict["state"]
    if not isinstance(groups, Sequence) or not all(
        isinstance(group, Mapping) and isinstance(group.get("params"), Sequence) for group in groups
    ):
        raise ValueError(f"{where}: want param_groups to be a list of dicts, each with its 'params' in a list")
    if not isinstance(state, Mapping) or not all(isinstance(entry, Mapping) for entry in state.values()):
        raise ValueError(f"{where}: want state to be a dict of dicts, one for each parameter's number")
    return groups, state


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _present(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what PyTorch keeps as None."""
    return {name: value for name, value in entry.items() if value is not None}
