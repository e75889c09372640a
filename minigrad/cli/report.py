"""What `minigrad train` tells at its beginning and its end, as text, as numbers and as pictures."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from minigrad import nn
from minigrad.cli.measure import Measurement
from minigrad.cli.run_folder import CONFIG, CONFUSION, CURVES, HISTORY, METRICS, MODEL, Config, Parts
from minigrad.train import History


@dataclass(frozen=True)
class Result:
    """What came out of a run.

    Arguments:
        validation: of the model that was chosen.
        test: of the same.
        history: of the run.
        best_epoch: the one whose model was chosen.
    """

    validation: Measurement
    test: Measurement
    history: History
    best_epoch: int

    @property
    def seconds(self) -> float:
        """Median of the seconds an epoch took to train."""
        return median(self.history["seconds"])

    def as_json(self, config: Config) -> dict[str, Any]:
        """Return all figures, for `metrics.json`."""
        return {
            "validation": self.validation.summary(),
            "test": self.test.summary(),
            "epochs": len(self.history),
            "best_epoch": self.best_epoch,
            "stopped": self.history.stopped,
            "seconds_per_epoch": self.seconds,
            "test_accuracy_per_class": dict(zip(config.classes, self.test.per_class(), strict=True)),
            "test_confusion_matrix": self.test.confusion.tolist(),
        }


def opening_text(config: Config, model: nn.Module, parts: Parts) -> str:
    """Return in words what is going to be trained on what."""
    parameters = sum(parameter.size for parameter in model.parameters())
    trained = sum(parameter.size for parameter in model.parameters() if parameter.requires_grad)
    name, head = config.model["name"], config.model.get("head", {"hidden": []})
    if name == "mlp":
        sizes = [config.model["in_features"], *config.model["hidden"], *head["hidden"], config.model["classes"]]
        name = f"{name} {'-'.join(map(str, sizes))}"
    return (
        f"{config.dataset}: {len(parts.train):,} images to train on, {len(parts.validation):,} to choose the model by, "
        f"{len(parts.test):,} to test it\n"
        f"{name}: {parameters:,} parameters{'' if trained == parameters else f', {trained:,} of them trained'}\n"
    )


def final_text(config: Config, result: Result, out: Path, lack: str) -> str:
    """Return in words what came out.

    Arguments:
        config: of the run.
        result: of the run.
        out: where its files are.
        lack: why there are no pictures; empty if there are.
    """
    width = max(map(len, config.classes))
    shares = ["     -" if share is None else f"{share:6.1%}" for share in result.test.per_class()]
    files = [MODEL, CONFIG, HISTORY, METRICS, *([] if lack else [CURVES, CONFUSION])]
    lines = [
        "",
        f"validation accuracy  {result.validation.accuracy:.2%}  (epoch {result.best_epoch} of {len(result.history)})",
        f"test accuracy        {result.test.accuracy:.2%}",
        f"seconds an epoch     {result.seconds:.2f}",
        "",
        "test accuracy of each class",
        *[f"  {name:{width}}  {share}" for name, share in zip(config.classes, shares, strict=True)],
        "",
        f"{out}: {', '.join(files)}",
    ]
    return "\n".join([*lines, f"no pictures: {lack}"] if lack else lines)


def write_pictures(out: Path, config: Config, result: Result) -> str:
    """Draw the curves and the confusion matrix on the test images. Return why not, where matplotlib is missing."""
    from minigrad import plots

    try:
        plots.curves({config.dataset: result.history}, out / CURVES, chosen={config.dataset: result.best_epoch})
        plots.confusion_matrix(result.test.confusion, config.classes, out / CONFUSION)
    except ImportError as error:
        return str(error)
    return ""
