"""Training on augmented images of Fashion-MNIST, in minigrad and in PyTorch."""

from importlib import import_module
from time import perf_counter

import numpy as np
import torch
from torch.utils.data import DataLoader

from benchmarks.contestants import image_trainers
from benchmarks.contestants.base import Array
from benchmarks.image_workloads import ImageWorkload
from minigrad import data
from tests.torchvision_import import import_torchvision

torchvision = import_torchvision()
v2 = import_module("torchvision.transforms.v2")

POLICY = data.CATALOG["fashion-mnist"].augmentation
MEAN, STD = 0.286, 0.353


def first_images(count: int) -> data.ArrayDataset:
    """Return so many images to train on."""
    return data.fashion_mnist()[0].subset(np.arange(count))


class Minigrad(image_trainers.Minigrad):
    """A native call for all steps; option: whether images are augmented."""

    def __init__(self, workload: ImageWorkload, images: int, augmented: bool = True) -> None:
        super().__init__(workload)
        augment = POLICY if augmented else None
        self.loader = data.Loader(first_images(images), workload.batch, True, mean=MEAN, std=STD, augment=augment)

    def epoch(self) -> tuple[float, float]:
        """Train on all images; return the seconds and the mean loss."""
        x, y, epoch = self.loader.data.x, self.loader.data.y, self.loader.epoch
        start = perf_counter()
        order, augment = self.loader.order(epoch), self.loader.preparation.augment
        loss = self.step.epoch(x, y, order, mean=MEAN, std=STD, augment=augment, number=epoch)
        self.loader.epoch += 1
        return perf_counter() - start, loss


class Images(torchvision.datasets.FashionMNIST):
    """torchvision's data set, over images that are there already: its items are made as always."""

    def __init__(self, images: Array, labels: Array) -> None:
        self.data, self.targets, self.target_transform = torch.from_numpy(images), torch.from_numpy(labels), None
        self.transform = v2.Compose(
            [
                v2.ToImage(),
                v2.RandomCrop(28, padding=POLICY.crop),
                v2.RandomHorizontalFlip(POLICY.flip),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize((MEAN,), (STD,)),
                v2.RandomErasing(POLICY.erasing, POLICY.scale, POLICY.ratio),
            ]
        )


class PyTorch(image_trainers.PyTorch):
    """A DataLoader's batches; options: the layout of images in memory, and how many processes load."""

    def __init__(self, workload: ImageWorkload, images: int, channels_last: bool, processes: int) -> None:
        super().__init__(workload, channels_last=channels_last)
        torch.manual_seed(0)
        train = first_images(images)
        dataset = Images(train.x[:, 0], train.y)
        keeps = processes > 0
        self.loader = DataLoader(dataset, workload.batch, shuffle=True, num_workers=processes, persistent_workers=keeps)

    def epoch(self) -> tuple[float, float]:
        """Train on all images; return the seconds and the mean loss."""
        self.model.train()
        start, losses = perf_counter(), []
        for x, y in self.loader:
            losses.append(self.step(x.contiguous(memory_format=self.format), y))
        loss = torch.stack(losses).mean().item()
        return perf_counter() - start, loss
