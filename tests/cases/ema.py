"""Cases of weight averaging."""

from collections.abc import Iterable
from dataclasses import dataclass

from hypothesis import strategies as st

from minigrad import optim
from minigrad.nn.parameter import Parameter
from tests.cases.drawn import numbers, shapes
from tests.optim_twins import SHAPES


@dataclass(frozen=True)
class EMACase:
    """An average with one set of options."""

    decay: float = 0.999
    warmup: bool = False
    shapes: tuple[tuple[int, ...], ...] = tuple(SHAPES)
    cls: str = "EMA"

    @property
    def name(self) -> str:
        return f"EMA decay={self.decay} warmup={self.warmup}"

    def make(self, parameters: Iterable[Parameter]) -> optim.EMA:
        """Return the average."""
        return optim.EMA(parameters, self.decay, self.warmup)

    def decay_of(self, update: int) -> float:
        """Return how much of the average an update keeps."""
        return min(self.decay, (1 + update) / (10 + update)) if self.warmup else self.decay


AVERAGES = [EMACase(decay, warmup) for decay in (0.0, 0.9, 0.999, 1.0) for warmup in (False, True)]

DRAWN: dict[str, st.SearchStrategy[EMACase]] = {
    "EMA": st.builds(EMACase, numbers(0, 1), st.booleans(), st.lists(shapes(0, 3), min_size=1, max_size=4).map(tuple))
}
