"""Files of a model: its state, and writing them whole or not at all."""

from minigrad.files import atomic_path
from minigrad.io.state import StateFileError, load_metadata, load_state, save_state

__all__ = ["StateFileError", "atomic_path", "load_metadata", "load_state", "save_state"]
