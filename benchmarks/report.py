"""Put the tables of the measured results into the README, each between its two markers.

    python -m benchmarks.report [--check]

`--check` changes nothing and fails where the README does not say what the files in benchmarks/results say.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks import accuracy, parts, sgd, transfer
from benchmarks.harness import RESULTS, read

README = Path(__file__).parents[1] / "README.md"
PARTS = {"accuracy": accuracy, "sgd": sgd, "transfer": transfer} | parts.PARTS
ABOUT_THE_MACHINE = ("cpu", "cores", "threads", "torch_threads")
PICTURES = {
    "step": "Time of a training step in units of its floor",
    "time_to_accuracy": "Validation accuracy over seconds of training",
}


def render(name: str) -> str:
    """Return a part's table, its picture, and where it was measured."""
    if not (RESULTS / f"{name}.json").exists():
        return f"Not measured yet: `{command(name)}`."
    result = read(name)
    pieces = [PARTS[name].table(result)]
    if name in PICTURES:
        path = (RESULTS / f"{name}.png").relative_to(README.parent).as_posix()
        pieces.append(f"![{PICTURES[name]}]({path})")
    return "\n\n".join([*pieces, f"<sub>{source(name, result['machine'])}</sub>"])


def command(name: str) -> str:
    """Return the command that measures a part."""
    return f"python -m benchmarks --only {name}" if name in parts.PARTS else f"python -m benchmarks.{name}"


def source(name: str, machine: dict[str, Any]) -> str:
    """Return the command that measured it, and the machine."""
    threads = f", {machine['threads']} threads for each" if name in parts.PARTS else ""
    versions = ", ".join(f"{key} {value}" for key, value in machine.items() if key not in ABOUT_THE_MACHINE)
    return f"`{command(name)}` on {machine['cpu']}, {machine['cores']} cores{threads}; {versions}."


def fill(text: str) -> str:
    """Return the README with all parts anew."""
    for name in PARTS:
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        part = render(name)
        text, count = re.subn(
            pattern, lambda found, part=part: found[1] + part + "\n" + found[2], text, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"README.md: want the markers <!-- {name} --> and <!-- /{name} --> once, found {count}")
    return text


def main(arguments: list[str] | None = None) -> None:
    """Rewrite, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    old = README.read_text(encoding="utf-8")
    new = fill(old)
    if options.check:
        sys.exit("README.md is not what the results say: python -m benchmarks.report" if new != old else 0)
    README.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
