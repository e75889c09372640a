"""What an editor shows of our code: `python -m tests.editors` has pyright read all that a user may copy.

The README's blocks, each by itself; those of docs/math.md, each section behind the first block; and the examples. None
may have an error. And mistakes that users make must be errors: `WRONG`, a line each. Of the package's public names,
nearly all must have types that every checker knows without inferring them.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^## ([^\n]+)|^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMPLETE = 0.97  # share of public names, at least
HEAD = """\
import numpy as np
import minigrad
from minigrad import data, models, nn, optim
from minigrad.train import Callback, EarlyStopping, Trainer
model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
adam = optim.Adam(model.parameters())
trainer = Trainer(model, nn.CrossEntropyLoss(), adam)
"""
WRONG = """\
minigrad.foo
nn.Lineer(3, 2)
nn.Linear("a", 2)
nn.Linear(3)
optim.Adam(model)
optim.Adam(model.parameters(), lr="fast")
data.Loader((np.ones(3), np.ones(3)), batch_size="64")
trainer.fit((np.ones(3), np.ones(3)), epoch=3)
trainer.fit((np.ones(3), np.ones(3)), epochs="3")
trainer.evaluate(3)
model.compiled(batch_size="a")
minigrad.compile(model, adam, nn.MSELoss())
"""
RIGHT = """\
class Scale(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(np.ones(features, np.float32))

    def _forward(self, x):
        return x * self.weight.data, x

    def _backward(self, x, dy):
        self.weight.grad += (x * dy).sum(axis=0)
        return dy * self.weight.data

class Shout(Callback):
    def on_epoch_end(self, trainer, row):
        print(f"{row['loss']:.2f}!")

def mine(outputs, targets):
    return float((outputs > targets).mean())

x, y = np.ones((8, 3)), np.zeros(8, int)
trainer = Trainer(nn.Sequential(Scale(3), model), nn.CrossEntropyLoss(), adam, metrics=[mine], callbacks=[Shout()])
history = trainer.fit((x, y), (x, y), epochs=1)
best: float = history.best("val_loss")["val_loss"]
losses: list[float] = history["loss"]
outputs: np.ndarray = model.compiled()(x)
step = minigrad.compile(model, nn.CrossEntropyLoss(), adam, batch_size=4)
value: float = step(x, y)
value = step.epoch(x, y)
for xb, yb in data.Loader((x.tolist(), y), batch_size=2):
    value = model(xb).mean() + yb.mean()
train, test = data.split(data.ArrayDataset(x, y))
dx: np.ndarray = model.backward(model(x))
"""


def snippets() -> Iterator[tuple[str, str]]:
    """Yield a name and the code of everything that pyright reads beside the examples."""
    for number, match in enumerate(re.finditer(r"^```python\n(.*?)^```$", text_of("README.md"), BLOCK.flags)):
        yield f"readme_{number}", match[1]
    code, heading = {"": ""}, ""
    for title, block in BLOCK.findall(text_of("docs/math.md")):
        heading = title or heading
        code[heading] = code.get(heading, code[""]) + block
    for number, text in enumerate(code.values()):
        yield f"math_{number}", text
    yield "right", HEAD + RIGHT
    yield "wrong", HEAD + WRONG


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def errors_in(*paths: Path | str) -> list[tuple[str, int, str]]:
    """Return file, line and words of each error that pyright finds."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    try:
        found = json.loads(done.stdout)["generalDiagnostics"]
    except ValueError:
        raise SystemExit(f"pyright could not run:\n{done.stdout}\n{done.stderr}") from None
    return [
        (Path(error["file"]).stem, error["range"]["start"]["line"] + 1, error["message"])
        for error in found
        if error["severity"] == "error"
    ]


def completeness() -> float:
    """Return the share of the package's public names whose types a checker knows."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", "minigrad", "--ignoreexternal", "--outputjson"]
    # An editable package lies behind a hook that pyright does not know, so it is found by the path.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    share: float = json.loads(done.stdout)["typeCompleteness"]["completenessScore"]
    return share


def main() -> None:
    with TemporaryDirectory() as folder:
        for name, code in snippets():
            (Path(folder) / f"{name}.py").write_text(code, encoding="utf-8")
        found = errors_in(folder, "examples")
    bad = [error for error in found if error[0] != "wrong"]
    seen = {line - len(HEAD.splitlines()) for name, line, _ in found if name == "wrong"}
    missed = [line for number, line in enumerate(WRONG.splitlines(), 1) if number not in seen]
    for name, line, message in bad:
        print(f"{name}, line {line}: {message}")
    for line in missed:
        print(f"no error is seen in: {line}")
    known = completeness()
    if known < COMPLETE:
        print(f"pyright --verifytypes: the types of {known:.1%} of the public names are known, want {COMPLETE:.0%}")
    if bad or missed or known < COMPLETE:
        raise SystemExit(1)
    print(f"pyright: 0 errors in what a user may copy, all {len(seen)} mistakes seen, {known:.1%} of the types known")


if __name__ == "__main__":
    main()
