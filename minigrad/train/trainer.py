"""The training loop, and what it needs around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter

from minigrad.data import Loader
from minigrad.data.conversion import is_bare
from minigrad.engine.trial import evaluate, in_training
from minigrad.kernels.compiling import listening
from minigrad.nn import Loss, Module
from minigrad.nn.parameter import Array
from minigrad.numbers import whole
from minigrad.optim import Optimizer
from minigrad.showing import ShownAsCall
from minigrad.train.alone import alone
from minigrad.train.batches import UNCHANGED, Data, X, evaluation_batches, refuse_arrays, samples_of, training_batches
from minigrad.train.callbacks import Callback
from minigrad.train.checkpoint import read_checkpoint
from minigrad.train.errors import Terminated, TrainingError
from minigrad.train.evaluation import Forward, apply, measure
from minigrad.train.form import Form
from minigrad.train.history import History
from minigrad.train.metrics import Means, Metrics, is_counted, named, resolve
from minigrad.train.origin import Settings, fingerprint, note_start, require_same_data
from minigrad.train.progress import Silence, reporter
from minigrad.train.signals import terminating
from minigrad.train.state import restore
from minigrad.train.steps import CompiledSteps, EagerSteps, make_steps
from minigrad.train.stopping import StopOnNaN

OWN_COLUMNS = ("epoch", "loss", "lr", "seconds")


class Trainer(ShownAsCall):
    """Trains, evaluates and applies a model.

    Arguments:
        model: any module.
        loss: a loss from `minigrad.nn` with reduction "mean" or "sum".
        optimizer: an optimizer from `minigrad.optim` over parameters of the model.
        metrics: names (`"accuracy"`, `"binary_accuracy"`, `"top_5"`), functions (outputs, targets) -> float, the mean
            over a batch, or functions by name. By default accuracy where outputs are (N, C) and targets integers, or
            where a BCEWithLogitsLoss has one output; else none. They get the samples that the loss does not ignore.
        clip_norm: if given, gradients are scaled down to this joint L2 norm before each update.
        callbacks: what else happens; see `Callback`. A StopOnNaN is added if there is none.
        progress: whether to show the progress, on standard output. By default yes.
        stop_on_nan: whether that StopOnNaN is added.
        compiled: whether steps, and outputs in evaluation, are compiled where they can be (see `minigrad.compile`):
            much faster, and the same up to rounding. They cannot be with a layer, loss or optimizer of one's own, with
            metrics other than accuracy, or with a callback that has `on_loss`; a line then says so.

    Attributes:
        history: the `History`. It goes on through several calls of `fit`.
        epoch, step: where the training is, from 1. last_epoch, steps: where it will end.
        batches: the training batches. columns: those that a row of this fit has. means: running means of the epoch.
        is_resumed: whether the next fit, or the one that is starting, completes an interrupted one.

    >>> import numpy as np
    >>> from minigrad import nn, optim
    >>> model = nn.Linear(3, 2, rng=0)
    >>> trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    >>> x, y = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    >>> trainer.fit((x, y), epochs=2)["epoch"]
    [1, 2]
    >>> sorted(trainer.evaluate((x, y))), trainer.predict(x).shape
    (['accuracy', 'loss'], (3, 2))
    """

    model: Module
    loss: Loss
    optimizer: Optimizer
    compiled: bool
    metrics: Metrics | None
    clip_norm: float | None
    progress: bool | None
    callbacks: list[Callback]
    history: History
    epoch: int
    step: int
    steps: int
    last_epoch: int
    epochs_before_fit: int
    means: Means
    is_resumed: bool

    def __init__(
        self,
        model: Module,
        loss: Loss,
        optimizer: Optimizer,
        *,
        metrics: Metrics | None = None,
        clip_norm: float | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool | None = None,
        stop_on_nan: bool = True,
        compiled: bool = True,
    ) -> None:
        self.model, self.loss, self.optimizer, self.compiled = model, loss, optimizer, compiled
        self.metrics, self.clip_norm, self.progress = metrics, clip_norm, progress
        self.callbacks = list(callbacks)
        self._check_arguments()
        if stop_on_nan and not any(isinstance(callback, StopOnNaN) for callback in callbacks):
            self.callbacks.append(StopOnNaN())
        self.history = History()
        self.epoch = self.step = self.steps = self.last_epoch = self.epochs_before_fit = 0
        self.columns: list[str] = []
        self.means = Means(loss, metrics)
        self.batches: Loader
        self._prepared = UNCHANGED
        self.is_resumed = False
        self.resumed_order: dict[str, int] = {}
        self.settings_at_starts: list[Settings] = []
        self.fingerprints: dict[str, dict[str, str] | None] = {}
        self.reasons_said: set[str] = set()
        self._reporter, self._evaluations = Silence(), Forward()
        self._steps: EagerSteps | CompiledSteps | None = None

    def _check_arguments(self) -> None:
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"Trainer: want Callback objects, got {type(callback).__name__}")
        if self.loss.reduction not in ("mean", "sum"):
            raise ValueError(f"Trainer: want a loss with reduction 'mean' or 'sum', got {self.loss.reduction!r}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"Trainer: want a positive clip_norm, got {self.clip_norm}")
        taken = [name for name in named(self.metrics or {}) if name in OWN_COLUMNS or name.startswith("val_")]
        if taken:
            raise ValueError(f"Trainer: {', '.join(taken)} cannot be the name of a metric, the history uses it")
        own = {id(parameter) for parameter in self.model.parameters()}
        held = [p for group in self.optimizer.param_groups for p in group["params"] if id(p) in own]
        if not held:
            raise ValueError("Trainer: the optimizer holds none of the model's parameters")
        if not any(parameter.requires_grad for parameter in held):
            raise ValueError("Trainer: all parameters that the optimizer holds are frozen")

    # --------------------------------------------------------------------------------------------------- training

    def fit(
        self, train: Data, validation: Data | None = None, epochs: int = 10, batch_size: int = 64, seed: int = 0
    ) -> History:
        """Train, and return the history.

        Called again it trains further: optimizer, history, and the count of epochs go on, so that two fits of five
        epochs are one of ten. Callbacks begin anew. After `resume`, the same call as that of the interrupted run ends
        where that one would have ended. Ctrl-C ends the fit after the current operation, `history.stopped` is then
        "interrupted"; callbacks end as always, so EarlyStopping restores the best weights. SIGTERM, with which clusters
        and containers end a process, does the same ("terminated") where it has no handler of your own; a second one
        ends the process at once.

        Arguments:
            train: a pair (x, y) of arrays, lists or frames, an ArrayDataset, any indexable data set, or a Loader that
                brings its own batch size, order and normalisation. Data sets are shuffled in each epoch; a last batch
                of one sample, on which BatchNorm cannot train, is left out. Numbers of any kind become what model and
                loss take (see `minigrad.train.form.Form`), but bytes are divided by 255.
            validation: the same, evaluated after every epoch.
            epochs: how many, at least 1.
            batch_size: samples in a step.
            seed: of the order of the samples.

        Raises:
            NonFiniteError: the loss is NaN or infinite.
            TrainingError: a checkpoint folder cannot be written, the data are not those of the resumed run, or another
                thread's fit trains the same model or optimizer.
            ValueError: arguments, or data, that do not fit.
            TypeError: arguments, or data, of the wrong kind.
        """
        refuse_arrays("fit", train, validation, "fit((X, y))")
        epochs, batch_size = whole("fit", "epochs", epochs, 1), whole("fit", "batch_size", batch_size, 1)
        form, given = Form(self.model, self.loss), training_batches(train, batch_size, seed, len(self.history))
        batches, checks = form.of(given), None
        if validation is not None:
            refuse_arrays("validation data", validation)
            prepared = batches.preparation.fixed
            checks = form.of(evaluation_batches(validation, 1000, prepared, "validation data"))
        with alone(self, self.model, self.optimizer), ExitStack() as ends:
            try:
                self._reporter = reporter(self.progress)
                ends.enter_context(listening(self._reporter.on_compile))
                ends.enter_context(terminating())
                self._prepare(batches, checks, epochs)
                self._start_callbacks(ends)
                while self.epoch < self.last_epoch and not self.history.stopped:
                    self._run_epoch(batches, checks)
                    given.epoch = batches.epoch
            except KeyboardInterrupt as ending:
                self.history.stopped = "terminated" if isinstance(ending, Terminated) else "interrupted"
            except BaseException:
                self.history.stopped = "error"
                raise
        return self.history

    def _prepare(self, batches: Loader, checks: Loader | None, epochs: int) -> None:
        """Set what this fit counts with. Nothing has been trained when this raises."""
        self.columns = self._find_columns(batches, checks is not None)
        data = {"training data": fingerprint(batches), "validation data": fingerprint(checks)}
        if self.is_resumed:
            self._continue_order(batches)
            for what, before in self.fingerprints.items():
                require_same_data(what, before, data[what])
        else:
            self.epochs_before_fit = len(self.history)
            note_start(self)
        self.fingerprints = data
        self.batches, self.steps, self.history.stopped = batches, len(batches), None
        self._prepared = batches.preparation.fixed
        self.epoch, self.last_epoch = len(self.history), self.epochs_before_fit + epochs

    def _find_columns(self, batches: Loader, has_validation: bool) -> list[str]:
        """Return the columns that a row will have. It may look at one batch, in evaluation, which leaves no trace."""
        if self.metrics is None or any(map(is_counted, named(self.metrics).values())):
            x, y = next(iter(batches))
            outputs = evaluate(self.model, x)
            self._resolved = resolve(self.metrics, self.loss, outputs, y)
            for metric in filter(is_counted, self._resolved.values()):
                metric(outputs, y)  # raises what is wrong with the data
        else:
            self._resolved = {name: metric for name, metric in named(self.metrics).items() if callable(metric)}
        measured = ["loss", *self._resolved]
        validated = [f"val_{name}" for name in measured] if has_validation else []
        return ["epoch", *measured, *validated, "lr", "seconds", *["val_seconds"] * has_validation]

    def _continue_order(self, batches: Loader) -> None:
        """Let the batches go on where those of the resumed run stopped."""
        same = ("seed", "batch_size")
        differing = [name for name in same if getattr(batches, name) != self.resumed_order[name]]
        for name in differing:
            raise TrainingError(
                f"fit after resume: the interrupted run had {name}={self.resumed_order[name]}, "
                f"got {getattr(batches, name)}; the result would not be the same"
            )
        batches.epoch = self.resumed_order["epoch"]

    def _start_callbacks(self, ends: ExitStack) -> None:
        self._active = [self._reporter, *sorted(self.callbacks, key=lambda callback: callback.acts_last)]
        for callback in self._active:
            callback.on_fit_start(self)
            ends.callback(callback.on_fit_end, self)
        self.is_resumed = False

    def _run_epoch(self, batches: Loader, checks: Loader | None) -> None:
        self.epoch, self.step, self.means = len(self.history) + 1, 0, Means(self.loss, self._resolved)
        for callback in self._active:
            callback.on_epoch_start(self)
        start = perf_counter()
        self._steps = make_steps(self, self._steps)
        with in_training(self.model):
            self._steps.run(batches, self._active)
        own = {"epoch": self.epoch, "seconds": perf_counter() - start, "lr": self.optimizer.param_groups[0]["lr"]}
        measured = own | self.means.result() | ({} if checks is None else self._validate(checks))
        row = {name: measured[name] for name in self.columns}
        self.history.rows.append(row)
        for callback in self._active:
            callback.on_epoch_end(self, row)

    def stop(self, reason: str) -> None:
        """End the fit after this epoch. For callbacks; `reason` becomes `history.stopped`."""
        self.history.stopped = reason

    def note(self, text: str) -> None:
        """Show a line among the progress, if that is shown. For callbacks."""
        self._reporter.note(text)

    def resume(self, path: str | Path) -> None:
        """Take over the state that a Checkpoint wrote, so that the next `fit` completes the interrupted one.

        Build the same model, optimizer and callbacks as before, resume, and call `fit` as before: the result is
        bit for bit that of a run without interruption. What was frozen and what callbacks had changed of the layers'
        and the loss's options is taken over, too. What is not known: generators and other state of your own objects,
        unless a callback's `state_dict` has it; and values of data beyond those of 64 samples, which are compared.

        Arguments:
            path: the folder of the Checkpoint, or one of its files `epoch-....safetensors`.

        Raises:
            TrainingError: there is no checkpoint, it is damaged (the message names the newest that is not), it holds
                the state of a callback that is not there, or the model or the loss has an option that the interrupted
                run did not have.
            ValueError: the checkpoint is of another model or optimizer.
        """
        state = read_checkpoint(path)
        try:
            restore(self, state)
        except (KeyError, TypeError, AttributeError) as error:
            raise TrainingError(
                f"{path}: not what a checkpoint holds: damaged (older files have no checksum), of another version, "
                f"or a callback does not take its state: {error!r}"
            ) from error
        self.is_resumed = True

    # ------------------------------------------------------------------------------------------------- evaluation

    def evaluate(self, data: Data, batch_size: int = 1000) -> dict[str, float]:
        """Return the mean loss and metrics in evaluation mode.

        Arguments:
            data: as `train` of `fit`. Of a Loader all samples count, whatever its `shuffle` and `drop_last`.
            batch_size: samples at a time; it does not change the result beyond rounding.

        Raises:
            ValueError: for data without a Loader after a fit whose Loader normalised.
        """
        refuse_arrays("evaluate", data, example="evaluate((X, y))")
        batch_size = whole("evaluate", "batch_size", batch_size, 1)
        batches = evaluation_batches(data, batch_size, self._prepared, "evaluate")
        return measure(self.model, self.loss, self.metrics, Form(self.model, self.loss).of(batches), self._forward)

    def predict(self, x: X, batch_size: int = 1000) -> Array:
        """Return the model's outputs in evaluation mode, a row for each sample, in the data's order.

        Arguments:
            x: samples, as in `fit`, without labels; or data with labels, such as a Loader, whose samples are taken.
            batch_size: samples at a time.

        Raises:
            ValueError: for samples without a Loader after a fit whose Loader normalised; for one sample.
        """
        if is_bare(batch_size):
            raise TypeError("predict: got labels too, want samples alone: predict(X)")
        batch_size = whole("predict", "batch_size", batch_size, 1)
        batches = evaluation_batches(samples_of(x), batch_size, self._prepared, "predict")
        return apply(self.model, batches, self._forward)

    @property
    def _forward(self) -> Forward:
        return self._evaluations if self.compiled else Forward(compiled=False)

    @contextmanager
    def validation_weights(self) -> Iterator[None]:
        """Let the model hold the weights that are validated: its own, or what a callback such as Averaging has."""
        with ExitStack() as stack:
            for callback in self.callbacks:
                stack.enter_context(callback.validation_weights())
            yield

    def _validate(self, checks: Loader) -> dict[str, float]:
        start = perf_counter()
        with self.validation_weights():
            measured = measure(self.model, self.loss, self.metrics, checks, self._forward)
        seconds = {"val_seconds": perf_counter() - start}
        return {f"val_{name}": value for name, value in measured.items()} | seconds
