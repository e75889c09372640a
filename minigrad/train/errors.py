"""What goes wrong in a training run, beyond what a layer, a loss or a data set says itself."""


class TrainingError(RuntimeError):
    """A training run that cannot start, go on, or be resumed. The message says why."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end, by SIGTERM. A fit ends then as it does after Ctrl-C."""


class NonFiniteError(TrainingError):
    """The training loss is NaN or infinite. The message names epoch, step and where it began."""
