"""`minigrad gradcheck`: is the backward pass of one's own layer or loss right?"""

import argparse
import ast
import sys
from importlib import import_module
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import minigrad
from minigrad import nn
from minigrad.cli import parser as kinds
from minigrad.cli.errors import CommandError, user_code
from minigrad.cli.parser import Commands, add_command
from minigrad.gradcheck import TOLERANCE, GradientError, KinkError, gradcheck

EXAMPLE = """\
examples:
  minigrad gradcheck layers.py:Scale --arguments 3 --shape 5 3
  minigrad gradcheck minigrad.nn:LeakyReLU --arguments negative_slope=0.1 --shape 5 3
  minigrad gradcheck minigrad.nn:Embedding --arguments 7 3 --shape 5 --integers 7
  minigrad gradcheck minigrad.nn:CrossEntropyLoss --shape 5 3 --classes 3

The file is imported: what it does as a script belongs under `if __name__ == "__main__":`. An argument is a Python
literal, or else a string; for anything more, name a function in the file that makes the layer.

The input is drawn from 1.5 N(0, 1), a loss's target from 0 to 1. A module's parameters are moved from their first
values, and its running statistics by a forward pass: zeros and ones hide errors. If a gradient is wrong, the worst
elements are listed, and the exit code is 1."""

MODES: dict[str, tuple[str, ...]] = {
    "train": ("training",),
    "eval": ("evaluation",),
    "both": ("training", "evaluation"),
}
DTYPES: dict[str, tuple[str, ...]] = {"float64": ("float64",), "float32": ("float32",), "both": ("float64", "float32")}
CHECKABLE = (nn.Module, nn.Loss)
IMPORTED_AS = "__gradcheck__"  # where `python FILE.py` says "__main__"; no other module has this name
POINTS = 5  # tried, before a function is said to have no derivative


def add(commands: Commands) -> None:
    """Add the command `gradcheck`."""
    what = "check the backward pass of a layer or loss of your own"
    parser = add_command(commands, "gradcheck", run, what, EXAMPLE)
    parser.add_argument(
        "target",
        type=_target,
        metavar="FILE.py:NAME",
        help="a Module or Loss class, a function that returns one, or an instance; also package.module:NAME",
    )
    parser.add_argument(
        "--shape", nargs="+", type=kinds.count, required=True, metavar="N", help="of the input, with the batch"
    )
    parser.add_argument(
        "--arguments", nargs="*", default=[], metavar="VALUE", help="of the constructor, for example: 3 4 bias=False"
    )
    parser.add_argument("--integers", type=kinds.count, metavar="K", help="a module's input: integers below K")
    parser.add_argument(
        "--classes",
        type=kinds.count,
        metavar="K",
        help="a loss's target: integers below K, (N, *) where the input is (N, C, *)",
    )
    parser.add_argument("--mode", choices=tuple(MODES), default="both", help="of a module")
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="both", help="of the backward pass")
    defaults = ", ".join(f"{tolerance:g} in {dtype}" for dtype, tolerance in TOLERANCE.items())
    parser.add_argument(
        "--tolerance",
        type=kinds.positive,
        metavar="ERROR",
        help=f"largest relative error that passes (default: {defaults})",
    )
    parser.add_argument("--seed", type=kinds.seed, default=0, metavar="N", help="of everything that is random")


def _target(text: str) -> tuple[str, str]:
    place, _, name = text.rpartition(":")
    if not place or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"want FILE.py:NAME or package.module:NAME, got {text!r}")
    return place, name


def run(args: argparse.Namespace) -> int:
    """Print the largest error in each mode and precision; the code is 1 if one is too large."""
    minigrad.manual_seed(args.seed)
    place, name = args.target
    function = _load(place, name, args.arguments)
    is_module = isinstance(function, nn.Module)
    if is_module and args.classes:
        args.parser.error("argument --classes: a module has no target")
    if not is_module and args.integers:
        args.parser.error("argument --integers: a loss takes no integers")
    modes = MODES[args.mode] if is_module else ("loss",)
    report = ""
    with np.errstate(all="ignore"):  # what comes of it is found and explained
        print(_prepare(function, args))
        for mode, dtype in ((mode, dtype) for mode in modes for dtype in DTYPES[args.dtype]):
            with user_code(f"{mode}, {dtype}", nn.LayerError):
                outcome = _check(function, args, mode, dtype)
            print(f"{mode:10}  {dtype}  {outcome.line}")
            report = report or (outcome.problem and f"\n{mode}, {dtype}: {outcome.problem}")
    if report:
        print(report)
    return 1 if report else 0


# ------------------------------------------------------------------------------------------------- what to check


def _load(place: str, name: str, arguments: list[str]) -> Any:
    """Return the Module or Loss that a name in a file or module stands for."""
    module = _import(place)
    found = getattr(module, name, None)
    if found is None:
        raise CommandError(f"{place}: no {name} in it, {_defined(module)}")
    if isinstance(found, CHECKABLE):
        if arguments:
            raise CommandError(f"{name}: is an instance, and takes no --arguments")
        return found
    if not callable(found) or (isinstance(found, type) and not issubclass(found, CHECKABLE)):
        raise CommandError(f"{name}: neither a Module nor a Loss, nor a function that returns one")
    positional, named = parse_arguments(arguments)
    call = f"{name}({', '.join(arguments)})"
    with user_code(call):
        made = found(*positional, **named)
    if not isinstance(made, CHECKABLE):
        raise CommandError(f"{call}: want a Module or a Loss, got {type(made).__name__}")
    return made


def _import(place: str) -> ModuleType:
    """Return the module of a file, with its folder on the path as for `python FILE.py`, or of a dotted name."""
    path = Path(place)
    if path.suffix != ".py" and len(path.parts) == 1:
        sys.path.insert(0, str(Path.cwd()))
        with user_code(place):
            return import_module(place)
    if not path.is_file():
        raise CommandError(f"{place}: no such file")
    sys.path.insert(0, str(path.resolve().parent))
    module = sys.modules[IMPORTED_AS] = ModuleType(IMPORTED_AS)
    module.__file__ = str(path)
    with user_code(place):
        exec(compile(path.read_bytes(), path, "exec"), vars(module))
    return module


def _defined(module: ModuleType) -> str:
    """Return in words which Modules and Losses a module defines."""
    home = f"{module.__name__}."
    names = [
        name
        for name, value in vars(module).items()
        if isinstance(value, CHECKABLE)
        or (isinstance(value, type) and issubclass(value, CHECKABLE) and f"{value.__module__}.".startswith(home))
    ]
    return f"but {', '.join(names)}" if names else "nor any Module or Loss"


def parse_arguments(texts: list[str]) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the named arguments of a call.

    >>> parse_arguments(["3", "same", "bias=False", "eps=1e-3"])
    ([3, 'same'], {'bias': False, 'eps': 0.001})
    """
    positional, named = [], {}
    for text in texts:
        name, equals, value = text.partition("=")
        if equals and name.isidentifier():
            named[name] = _literal(value)
        else:
            positional.append(_literal(text))
    return positional, named


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


# ------------------------------------------------------------------------------------------------------ checking


class Outcome(NamedTuple):
    """What came of a check: its line, and what is wrong."""

    line: str
    problem: str = ""


def _prepare(function: Any, args: argparse.Namespace) -> str:
    """Move a module's state away from zeros and ones. Return in words what is going to be checked."""
    with user_code(args.target[1], nn.LayerError):
        words = f"{' '.join(repr(function).split())}: input {tuple(args.shape)}"
        if not isinstance(function, nn.Module):
            return words
        rng = np.random.default_rng([args.seed, 2])  # not the stream of the input, nor gradcheck's
        for parameter in function.to(np.float64).parameters():
            value = parameter.data
            value += np.where(value == 0, 1, value) * rng.uniform(-0.5, 0.5, value.shape)
        with nn.no_grad():
            function.train()(*_point(function, args, args.seed))
        return f"{words}, {sum(parameter.size for parameter in function.parameters()):,} parameters"


def _check(function: Any, args: argparse.Namespace, mode: str, dtype: str) -> Outcome:
    """Check at the point of the seed, or at those of the next ones where that one is at a kink."""
    if isinstance(function, nn.Module):
        function.train(mode == "training")
    tolerance = args.tolerance or TOLERANCE[np.dtype(dtype)]
    line = f"relative error {{:>7}}  tolerance {tolerance:g}  {{}}"
    for seed in range(args.seed, args.seed + POINTS):
        where = f" (at seed {seed}: there are kinks at those before)" if seed > args.seed else ""
        point = _point(function, args, seed)
        try:
            error = gradcheck(function, *point, dtype=dtype, tolerance=tolerance, seed=seed)
        except GradientError as wrong:
            found = f"{wrong.error:.1e}" if isfinite(wrong.error) else "-"
            return Outcome(line.format(found, f"WRONG{where}"), str(wrong))
        except KinkError as kink:
            problem = str(kink)
        else:
            return Outcome(line.format(f"{error:.1e}", f"ok{where}"))
    return Outcome(line.format("-", "KINK"), f"at each of {POINTS} points: {problem}")


def _point(function: Any, args: argparse.Namespace, seed: int) -> tuple[Any, ...]:
    """Return a random input, and for a loss a target."""
    rng, shape = np.random.default_rng(seed), tuple(args.shape)
    if args.integers:
        return (rng.integers(args.integers, size=shape),)
    x = 1.5 * rng.standard_normal(shape)
    if isinstance(function, nn.Module):
        return (x,)
    if args.classes:
        return x, rng.integers(args.classes, size=shape[:1] + shape[2:] if len(shape) > 1 else ())
    return x, rng.random(shape, np.float32)  # which float64 takes as well
