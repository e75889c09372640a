"""The command `minigrad`: one module for each command, imported with little, run with more."""

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any

import minigrad
from minigrad.cli import data, evaluate, finetune, gradcheck, info, predict, recipes, train, warmup
from minigrad.cli.parser import Parser

DESCRIPTION = """\
minigrad trains neural networks on NumPy, with every gradient by hand.

  minigrad train fashion-mnist --recipe reference --out runs/demo
  minigrad evaluate runs/demo
  minigrad predict runs/demo drawing.png"""
INTERRUPTED, TERMINATED = 130, 143  # as shells count: 128 + SIGINT, 128 + SIGTERM


def make_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(prog="minigrad", description=DESCRIPTION, epilog="`minigrad COMMAND --help` explains a command.")
    parser.add_argument("--version", action="version", version=f"minigrad {minigrad.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for command in (train, finetune, evaluate, predict, recipes, gradcheck, data, info, warmup):
        command.add(commands)
    return parser


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the arguments say. A recipe's settings are the defaults of the options that are not given."""
    parser = make_parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        args.parser.error(f"unknown arguments: {' '.join(unknown)}")
    if getattr(args, "recipe", None):
        args.parser.set_defaults(**recipes.RECIPES[args.recipe].settings)
        args = parser.parse_args(argv)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and return its exit code.

    The code is 0 if all went well, 1 if the command could not do what it was asked to, 2 if the arguments are wrong,
    130 after Ctrl-C, 143 after SIGTERM. What is wrong is said on standard error.

    Arguments:
        argv: the arguments; by default those of the process.
    """
    try:
        _let_all_characters_pass()
        args = parse(argv)
        with _warnings_in_a_line(args.parser.prog):
            return _run(args)
    except SystemExit as ending:  # of the parser: help, or wrong arguments
        return int(ending.code or 0)


def _let_all_characters_pass() -> None:
    """Have names shown that standard output and error cannot encode: with escapes, not as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    """Write what is left of the output. Where that fails, discard it, lest it fails again when the process ends."""
    try:
        if sys.stdout is not None:  # it is None where the shell has closed it
            sys.stdout.flush()
    except OSError:  # a pipe that nobody reads, a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


@contextmanager
def _warnings_in_a_line(prog: str) -> Iterator[None]:
    """Have warnings said without the line of code from which they come."""

    def show(message: Warning | str, *place: Any, **more: Any) -> None:
        print(f"{prog}: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _run(args: argparse.Namespace) -> int:
    from minigrad.cli.errors import EXPECTED, explain
    from minigrad.train import Terminated

    try:
        code: int = args.run(args)
        _flush()
    except KeyboardInterrupt as ending:
        is_terminated = isinstance(ending, Terminated)
        print(f"{args.parser.prog}: {'terminated' if is_terminated else 'interrupted'}", file=sys.stderr)
        return TERMINATED if is_terminated else INTERRUPTED
    except EXPECTED as error:
        with suppress(OSError):  # which may be the error
            _flush()
        if isinstance(error, BrokenPipeError):  # of `minigrad predict ... | head`
            return 1
        print(f"{args.parser.prog}: error: {explain(error)}", file=sys.stderr)
        return 1
    return code
