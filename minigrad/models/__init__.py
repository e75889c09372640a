"""Networks ready to use: functions that return a Module."""

from minigrad.models.convolutional import cnn
from minigrad.models.efficientnet import EfficientNetLite, MBConv, efficientnet_lite0
from minigrad.models.perceptron import ACTIVATIONS, mlp
from minigrad.models.resnet import BasicBlock, ResNet, resnet18, resnet20, resnet34
from minigrad.models.transfer import freeze_backbone, head_name, layer_groups, replace_head
from minigrad.models.vgg import vgg
from minigrad.models.weights import PRETRAINED, Pretrained, WeightsError, weights_path

__all__ = [
    "ACTIVATIONS",
    "PRETRAINED",
    "BasicBlock",
    "EfficientNetLite",
    "MBConv",
    "Pretrained",
    "ResNet",
    "WeightsError",
    "cnn",
    "efficientnet_lite0",
    "freeze_backbone",
    "head_name",
    "layer_groups",
    "mlp",
    "replace_head",
    "resnet18",
    "resnet20",
    "resnet34",
    "vgg",
    "weights_path",
]
