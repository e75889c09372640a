"""What goes wrong with a command for reasons that are not minigrad's, and how it is said."""

import importlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from minigrad.data import DatasetError
from minigrad.nn import LayerError
from minigrad.train import TrainingError

# Beginnings of the names of files that are not the user's.
OURS = (str(Path(__file__).parents[1]), str(Path(importlib.__file__).parent), "<frozen importlib")


class CommandError(Exception):
    """A command that cannot do what it was asked to. The message is for the user."""


EXPECTED = (CommandError, DatasetError, LayerError, TrainingError, OSError, MemoryError)


def require_packages(*names: str) -> None:
    """Raise CommandError unless these packages are there: at a command's start, for what it needs at its end."""
    lacking = [name for name in names if find_spec(name) is None]
    if lacking:
        raise CommandError(f"this needs {' and '.join(lacking)}: pip install {' '.join(lacking)}")


def explain(error: Exception) -> str:
    """Return the message of an expected error."""
    if isinstance(error, MemoryError):
        return f"there is not enough memory{f': {error}' if str(error) else ''}"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{' '.join(str(error.filename).splitlines())}: {error.strerror}"  # a name may hold line ends
    return str(error)


@contextmanager
def user_code(what: str, *passing: type[Exception]) -> Iterator[None]:
    """Say in one line what code of the user's raises, and where in it.

    Arguments:
        what: the code, for the message.
        passing: errors whose messages say enough.

    Raises:
        CommandError: instead of any other.
    """
    try:
        yield
    except passing:
        raise
    except (Exception, SystemExit) as error:
        message = str(error).strip().partition("\n")[0]
        raise CommandError(f"{what}: {type(error).__name__}: {message}{_line_of(error)}") from None


def _line_of(error: BaseException) -> str:
    """Return the line at which the user's file stood, or nothing where it was not reached."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(OURS)]
    frames = [frame for frame in frames if frame.filename == frames[0].filename]
    return f" ({frames[-1].filename}, line {frames[-1].lineno}: {frames[-1].line})" if frames else ""
