"""Test accuracy on Fashion-MNIST of EfficientNet-Lite0 with weights of ImageNet, frozen, under heads of their own.

    python -m benchmarks.transfer

Each run is a command `minigrad finetune` with one thread, as many runs at a time as there are cores. The whole takes a
quarter of an hour on two.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.accuracy import run_command
from benchmarks.contestants.base import threads
from benchmarks.harness import read, write

HEADS = ((), (128,), (128, 64))
SIZE, EPOCHS = 64, 3
COMMAND = (
    *("finetune", "fashion-mnist", "--model", "efficientnet_lite0", "--weights", "imagenet", "--freeze"),
    *("--image-size", str(SIZE), "--epochs", str(EPOCHS), "--schedule", "cosine"),
)


def train(hidden: tuple[int, ...]) -> dict[str, Any]:
    """Run the command for a head with these hidden layers and return what came out."""
    head = ["--head-hidden", *map(str, hidden)] if hidden else []
    return {"hidden": list(hidden)} | run_command(*COMMAND, *head)


def main() -> None:
    """Train, write, print."""
    with ThreadPoolExecutor(threads()) as pool:
        write("transfer", {"size": SIZE, "rows": list(pool.map(train, HEADS))})
    print(table(read("transfer")))


def table(result: dict[str, Any]) -> str:
    """Return the result in Markdown."""
    lines = [
        "| hidden layers of the head | epochs | test accuracy | validation | s an epoch |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        hidden = ", ".join(map(str, row["hidden"])) or "none"
        lines.append(
            f"| {hidden} | {row['epochs']} | **{row['test']:.2%}** | {row['validation']:.2%} "
            f"| {row['seconds_an_epoch']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
