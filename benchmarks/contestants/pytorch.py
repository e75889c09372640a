"""PyTorch as its tutorials write it, and at its best: the fused Adam, the model compiled. Tensors lie in memory."""

import torch
from torch import nn

from benchmarks.contestants.base import Array, Predictor, threads
from benchmarks.contestants.base import Trainer as Base
from benchmarks.contestants.torch_names import linears, network
from benchmarks.workloads import Workload


class Trainer(Base):
    """The workload in PyTorch; options: Adam's `fused`, and whether the model is compiled."""

    def __init__(self, workload: Workload, fused: bool | None = None, compiled: bool = False) -> None:
        super().__init__(workload)
        torch.set_num_threads(threads())
        torch.manual_seed(workload.seed)
        self.model = network(nn, workload)
        for linear, (weight, bias) in zip(linears(self.model), workload.weights(), strict=True):
            linear.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
        self.call = compile_for_each_shape(self.model) if compiled else self.model
        self.loss = nn.CrossEntropyLoss(label_smoothing=workload.label_smoothing)
        self.adam = torch.optim.Adam(
            self.model.parameters(), lr=workload.lr, weight_decay=workload.weight_decay, fused=fused
        )

    def put(self, x: Array, y: Array) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(x), torch.from_numpy(y)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = self.loss(self.call(x), y)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return loss.detach()

    def epoch(self, images: Array, labels: Array, order: Array) -> None:
        self.model.train()
        x, y = self.put(images, labels)
        for index in torch.from_numpy(order).split(self.workload.batch):
            loss = self.step(x[index].float().div_(255), y[index])
        loss.item()

    def predictor(self, x: Array) -> Predictor:
        self.model.eval()
        tensor = torch.from_numpy(x)

        def predict() -> Array:
            with torch.inference_mode():
                return self.call(tensor).numpy()

        return predict


def compile_for_each_shape(model: nn.Module) -> nn.Module:
    """Return the compiled model, which goes on compiling where its process has seen many workloads."""
    torch._dynamo.config.recompile_limit = 64
    return torch.compile(model, dynamic=False)
