"""Training and evaluating networks of images, in minigrad and in PyTorch."""

import numpy as np
import torch

import minigrad
from benchmarks.contestants import pytorch
from benchmarks.contestants.base import Array, Predictor, threads
from benchmarks.contestants.base import Trainer as Base
from benchmarks.contestants.torch_images import network
from benchmarks.image_workloads import TOGETHER, ImageWorkload
from minigrad import nn, optim


class Minigrad(Base):
    """Compiled: one native call for a step."""

    def __init__(self, workload: ImageWorkload) -> None:
        super().__init__(workload)
        self.model = workload.model()
        adam = optim.Adam(self.model.parameters(), lr=workload.lr)
        self.step = minigrad.compile(self.model, nn.CrossEntropyLoss(), adam, batch_size=workload.batch)
        self.forward = self.model.compiled()

    def predictor(self, x: Array) -> Predictor:
        """Return what evaluates images."""
        return lambda: self.forward(x)


class PyTorch(Base):
    """With the fused Adam; options: the layout of images in memory, and whether the model is compiled."""

    def __init__(self, workload: ImageWorkload, channels_last: bool = False, compiled: bool = False) -> None:
        torch.set_num_threads(threads())
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        super().__init__(workload)
        self.model = network(workload).to(memory_format=self.format)
        self.call = torch.compile(self.model, dynamic=False) if compiled else self.model
        self.loss = torch.nn.CrossEntropyLoss()
        self.adam = torch.optim.Adam(self.model.parameters(), lr=workload.lr, fused=True)

    def put(self, x: Array, y: Array) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(x).contiguous(memory_format=self.format), torch.from_numpy(y)

    step = pytorch.Trainer.step

    def predictor(self, x: Array) -> Predictor:
        """Return what evaluates images, in batches."""
        self.model.eval()
        parts = torch.from_numpy(x).contiguous(memory_format=self.format).split(TOGETHER)

        def predict() -> Array:
            with torch.inference_mode():
                return np.concatenate([self.call(part).numpy() for part in parts])

        return predict
