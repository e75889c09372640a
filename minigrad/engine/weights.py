"""The weights of a convolution as kernels take them, and their gradient as `weight` has it."""

from minigrad.engine.lowering import Lowering
from minigrad.engine.memory import Memory
from minigrad.nn.conv import Convolution


def packed(b: Lowering, layer: Convolution) -> tuple[Memory, Memory]:
    """Emit what `layer.packed()` does, and return the two."""
    G, T, large, small = layer.form
    by_tap = b.to_rows(layer.weight.data.reshape(G, small * large, T), 1)
    by_channel = b.to_rows(by_tap.reshape(G * T, small, large), 1)
    to_small, to_large = by_channel.reshape(G, T * large, small), by_tap.reshape(G, T * small, large)
    return (to_large, to_small) if layer.transposed else (to_small, to_large)


def put_gradient(b: Lowering, layer: Convolution, dw: Memory) -> None:
    """Emit the gradient of the weights to the small image, (G, T large, small), in the form of `weight`."""
    (G, T, large, small), dtype = layer.form, dw.dtype
    with b.gradient(layer.weight, (G, small * large, T), dtype) as target:
        by_tap = target if T == 1 else b.buffer((G * T, small, large), dtype, "dw")
        b.swap_axes(dw.reshape(G * T, large, small), by_tap.reshape(G * T, small, large))
        if T > 1:
            b.swap_axes(by_tap.reshape(G, T, small * large), target)
