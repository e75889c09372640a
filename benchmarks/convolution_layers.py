"""One convolution, forward or backward, in minigrad's compiled form and in PyTorch's (oneDNN)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.contestants.base import threads
from benchmarks.convolutions import Form
from minigrad import nn
from minigrad.engine.memory import Image
from minigrad.engine.pool import run
from minigrad.engine.program import Program
from minigrad.engine.registry import Lowering


def arrays(form: Form) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, weight and dy in PyTorch's order."""
    N, H, C, K, size, stride = form
    outputs, rng = (H + 2 * (size // 2) - size) // stride + 1, np.random.default_rng(0)
    shapes = (N, C, H, H), (K, C, size, size), (N, K, outputs, outputs)
    x, weight, dy = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return x, weight, dy


class Minigrad:
    """The instructions that a compiled step has for the layer, from one layer's images to the next one's."""

    def __init__(self, form: Form, way: str) -> None:
        x, weight, dy = arrays(form)
        layer = nn.Conv2d(*form[2:5], form[5], form[4] // 2, bias=False)
        layer.weight.data[...] = weight
        b = Lowering(layer, layer.parameters())
        given = [b.buffer((a.shape[2] * a.shape[3], *a.shape[:2]), np.float32, "given") for a in (x, dy)]
        y, pull = b.lower(layer, Image(given[0], x.shape))
        forward = len(b.instructions)
        pull(Image(given[1], dy.shape), form[2] > 1)
        self.program = Program(b.instructions)
        self.program.arena.view(np.float32)[:] = 1
        for buffer, array in zip(given, (x, dy), strict=True):
            self.program.view(buffer)[...] = array.reshape(*array.shape[:2], -1).transpose(2, 0, 1)
        code = self.program.code
        first, last = (0, forward) if way == "forward" else (forward, len(code))
        self.where = code[first:].ctypes.data, last - first
        self.way, self.y, self.weight = way, y.pixels, layer.weight

    def run(self, times: int) -> None:
        """Do it so many times."""
        run(self.where, times, threads())

    def result(self) -> np.ndarray:
        """Return y, or the gradient of the weights."""
        self.run(1)
        return self.program.view(self.y).transpose(1, 2, 0).copy() if self.way == "forward" else self.weight.grad


class OneDNN:
    """PyTorch's operators in one of its layouts."""

    def __init__(self, form: Form, way: str, channels_last: bool) -> None:
        import torch  # only the process that needs it loads it

        torch.set_num_threads(threads())
        layout = torch.channels_last if channels_last else torch.contiguous_format
        x, weight, dy = (torch.from_numpy(a).contiguous(memory_format=layout) for a in arrays(form))
        stride, padding = [form[5]] * 2, [form[4] // 2] * 2
        convolve: Any = torch.nn.functional.conv2d
        back: Any = torch.ops.aten.convolution_backward
        ways: dict[str, Callable[[], Any]] = {
            "forward": lambda: convolve(x, weight, None, stride, padding),
            "backward": lambda: back(
                dy, x, weight, None, stride, padding, [1, 1], False, [0, 0], 1, [form[2] > 1, True, False]
            ),
        }
        self.call, self.mode = ways[way], torch.inference_mode

    def run(self, times: int) -> None:
        """Do it so many times."""
        with self.mode():
            for _ in range(times):
                self.call()

    def result(self) -> np.ndarray:
        """Return y, or the gradient of the weights."""
        found = self.call()
        return found[1].numpy() if isinstance(found, tuple) else found.numpy().reshape(*found.shape[:2], -1)
