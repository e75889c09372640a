"""Lowering with all its lowerings: importing the modules declares them."""

from minigrad.engine import containers, images, layers, losses, updates
from minigrad.engine.lowering import Lowering, has_lowering

__all__ = ["Lowering", "containers", "has_lowering", "images", "layers", "losses", "updates"]
