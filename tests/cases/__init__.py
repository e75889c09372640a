"""The case table: one row for each layer, container and loss, and option of it."""

from tests.cases.activation import ACTIVATIONS
from tests.cases.case import ErrorCase, LossCase, ModuleCase
from tests.cases.containers import CONTAINERS
from tests.cases.image import IMAGE_LAYERS
from tests.cases.layers import LAYERS
from tests.cases.loss import LOSSES

MODULES = [*LAYERS, *IMAGE_LAYERS, *ACTIVATIONS, *CONTAINERS]

__all__ = ["LOSSES", "MODULES", "ErrorCase", "LossCase", "ModuleCase"]
