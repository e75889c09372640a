"""Cases of the layers that are not activations."""

import numpy as np
import torch

from minigrad import nn
from minigrad.kernels.reference.dropout import dropout
from minigrad.nn.dropout import stream_key
from tests.cases.activation import FLOATS_ONLY
from tests.cases.case import ErrorCase, ModuleCase


def dropout_reference(module: nn.Dropout, x: np.ndarray) -> np.ndarray:
    if not module.training or module.p == 0:
        return x
    y = np.empty(x.size, x.dtype)
    key = stream_key(module.seed, module.step)
    dropout(x.reshape(-1), *key, round(module.p * 2**32), 1 / (1 - module.p), 0, y)
    return y.reshape(x.shape)


LINEAR_ERRORS = (
    *FLOATS_ONLY[:1],
    ErrorCase("features", np.ones((4, 5)), r"want input of shape \(\*, 3\), got \(4, 5\)"),
    ErrorCase("rank", np.array(1.0), r"want input of shape \(\*, 3\), got \(\)"),
    ErrorCase("empty batch", np.ones((0, 3)), "non-empty"),
    ErrorCase("other dtype", np.ones((4, 3), np.float32), "input is float32, weight is float64"),
)
NORM_ERRORS = (
    ErrorCase("channels", np.ones((5, 4)), r"want input of shape \(N, 3\) or \(N, 3, L\), got \(5, 4\)"),
    ErrorCase("rank", np.ones(3), r"got \(3,\)"),
    ErrorCase("batch of one", np.ones((1, 3)), "more than 1 value for each channel in training"),
    ErrorCase("empty batch", np.ones((0, 3)), "non-empty"),
    ErrorCase("integers", np.ones((5, 3), int), "float32 or float64"),
)

LAYERS = [
    ModuleCase("Linear", lambda: nn.Linear(3, 7), (5, 3), lambda: torch.nn.Linear(3, 7), errors=LINEAR_ERRORS),
    ModuleCase(
        "Linear-no-bias",
        lambda: nn.Linear(3, 7, bias=False),
        (5, 3),
        lambda: torch.nn.Linear(3, 7, bias=False),
    ),
    ModuleCase("Linear-rank-3", lambda: nn.Linear(3, 7), (5, 4, 3), lambda: torch.nn.Linear(3, 7)),
    ModuleCase(
        "Embedding",
        lambda: nn.Embedding(11, 3),
        (5, 4),
        lambda: torch.nn.Embedding(11, 3),
        integers=11,
        errors=(
            ErrorCase("floats", np.ones((2, 3)), "want integer indices, got float64"),
            ErrorCase("too large", np.array([0, 11]), r"want indices in \[0, 11\), got 0 to 11"),
            ErrorCase("negative", np.array([-1, 3]), "got -1 to 3"),
            ErrorCase("empty", np.zeros((0, 3), int), "non-empty"),
        ),
    ),
    ModuleCase(
        "Embedding-padding",
        lambda: nn.Embedding(7, 3, padding_idx=-2),
        (5, 4),
        lambda: torch.nn.Embedding(7, 3, padding_idx=-2),
        integers=7,
        has_derivative=False,  # the padding row counts in the forward and by definition gets no gradient
    ),
    ModuleCase(
        "BatchNorm1d",
        lambda: nn.BatchNorm1d(3),
        (5, 3),
        lambda: torch.nn.BatchNorm1d(3),
        couples_batch=True,
        differs_in_eval=True,
        errors=NORM_ERRORS,
    ),
    ModuleCase(
        "BatchNorm1d-length",
        lambda: nn.BatchNorm1d(3, eps=1e-3, momentum=0.3),
        (5, 3, 4),
        lambda: torch.nn.BatchNorm1d(3, eps=1e-3, momentum=0.3),
        couples_batch=True,
        differs_in_eval=True,
    ),
    ModuleCase(
        "BatchNorm1d-average",
        lambda: nn.BatchNorm1d(3, momentum=None, affine=False),
        (5, 3),
        lambda: torch.nn.BatchNorm1d(3, momentum=None, affine=False),
        couples_batch=True,
        differs_in_eval=True,
    ),
    ModuleCase(
        "BatchNorm1d-no-bias",
        lambda: nn.BatchNorm1d(3, bias=False),
        (5, 3, 4),
        lambda: torch.nn.BatchNorm1d(3, bias=False),
        couples_batch=True,
        differs_in_eval=True,
    ),
    ModuleCase(
        "BatchNorm1d-average-affine",
        lambda: nn.BatchNorm1d(3, momentum=None),
        (5, 3),
        lambda: torch.nn.BatchNorm1d(3, momentum=None),
        couples_batch=True,
        differs_in_eval=True,
    ),
    ModuleCase(
        "BatchNorm1d-untracked",
        lambda: nn.BatchNorm1d(3, track_running_stats=False),
        (5, 3),
        lambda: torch.nn.BatchNorm1d(3, track_running_stats=False),
        couples_batch=True,
    ),
    ModuleCase(
        "LayerNorm",
        lambda: nn.LayerNorm(4),
        (5, 3, 4),
        lambda: torch.nn.LayerNorm(4),
        errors=(
            *FLOATS_ONLY[:1],
            ErrorCase("features", np.ones((4, 5)), r"want input of shape \(\*, 4\), got \(4, 5\)"),
            ErrorCase("empty batch", np.ones((0, 4)), "non-empty"),
        ),
    ),
    ModuleCase(
        "LayerNorm-axes",
        lambda: nn.LayerNorm((3, 4), eps=1e-3),
        (5, 3, 4),
        lambda: torch.nn.LayerNorm((3, 4), eps=1e-3),
    ),
    ModuleCase(
        "LayerNorm-plain",
        lambda: nn.LayerNorm(4, elementwise_affine=False),
        (5, 4),
        lambda: torch.nn.LayerNorm(4, elementwise_affine=False),
    ),
    ModuleCase(
        "LayerNorm-no-bias",
        lambda: nn.LayerNorm(4, bias=False),
        (5, 4),
        lambda: torch.nn.LayerNorm(4, bias=False),
    ),
    ModuleCase(
        "Dropout",
        lambda: nn.Dropout(0.4, rng=3),
        (5, 3, 4),
        reference=dropout_reference,
        couples_batch=True,  # the mask belongs to the element's place in the batch
        differs_in_eval=True,
        returns_view=True,
        errors=FLOATS_ONLY,
    ),
    ModuleCase("Dropout-0", lambda: nn.Dropout(0.0), (5, 3), lambda: torch.nn.Dropout(0.0), returns_view=True),
    ModuleCase(
        "Dropout-1",
        lambda: nn.Dropout(1.0),
        (5, 3),
        lambda: torch.nn.Dropout(1.0),
        differs_in_eval=True,
        returns_view=True,
    ),
    ModuleCase("Identity", nn.Identity, (5, 3), torch.nn.Identity, returns_view=True),
    ModuleCase(
        "Flatten",
        nn.Flatten,
        (5, 3, 4, 2),
        torch.nn.Flatten,
        returns_view=True,
        errors=(ErrorCase("rank", np.ones(3), r"want axes 1 to -1 of the input, got \(3,\)"),),
    ),
    ModuleCase(
        "Flatten-axes",
        lambda: nn.Flatten(1, 2),
        (5, 3, 4, 2),
        lambda: torch.nn.Flatten(1, 2),
        returns_view=True,
    ),
]
