"""PyTorch as its tutorial trains on Fashion-MNIST: DataLoader, ToTensor, Adam as it comes."""

import torch
from torch.utils.data import DataLoader

from benchmarks.contestants.base import Array
from benchmarks.contestants.pytorch import Trainer as InMemory
from tests.torchvision_import import import_torchvision

torchvision = import_torchvision()


class Images(torchvision.datasets.FashionMNIST):
    """torchvision's data set, over images that are there already: its items are made as always."""

    def __init__(self, images: Array, labels: Array) -> None:
        self.data, self.targets = torch.from_numpy(images), torch.from_numpy(labels)
        self.transform, self.target_transform = torchvision.transforms.ToTensor(), None


class Trainer(InMemory):
    """The workload, its batches from a DataLoader."""

    def epoch(self, images: Array, labels: Array, order: Array) -> None:
        self.model.train()
        data = Images(images.reshape(-1, 28, 28), labels)
        for x, y in DataLoader(data, self.workload.batch, sampler=order.tolist()):
            loss = self.step(x.flatten(1), y)
        loss.item()
