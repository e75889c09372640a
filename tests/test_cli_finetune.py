"""`minigrad finetune`, in this process, on a small data set."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from minigrad import models
from minigrad.cli import main
from minigrad.cli.errors import CommandError
from minigrad.cli.pretrained import fitting, of_file, stem_of
from minigrad.cli.run_folder import load_run
from minigrad.io import load_state, save_state, save_torch
from tests.backend import once
from tests.cli_toy import FILES, images, names, one_line, raise_in_epoch, same_model, toy_in_catalog, train, train_toy

BASE = ("--batch-norm", "--dropout", "0.1", "--hidden", "8", "6")  # its layers: 1 and 5, normalised by 2 and 6; 9


@pytest.fixture(autouse=True)
def toy(tmp_path):
    with toy_in_catalog(tmp_path) as patch:
        yield patch


@pytest.fixture
def base(tmp_path):
    """Return the folder of a run to begin with."""
    return train_toy(tmp_path, *BASE)


def finetune(out, weights, *options):
    """Train further, quickly, and return the exit code."""
    quick = "--epochs", "2", "--batch-size", "16", "--no-progress"
    return main(["finetune", "toy", "--weights", str(weights), *quick, *options, "--out", str(out)])


def differing(one, other):
    """Return the keys of what differs between two folders, or is in one of them only."""
    one, other = (load_state(folder / "model.safetensors") for folder in (one, other))
    return {
        key for key in one | other if key not in one or key not in other or not np.array_equal(one[key], other[key])
    }


@pytest.mark.parametrize("hidden", [[], [5], [5, 4]])
def test_a_head_on_a_frozen_backbone(hidden, base, tmp_path, capsys):
    options = ["--head-hidden", *map(str, hidden)] if hidden else []
    assert finetune(tmp_path / "new", base, "--freeze", *options) == 0
    out, err = capsys.readouterr()
    sizes = [6, *hidden, 3]
    head = sum((size + 1) * more for size, more in pairwise(sizes))
    assert f"mlp 30-8-{'-'.join(map(str, sizes))}: {head + 330:,} parameters, {head} of them trained\n" in out
    assert err == ""
    assert names(tmp_path / "new") == FILES
    assert all(key.startswith("9.") for key in differing(base, tmp_path / "new"))
    _, model = load_run(str(tmp_path / "new"))
    assert model[9].weight.shape == (3, 6) if not hidden else len(model[9]) == 2 * len(hidden) + 1
    config = json.loads((tmp_path / "new" / "config.json").read_text())
    assert config["options"]["hidden"] == [8, 6]
    assert config["model"].get("head") == ({"hidden": hidden, "dropout": 0.0} if hidden else None)


def test_what_it_wrote_is_used_like_any_run(base, tmp_path, capsys):
    assert finetune(tmp_path / "new", base, "--head-hidden", "5", "--head-dropout", "0.2", "-q") == 0
    assert main(["evaluate", str(tmp_path / "new"), "--json"]) == 0
    metrics = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert json.loads(capsys.readouterr().out)["accuracy"] == metrics["test"]["accuracy"]
    np.save(tmp_path / "images.npy", images(2, 3)[0])
    assert main(["predict", str(tmp_path / "new"), str(tmp_path / "images.npy")]) == 0
    assert finetune(tmp_path / "newer", tmp_path / "new", "--head-hidden", "7", "--freeze", "-q") == 0
    _, model = load_run(str(tmp_path / "newer"))
    assert [layer.weight.shape for layer in list(model[9])[::2]] == [(7, 6), (3, 7)]
    assert all(key.startswith("9.") for key in differing(tmp_path / "new", tmp_path / "newer"))


def test_all_layers_train_further(base, tmp_path, toy):
    seen = []
    from minigrad.cli.training import make_optimizer

    def look(model, options):
        optimizer = make_optimizer(model, options)
        seen.append([(group["name"], group["lr"]) for group in optimizer.param_groups])
        return optimizer

    toy.setattr("minigrad.cli.training.make_optimizer", look)
    options = "--lr", "0.1", "--lr-decay", "0.5", "--optimizer", "sgd", "--schedule", "one-cycle", "-q"
    assert finetune(tmp_path / "new", base, *options) == 0
    assert seen == [[("9", 0.1), ("6", 0.05), ("5", 0.025), ("2", 0.0125), ("1", 0.00625)]]
    state = load_state(base / "model.safetensors")
    assert differing(base, tmp_path / "new") >= {key for key in state if "weight" in key or "running" in key}


def test_weights_from_files(base, tmp_path):
    """All say the same: a state file, PyTorch's, and a checkpoint of a training in PyTorch."""
    state = load_state(base / "model.safetensors")
    save_torch(tmp_path / "weights.pth", state)
    save_state(tmp_path / "copy.safetensors", state)
    tensors = {name: torch.from_numpy(array) for name, array in state.items() if "num_batches" not in name}
    torch.save({"epoch": 3, "state_dict": tensors}, tmp_path / "checkpoint.pt")
    assert finetune(tmp_path / "new", base, "--freeze", "-q") == 0
    for file in ("weights.pth", "copy.safetensors", "checkpoint.pt"):
        assert finetune(tmp_path / file[:4], tmp_path / file, "--model", "mlp", *BASE, "--freeze", "-q") == 0
        assert {key for key in differing(tmp_path / file[:4], tmp_path / "new") if "num_batches" not in key} == set()


def test_weights_by_name_want_images_as_they_were_trained_on(tmp_path, monkeypatch):
    file = tmp_path / "weights.safetensors"
    save_state(file, models.resnet20(rng=0).state_dict())
    named = models.Pretrained(
        "weights", "its sha256", "its address", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), size=16
    )
    monkeypatch.setitem(models.PRETRAINED, "resnet20", {"NAME": named})
    monkeypatch.setattr("minigrad.models.weights.fetch", {named: file}.get)
    start = of_file("resnet20", "NAME", [1, 5, 6])
    assert (start.shape, start.form) == ([3, 16, 16], {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]})
    assert start.model == {"in_channels": 3}
    start = of_file("resnet20", str(file), [1, 5, 6])
    assert (start.shape, start.form) == ([3, 5, 6], {})


def test_weights_of_a_run_that_was_interrupted(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        raise_in_epoch(patch, 2, KeyboardInterrupt())
        assert train(tmp_path, *BASE) == 130
    assert finetune(tmp_path / "new", tmp_path / "run" / "checkpoint", "--freeze", "-q") == 0
    assert all(key.startswith("9.") for key in differing(tmp_path / "run", tmp_path / "new"))


def test_a_resumed_run_ends_like_one_without_interruption(base, tmp_path):
    options = "--lr-decay", "0.5", "--schedule", "cosine", "--head-hidden", "5", "--epochs", "4", "-q"
    assert finetune(tmp_path / "whole", base, *options) == 0
    with pytest.MonkeyPatch.context() as patch:
        raise_in_epoch(patch, 3, KeyboardInterrupt())
        assert finetune(tmp_path / "new", base, *options) == 130
    assert finetune(tmp_path / "new", base, *options, "--resume") == 0
    assert same_model(tmp_path / "new", tmp_path / "whole")


# ----------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--head-hidden", "-3"], "argument --head-hidden: want a whole number of at least 1, got '-3'"),
        (["--head-hidden", "4", "0"], "argument --head-hidden: want a whole number of at least 1, got '0'"),
        (["--model", "mlp", "--head-dropout", "0.5"], "argument --head-dropout: wants --head-hidden"),
        (["--lr-decay", "0"], "argument --lr-decay: want a number above 0 and at most 1, got '0'"),
        (["--lr-decay", "1.5"], "argument --lr-decay: want a number above 0 and at most 1, got '1.5'"),
        ([], "argument --model: wanted where --weights is not the folder of a run"),
        (["--model", "vgg16"], "argument --model: invalid choice: 'vgg16'"),
    ],
)
def test_wrong_arguments(options, message, tmp_path, capsys):
    assert finetune(tmp_path / "new", tmp_path / "weights.pth", *options) == 2
    assert f"minigrad finetune: error: {message}" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(("option", "value"), [("--model", "mlp"), ("--hidden", "8"), ("--kernel-size", "5")])
def test_a_run_folder_says_what_the_model_is(option, value, base, tmp_path, capsys):
    assert finetune(tmp_path / "new", base, option, value) == 2
    assert f"error: argument {option}: {base} says it itself" in one_line(capsys.readouterr().err)


def test_weights_are_wanted(capsys):
    assert main(["finetune", "toy"]) == 2
    assert "the following arguments are required: --weights" in one_line(capsys.readouterr().err)


def test_no_weights_there(tmp_path, capsys):
    assert finetune(tmp_path / "new", tmp_path / "nothing.pth", "--model", "mlp") == 1
    message = one_line(capsys.readouterr().err)
    assert message.endswith("nothing.pth, and no weights of that name; none are known\n")
    (tmp_path / "folder").mkdir()
    assert finetune(tmp_path / "new", tmp_path / "folder") == 1
    assert "config.json: no such file; want a folder that `minigrad train` wrote" in one_line(capsys.readouterr().err)


def test_a_file_of_something_else(tmp_path, capsys):
    (tmp_path / "text.pth").write_text("weights")
    assert finetune(tmp_path / "new", tmp_path / "text.pth", "--model", "mlp") == 1
    assert "text.pth: not a PyTorch file" in one_line(capsys.readouterr().err)
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    assert finetune(tmp_path / "new", tmp_path / "list.pth", "--model", "mlp") == 1
    assert "list.pth: want the weights of a model, arrays by name" in one_line(capsys.readouterr().err)


def test_all_keys_that_do_not_fit_are_listed(tmp_path, capsys):
    model = models.mlp(30, [8, 6], 3)
    state = model.state_dict()
    state["1.weight"] = np.zeros((7, 30), np.float32)
    state["fc.weight"] = state.pop("3.weight")
    save_torch(tmp_path / "weights.pth", state)
    assert finetune(tmp_path / "new", tmp_path / "weights.pth", "--model", "mlp", "--hidden", "8", "6") == 1
    err = capsys.readouterr().err
    for line in ("missing: 3.weight (6, 8)", "unexpected: fc.weight (6, 8)", "shape: 1.weight is (8, 30), got (7, 30)"):
        assert f"\n  {line}\n" in err
    assert "Traceback" not in err


def test_a_model_that_is_nothing_but_a_head(tmp_path, capsys):
    save_torch(tmp_path / "weights.pth", models.mlp(30, [], 3).state_dict())
    assert finetune(tmp_path / "new", tmp_path / "weights.pth", "--model", "mlp", "--hidden") == 1
    assert "want a model of two children or more that have parameters" in one_line(capsys.readouterr().err)


def test_images_of_another_shape_are_brought_to_that_of_the_run(base, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.cli_toy.SHAPE", (7, 5))
        with toy_in_catalog(tmp_path):
            assert finetune(tmp_path / "new", base, "--epochs", "1", "-q") == 0
            assert main(["evaluate", str(tmp_path / "new"), "--data", str(tmp_path)]) == 0
    config, _ = load_run(str(tmp_path / "new"))
    assert (config.shape, config.size, config.channels) == ([1, 7, 5], [6, 5], None)


def test_images_of_more_channels():
    want = "--weights: of a model for images of 1 channels, these have 3"
    with pytest.raises(CommandError, match=want):
        fitting([3, 6, 5], [1, 6, 5])


def test_the_stem_of_a_resnet_is_told_by_its_weights():
    for small, channels in ((True, 1), (False, 3)):
        model = models.resnet18(10, in_channels=channels, small_images=small)
        assert stem_of("resnet18", model.state_dict()) == {"in_channels": channels, "small_images": small}
    assert stem_of("resnet20", models.resnet20().state_dict()) == {"in_channels": 3}
    assert stem_of("resnet20", {}) == stem_of("cnn", models.cnn().state_dict()) == {}


@once
def test_grey_images_for_a_model_of_colours(tmp_path):
    save_torch(tmp_path / "resnet20.pth", models.resnet20(1000, rng=0).state_dict())
    options = "--model", "resnet20", "--freeze", "--limit", "40", "--epochs", "1", "-q", "--image-size", "12"
    assert finetune(tmp_path / "new", tmp_path / "resnet20.pth", *options) == 0
    config, _ = load_run(str(tmp_path / "new"))
    assert (config.size, config.channels) == ([12, 12], 3)


def test_a_resnet_from_a_file(tmp_path):
    save_torch(tmp_path / "resnet20.pth", models.resnet20(1000, in_channels=1, rng=0).state_dict())
    options = "--model", "resnet20", "--freeze", "--limit", "40", "--epochs", "1", "-q"
    assert finetune(tmp_path / "new", tmp_path / "resnet20.pth", *options) == 0
    _, model = load_run(str(tmp_path / "new"))
    before = models.resnet20(1000, in_channels=1, rng=0).state_dict()
    for name, array in model.state_dict().items():
        if not name.startswith("fc."):
            np.testing.assert_array_equal(array, before[name], err_msg=name)
