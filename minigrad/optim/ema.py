"""EMA: weights averaged over the course of training."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad import kernels
from minigrad.numbers import as_numbers, convert, is_real, is_whole
from minigrad.optim.flat import Array, Trainable
from minigrad.showing import ShownAsCall


class EMA(ShownAsCall):
    """Exponential moving average of weights, often better in the end than the weights themselves.

        a ← a + (1 - decay) (w - a),   a = w at first

    It reads and writes the parameters' values and holds no memory of theirs, so optimizers do not matter to it.
    Buffers, like the running statistics of BatchNorm, are not averaged.

    Arguments:
        parameters: the parameters.
        decay: how much of the average is kept at each update, in [0, 1].
        warmup: whether update t keeps at most (1 + t) / (10 + t), so that the first weights, which have learnt
            nothing yet, are soon forgotten.

    Raises:
        ValueError: for no parameters, or a decay out of range.

    >>> from minigrad.nn.parameter import Parameter
    >>> w = Parameter([1.0])
    >>> ema = EMA([w], decay=0.75)
    >>> w.data += 4
    >>> ema.update()
    >>> with ema.averaged():
    ...     print(w.data)
    [2.]
    >>> print(w.data)
    [5.]
    """

    parameters: list[Trainable]
    decay: float
    warmup: bool
    updates: int

    def __init__(self, parameters: Iterable[Trainable], decay: float = 0.999, warmup: bool = False) -> None:
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("EMA: want at least one parameter, got none")
        if not 0 <= decay <= 1:
            raise ValueError(f"EMA: want decay in [0, 1], got {decay}")
        self.decay, self.warmup, self.updates = float(decay), warmup, 0
        self.averages: list[Array] = [np.array(parameter.data, order="C") for parameter in self.parameters]

    def update(self) -> None:
        """Move the averages towards the weights. Call it after `optimizer.step()`."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        for parameter, average in zip(self.parameters, self.averages, strict=True):
            kernels.ema_update(parameter.data.reshape(-1), average.reshape(-1), decay)

    def copy_to(self) -> None:
        """Write the averages into the parameters, for good."""
        _write(self.averages, self.parameters)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the parameters the averaged values inside the context, and their own ones back afterwards."""
        own = [parameter.data.copy() for parameter in self.parameters]
        self.copy_to()
        try:
            yield
        finally:
            _write(own, self.parameters)

    def state_dict(self) -> dict[str, Any]:
        """Return the options, the number of updates, and copies of the averages in the parameters' order."""
        options = {"decay": self.decay, "warmup": self.warmup, "updates": self.updates}
        return options | {"averages": [average.copy() for average in self.averages]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Copy in what `state_dict()` gave.

        Raises:
            ValueError: for what is missing, or is not as `state_dict()` has it. Nothing has been changed then.
        """
        where, keys = "EMA.load_state_dict", ("decay", "warmup", "updates", "averages")
        if not isinstance(state_dict, Mapping) or not set(keys) <= set(state_dict):
            raise ValueError(f"{where}: want the keys {', '.join(keys)}")
        decay, warmup, updates, saved = (state_dict[key] for key in keys)
        if not (is_real(decay) and 0 <= decay <= 1 and is_whole(updates) and updates >= 0):
            raise ValueError(f"{where}: want decay in [0, 1] and updates of at least 0, got {decay!r} and {updates!r}")
        try:
            averages = [as_numbers(average) for average in saved]
            got, want = ([average.shape for average in arrays] for arrays in (averages, self.averages))
            if got != want:
                raise ValueError(f"want averages of shapes {want}, got {got}")
            averages = [convert(new, own.dtype) for new, own in zip(averages, self.averages, strict=True)]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from None
        self.decay, self.warmup = float(decay), bool(warmup)
        self.updates = int(updates)
        for average, new in zip(self.averages, averages, strict=True):
            average[...] = new


def _write(values: list[Array], parameters: list[Trainable]) -> None:
    # In place: rebinding `data` would take the parameter out of its optimizer's flat memory.
    for parameter, value in zip(parameters, values, strict=True):
        parameter.data[...] = value
