"""Cases of the kernels: sizes of each one's arguments, and values to plant. All it writes to is compared."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.cases import image_arguments, kernel_arguments, step_arguments
from tests.cases.case import At
from tests.cases.kernel_arguments import Draw

ARGUMENTS = {**kernel_arguments.ARGUMENTS, **image_arguments.ARGUMENTS, **step_arguments.ARGUMENTS}
SPECIAL = (0.0, -0.0, 1e-30, 30.0, -30.0, 1e4, -1e4, np.inf, -np.inf, np.nan)


@dataclass(frozen=True)
class KernelCase:
    """One kernel, the sizes of its arrays, how large their values are, and values to plant among them."""

    cls: str
    sizes: tuple[int, int, int, int] = (5, 3, 4, 7)
    length: int = 57
    scale: float = 1.0
    planted: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        planted = " ".join(map(str, self.planted))
        return f"{self.cls} sizes={self.sizes} length={self.length} scale={self.scale} {planted}".strip()

    def arguments(self, at: At) -> list[Any]:
        """Return arguments of the kernel, drawn from the seed."""
        return ARGUMENTS[self.cls](Draw(at, self.sizes, self.length, self.scale, self.planted))


KERNELS = [KernelCase(name, planted=planted) for name in ARGUMENTS for planted in ((), SPECIAL)]
KERNELS.append(KernelCase("conv_forward", (3, 2, 4, 7)))  # fewer samples than a tile of any CPU has rows
KERNELS.append(KernelCase("depthwise_backward_weight", (7, 1, 2, 5), 1, 10.0))  # sums of 470 products
KERNELS.append(KernelCase("winograd_input", (2, 3, 1, 5), 1, 1e-3, (1e4, 0.0)))  # differences of 6.25e4

# Sizes around the widths of vector registers: 4, 8 and 16 numbers.
LENGTHS = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65])
SIZES = st.lists(st.integers(1, 7), min_size=4, max_size=4, unique=True).map(tuple)
DRAWN: dict[str, st.SearchStrategy[KernelCase]] = {
    name: st.builds(
        KernelCase,
        st.just(name),
        SIZES,
        LENGTHS,
        st.sampled_from([1e-3, 0.1, 1.0, 10.0]),
        st.lists(st.sampled_from(SPECIAL), max_size=3).map(tuple),
    )
    for name in ARGUMENTS
}
