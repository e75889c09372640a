"""What a mutant is: a wrong version of something, made by an edit of its source, and the check that must catch it."""

import __future__

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest

from minigrad import kernels
from tests.discovery import kernels_of

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutant:
    """A mistake in words; the class, function or kernel on whose cases it must show; and the check that must catch it.

    A kernel, by its name, is the target where Numba's is compared with NumPy's.
    """

    name: str
    target: Any
    caught_by: str
    patch: Patch

    @property
    def target_name(self) -> str:
        """The name of the target."""
        return getattr(self.target, "__name__", self.target)


def edited(function: Callable[..., Any], old: str, new: str) -> Callable[..., Any]:
    """Return a function with one place of its source replaced. Numba's functions become Python's."""
    function = getattr(function, "py_func", function)
    source = textwrap.dedent(inspect.getsource(function))
    source = source[source.index("def ") :]  # without decorators
    assert source.count(old) == 1, f"{function.__qualname__} has {old!r} {source.count(old)} times, want 1"
    source = source.replace(old, new)
    # Python knows the class behind a bare super() inside a class only.
    source = source.replace("super()", f"super({function.__qualname__.split('.')[0]}, self)")
    made: dict[str, Any] = {}
    flags = __future__.annotations.compiler_flag  # not evaluated: some names exist for the type checker only
    exec(compile(source, "a mutant", "exec", flags), function.__globals__, made)
    return made[function.__name__]


def edit(owner: Any, name: str, old: str, new: str) -> Patch:
    """Edit a method of a class (where it is inherited, for this class alone), or a function of a module."""
    return lambda patch: patch.setattr(owner, name, edited(getattr(owner, name), old, new))


def edit_kernel(name: str, old: str, new: str) -> Patch:
    """Have layers, losses and optimizers run NumPy's kernel with an edit."""
    return lambda patch: patch.setattr(kernels, name, edited(kernels_of("reference")[name], old, new))


def replace_jit(name: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Patch:
    """Put what `change` makes of Numba's kernel into its place."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        kernel = kernels_of("jit")[name]
        patch.setattr(import_module(kernel.__module__), name, change(kernel))

    return apply


def edit_jit(name: str, old: str, new: str) -> Patch:
    """Edit Numba's kernel, which Python then runs."""
    return replace_jit(name, lambda kernel: edited(kernel, old, new))


def edit_jit_helper(name: str, helper: str, old: str, new: str) -> Patch:
    """Edit a function that Numba's kernel calls, beside it in its module; Python then runs both."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        edit(import_module(kernels_of("jit")[name].__module__), helper, old, new)(patch)

    return both(replace_jit(name, lambda kernel: getattr(kernel, "py_func", kernel)), apply)


def both(*patches: Patch) -> Patch:
    """Make one mistake in two places."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        for one in patches:
            one(patch)

    return apply
