"""The networks of images in PyTorch, with minigrad's keys, which are torchvision's."""

from collections.abc import Sequence

import torch
from torch import nn

from benchmarks.image_workloads import ImageWorkload


class Block(nn.Module):
    """The residual block of two convolutions."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        if stride != 1 or inputs != channels:
            shortcut = nn.Conv2d(inputs, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return y."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    """With a stem for small images of one channel."""

    def __init__(self, blocks: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        width = channels[0]
        self.conv1 = nn.Conv2d(1, width, 3, 1, 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.stages = len(blocks)
        for stage, (count, wider) in enumerate(zip(blocks, channels, strict=True)):
            made = []
            for i in range(count):
                made.append(Block(width, wider, 2 if stage and i == 0 else 1))
                width = wider
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
        self.fc = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        x = self.relu(self.bn1(self.conv1(x)))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


def cnn(dropout: float) -> nn.Sequential:
    """Return the reference CNN."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 32), (32, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    drop = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, nn.Flatten(), *drop, nn.Linear(3136, 10))


def network(workload: ImageWorkload) -> nn.Module:
    """Return the workload's network from its initial weights."""
    make = {
        "cnn": lambda: cnn(workload.dropout),
        "resnet20": lambda: ResNet((3, 3, 3), (16, 32, 64)),
        "resnet18": lambda: ResNet((2, 2, 2, 2), (64, 128, 256, 512)),
    }
    model = make[workload.network]()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in workload.state().items()})
    return model
