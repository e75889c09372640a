"""What a layer raises, and how the message gets the layer's path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigrad.nn.module import Module


class LayerError(ValueError):
    """Bad input to a layer. The message starts with the layer's path in the model that was called."""

    layer: Module
    message: str

    def __init__(self, layer: Module, message: str, path: str | None = None) -> None:
        self.layer, self.message = layer, message
        super().__init__(f"{path or type(layer).__name__}: {message}")

    def seen_from(self, root: Module) -> LayerError:
        """Return the same error with the path of the layer in `root`: `Sequential[3].body[0].Linear: ...`."""
        return type(self)(self.layer, self.message, path_of(self.layer, root))


class BackwardError(RuntimeError):
    """`backward` without its `forward`, or with a cotangent that does not fit it."""


def path_of(layer: Module, root: Module) -> str:
    """Return where `layer` lies in `root`, for people: `Sequential[3].body[0].Linear`."""
    names = {id(module): name for name, module in root.named_modules()}
    name = names.get(id(layer), "")
    steps = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in name.split(".") if step)
    return type(root).__name__ + (f"{steps}.{type(layer).__name__}" if steps else "")
