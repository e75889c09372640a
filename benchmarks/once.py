"""Train the reference network for a while, as a script would; `benchmarks.processes` watches.

    python -m benchmarks.once CONTESTANT

Prints "ready" after the first step and, after all, the peak of its memory in bytes.
"""

import sys
from importlib import import_module
from pathlib import Path

from benchmarks.contestants import CONTESTANTS
from benchmarks.contestants.base import UnsupportedError
from benchmarks.workloads import reference

STEPS = 100
LEFT_OUT = "left out: "


def peak() -> int:
    """Return the most memory that this process has had (Linux)."""
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024


def main() -> None:
    """Train."""
    one = next(one for one in CONTESTANTS if one.name == sys.argv[1])
    try:
        module = import_module(f"benchmarks.contestants.{one.module}")
        trainer = module.Trainer(reference(64), **one.options)
    except (ImportError, UnsupportedError) as error:
        sys.exit(f"{LEFT_OUT}{error}")
    trainer.run(1)
    print("ready", flush=True)
    trainer.run(STEPS)
    print(peak(), flush=True)


if __name__ == "__main__":
    main()
