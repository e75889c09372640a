"""Lowering with all its lowerings: importing the modules declares them."""

from minigrad.engine import containers, layers, losses, updates
from minigrad.engine.lowering import Lowering, has_lowering

__all__ = ["Lowering", "containers", "has_lowering", "layers", "losses", "updates"]
