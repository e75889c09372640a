"""Cases of the activations."""

import numpy as np
import torch

from minigrad import nn
from tests.cases.case import ErrorCase, ModuleCase

SHAPE = (5, 3, 4)
FLOATS_ONLY = (
    ErrorCase("integers", np.ones((2, 3), np.int64), "float32 or float64 input, got int64"),
    ErrorCase("float16", np.ones((2, 3), np.float16), "got float16"),
    ErrorCase("complex", np.ones((2, 3), np.complex128), "got complex128"),
    ErrorCase("objects", np.array([["a", 1]], object), "got object"),
    ErrorCase("empty batch", np.ones((0, 3)), "non-empty"),
    ErrorCase("a list", [[1.0, 2.0]], "want a NumPy array, got list"),
)

ACTIVATIONS = [
    ModuleCase("ReLU", nn.ReLU, SHAPE, torch.nn.ReLU, kinks=(0,), errors=FLOATS_ONLY),
    ModuleCase("LeakyReLU", nn.LeakyReLU, SHAPE, torch.nn.LeakyReLU, kinks=(0,), errors=FLOATS_ONLY),
    ModuleCase("LeakyReLU-slope", lambda: nn.LeakyReLU(0.3), SHAPE, lambda: torch.nn.LeakyReLU(0.3), kinks=(0,)),
    ModuleCase("PReLU", nn.PReLU, SHAPE, torch.nn.PReLU, kinks=(0,), errors=FLOATS_ONLY),
    ModuleCase(
        "PReLU-channels",
        lambda: nn.PReLU(3),
        SHAPE,
        lambda: torch.nn.PReLU(3),
        kinks=(0,),
        errors=(ErrorCase("channels", np.ones((2, 4, 5)), r"want input of shape \(N, 3, \*\), got \(2, 4, 5\)"),),
    ),
    ModuleCase("PReLU-matrix", lambda: nn.PReLU(3), (5, 3), lambda: torch.nn.PReLU(3), kinks=(0,)),
    ModuleCase("ELU", nn.ELU, SHAPE, torch.nn.ELU, kinks=(0,), errors=FLOATS_ONLY),
    ModuleCase("ELU-alpha", lambda: nn.ELU(0.7), SHAPE, lambda: torch.nn.ELU(0.7), kinks=(0,)),
    ModuleCase("SELU", nn.SELU, SHAPE, torch.nn.SELU, kinks=(0,), errors=FLOATS_ONLY),
    ModuleCase("GELU", nn.GELU, SHAPE, torch.nn.GELU, errors=FLOATS_ONLY),
    ModuleCase("GELU-tanh", lambda: nn.GELU("tanh"), SHAPE, lambda: torch.nn.GELU("tanh")),
    ModuleCase("SiLU", nn.SiLU, SHAPE, torch.nn.SiLU, errors=FLOATS_ONLY),
    ModuleCase("Tanh", nn.Tanh, SHAPE, torch.nn.Tanh, errors=FLOATS_ONLY),
    ModuleCase("Sigmoid", nn.Sigmoid, SHAPE, torch.nn.Sigmoid, errors=FLOATS_ONLY),
    ModuleCase("Hardtanh", nn.Hardtanh, SHAPE, torch.nn.Hardtanh, kinks=(-1, 1), errors=FLOATS_ONLY),
    ModuleCase(
        "Hardtanh-bounds",
        lambda: nn.Hardtanh(-0.5, 0.8),
        SHAPE,
        lambda: torch.nn.Hardtanh(-0.5, 0.8),
        kinks=(-0.5, 0.8),
    ),
    ModuleCase("ReLU6", nn.ReLU6, SHAPE, torch.nn.ReLU6, kinks=(0, 6), errors=FLOATS_ONLY),
    ModuleCase("Hardswish", nn.Hardswish, SHAPE, torch.nn.Hardswish, kinks=(-3, 3), errors=FLOATS_ONLY),
    ModuleCase("Softplus", nn.Softplus, SHAPE, torch.nn.Softplus, errors=FLOATS_ONLY),
    ModuleCase(
        "Softplus-threshold",
        lambda: nn.Softplus(2.0, 1.0),
        SHAPE,
        lambda: torch.nn.Softplus(2.0, 1.0),
        kinks=(0.5,),
    ),
    ModuleCase("Softmax", nn.Softmax, SHAPE, lambda: torch.nn.Softmax(-1), errors=FLOATS_ONLY),
    ModuleCase(
        "Softmax-dim",
        lambda: nn.Softmax(1),
        SHAPE,
        lambda: torch.nn.Softmax(1),
        errors=(
            ErrorCase("a vector", np.ones(3), r"with an axis 1, got \(3,\)"),
            ErrorCase("a scalar", np.array(1.0), r"with an axis 1, got \(\)"),
        ),
    ),
    ModuleCase("LogSoftmax", nn.LogSoftmax, SHAPE, lambda: torch.nn.LogSoftmax(-1), errors=FLOATS_ONLY),
    ModuleCase("LogSoftmax-dim", lambda: nn.LogSoftmax(1), SHAPE, lambda: torch.nn.LogSoftmax(1)),
]
