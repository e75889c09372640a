"""Networks ready to use: functions that return a Module."""

from minigrad.models.convolutional import cnn
from minigrad.models.perceptron import ACTIVATIONS, mlp
from minigrad.models.resnet import BasicBlock, ResNet, resnet18, resnet20, resnet34

__all__ = ["ACTIVATIONS", "BasicBlock", "ResNet", "cnn", "mlp", "resnet18", "resnet20", "resnet34"]
