"""What a model is made of: modules, layers, containers, losses, initial values. PyTorch's names and conventions."""

from minigrad.nn import init
from minigrad.nn.activation import (
    ELU,
    GELU,
    SELU,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from minigrad.nn.class_loss import CrossEntropyLoss, NLLLoss
from minigrad.nn.containers import Composite, Concat, Residual, Sequential, Sum
from minigrad.nn.conv import Conv1d, Conv2d, ConvTranspose2d
from minigrad.nn.conv_same import Conv2dSame
from minigrad.nn.dropout import Dropout, Dropout2d
from minigrad.nn.element_loss import BCEWithLogitsLoss, HuberLoss, L1Loss, MSELoss, SmoothL1Loss
from minigrad.nn.errors import BackwardError, LayerError
from minigrad.nn.group_norm import GroupNorm, InstanceNorm2d
from minigrad.nn.linear import Embedding, Linear
from minigrad.nn.loss import Loss
from minigrad.nn.module import Module
from minigrad.nn.norm import BatchNorm1d, BatchNorm2d, LayerNorm
from minigrad.nn.observe import Summary, observe, summary
from minigrad.nn.parameter import Parameter
from minigrad.nn.pool import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from minigrad.nn.recording import enable_grad, is_recording, no_grad
from minigrad.nn.resample import PixelShuffle, Upsample, ZeroPad2d
from minigrad.nn.shape import Flatten, Identity, Unflatten
from minigrad.nn.softmax import LogSoftmax, Softmax

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BackwardError",
    "BatchNorm1d",
    "BatchNorm2d",
    "Composite",
    "Concat",
    "Conv1d",
    "Conv2d",
    "Conv2dSame",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "Hardswish",
    "Hardtanh",
    "HuberLoss",
    "Identity",
    "InstanceNorm2d",
    "L1Loss",
    "LayerError",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "Module",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "PixelShuffle",
    "ReLU",
    "ReLU6",
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
    "Unflatten",
    "Upsample",
    "ZeroPad2d",
    "enable_grad",
    "init",
    "is_recording",
    "no_grad",
    "observe",
    "summary",
]
