"""Every convolution of the networks of images by itself: GFLOP/s of the plain sums, padding not counted.

Both ways: y from x, and the gradients of x and of the weights (of the weights alone where x is the images). Whoever
needs fewer multiplications than the plain sums have may come out above the machine's peak.
"""

from typing import Any

import numpy as np

from benchmarks.tables import best, markdown, median, number
from benchmarks.worker import interleave, workers
from minigrad.nn.windows import Windows, table_of

Form = tuple[int, int, int, int, int, int]  # images, pixels a side, channels in and out, kernel, stride
FILE = "benchmarks.convolution_layers"
LIBRARIES: dict[str, tuple[str, dict[str, bool]]] = {
    "minigrad": (f"{FILE}:Minigrad", {}),
    "oneDNN, NCHW": (f"{FILE}:OneDNN", {"channels_last": False}),
    "oneDNN, channels last": (f"{FILE}:OneDNN", {"channels_last": True}),
}
ONEDNN = [name for name in LIBRARIES if name != "minigrad"]
CNN = [(64, 28, 1, 32, 3, 1), (64, 14, 32, 64, 3, 1)]
RESNET20 = [
    (64, 28, 1, 16, 3, 1),
    (64, 28, 16, 16, 3, 1),
    *((64, 28, 16, 32, size, 2) for size in (3, 1)),
    (64, 14, 32, 32, 3, 1),
    *((64, 14, 32, 64, size, 2) for size in (3, 1)),
    (64, 7, 64, 64, 3, 1),
]
RESNET18 = [
    (32, 28, 1, 64, 3, 1),
    (32, 28, 64, 64, 3, 1),
    *((32, 28, 64, 128, size, 2) for size in (3, 1)),
    (32, 14, 128, 128, 3, 1),
    *((32, 14, 128, 256, size, 2) for size in (3, 1)),
    (32, 7, 256, 256, 3, 1),
    *((32, 7, 256, 512, size, 2) for size in (3, 1)),
    (32, 4, 512, 512, 3, 1),
]
FORMS: dict[str, list[Form]] = {"CNN": CNN, "ResNet20": RESNET20, "ResNet18": RESNET18}
WAYS = ("forward", "backward")
BLOCKS, SECONDS = 2, 0.03


def measure(rounds: int) -> dict[str, Any]:
    """Return seconds of each convolution both ways."""
    rows = []
    with workers({name: {} for name in LIBRARIES}) as crew:
        for network, forms in FORMS.items():
            for form in forms:
                for way in WAYS:
                    for name, (path, options) in LIBRARIES.items():
                        crew[name].build(path, form, way, **options)
                    compare({name: worker.call("result") for name, worker in crew.items()})
                    samples = interleave(crew, "run", rounds, BLOCKS, SECONDS)
                    rows.append({"network": network, "form": form, "way": way, "samples": samples})
    return {"rows": rows}


def compare(results: dict[str, np.ndarray]) -> None:
    """Raise AssertionError where the results differ by more than rounding."""
    expected = results[ONEDNN[0]]
    for name, found in results.items():
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=name)


def operations(form: Form, way: str) -> int:
    """Return the multiplications and additions of the plain sums.

    >>> operations((1, 3, 1, 1, 3, 1), "forward")  # 4 outputs see 4 pixels, 4 see 6, and one 9
    98
    """
    N, H, C, K, size, stride = form
    outputs = (H + 2 * (size // 2) - size) // stride + 1
    windows = Windows((H, H), (outputs,) * 2, (size,) * 2, (stride,) * 2, (-(size // 2),) * 2, (1, 1))
    products = 2 if way == "backward" and C > 1 else 1
    return int(2 * N * C * K * np.count_nonzero(table_of(windows) >= 0) * products)


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown, a row for each convolution and way."""
    rows = []
    for row in result["rows"]:
        N, H, C, K, size, stride = form = tuple(row["form"])
        giga = 1e-9 * operations(form, row["way"])
        rates = [number(giga / median(samples)) for samples in row["samples"].values()]
        fastest = median(row["samples"][best(row["samples"], ONEDNN)]) / median(row["samples"]["minigrad"])
        what = f"{N} x {H} x {H}, {C} to {K}, {size} x {size}" + f", stride {stride}" * (stride > 1)
        rows.append([row["network"], what, row["way"], *rates, f"**{number(fastest)}**"])
    return markdown(["network", "convolution", "way", *LIBRARIES, "times faster than oneDNN"], rows)
