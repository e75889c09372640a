"""What the package holds, found by walking it: nobody can forget to register."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import minigrad
from minigrad import kernels
from minigrad.nn import Composite
from tests.backend import HAS_NUMBA


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Yield the package and every module below it; without Numba, but for those that need it."""
    yield package
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not info.name.endswith("__main__"):
            try:
                yield importlib.import_module(info.name)
            except ModuleNotFoundError as error:
                if HAS_NUMBA or str(error.name).split(".")[0] not in ("llvmlite", "numba"):
                    raise


def classes_of(base: type, package: ModuleType = minigrad) -> set[type]:
    """Return the concrete public subclasses of `base` that the package defines.

    Without what is composed of parts, as networks and their blocks are: it has no backward of its own.
    """
    return {
        value
        for module in modules_of(package)
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
        and not issubclass(value, Composite)
        and not name.startswith("_")
        and value is not base
    }


def kernels_of(backend: str) -> dict[str, Callable[..., Any]]:
    """Return the kernels of one backend by name."""
    found = {}
    for family in kernels.FAMILIES:
        module = importlib.import_module(f"minigrad.kernels.{backend}.{family}")
        for name, value in vars(module).items():
            function = getattr(value, "py_func", value)
            if inspect.isfunction(function) and function.__module__ == module.__name__ and name[0] != "_":
                found[name] = value
    return found
