"""Networks ready to use: functions that return a Module."""

from minigrad.models.perceptron import ACTIVATIONS, mlp

__all__ = ["ACTIVATIONS", "mlp"]
