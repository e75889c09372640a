"""What a model is made of: modules, layers, containers, losses, initial values. PyTorch's names and conventions."""

from minigrad.nn import init
from minigrad.nn.activation import (
    ELU,
    GELU,
    SELU,
    Hardtanh,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from minigrad.nn.class_loss import CrossEntropyLoss, NLLLoss
from minigrad.nn.containers import Concat, Residual, Sequential, Sum
from minigrad.nn.dropout import Dropout
from minigrad.nn.element_loss import BCEWithLogitsLoss, HuberLoss, L1Loss, MSELoss, SmoothL1Loss
from minigrad.nn.errors import BackwardError, LayerError
from minigrad.nn.linear import Embedding, Linear
from minigrad.nn.loss import Loss
from minigrad.nn.module import Module
from minigrad.nn.norm import BatchNorm1d, LayerNorm
from minigrad.nn.observe import Summary, observe, summary
from minigrad.nn.parameter import Parameter
from minigrad.nn.recording import enable_grad, is_recording, no_grad
from minigrad.nn.shape import Flatten, Identity

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "BCEWithLogitsLoss",
    "BackwardError",
    "BatchNorm1d",
    "Concat",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "Hardtanh",
    "HuberLoss",
    "Identity",
    "L1Loss",
    "LayerError",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MSELoss",
    "Module",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Sum",
    "Summary",
    "Tanh",
    "enable_grad",
    "init",
    "is_recording",
    "no_grad",
    "observe",
    "summary",
]
