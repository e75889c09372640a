"""docs/math.md: its code agrees with the library, no formula in it could be another, and it leaves no class out."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from minigrad import nn, optim
from tests.discovery import classes_of, kernels_of

DOCUMENT = Path(__file__).parents[1] / "docs/math.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
OTHER = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}


def sections() -> dict[str, ast.Module]:
    """Return the code below each heading, behind the first block, with the document's line numbers."""
    code, heading = {"": ""}, ""
    for match in re.finditer(r"^## ([^\n]+)|^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        if match[1]:
            heading = match[1]
            code[heading] = code[""]
        else:
            line = TEXT.count("\n", 0, match.start(2))
            code[heading] += "\n" * (line - code[heading].count("\n")) + match[2]
    return {heading: ast.parse(text) for heading, text in code.items() if heading}


SECTIONS = sections()
each_section = pytest.mark.parametrize("heading", SECTIONS)


def run(code: ast.Module) -> None:
    exec(compile(code, DOCUMENT, "exec"), {})


def wrong_versions(code: ast.Module) -> Iterator[str]:
    """Turn each operator in turn, + and - or * and /; yield what was made of it."""
    for node in ast.walk(code):
        if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in OTHER:
            right = node.op
            node.op = OTHER[type(right)]()
            yield f"line {node.lineno}: {ast.unparse(node)}"
            node.op = right


def passes(code: ast.Module) -> bool:
    try:
        run(code)
    except (AssertionError, ArithmeticError, ValueError, Warning):
        return False
    return True


@each_section
def test_code_agrees_with_the_library(heading: str) -> None:
    run(SECTIONS[heading])


@each_section
def test_no_operator_could_be_another(heading: str) -> None:
    code = SECTIONS[heading]
    assert [wrong for wrong in wrong_versions(code) if passes(code)] == []


def test_there_are_operators_to_turn() -> None:
    assert sum(1 for code in SECTIONS.values() for _ in wrong_versions(code)) > 200


def unnamed(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if f"`{name}`" not in TEXT)


def test_every_backward_has_a_place() -> None:
    layers = {cls.__name__ for cls in classes_of(nn.Module) | classes_of(nn.Loss) if "Backward:" in cls.__doc__}
    assert {"Linear", "MSELoss"} < layers
    assert unnamed(layers) == []
    assert unnamed(cls.__name__ for cls in classes_of(optim.Optimizer)) == []
    assert unnamed(name for name in kernels_of("reference") if name.endswith("_backward")) == []
    assert unnamed({*layers, "Forgotten"}) == ["Forgotten"]


def test_kernels_that_are_named_exist() -> None:
    named = set(re.findall(r"`(\w+_(?:forward|backward|update|statistics|track))`", TEXT))
    assert named <= set(kernels_of("reference"))


KINKS = [
    (nn.ReLU(), torch.nn.ReLU(), 0.0),
    (nn.LeakyReLU(0.2), torch.nn.LeakyReLU(0.2), 0.0),
    (nn.PReLU(), torch.nn.PReLU(), 0.0),
    (nn.ELU(0.7), torch.nn.ELU(0.7), 0.0),
    (nn.SELU(), torch.nn.SELU(), 0.0),
    (nn.Hardtanh(), torch.nn.Hardtanh(), -1.0),
    (nn.Hardtanh(), torch.nn.Hardtanh(), 1.0),
    (nn.ReLU6(), torch.nn.ReLU6(), 0.0),
    (nn.ReLU6(), torch.nn.ReLU6(), 6.0),
    (nn.Hardswish(), torch.nn.Hardswish(), -3.0),
    (nn.Hardswish(), torch.nn.Hardswish(), 3.0),
    (nn.Softplus(2, threshold=1), torch.nn.Softplus(2, threshold=1), 0.5),
]


@pytest.mark.parametrize(
    ("layer", "twin", "kink"), KINKS, ids=[f"{type(case[0]).__name__}-{case[2]}" for case in KINKS]
)
def test_slopes_at_kinks_are_pytorchs(layer: nn.Module, twin: torch.nn.Module, kink: float) -> None:
    x = torch.full((1,), kink, dtype=torch.float64, requires_grad=True)
    twin.double()(x).backward()
    _, pullback = layer.to(np.float64).vjp(np.array([kink]))
    np.testing.assert_allclose(pullback(np.ones(1)), x.grad.numpy(), rtol=1e-12)


def test_slope_of_the_l1_loss_at_its_kink_is_pytorchs() -> None:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    torch.nn.L1Loss()(x, torch.zeros(1, dtype=torch.float64)).backward()
    _, pullback = nn.L1Loss().vjp(np.zeros(1), np.zeros(1))
    assert pullback() == x.grad.numpy() == 0


def test_formulas_are_what_github_shows() -> None:
    """Markdown comes first: it eats a backslash before punctuation, and `$` counts only beside a word."""
    prose = re.sub(r"^```.*?^```|`[^`\n]+`", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    formula = re.compile(r"\$\$.+?\$\$|\$(?=\S)[^$\n]+(?<=\S)\$", re.DOTALL)
    for shown in formula.findall(prose):
        assert shown.count("{") == shown.count("}"), shown
        assert not re.search(r"\\[^A-Za-z]", shown), shown
    assert "$" not in formula.sub("", prose)
    assert "\\" not in formula.sub("", prose)
