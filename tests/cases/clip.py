"""Cases of gradient clipping."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st

from minigrad import optim
from tests.cases.drawn import numbers, shapes
from tests.optim_twins import SHAPES


@dataclass(frozen=True)
class ClipCase:
    """One function with its arguments, PyTorch's too."""

    cls: str
    options: Mapping[str, Any]
    shapes: tuple[tuple[int, ...], ...] = tuple(SHAPES)

    @property
    def name(self) -> str:
        return " ".join([self.cls, *(f"{key}={value}" for key, value in self.options.items())])

    def __call__(self, parameters: Any) -> Any:
        """Clip."""
        return getattr(optim, self.cls)(parameters, **self.options)

    def twin(self, tensors: Any) -> Any:
        """Clip as PyTorch does."""
        return getattr(torch.nn.utils, self.cls)(tensors, **self.options)


NORMS = [1.0, 2.0, 3.5, 0.5, float("inf")]

CLIPS = [
    *(
        ClipCase("clip_grad_norm_", {"max_norm": max_norm, "norm_type": norm_type})
        for max_norm in (0, 0.1, 1.0, 1e6)
        for norm_type in NORMS
    ),
    ClipCase("clip_grad_value_", {"clip_value": 0.3}),
    ClipCase("clip_grad_value_", {"clip_value": 0}),
]

SOME_SHAPES = st.lists(shapes(0, 3), min_size=1, max_size=4).map(tuple)
DRAWN: dict[str, st.SearchStrategy[ClipCase]] = {
    "clip_grad_norm_": st.builds(
        ClipCase,
        st.just("clip_grad_norm_"),
        st.fixed_dictionaries({"max_norm": numbers(0, 30)}, optional={"norm_type": st.sampled_from(NORMS)}),
        SOME_SHAPES,
    ),
    "clip_grad_value_": st.builds(
        ClipCase,
        st.just("clip_grad_value_"),
        st.fixed_dictionaries({"clip_value": numbers(0, 3)}),
        SOME_SHAPES,
    ),
}
