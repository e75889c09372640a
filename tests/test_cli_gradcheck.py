"""`minigrad gradcheck`: what is right passes, what is wrong is named, and a mistake is one line."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from minigrad import cli
from minigrad.cli import main
from minigrad.cli.gradcheck import EXAMPLE, parse_arguments
from minigrad.gradcheck import TOLERANCE, gradcheck
from tests.cli_toy import one_line

LAYERS = """
import numpy as np
from minigrad import nn

class Scale(nn.Module):
    factor = 1
    def __init__(self, features, start=1.0):
        super().__init__()
        self.weight = nn.Parameter(np.full(features, start, np.float32))
    def _forward(self, x): return x * self.weight.data, x
    def _backward(self, x, dy):
        self.weight.grad += (x * dy).sum(axis=0) * self.factor
        return dy * self.weight.data
class OneElement(Scale):
    factor = (1, 1, 1.001)
class Assigned(Scale):
    def _backward(self, x, dy):
        self.weight.grad = (x * dy).sum(axis=0)
        return dy * self.weight.data
class Forgotten(Scale):
    def _backward(self, x, dy):
        super()._backward(x, dy)
        return dy  # right where the weight is 1
class Refusing(Scale):
    def _forward(self, x): return super()._forward(self._input(x, "(N, 3)", x.shape[1:] == (3,)))
class RefusingInEvaluation(Scale):
    def _forward(self, x): return super()._forward(self._input(x, "(N, 4)", self.training))
class BrokenBackward(Scale):
    def _backward(self, x, dy): return dy * self.waist

class RunningMean(nn.Module):
    factor = 1
    def __init__(self):
        super().__init__()
        self.mean = np.zeros(3)
    def _forward(self, x):
        if self.training:
            self.mean = self.mean + 0.1 * x.mean(axis=0)
            return 2 * x, None
        return x * self.mean, self.mean.copy()
    def _backward(self, mean, dy): return 2 * dy if mean is None else dy * mean * self.factor
class WrongInEvaluation(RunningMean):
    factor = 3  # right where the mean is 0

class NoRowTwice(nn.Embedding):
    def _backward(self, x, dy):
        self.weight.grad[x] += dy
        return np.zeros(x.shape, dy.dtype)

class Log(nn.Module):
    def _forward(self, x): return np.log(x), x
    def _backward(self, x, dy): return dy / x
class Corner(nn.Module):
    def _forward(self, x):
        d = x - 1.5 * np.random.default_rng(0).standard_normal(x.shape).astype(x.dtype)
        return abs(d), d
    def _backward(self, d, dy): return np.sign(d) * dy
class CornersEverywhere(nn.Module):
    def _forward(self, x): return np.sin(1e9 * x), x
    def _backward(self, x, dy): return 1e9 * np.cos(1e9 * x) * dy
class Abstract(nn.Module):
    def _forward(self, x): return x
class OneValue(Abstract):
    def _backward(self, saved, dy): return dy

class Squares(nn.Loss):
    factor = 2
    def _forward(self, x, target): return (x - target) ** 2, None, x - target
    def _backward(self, difference, dlosses): return self.factor * difference * dlosses
class NotSquares(Squares):
    factor = 1.998

class Plain: pass
def pair(features): return nn.Sequential(Scale(features), nn.Tanh())
def nothing(): return None
ready = Scale(3)
"""


class Said(NamedTuple):
    """What the command printed: the verdict by mode and precision, and the report of the first that is wrong."""

    opening: str
    verdicts: dict[str, str]
    report: str


Check = Callable[..., Said]
LINE = r"(training  |evaluation|loss      )  float(64|32)  relative error (\d\.\de.\d\d|      -)  tolerance \S+  (.+)"
MODULE = ("training 64", "training 32", "evaluation 64", "evaluation 32")
LOSS = ("loss 64", "loss 32")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder we are in, with layers.py; nothing is found there by chance."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    (tmp_path / "layers.py").write_text(LAYERS)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith(("own_", "layers")):
            del sys.modules[name]


def command(line: str) -> int:
    return main(["gradcheck", *line.split()])


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """Run the command, which must end with this code, and return what it says."""

    def run(line: str, code: int = 0) -> Said:
        assert command(line) == code
        out, err = capsys.readouterr()
        assert err == ""
        table, _, report = out.partition("\n\n")
        opening, *lines = table.splitlines()
        matches = [re.fullmatch(LINE, line) for line in lines]
        assert all(matches), out
        return Said(opening, {f"{m[1].strip()} {m[2]}": m[4] for m in matches if m}, report)

    return run


# -------------------------------------------------------------------------------------------------------- right


@pytest.mark.parametrize(
    ("line", "opening"),
    [
        ("layers.py:Scale --arguments 3 --shape 5 3", "Scale(): input (5, 3), 3 parameters"),
        ("./layers.py:Scale --arguments features=3 start=0.5 --shape 2 3", "Scale(): input (2, 3), 3 parameters"),
        ("layers:Scale --shape 5 3 --arguments 3", "Scale(): input (5, 3), 3 parameters"),
        ("layers.py:pair --arguments 3 --shape 5 3", "Sequential( (0): Scale() (1): Tanh() ): input (5, 3), 3 par"),
        ("layers.py:OneElement --arguments 3 --shape 5 3 --tolerance 0.01", "OneElement(): "),
        ("layers.py:ready --shape 5 3", "Scale(): input (5, 3), 3 parameters"),
        ("layers.py:RunningMean --shape 5 3", "RunningMean(): input (5, 3), 0 parameters"),
        ("minigrad.nn:Embedding --arguments 3 2 --shape 8 --integers 3", "Embedding(3, 2): input (8,), 6 parameters"),
        ("minigrad.nn:Linear --arguments 1200 2 bias=False --shape 5 1200", "Linear(1200, 2, bias=False): input (5, "),
        ("minigrad.nn:BatchNorm1d --arguments 3 affine=False --shape 5 3", "BatchNorm1d(3, "),
        ("layers.py:Squares --shape 5 3", "Squares(reduction='mean'): input (5, 3)"),
        ("layers.py:Squares --arguments none --shape 5 3", "Squares(reduction='none'): input (5, 3)"),
        ("minigrad.nn:CrossEntropyLoss --shape 5 3", "CrossEntropyLoss("),
        ("minigrad.nn:CrossEntropyLoss --shape 5 3 2 4 --classes 3", "CrossEntropyLoss("),
        ("minigrad.nn:CrossEntropyLoss --shape 3 --classes 3", "CrossEntropyLoss("),
    ],
)
def test_what_is_right_passes(line: str, opening: str, check: Check) -> None:
    said = check(line)
    assert said.opening.startswith(opening)
    assert said.verdicts == dict.fromkeys(MODULE if "parameters" in said.opening else LOSS, "ok")
    assert said.report == ""


def test_the_figures_are_those_of_gradcheck(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called = []

    def record(*point: Any, **settings: Any) -> float:
        called.append((settings["dtype"], settings["tolerance"], settings["seed"]))
        return gradcheck(*point, **settings)

    monkeypatch.setattr(cli.gradcheck, "gradcheck", record)
    assert command("layers.py:Scale --arguments 3 --shape 5 3 --seed 7") == 0
    assert called == [("float64", 1e-6, 7), ("float32", 5e-5, 7)] * 2
    lines = capsys.readouterr().out.splitlines()[1:]
    for line, most, tolerance in zip(lines, (1e-10, 1e-6) * 2, ("1e-06", "5e-05") * 2, strict=True):
        assert float(line.split()[4]) < most
        assert f"tolerance {tolerance} " in line


@pytest.mark.parametrize(
    ("options", "checked"),
    [
        ("--mode train", ["training 64", "training 32"]),
        ("--mode eval --dtype float32", ["evaluation 32"]),
        ("--dtype float64", ["training 64", "evaluation 64"]),
    ],
)
def test_a_part_of_the_checks(options: str, checked: list[str], check: Check) -> None:
    assert list(check(f"layers.py:Scale --arguments 3 --shape 5 3 {options}").verdicts) == checked


def test_siblings_of_the_file_are_found(folder: Path, check: Check) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "own_sibling.py").write_text(LAYERS)
    (folder / "inner" / "user.py").write_text(
        "from own_sibling import Scale\nif __name__ == '__main__':\n    raise SystemExit('ran as a script')\n"
    )
    assert check("inner/user.py:Scale --arguments 3 --shape 5 3").verdicts == dict.fromkeys(MODULE, "ok")


def test_a_package_in_this_folder(folder: Path, check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "own_package").mkdir()
    (folder / "own_package" / "base.py").write_text(LAYERS)
    imports = "from minigrad.nn import Tanh\nfrom .base import Scale, ready\n"
    (folder / "own_package" / "__init__.py").write_text(imports)
    check("own_package:Scale --arguments 3 --shape 5 3")
    assert command("own_package:Skale --shape 5 3") == 1
    assert "own_package: no Skale in it, but Scale, ready\n" in one_line(capsys.readouterr().err)


# -------------------------------------------------------------------------------------------------------- wrong


def test_an_error_of_a_thousandth_is_named(check: Check) -> None:
    said = check("layers.py:OneElement --arguments 3 --shape 5 3", 1)
    assert said.opening == "OneElement(): input (5, 3), 3 parameters"
    assert said.verdicts == dict.fromkeys(MODULE, "WRONG")
    first, titles, worst, second, *_ = said.report.splitlines()
    assert first.startswith("training, float64: OneElement: along a random direction over weight")
    assert titles.split() == ["element", "backward", "differences", "error"]
    assert worst.split()[0] == "weight[2]"
    assert float(worst.split()[3]) == pytest.approx(0.001, rel=0.01)
    assert float(second.split()[-1]) < 1e-6
    assert said.report.count("element ") == 1  # the first failure is reported, and no other


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_of_ones_own(seed: int, check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    prints = []
    for _ in range(2):
        assert command(f"minigrad.nn:Linear --arguments 3 4 --shape 5 3 --seed {seed}") == 0
        prints.append(capsys.readouterr().out)
    assert prints[0] == prints[1]
    said = check(f"layers.py:OneElement --arguments 3 --shape 5 3 --seed {seed}", 1)
    assert said.verdicts == dict.fromkeys(MODULE, "WRONG")


@pytest.mark.parametrize(
    ("line", "verdicts", "words"),
    [
        ("Assigned --arguments 3 --shape 5 3", dict.fromkeys(MODULE, "WRONG"), "gradient of weight: want `+=`"),
        ("Forgotten --arguments 3 --shape 5 3", dict.fromkeys(MODULE, "WRONG"), "\nx["),
        ("NoRowTwice --arguments 3 2 --shape 8 --integers 3", dict.fromkeys(MODULE, "WRONG"), "\nweight["),
        (
            "WrongInEvaluation --shape 5 3",
            dict(zip(MODULE, ("ok", "ok", "WRONG", "WRONG"), strict=True)),
            "evaluation, float64: WrongInEvaluation: ",
        ),
        ("NotSquares --shape 5 3", dict.fromkeys(LOSS, "WRONG"), "loss, float64: NotSquares: "),
        ("Log --shape 5 3", dict.fromkeys(MODULE, "WRONG"), "training, float64: Log: the output is not finite"),
        (
            "CornersEverywhere --shape 5 3",
            dict.fromkeys(MODULE, "KINK"),
            "training, float64: at each of 5 points: CornersEverywhere: not differentiable at x[",
        ),
    ],
)
def test_what_is_wrong_is_said(line: str, verdicts: dict[str, str], words: str, check: Check) -> None:
    said = check(f"layers.py:{line}", 1)
    assert said.verdicts == verdicts
    assert words in said.report


def test_a_parameter_that_starts_at_zero_is_moved(check: Check) -> None:
    said = check("layers.py:Forgotten --arguments 3 start=0.0 --shape 5 3", 1)
    differences = [float(line.split()[-2]) for line in said.report.splitlines() if line.startswith("x[")]
    assert differences
    assert all(differences)


def test_a_kink_at_the_point_is_avoided(check: Check) -> None:
    at_seed_1 = "ok (at seed 1: there are kinks at those before)"
    assert check("layers.py:Corner --shape 5 3").verdicts == dict.fromkeys(MODULE, at_seed_1)
    assert check("layers.py:Corner --shape 5 3 --seed 1").verdicts == dict.fromkeys(MODULE, "ok")


# ---------------------------------------------------------------------------------------------- one clear line

MISTAKES = {
    "nowhere.py:Scale --shape 5 3": "nowhere.py: no such file",
    "some/layers:Scale --shape 5 3": "some/layers: no such file",
    "own_nothing:Scale --shape 5 3": "own_nothing: ModuleNotFoundError: No module named 'own_nothing'",
    "layers.py:Skale --shape 5 3": "layers.py: no Skale in it, but Scale, OneElement, Assigned, Forgotten, ",
    "plain.py:Scale --shape 5 3": "plain.py: no Scale in it, nor any Module or Loss",
    "layers.py:Plain --shape 5 3": "Plain: neither a Module nor a Loss, nor a function that returns one",
    "layers.py:nothing --shape 5 3": "nothing(): want a Module or a Loss, got NoneType",
    "layers.py:ready --arguments 3 --shape 5 3": "ready: is an instance, and takes no --arguments",
    "layers.py:Abstract --shape 5 3": "Abstract(): TypeError: Can't instantiate abstract class Abstract",
    "layers.py:Scale --shape 5 3": "Scale(): TypeError: Scale.__init__() missing 1 required positional argument",
    "layers.py:Scale --arguments three --shape 5 3": (
        "Scale(three): TypeError: 'str' object cannot be interpreted as an integer "
        "(layers.py, line 9: self.weight = nn.Parameter(np.full(features, start, np.float32)))\n"
    ),
    "layers.py:Scale --arguments 3 --shape 5 4": (
        "Scale: ValueError: operands could not be broadcast together with shapes (5,4) (3,) "
        "(layers.py, line 10: def _forward(self, x): return x * self.weight.data, x)\n"
    ),
    "layers.py:Refusing --arguments 3 --shape 5 4": "error: Refusing: want input of shape (N, 3), got (5, 4)\n",
    "minigrad.nn:Embedding --arguments 7 3 --shape 5": "error: Embedding: want integer indices, got float64 (5,)\n",
    "layers.py:RefusingInEvaluation --arguments 3 --shape 5 3": (
        "error: RefusingInEvaluation: want input of shape (N, 4), got (5, 3)\n"
    ),
    "layers.py:BrokenBackward --arguments 3 --shape 5 3": (
        "training, float64: AttributeError: 'BrokenBackward' object has no attribute 'waist' "
        "(layers.py, line 29: def _backward(self, x, dy): return dy * self.waist)\n"
    ),
    "minigrad.nn:NLLLoss --shape 5 3": "loss, float64: ValueError: NLLLoss: for an input of shape (5, 3) want integer ",
    "layers.py:OneValue --shape 5 3": "OneValue: ValueError: too many values to unpack",
    "syntax.py:Scale --shape 5 3": "syntax.py: SyntaxError: ",
    "name.py:Scale --shape 5 3": (
        "name.py: NameError: name 'undefined' is not defined (name.py, line 3: return undefined)\n"
    ),
    "refused.py:Scale --shape 5 3": "Tanh: want float32 or float64 input, got int64 (2,) (refused.py, line 3: ",
    "lines.py:Scale --shape 5 3": "lines.py: ValueError: first (lines.py, line 1: raise ValueError('first\\nsec",
    "script.py:Scale --shape 5 3": "script.py: SystemExit: 0 (script.py, line 2: sys.exit(0))\n",
    "missing.py:Scale --shape 5 3": "missing.py: FileNotFoundError: [Errno 2] No such file or directory: 'data.csv'",
    "sibling.py:Scale --shape 5 3": "sibling.py: NameError: name 'undefined' is not defined (sibling.py, line 2: ",
}
FILES = {
    "plain.py": "class Plain: pass\n",
    "syntax.py": "def f(:\n",
    "name.py": "\ndef f():\n    return undefined\n\nf()\n",
    "refused.py": "import numpy as np\nfrom minigrad import nn\nnn.Tanh()(np.arange(2))\n",
    "lines.py": "raise ValueError('first\\nsecond')\n",
    "script.py": "import sys\nsys.exit(0)\n",
    "missing.py": "open('data.csv')\n",
    "sibling.py": "# Imports what raises.\nimport own_broken\n",
    "own_broken.py": "undefined\n",
}
WRONG_USAGE = {
    "": "the following arguments are required: FILE.py:NAME, --shape",
    "layers.py:Scale": "the following arguments are required: --shape",
    "layers.py --shape 5 3": "want FILE.py:NAME or package.module:NAME, got 'layers.py'",
    "layers.py:Scale --shape 5 0": "argument --shape: want a whole number of at least 1, got '0'",
    "layers.py:Scale --shape 5 --integers 0": "argument --integers: want a whole number of at least 1",
    "layers.py:Scale --shape 5 3 --tolerance 0": "argument --tolerance: want a number above 0, got '0'",
    "layers.py:ready --shape 5 3 --classes 3": "argument --classes: a module has no target",
    "layers.py:Squares --shape 5 3 --integers 3": "argument --integers: a loss takes no integers",
}


@pytest.mark.parametrize(("line", "words"), (MISTAKES | WRONG_USAGE).items())
def test_a_mistake_is_one_line(line: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    assert command(line) == (1 if line in MISTAKES else 2)
    err = one_line(capsys.readouterr().err)
    assert err.startswith("minigrad gradcheck: error: ")
    assert words in err


# ---------------------------------------------------------------------------------------------------- arguments


def test_arguments_are_literals_or_strings() -> None:
    line = "3 -4 1e-3 True None same 'same' 'a=b' [1,2] bias=False eps=1e-3 mode=same expression=a=b"
    named = {"bias": False, "eps": 0.001, "mode": "same", "expression": "a=b"}
    assert parse_arguments(line.split()) == ([3, -4, 0.001, True, None, "same", "same", "a=b", [1, 2]], named)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--help") == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: minigrad gradcheck ")
    assert "None" not in out
    for tolerance in TOLERANCE.values():
        assert f"{tolerance:g}" in out
    assert main(["--help"]) == 0
    assert re.search(r"gradcheck\s+check the backward pass", capsys.readouterr().out)


@pytest.mark.parametrize("line", re.findall(r"^  minigrad gradcheck (.*)$", EXAMPLE, re.MULTILINE))
def test_the_examples_of_the_help(line: str) -> None:
    assert command(line) == 0


def test_the_layer_and_the_command_of_the_readme(folder: Path) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    [layer] = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "class Scale" in block]
    [line] = re.findall(r"^minigrad gradcheck (.*)$", text, re.MULTILINE)
    (folder / "scale.py").write_text(layer)
    assert command(line) == 0


def test_the_command_of_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    [line] = re.findall(r"minigrad gradcheck (ex.*)", Path("examples/write_a_layer.py").read_text("utf-8"))
    assert command(line) == 0
