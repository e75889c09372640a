"""Who takes part: one file for each library, written as its own documentation recommends."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Contestant:
    """A library in one way of using it.

    Arguments:
        name: as the tables show it.
        module: the file in this folder whose `Trainer` it is.
        options: given to the `Trainer`.
        environment: variables that its process has.
    """

    name: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def trainer(self) -> str:
        """Return where its class is, for a worker to import."""
        return f"benchmarks.contestants.{self.module}:Trainer"


MINIGRAD = Contestant("minigrad", "minigrad")
MINIGRAD_EAGER = Contestant("minigrad eager", "minigrad_eager")
PYTORCH = Contestant("PyTorch", "pytorch")
PYTORCH_FUSED = Contestant("PyTorch, fused Adam", "pytorch", {"fused": True})
PYTORCH_COMPILED = Contestant("PyTorch, compiled, fused Adam", "pytorch", {"fused": True, "compiled": True})
PYTORCH_LOADER = Contestant("PyTorch, DataLoader, ToTensor", "pytorch_loader")
JAX = Contestant("JAX", "jax")
SKLEARN = Contestant("scikit-learn", "sklearn")
TINYGRAD = Contestant("tinygrad", "tinygrad", environment={"DEV": "CPU"})
KERAS = Contestant("Keras (JAX)", "keras", environment={"KERAS_BACKEND": "jax"})
NUMPY = Contestant("plain NumPy", "plain_numpy")

AT_ITS_BEST = (PYTORCH.name, PYTORCH_FUSED.name, PYTORCH_COMPILED.name)  # the fastest of them counts
CONTESTANTS = (
    MINIGRAD,
    MINIGRAD_EAGER,
    PYTORCH,
    PYTORCH_FUSED,
    PYTORCH_COMPILED,
    JAX,
    SKLEARN,
    TINYGRAD,
    KERAS,
    NUMPY,
)
