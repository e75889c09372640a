"""Put the tables of the measured results into the README, each between its two markers.

    python -m benchmarks.report [--check]

`--check` changes nothing and fails where the README does not say what the files in benchmarks/results say.
"""

import argparse
import re
import sys
from pathlib import Path
from types import ModuleType

from benchmarks import accuracy, imports, sgd, step
from benchmarks.harness import read

README = Path(__file__).parents[1] / "README.md"
PARTS: dict[str, ModuleType] = {"accuracy": accuracy, "sgd": sgd, "step": step, "imports": imports}


def render(name: str, module: ModuleType) -> str:
    """Return a part's table and where it was measured."""
    result = read(name)
    where = result["machine"]
    versions = ", ".join(f"{key} {where[key]}" for key in ("numpy", "numba", "torch", "python"))
    note = f"{where['cpu']}, {where['cores']} cores, PyTorch on {where['torch_threads']} threads; {versions}."
    return f"{module.table(result)}\n\n<sub>`python -m benchmarks.{name}` on {note}</sub>"


def fill(text: str) -> str:
    """Return the README with all parts anew."""
    for name, module in PARTS.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        part = render(name, module)
        text, count = re.subn(
            pattern, lambda found, part=part: found[1] + part + "\n" + found[2], text, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"README.md: want the markers <!-- {name} --> and <!-- /{name} --> once, found {count}")
    return text


def main() -> None:
    """Rewrite, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    old = README.read_text(encoding="utf-8")
    new = fill(old)
    if parser.parse_args().check:
        sys.exit("README.md is not what the results say: python -m benchmarks.report" if new != old else 0)
    README.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
