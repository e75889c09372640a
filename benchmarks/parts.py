"""The parts of the suite. Each is a module with `measure(rounds)` and `table(result)`."""

from types import ModuleType

from benchmarks import augmentation, convolutions, epoch, gemm, images, inference, processes, step, time_to_accuracy

PARTS: dict[str, ModuleType] = {
    "step": step,
    "epoch": epoch,
    "time_to_accuracy": time_to_accuracy,
    "inference": inference,
    "processes": processes,
    "gemm": gemm,
    "images": images,
    "augmentation": augmentation,
    "convolutions": convolutions,
}
