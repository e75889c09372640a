"""What `minigrad train` does: build, fit, measure, write."""

from collections.abc import Callable
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import nn, optim
from minigrad.cli.errors import CommandError, require_packages
from minigrad.cli.info import versions
from minigrad.cli.measure import measure, require_environment
from minigrad.cli.report import Result, final_text, opening_text, write_pictures
from minigrad.cli.run_folder import CHECKPOINT, CONFIG, HISTORY, METRICS, MODEL, Config, load_parts, write_json
from minigrad.cli.train import OPTIMIZERS, STRUCTURE
from minigrad.data import ArrayDataset, Loader
from minigrad.data.catalog import source
from minigrad.io import save_state
from minigrad.kernels.compiling import listening, once
from minigrad.models import layer_groups
from minigrad.train import (
    Averaging,
    Callback,
    Checkpoint,
    EarlyStopping,
    LRSchedule,
    NonFiniteError,
    Terminated,
    Trainer,
)
from minigrad.train.callbacks import require_writable
from minigrad.train.checkpoint import BEST, LAST

Options = dict[str, Any]
Begin = Callable[[Options, ArrayDataset], tuple[Config, nn.Module]]

MONITOR = "val_accuracy"


def train(
    options: Options,
    out: Path,
    folder: str | None,
    begin: Begin,
    *,
    resume: bool,
    show: Callable[[str], None],
    progress: bool,
) -> None:
    """Train, choose the model by the validation images, measure it, write all files.

    Arguments:
        options: those of the command that the result depends on, by name.
        out: folder of the files.
        folder: where to look for the data first.
        begin: makes the model to train, and the configuration that describes it, for options and training images.
        resume: whether to go on with the interrupted run in `out`.
        show: takes a text for the user.
        progress: whether the epochs are shown.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when what there is has been kept; after SIGTERM `Terminated`.
        NonFiniteError: the loss became NaN or infinite; what came before has been kept.
        CommandError, DatasetError, TrainingError, OSError: for what makes a run impossible.
    """
    require_environment()
    require_packages("safetensors")
    parts = load_parts(options, folder)
    config, model = begin(options, parts.train)
    batches = training_batches(config, parts.train)
    choice = EarlyStopping(MONITOR, patience=options["early_stopping"] or options["epochs"])
    trainer = make_trainer(config, model, choice, len(batches), out / CHECKPOINT, progress)
    _begin(trainer, config, out, resume)
    show(opening_text(config, model, parts))
    with listening(once(lambda text: None if progress else show(text))):  # with progress, the Trainer says it
        failure = _fit(trainer, batches, config.loader(parts.validation), options["epochs"])
    if choice.best_epoch:
        validation, test = measure(config, model, parts.validation), measure(config, model, parts.test)
        result = Result(validation, test, trainer.history, choice.best_epoch)
        lack = _write(out, config, model, result)
        show(final_text(config, result, out, lack))
    is_interrupted = trainer.history.stopped in ("interrupted", "terminated")
    if is_interrupted and choice.best_epoch:
        show("The same command with --resume goes on with this run.")
    else:
        _discard_checkpoint(out / CHECKPOINT)
    if is_interrupted:
        raise Terminated if trainer.history.stopped == "terminated" else KeyboardInterrupt
    if failure is not None:
        raise failure


def new_model(options: Options, data: ArrayDataset) -> tuple[Config, nn.Module]:
    """Return the configuration of a run, and its model with initial weights."""
    config = describe(options, data)
    try:
        return config, config.build_model(np.random.default_rng(options["seed"]))
    except (ValueError, OverflowError) as error:
        raise CommandError(f"--model {options['model']}: {error}") from None


def describe(options: Options, data: ArrayDataset) -> Config:
    """Return the configuration of a run with these options on these training images."""
    classes = list(data.classes or map(str, range(int(data.y.max()) + 1)))
    mean, std = mean_and_deviation(data.x) if options["normalize"] else (0.0, 1.0)
    return Config(
        dataset=options["dataset"],
        classes=classes,
        shape=list(data.x.shape[1:]),
        mean=mean,
        std=std,
        model={"name": options["model"]} | model_arguments(options, data.x.shape[1:], len(classes)),
        options=options,
        versions=versions(),
    )


def model_arguments(options: Options, shape: tuple[int, ...], classes: int) -> dict[str, Any]:
    """Return the arguments of the model for images (C, H, W) of this shape.

    >>> model_arguments({"model": "resnet20"}, (1, 28, 28), 10)
    {'classes': 10, 'in_channels': 1}
    """
    kind = options["model"]
    structure = {
        name: options[name] for name, takers in STRUCTURE.items() if kind in takers and options[name] is not None
    }
    if kind == "mlp":
        return {"in_features": prod(shape), "classes": classes, "hidden": [256]} | structure
    channels, height, width = shape
    sizes = {"classes": classes, "in_channels": channels}
    if kind == "cnn":
        if height != width:
            raise CommandError(f"--model cnn: want images as wide as high, got {height} x {width} pixels")
        sizes["image_size"] = height
    if kind in ("resnet18", "resnet34"):
        sizes["small_images"] = True
    return sizes | structure


def mean_and_deviation(images: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return the mean and the standard deviation of all pixels, bytes counting from 0 to 1; 1 if they do not differ.

    >>> mean_and_deviation(np.array([[0, 255]], np.uint8))
    (0.5, 0.5)
    """
    values = np.arange(256) / 255
    # By blocks: `bincount` makes integers of eight bytes of all that it is given.
    counts = sum(np.bincount(image.ravel(), minlength=256) for image in np.array_split(images, 64))
    mean = counts @ values / images.size
    variance = counts @ (values - mean) ** 2 / images.size
    return float(mean), float(np.sqrt(variance)) if np.count_nonzero(counts) > 1 else 1.0


def training_batches(config: Config, data: ArrayDataset) -> Loader:
    """Return the batches to train on. A last one of one image, which BatchNorm cannot take, is left out."""
    size = config.options["batch_size"]
    is_one_left = len(data) > size and len(data) % size == 1
    augment = source(config.dataset).augmentation if config.options["augment"] else None
    seed = config.options["seed"]
    return config.loader(data, size, shuffle=True, seed=seed, drop_last=is_one_left, augment=augment)


def make_trainer(
    config: Config, model: nn.Module, choice: EarlyStopping, steps: int, checkpoint: Path, progress: bool
) -> Trainer:
    """Return a Trainer as the options say.

    Arguments:
        config: of the run.
        model: to train.
        choice: chooses the epoch whose model is kept.
        steps: in an epoch.
        checkpoint: folder of the checkpoints.
        progress: whether the epochs are shown.
    """
    options = config.options
    optimizer = make_optimizer(model, options)
    callbacks: list[Callback] = [choice]
    schedule = make_schedule(optimizer, options, steps)
    if schedule is not None:
        callbacks.append(LRSchedule(schedule, every="step"))
    if options["ema"] is not None:
        callbacks.append(Averaging(optim.EMA(model.parameters(), options["ema"], warmup=True)))
    callbacks.append(Checkpoint(checkpoint, MONITOR))
    return Trainer(
        model,
        config.loss(),
        optimizer,
        clip_norm=options["clip_norm"],
        callbacks=callbacks,
        progress=progress,
        compiled=not options["eager"],
    )


def make_optimizer(model: nn.Module, options: Options) -> optim.Optimizer:
    """Return the optimizer of the options."""
    settings = {name: options[name] for name in ("lr", "weight_decay", "l1")}
    if options["momentum"]:
        settings["momentum"] = options["momentum"]
    decay = options.get("lr_decay", 1.0)
    params = model.parameters() if decay == 1 else layer_groups(model, options["lr"], decay)
    return OPTIMIZERS[options["optimizer"]](params, **settings)


def make_schedule(optimizer: optim.Optimizer, options: Options, steps: int) -> optim.LRScheduler | None:
    """Return the schedule of the options, to be stepped after every batch; None for a constant learning rate.

    Arguments:
        optimizer: whose learning rate is set.
        options: of the command.
        steps: in an epoch.
    """
    total = steps * options["epochs"]
    match options["schedule"]:
        case "cosine":
            return optim.CosineAnnealingLR(optimizer, total)
        case "one-cycle":
            cycles = "betas" in optimizer.defaults or bool(options["momentum"])
            highest = [group["lr"] for group in optimizer.param_groups]
            return optim.OneCycleLR(optimizer, highest, total, cycle_momentum=cycles)
        case "step":
            return optim.MultiStepLR(optimizer, [total // 2, total * 3 // 4])
    return None


def _begin(trainer: Trainer, config: Config, out: Path, resume: bool) -> None:
    """Leave a note of what this run is, for a later --resume; or go on with the run of such a note."""
    folder = out / CHECKPOINT
    if not resume:
        _discard_checkpoint(folder)
        require_writable(folder, "--out")
        config.save(folder / CONFIG)
        return
    if not (folder / LAST).is_file():
        raise CommandError(f"--resume: there is no interrupted run in {out}")
    before = Config.load(folder / CONFIG).options
    differing = [name for name, value in config.options.items() if before.get(name) != value]
    if differing:
        had = ", ".join(f"{name}={before.get(name)} (now {config.options[name]})" for name in differing)
        raise CommandError(f"--resume: the run in {out} has {had}")
    trainer.resume(folder)


def _fit(trainer: Trainer, batches: Loader, checks: Loader, epochs: int) -> NonFiniteError | None:
    """Train. A loss that is not finite is returned: what was learnt before it is kept."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of them is found and explained
            trainer.fit(batches, checks, epochs)
    except NonFiniteError as error:
        return error
    return None


def _write(out: Path, config: Config, model: nn.Module, result: Result) -> str:
    """Write all files; return why there are no pictures, or an empty string."""
    save_state(out / MODEL, model.state_dict(), {"made by": f"minigrad {config.versions['minigrad']}"})
    config.save(out / CONFIG)
    result.history.save(out / HISTORY)
    write_json(out / METRICS, result.as_json(config))
    return write_pictures(out, config, result)


def _discard_checkpoint(folder: Path) -> None:
    """Remove the files of an unfinished run, and nothing that may lie there beside them."""
    for name in (CONFIG, LAST, BEST):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
