"""Convolutions that take every channel by itself."""

from functools import cached_property

from minigrad.engine.layers import NOTHING
from minigrad.engine.memory import Memory, cut
from minigrad.engine.taps import Taps
from minigrad.nn.windows import table_of


class Depthwise(Taps):
    """A convolution that takes every channel by itself: vectors of channels in the place of matrices."""

    @cached_property
    def by_tap(self) -> Memory:
        """The weights as the kernel takes them, laid out where they are first wanted."""
        return self.b.to_rows(self.layer.weight.data.reshape(self.layer.groups, -1), 0)

    def forward(self, y: Memory) -> None:
        """Emit y, the bias added."""
        bias = NOTHING[y.dtype] if self.layer.bias is None else self.layer.bias.data
        self._emit(self.pixels, bias, self.seen, y)

    def backward_input(self, dy: Memory, dx: Memory) -> None:
        """Emit dx."""
        self._emit(dy, NOTHING[dy.dtype], self.given, dx)

    def _emit(self, x: Memory, bias: Memory, table: Memory, y: Memory) -> None:
        operands = (x, self.by_tap, bias, cut(table), cut(y))
        self.b.emit("depthwise_forward", *operands, work=self._work(), multiply_adds=self.multiply_adds)

    def _work(self) -> float:
        """Return elements of a cheap loop: no number is used twice in a register, as it is in a product of matrices."""
        return self.multiply_adds / 4

    def backward_weight(self, dy: Memory) -> None:
        """Emit the weights' gradient; threads share the channels."""
        _, T, _, _ = self.layer.form
        C = self.layer.groups
        large, small = (dy, self.pixels) if self.layer.transposed else (self.pixels, dy)
        dw = self.b.buffer((T, C), dy.dtype, "dw")
        self.b.emit(
            "depthwise_backward_weight",
            *(large, small, table_of(self.windows), dw),
            over=C,
            work=self._work(),
            multiply_adds=self.multiply_adds,
        )
        with self.b.gradient(self.layer.weight, (1, C, T), dy.dtype) as target:
            self.b.swap_axes(dw.reshape(1, T, C), target)
