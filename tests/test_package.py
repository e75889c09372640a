"""The package as a whole: what importing it costs, the examples, the README's code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backend import once
from tests.datasets import require

ROOT = Path(__file__).parents[1]
TRAINED = ROOT / "examples/classify_photo.py"  # trains nothing: test_models_efficientnet.py runs it
EXAMPLES = sorted(set(ROOT.glob("examples/*.py")) - {TRAINED})
NEEDS = {"two_data_sets.py": ("mnist", "fashion-mnist")}


ON_A_PART = """
import runpy, sys
from minigrad import data
def part_of(load):
    return lambda: [part.subset(slice(int(sys.argv[1]))) for part in load()]
data.mnist, data.fashion_mnist = part_of(data.mnist), part_of(data.fashion_mnist)
"""


def run(*arguments: str, folder: Path = ROOT) -> str:
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_import_loads_nothing_heavy() -> None:
    code = "import minigrad, sys; minigrad.nn, minigrad.optim; print(*sys.modules)"
    loaded = set(run("-c", code).split())
    assert "minigrad.nn" in loaded
    heavy = {"numba", "scipy", "matplotlib", "rich", "torch", "safetensors", "pooch", "hypothesis", "numpy.random"}
    assert not loaded & heavy


@pytest.mark.parametrize("name", ["data", "io", "models", "train", "cli"])
def test_subpackages_load_nothing_heavy(name: str) -> None:
    code = f"import minigrad.{name}, sys; print(*sys.modules)"
    assert not set(run("-c", code).split()) & {"numba", "scipy", "matplotlib", "rich", "torch", "safetensors", "pooch"}


@once
def test_all_tests_are_found_without_numba() -> None:
    """Those of `make test-plain`, which is not for every day, by its arguments."""
    code = "import pytest, sys; sys.modules.update(numba=None, llvmlite=None); sys.exit(pytest.main(sys.argv[1:]))"
    (arguments,) = re.findall(r"\$\(PLAIN\)/\$\(PYTEST\)(.*)", (ROOT / "Makefile").read_text())
    assert "test_networks.py" in run("-c", code, "--collect-only", "-q", "--doctest-modules", *arguments.split())


def test_attributes_are_found_or_named() -> None:
    import minigrad

    assert minigrad.__getattr__("nn") is minigrad.nn
    with pytest.raises(AttributeError, match="module 'minigrad' has no attribute 'autograd'"):
        minigrad.autograd  # noqa: B018  # the look-up is the test


def run_on_a_part(code: str, folder: Path) -> str:
    """Run the code on the first images of each data set; examples are given their number too, as by a user."""
    return run("-c", ON_A_PART + code, "640", folder=folder)


@once
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run_on_a_small_part(path: Path, tmp_path: Path) -> None:
    for name in NEEDS.get(path.name, ("fashion-mnist",)):
        require(name)
    assert "accuracy" in run_on_a_part(f"runpy.run_path({str(path)!r}, run_name='__main__')", tmp_path)


def test_every_example_states_its_accuracy() -> None:
    for path in EXAMPLES:
        assert re.search(r"\bTARGETS?\b|target", path.read_text()), path.name


def test_the_quick_start_is_short() -> None:
    assert len((ROOT / "examples/quickstart.py").read_text().splitlines()) < 30


def readme_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@once
@pytest.mark.parametrize("number", range(len(readme_blocks("python"))))
def test_readme_code_runs(number: int, tmp_path: Path) -> None:
    require("fashion-mnist")
    code = readme_blocks("python")[number]
    if number == 0:
        assert len(code.splitlines()) <= 20
    run_on_a_part(code, tmp_path)


def test_readme_names_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([\w-]+)`", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for module in re.findall(r"python -m (benchmarks\.\w+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
    commands = {
        line.split()[1] for block in readme_blocks("sh") for line in block.splitlines() if line.startswith("minigrad ")
    }
    help_text = run("-m", "minigrad", "--help")
    assert commands
    assert all(command in help_text for command in commands)


def test_no_path_of_a_machine() -> None:
    """Nothing in the project may name where somebody built it."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    names = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True).stdout.split("\n")
    home = os.path.expanduser("~")
    for name in filter(None, names):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".cfg", ".toml", ".txt", ".json"} and path.exists():
            assert home == "/" or f"{home}/" not in path.read_text(encoding="utf-8"), name


def test_readme_says_what_was_measured() -> None:
    from benchmarks import report

    text = report.README.read_text(encoding="utf-8")
    assert report.fill(text) == text
