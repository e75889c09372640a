"""Noticing that what a program was made of is no longer as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter, getitem, is_, truth
from types import NoneType
from typing import Any, Generic, TypeVar

import numpy as np

from minigrad.nn import Module, Parameter

MAX_PROGRAMS = 16  # of one model
PLAIN = (bool, int, float, complex, str, bytes, NoneType, np.generic)

_data, _requires_grad = attrgetter("data"), attrgetter("requires_grad")

T = TypeVar("T")


class Watch:
    """What programs depend on: all attributes of some objects, and what lies in their lists and dicts.

    Each is compared with what it was, all of them in one pass that runs no code of Python's: some 10 ns for each.
    Arrays are compared by identity, as programs read them where they lie.

    Arguments:
        parts: modules, with all below them, and losses.
        parameters: others than those of the modules.
        ignored: attributes that count nothing.
        lists: what else is compared, item by item.
        flags: pairs of a dict and a key whose value counts as true or false.
        trains: whether it counts which parameters are frozen.

    `key` is equal for two that watch the same; what it identifies by its place in memory lives as long as this does.
    """

    def __init__(
        self,
        parts: Sequence[object],
        parameters: Iterable[Parameter] = (),
        *,
        ignored: Sequence[str] = (),
        lists: Sequence[Iterable[object]] = (),
        flags: Sequence[tuple[Mapping[str, Any], str]] = (),
        trains: bool = False,
    ) -> None:
        self._parameters = {id(parameter): parameter for parameter in parameters}
        self._owners: list[Any] = []
        self._lone_names: list[Any] = []
        self._ignored = {"_saved", "_forward", *ignored}
        self._views: list[Iterable[Any]] = []
        self._groups, self._names = [group for group, _ in flags], [name for _, name in flags]
        key: list[Any] = []
        for part in parts:
            for each in part.modules() if isinstance(part, Module) else (part,):
                key += (id(each), *self._enter(vars(each)))
        self._views += lists
        self._held = list(self._parameters.values())
        self._trained = self._held if trains else []
        self._lone = [parameter for parameter in self._held if parameter.data.size == 1]
        key += [id(item) for each in lists for item in each]
        key += [id(parameter.data) for parameter in self._held]
        self.key = *key, *map(bool, map(_requires_grad, self._trained)), *self._flags()
        self._seen, self._seen_alone = self._now(), self._alone()

    def is_current(self) -> bool:
        """Return whether everything still is what it was."""
        try:
            # What is the same object is equal, and not looked into.
            return self._now() == self._seen and (
                not self._seen_alone or all(map(is_, self._alone(), self._seen_alone))
            )
        except ValueError:  # arrays of several numbers are neither equal nor not
            return False

    def _now(self) -> list[Any]:
        now = [*chain.from_iterable(self._views)]
        now += map(_data, self._held)
        if self._trained:
            now += map(_requires_grad, self._trained)
            now += self._flags()
        return now

    def _alone(self) -> list[Any]:
        """Return arrays of one number, which could be equal and not the same."""
        return [*map(_data, self._lone), *map(getitem, self._owners, self._lone_names)]

    def _flags(self) -> Iterator[bool]:
        return map(truth, map(getitem, self._groups, self._names))

    def _enter(self, container: dict[str, Any] | Sequence[Any]) -> Iterator[Any]:
        """Watch a dict or a list, and those in it; yield what identifies them."""
        self._views.append(container.values() if isinstance(container, dict) else container)
        for name, value in list(container.items() if isinstance(container, dict) else enumerate(container)):
            if name in self._ignored:
                continue
            yield name, type(value), value if isinstance(value, PLAIN) else id(value)
            if isinstance(value, np.ndarray) and value.size == 1:
                self._owners.append(container)
                self._lone_names.append(name)
            if isinstance(value, Parameter):
                self._parameters[id(value)] = value
            elif isinstance(value, (dict, list, tuple)):
                yield from self._enter(value)


class Programs(Generic[T]):
    """The programs made so far: for what all was like when they were made, and for the form of a batch.

    Arguments:
        look: returns a new watch of what they depend on.
    """

    def __init__(self, look: Callable[[], Watch]) -> None:
        self._look = look
        self._watches: dict[Any, tuple[int, Watch]] = {}
        self._made: dict[tuple[int, Any], T] = {}
        self._count = 0
        self.watch: Watch | None = None
        self.version = -1

    def get(self, form: Any) -> T | None:
        """Return the program for a form, and for all else as it is now, if there is one."""
        if self.watch is None or not self.watch.is_current():
            self._look_again()
        return self._made.get((self.version, form))

    def add(self, form: Any, program: T) -> T:
        """Keep a program that has been made for all as it is now, and forget the oldest of too many."""
        self._look_again()  # the state of an optimizer is made with its first program
        self._made[self.version, form] = program
        while len(self._made) > MAX_PROGRAMS:
            del self._made[next(iter(self._made))]
        return program

    def _look_again(self) -> None:
        watch = self._look()
        used = {version for version, _ in self._made}
        self._watches = {key: known for key, known in self._watches.items() if known[0] in used}
        if watch.key not in self._watches:
            self._count += 1
            self._watches[watch.key] = self._count, watch
        self.version, self.watch = self._watches[watch.key][0], watch

    def __iter__(self) -> Iterator[T]:
        return iter(self._made.values())
