"""How the command line is read: a parser whose errors are one line, and the kinds of values."""

import argparse
from collections.abc import Callable
from math import inf
from typing import Any, NoReturn, Protocol

MOST_PIXELS = 65535  # of an image's height or width


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults where there is one to show, and descriptions as they are written."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        is_worth_it = isinstance(action.default, (str, int, float)) and action.nargs != 0
        return super()._get_help_string(action) if is_worth_it else action.help


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviated options and says in one line what is wrong."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=HelpFormatter, allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Exit with code 2 and one line on standard error."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class Commands(Protocol):
    """What `add_subparsers` returns."""

    def add_parser(self, name: str, **settings: Any) -> Parser:
        """Add a command."""


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], what: str, more: str = ""
) -> Parser:
    """Add a command.

    Arguments:
        commands: what `add_subparsers` returned.
        name: of the command.
        run: does what it is for, and returns the exit code.
        what: that in one sentence, without a full stop.
        more: what else its help says, for example a command line.
    """
    parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=more)
    parser.set_defaults(run=run, parser=parser)
    return parser


def flag(name: str) -> str:
    """Return an option as it is typed.

    >>> flag("batch_norm")
    '--batch-norm'
    """
    return f"--{name.replace('_', '-')}"


def _kind(convert: Callable[[str], Any], fits: Callable[[Any], bool], want: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"want {want}, got {text!r}")
        return value

    return parse


def _count_or_share(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)


count = _kind(int, lambda n: n >= 1, "a whole number of at least 1")
pixels = _kind(int, lambda n: 1 <= n <= MOST_PIXELS, f"a whole number from 1 to {MOST_PIXELS}")
seed = _kind(int, lambda n: n >= 0, "a whole number of at least 0")
positive = _kind(float, lambda x: 0 < x < inf, "a number above 0")
not_negative = _kind(float, lambda x: 0 <= x < inf, "a number of at least 0")
share = _kind(float, lambda x: 0 < x <= 1, "a number above 0 and at most 1")
below_one = _kind(float, lambda x: 0 <= x < 1, "a number of at least 0 and below 1")
count_or_share = _kind(
    _count_or_share, lambda n: n > 0 and (isinstance(n, int) or n < 1), "a number of images, or a share below 1"
)
