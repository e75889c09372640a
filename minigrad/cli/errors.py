"""What goes wrong with a command for reasons that are not minigrad's, and how it is said."""

from minigrad.data import DatasetError
from minigrad.nn import LayerError
from minigrad.train import TrainingError


class CommandError(Exception):
    """A command that cannot do what it was asked to. The message is for the user."""


EXPECTED = (CommandError, DatasetError, LayerError, TrainingError, OSError)


def explain(error: Exception) -> str:
    """Return the message of an expected error."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
