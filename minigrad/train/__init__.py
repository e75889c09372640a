"""Training: the loop, its callbacks, its history and metrics."""

from minigrad.train.callbacks import Averaging, Callback, CSVLog, LRSchedule
from minigrad.train.checkpoint import Checkpoint
from minigrad.train.errors import NonFiniteError, Terminated, TrainingError
from minigrad.train.history import History, Monitor
from minigrad.train.metrics import accuracy, binary_accuracy, confusion_matrix, top_k
from minigrad.train.stopping import EarlyStopping, StopOnNaN
from minigrad.train.trainer import Trainer

__all__ = [
    "Averaging",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "LRSchedule",
    "Monitor",
    "NonFiniteError",
    "StopOnNaN",
    "Terminated",
    "Trainer",
    "TrainingError",
    "accuracy",
    "binary_accuracy",
    "confusion_matrix",
    "top_k",
]
