"""Files of a model: its state, and writing them whole or not at all."""

from minigrad.files import atomic_path
from minigrad.io.state import StateFileError, load_metadata, load_state, save_state
from minigrad.io.torch_file import load_torch, save_torch

__all__ = [
    "StateFileError",
    "atomic_path",
    "load_metadata",
    "load_state",
    "load_torch",
    "save_state",
    "save_torch",
]
