"""Lowering with all its lowerings: importing the modules declares them."""

from minigrad.engine import containers, convolution, images, layers, losses, norm, updates
from minigrad.engine.lowering import Lowering, has_lowering

__all__ = ["Lowering", "containers", "convolution", "has_lowering", "images", "layers", "losses", "norm", "updates"]
