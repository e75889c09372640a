"""The benchmark suite's own parts: workers, parity, products, tables, pictures, the report."""

import doctest
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks import (
    augmentation,
    contestants,
    convolutions,
    epoch,
    gemm,
    harness,
    images,
    inference,
    once,
    parts,
    plots,
    processes,
    report,
    step,
    tables,
    training,
    transfer,
)
from benchmarks import time_to_accuracy as accuracy
from benchmarks.contestants import image_trainers
from benchmarks.contestants.minigrad_eager import Trainer as Eager
from benchmarks.contestants.plain_numpy import Trainer as Plain
from benchmarks.contestants.pytorch import Trainer as PyTorch
from benchmarks.image_workloads import ImageWorkload
from benchmarks.worker import LeftOutError, Worker, WorkerError, interleave, thread_variables, workers
from benchmarks.workloads import TABULAR, WORKLOADS, Workload
from minigrad.data import ArrayDataset
from tests.backend import needs_engine

SMALL = Workload("small", (7, 6, 5, 3), 12, batch_norm=True, label_smoothing=0.1, weight_decay=0.1)
PLAIN = "benchmarks.contestants.plain_numpy:Trainer"


def test_a_worker_holds_one_object_and_calls_it() -> None:
    with workers({"one": {}, "two": {"NAME": "Two"}}) as crew:
        assert 0 < crew["one"].build(PLAIN, SMALL) < 60
        assert crew["one"].call("run", 3) == Plain(SMALL).run(3)
        assert crew["one"].calibrate("run", 0.02) > 1
        times = crew["one"].time("run", 5, 4)
        assert len(times) == 4
        assert all(0 < seconds < 60 for seconds in times)
        crew["two"].build("os:getenv", "NAME")
        assert crew["two"].call("lower") == "two"
        crew["two"].build("os:getenv", "OMP_NUM_THREADS")
        assert int(crew["two"].call("strip")) >= 1


def test_a_worker_says_why_it_cannot() -> None:
    with workers({"one": thread_variables(1)}) as crew:
        with pytest.raises(LeftOutError, match="no_such_library"):
            crew["one"].build("no_such_library:Trainer")
        crew["one"].build("builtins:str", 1)
        with pytest.raises(WorkerError, match="Traceback"):
            crew["one"].call("no_such_method")
        assert crew["one"].call("strip") == "1"  # it goes on


def test_a_worker_that_dies_is_an_error() -> None:
    worker = Worker({})
    with pytest.raises(WorkerError, match="ended with 3"):
        worker.build("os:_exit", 3)
    worker.close()


class Recorder:
    """In place of a worker: notes who was asked."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def calibrate(self, method: str, seconds: float) -> int:
        return 2

    def time(self, method: str, steps: int, blocks: int) -> list[float]:
        self.log.append(self.name)
        return [float(steps)] * blocks


def test_rounds_are_interleaved() -> None:
    log: list[str] = []
    crew: Any = {name: Recorder(name, log) for name in "ab"}
    assert interleave(crew, "run", rounds=3, blocks=2, seconds=1) == {"a": [2.0] * 6, "b": [2.0] * 6}
    assert log == list("ababab")


@pytest.mark.parametrize("trainer", [Plain, Eager])
@pytest.mark.parametrize("workload", [SMALL, replace(SMALL, batch_norm=False, label_smoothing=0.0)])
def test_contestants_train_as_pytorch_does(trainer: Any, workload: Workload) -> None:
    curves = [[one.run(1) for _ in range(10)] for one in (trainer(workload), PyTorch(workload))]
    np.testing.assert_allclose(*curves, rtol=1e-4)
    outputs = [one.predictor(one.workload.batches()[0][0])() for one in (trainer(workload), PyTorch(workload))]
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)


def test_fused_adam_and_epochs_train_alike() -> None:
    rng = np.random.default_rng(0)
    images, labels, order = rng.integers(0, 256, (60, 7), np.uint8), rng.integers(0, 3, 60), rng.permutation(60)
    ends = []
    for one in (Plain(SMALL), Eager(SMALL), PyTorch(SMALL), PyTorch(SMALL, fused=True)):
        one.epoch(images, labels, order)
        ends.append(one.run(1))
    np.testing.assert_allclose(ends, ends[0], rtol=1e-4)
    assert ends[0] != Plain(SMALL).run(1)


def test_training_on_the_same_images_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = ArrayDataset(rng.integers(0, 256, (130, 1, 28, 28), np.uint8), rng.integers(0, 10, 130))
    monkeypatch.setattr(training.data, "fashion_mnist", lambda: (images, images))
    monkeypatch.setattr(training, "VALIDATION", 30)
    workload = Workload("images", (784, 5, 10), 12)
    one, other = (training.Training(who, workload) for who in (contestants.NUMPY, contestants.PYTORCH))
    order = one.order()
    assert order.shape == (8, 12)
    assert len(set(order.ravel())) == 96
    np.testing.assert_array_equal(order, other.order())
    assert one.train(order) > 0
    assert other.train(order) > 0
    np.testing.assert_allclose(one.look()[2], other.look()[2], rtol=1e-5)
    assert len(one.until(accuracy=0.0, epochs=3)) == 1
    looks = one.until(accuracy=1.1, epochs=2)
    assert len(looks) == 2 * training.LOOKS
    assert [seconds for seconds, _ in looks] == sorted(seconds for seconds, _ in looks)


def test_dropout_is_on_in_training_only() -> None:
    workload = replace(SMALL, batch_norm=False, dropout=0.5)
    for one in (Plain(workload), Eager(workload), PyTorch(workload)):
        assert one.run(1) != type(one)(workload.without_dropout()).run(1)
        first, second = one.show(9), one.show(9)
        np.testing.assert_array_equal(first, second)


def test_who_trains_otherwise_is_not_timed() -> None:
    curves = {contestants.PYTORCH.name: [2.0, 1.0], "same": [2.0, 1.0005], "other": [2.0, 1.1], "lost": [2.0, np.nan]}
    assert step.disagreement("same", curves) == pytest.approx(5e-4)
    for name in ("other", "lost"):
        with pytest.raises(ValueError, match=f"{name} does not train as PyTorch does"):
            step.disagreement(name, curves)


def test_workloads() -> None:
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)
    counted = PyTorch(SMALL).model.parameters()
    assert SMALL.parameters() == sum(parameter.numel() for parameter in counted)
    for x, y in TABULAR.batches():
        assert x.shape == (32, 16)
        assert set(y) == set(range(4))


def test_products_are_the_products() -> None:
    pytest.importorskip("numba", reason="the products go through the compiled kernels")
    from benchmarks import floor, products

    for form in products.FORMS:
        tile, blas, mkl = (make(form, 5, 7, 6, 2) for make in (products.Tile, products.OpenBLAS, products.MKL))
        for one in (tile, blas, mkl):
            one.run(1)
        np.testing.assert_allclose(tile.arrays[2], blas.out, rtol=1e-5)
        np.testing.assert_allclose(mkl.out.numpy(), blas.out, rtol=1e-5)
    tiles, blas = floor.TileGemms(SMALL), floor.NumpyGemms(SMALL)
    tiles.run(1)
    blas.run(1)
    for layer, (dx, dw, y) in enumerate(blas.outputs):
        np.testing.assert_allclose(tiles.groups[4][layer], dw, rtol=1e-5)
        np.testing.assert_allclose(tiles.groups[5][layer], y, rtol=1e-5)
        if layer:
            np.testing.assert_allclose(tiles.groups[3][layer], dx, rtol=1e-5)


def test_the_traffic_goes_over_all_parameters() -> None:
    pytest.importorskip("numba", reason="the loop is a compiled one")
    from benchmarks.floor import Traffic

    traffic = Traffic(SMALL)
    traffic.arrays[1][:] = 1
    traffic.run(3)
    assert [set(array) for array in traffic.arrays] == [{3.0}, {1.0}, {3.0}, {3.0}]


ONES = {one.name: [2.0, 2.0, 8.0] for one in contestants.CONTESTANTS}
SAMPLES = ONES | {"minigrad": [0.5] * 3, "JAX": [1.5] * 3} | dict(zip(step.FLOOR, ([0.3], [0.2], [0.05]), strict=True))
READY = {one.name: 2.0 for one in contestants.CONTESTANTS}
ROW = {"workload": asdict(SMALL), "samples": SAMPLES, "ready": READY, "parity": {}, "left_out": {}}
LOOKS = [[1.0, 0.85], [2.0, 0.885], [3.0, 0.9]]
EPOCHS = {one.name: 4.0 for one in epoch.ENTRANTS} | {"minigrad": 1.0}
RATES = {"minigrad, 1": [0.01], "OpenBLAS, 1": [0.02], "MKL, 1": [0.03]}
IMAGES = {name: [0.003 if name == "minigrad" else 0.012] for name in images.TRAINERS}
LAYERS = {"minigrad": [1e-9], "oneDNN, NCHW": [3e-9], "oneDNN, channels last": [2e-9]}
RESULTS: dict[str, Any] = {
    "step": {"rows": [ROW]},
    "epoch": {"samples": {name: [took] for name, took in EPOCHS.items()}, "ready": EPOCHS},
    "time_to_accuracy": {"targets": [0.88, 0.895], "looks": {"minigrad": [LOOKS], "JAX": [LOOKS[:2]]}, "ready": READY},
    "inference": {"rows": [ROW | {"count": 10_000}]},
    "processes": {"warm": ONES, "cold": ONES, "memory": ONES, "imports": {"torch": [2.0]}, "bytes": {"torch": 9e6}},
    "gemm": {"counts": [1], "rows": [{"form": "forward", "shape": [500, 700, 600], "samples": RATES}]},
    "images": {"rows": [{"workload": {"name": "CNN"}, "samples": IMAGES}], "inference": IMAGES},
    "augmentation": {"images": 128, "samples": {name: [6.0] for name in augmentation.ENTRANTS} | {"minigrad": [2.0]}},
    "convolutions": {"rows": [{"network": "CNN", "form": [1, 3, 1, 1, 3, 1], "way": "forward", "samples": LAYERS}]},
}


@pytest.mark.parametrize("name", parts.PARTS)
def test_every_part_makes_a_table_of_equal_rows(name: str) -> None:
    for block in parts.PARTS[name].table(RESULTS[name]).split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


def test_the_table_of_heads() -> None:
    run = {"epochs": 3, "test": 0.875, "validation": 0.88, "seconds_an_epoch": 41.2}
    text = transfer.table({"rows": [{"hidden": []} | run, {"hidden": [128, 64]} | run]})
    assert "| none | 3 | **87.50%** | 88.00% | 41 |" in text
    assert "| 128, 64 | 3 |" in text


def test_what_the_tables_say() -> None:
    assert step.floor_of(SAMPLES) == pytest.approx(0.25)
    assert "| small | 500 (500) | **4** (PyTorch) | 4 | 3 (JAX) | 2 |" in step.table(RESULTS["step"])
    assert "| PyTorch, fused Adam | 4 (4) | 4 |" in epoch.table(RESULTS["epoch"])
    found = accuracy.table(RESULTS["time_to_accuracy"])
    assert "| minigrad | **2** (2) | **3** (3) |" in found
    assert "| JAX | **2** (2) | **–** (–) |" in found
    assert "| small, 10000 | 500 (500) |" in inference.table(RESULTS["inference"])
    assert "| torch | 2 (2) | 1 | 9 |" in processes.table(RESULTS["processes"])
    assert "| 500 x 700 x 600 | forward | **42** | 21 | 14 |" in gemm.table(RESULTS["gemm"])
    assert "| CNN: a training step | **4** (PyTorch, NCHW) | 3 (3) | 12 (12) |" in images.table(RESULTS["images"])
    assert "| PyTorch, channels last, 2 processes load | 6 (6) | 3 |" in augmentation.table(RESULTS["augmentation"])
    found = convolutions.table(RESULTS["convolutions"])
    assert "| CNN | 1 x 3 x 3, 1 to 1, 3 x 3 | forward | 98 | 32.7 | 49 | **2** |" in found


@needs_engine
@pytest.mark.parametrize("network", ["cnn", "resnet20"])
def test_networks_of_images_train_alike(network: str) -> None:
    workload = ImageWorkload("small", network, 10)
    ours, theirs = image_trainers.Minigrad(workload), image_trainers.PyTorch(workload, channels_last=True)
    for _ in range(3):
        assert ours.run(1) == pytest.approx(theirs.run(1), rel=images.TOLERANCE)


@needs_engine
def test_augmented_images_train_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roughly, as there are few of them: what one step of it is, test_data_augmentation compares exactly."""
    rng = np.random.default_rng(0)
    images = ArrayDataset(rng.integers(0, 256, (128, 1, 28, 28), np.uint8), rng.integers(0, 10, 128))
    augmented = import_module("benchmarks.contestants.augmented")
    monkeypatch.setattr(augmented.data, "fashion_mnist", lambda: (images, images))
    workload = ImageWorkload("small", "cnn", 64)
    ours, theirs = augmented.Minigrad(workload, 128), augmented.PyTorch(workload, 128, channels_last=True, processes=0)
    for _ in range(2):
        (_, loss), (seconds, expected) = ours.epoch(), theirs.epoch()
        assert loss == pytest.approx(expected, rel=0.2)
        assert seconds > 0
    losses = dict.fromkeys(augmentation.ENTRANTS, 1.0)
    augmentation.compare(losses | {"minigrad, no augmentation": 0.1})
    with pytest.raises(ValueError, match=r"minigrad does not train as PyTorch does: a mean loss of 1\.1, not 1\.0"):
        augmentation.compare(losses | {"minigrad": 1.1})


@needs_engine
@pytest.mark.parametrize("way", convolutions.WAYS)
@pytest.mark.parametrize("form", [(9, 6, 1, 5, 3, 1), (8, 5, 16, 32, 3, 1), (4, 7, 3, 4, 1, 2)], ids=str)
def test_convolutions_are_the_same(form: convolutions.Form, way: str) -> None:
    layers = import_module("benchmarks.convolution_layers")
    ours = layers.Minigrad(form, way).result()
    theirs = layers.OneDNN(form, way, channels_last=True).result()
    convolutions.compare({"minigrad": ours, convolutions.ONEDNN[0]: theirs})
    with pytest.raises(AssertionError):
        convolutions.compare({"minigrad": ours * 1.001, convolutions.ONEDNN[0]: theirs})


def test_a_contestant_that_is_missing_is_a_dash() -> None:
    samples = {name: found for name, found in SAMPLES.items() if name not in ("minigrad", "tinygrad")}
    text = step.table({"rows": [ROW | {"samples": samples}]})
    assert text.count("–") > 4


@pytest.mark.parametrize("module", [tables, gemm, accuracy])
def test_doctests(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_pictures_and_report_are_made_from_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (harness, plots, report):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    assert report.render("step") == "Not measured yet: `python -m benchmarks --only step`."
    assert plots.draw() == []
    for name, result in RESULTS.items():
        assert harness.write(name, result)["machine"]["threads"] >= 1
    assert [path.stat().st_size > 10_000 for path in plots.draw()] == [True, True]
    text = report.render("step")
    assert "![Time of a training step in units of its floor](results/step.png)" in text
    assert "`python -m benchmarks --only step` on " in text
    assert f"numpy {np.__version__}" in text


def test_processes_are_measured() -> None:
    assert 0 < processes.seconds_to_import("json") < 60
    assert processes.size(["numpy"]) > 1e7
    assert processes.size(["minigrad"]) > processes.size(["numpy"])
    assert processes.size(["no-such-package"]) == 0
    assert 1e7 < once.peak() < 1e11


def test_a_process_trains_once(tmp_path: Path) -> None:
    seconds, memory = processes.process(contestants.NUMPY, tmp_path)
    assert 0.01 < seconds < 60
    assert 3e7 < memory < 1e9
    missing = replace(contestants.NUMPY, name=contestants.SKLEARN.name)
    with pytest.raises(LeftOutError, match=r"sklearn|BatchNorm"):
        processes.process(missing, tmp_path)


@needs_engine
def test_jobs_side_by_side(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("joblib", reason="joblib comes with scikit-learn, which only the benchmarks want")
    jobs = import_module("benchmarks.parallel_jobs")
    monkeypatch.setattr("minigrad.engine.threads._chosen", None)
    for name, value in {"EXPONENTS": (2.0, 3.0), "EPOCHS": 1, "SAMPLES": 100, "ROUNDS": 1}.items():
        monkeypatch.setattr(jobs, name, value)
    jobs.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[-1].endswith("s for 2 trainings, 1.00 of joblib's")
