"""What the command line understands and what it refuses, before any command runs."""

import os
import runpy
import shlex
import subprocess
import sys

import pytest

from minigrad import __version__
from minigrad.cli import main, parse
from minigrad.cli.recipes import RECIPES, as_options
from tests.cli_toy import one_line

DEMO = """train fashion-mnist --model mlp --hidden 512 256 --batch-norm --dropout 0.2 --label-smoothing 0.1
--optimizer adam --lr 1e-3 --weight-decay 1e-4 --epochs 20 --batch-size 64 --seed 0 --out runs/demo"""
HEAVY = ("numba", "scipy", "matplotlib", "rich", "torch", "PIL", "pooch", "safetensors")


def python(*arguments, **settings):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, **settings)


def test_the_command_line_of_the_documentation():
    args = parse(shlex.split(DEMO))
    assert (args.dataset, args.model, args.hidden, args.activation) == ("fashion-mnist", "mlp", [512, 256], "relu")
    assert (args.batch_norm, args.dropout, args.label_smoothing) == (True, 0.2, 0.1)
    assert (args.optimizer, args.lr, args.weight_decay) == ("adam", 1e-3, 1e-4)
    assert (args.epochs, args.batch_size, args.seed, args.out) == (20, 64, 0, "runs/demo")


def test_the_reference_recipe_is_that_command_line():
    given = vars(parse(shlex.split(DEMO)))
    taken = vars(parse(["train", "fashion-mnist", "--recipe", "reference", "--out", "runs/demo"]))
    differing = {name for name in given if given[name] != taken[name]} - {"parser"}
    assert differing == {"recipe"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_what_its_options_say(name):
    typed = vars(parse(["train", "mnist", *as_options(RECIPES[name].settings).split()]))
    taken = vars(parse(["train", "mnist", "--recipe", name]))
    assert {key: typed[key] for key in RECIPES[name].settings} == dict(RECIPES[name].settings)
    assert {key for key in typed if typed[key] != taken[key]} - {"parser"} == {"recipe"}


def test_options_come_before_the_recipe_wherever_they_stand():
    for line in (
        "train mnist --no-batch-norm --epochs 3 --hidden 7 --recipe reference",
        "train --recipe reference mnist --epochs 3 --no-batch-norm --hidden 7",
    ):
        args = parse(line.split())
        assert (args.batch_norm, args.epochs, args.hidden, args.dropout) == (False, 3, [7], 0.2)


def test_a_recipe_does_not_outlast_its_command():
    parse(["train", "mnist", "--recipe", "reference"])
    assert parse(["train", "mnist"]).epochs == 10


@pytest.mark.parametrize(("text", "value"), [("10000", 10000), ("0.2", 0.2), ("1", 1)])
def test_validation_is_a_number_of_images_or_a_share(text, value):
    parsed = parse(["train", "mnist", "--validation", text]).validation
    assert (parsed, type(parsed)) == (value, type(value))


def test_no_hidden_layer():
    assert parse(["train", "mnist", "--hidden", "--epochs", "1"]).hidden == []


WRONG = {
    "": "COMMAND",
    "tarin mnist": "invalid choice: 'tarin'",
    "train": "DATASET",
    "train cifar": "invalid choice: 'cifar' (choose from 'fashion-mnist', 'mnist')",
    "train mnist --modle mlp": "unknown arguments: --modle mlp",
    "train mnist --epoch 3": "unknown arguments: --epoch 3",
    "train mnist --model rnn": "argument --model: invalid choice: 'rnn'",
    "train mnist --recipe secret": "argument --recipe: invalid choice: 'secret'",
    "train mnist --activation relU": "argument --activation: invalid choice: 'relU'",
    "train mnist --optimizer lion": "argument --optimizer",
    "train mnist --schedule daily": "argument --schedule",
    "train mnist --hidden 512 0": "argument --hidden: want a whole number of at least 1, got '0'",
    "train mnist --hidden 512,256": "argument --hidden: want a whole number of at least 1, got '512,256'",
    "train mnist --epochs 0": "argument --epochs: want a whole number of at least 1, got '0'",
    "train mnist --batch-size 6.4": "argument --batch-size: want a whole number",
    "train mnist --seed -1": "argument --seed",
    "train mnist --lr 0": "argument --lr: want a number above 0, got '0'",
    "train mnist --lr nan": "argument --lr: want a number above 0, got 'nan'",
    "train mnist --lr inf": "argument --lr",
    "train mnist --weight-decay=-1": "argument --weight-decay: want a number of at least 0, got '-1'",
    "train mnist --dropout 1": "argument --dropout: want a number of at least 0 and below 1, got '1'",
    "train mnist --label-smoothing much": "argument --label-smoothing",
    "train mnist --validation 0": "argument --validation: want a number of images, or a share below 1, got '0'",
    "train mnist --validation 1.5": "argument --validation",
    "train mnist --limit 0": "argument --limit",
    "train mnist --momentum 0.9": "argument --momentum: adam has none, only sgd and rmsprop",
    "train mnist --batch-norm --batch-size 1": "argument --batch-norm: cannot normalise over batches of one image",
    "train mnist --model resnet20 --filters 8": "argument --filters: of cnn, vgg, not of resnet20",
    "train mnist --recipe reference --model vgg --batch-norm --hidden 8": "argument --hidden: of mlp, cnn, not of vgg",
    "finetune mnist --weights resnet20.pth --model resnet20 --dropout 0.5": "argument --dropout: of mlp, cnn, vgg, not",
    "evaluate": "RUN_FOLDER",
    "evaluate runs/demo --split all": "argument --split: invalid choice: 'all'",
    "predict runs/demo": "FILE",
    "predict runs/demo a.png --top 0": "argument --top: want a whole number of at least 1, got '0'",
    "data": "ACTION",
    "data fetch cifar": "argument NAME: invalid choice: 'cifar'",
    "info --all": "unknown arguments: --all",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_usage_is_one_line_and_code_2(line, capsys):
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    message = one_line(err)
    assert WRONG[line] in message
    assert message.startswith("minigrad")
    assert "--help)" in message


@pytest.mark.parametrize(
    "command",
    ["", "train", "evaluate", "predict", "recipes", "data", "data fetch", "data verify", "data where", "info"],
)
def test_every_command_explains_itself(command, capsys):
    assert main([*command.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: minigrad {command}".rstrip())
    assert err == ""
    assert "None" not in out


def test_recipes_are_listed(capsys):
    assert main(["recipes"]) == 0
    out = capsys.readouterr().out
    for name, recipe in RECIPES.items():
        assert f"{name}\n  {recipe.what}\n  {as_options(recipe.settings)}\n" in out


def test_as_a_module():
    assert python("-m", "minigrad", "--version").stdout == f"minigrad {__version__}\n"
    helped = python("-m", "minigrad", "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith("usage: minigrad")
    wrong = python("-m", "minigrad", "trian")
    assert wrong.returncode == 2
    assert "Traceback" not in one_line(wrong.stderr)


@pytest.mark.parametrize(("line", "code"), [("recipes", 0), ("trian", 2)])
def test_the_module_exits_with_the_code_of_the_command(line, code, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["minigrad", line])
    with pytest.raises(SystemExit) as ending:
        runpy.run_module("minigrad", run_name="__main__")
    assert ending.value.code == code


def test_help_loads_nothing_heavy():
    code = (
        f"import sys; from minigrad.cli import main; main(['train', '--help']); print(set({HEAVY}) & set(sys.modules))"
    )
    assert python("-c", code).stdout.endswith("\nset()\n")


def test_what_is_written_after_the_reader_left_goes_nowhere(monkeypatch):
    """Else Python would fail once more at its end, when it flushes."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["recipes"]) == 1
        stdout.write("more")
        stdout.flush()


def test_a_reader_that_leaves_is_no_error():
    with subprocess.Popen(
        [sys.executable, "-m", "minigrad", "recipes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
