"""`minigrad evaluate` and `minigrad predict`, with a model of the small data set."""

import gzip
import json
import sys

import numpy as np
import pytest
from PIL import Image

from minigrad.cli import main
from minigrad.data import write_idx
from minigrad.io import load_state, save_state
from tests.cli_toy import CLASSES, SHAPE, images, one_line, toy_in_catalog, train_toy

LEFT = np.zeros(SHAPE, np.uint8)
LEFT[:, :2] = 220


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    with toy_in_catalog(folder):
        yield train_toy(folder, "--epochs", "20", "--lr", "0.02", "--label-smoothing", "0.1")


@pytest.fixture
def broken(run, tmp_path):
    """A copy of the run, for breaking."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    return tmp_path


# ------------------------------------------------------------------------------------------------------ evaluate


@pytest.mark.parametrize("split", ["test", "validation"])
def test_it_measures_what_the_training_measured(split, run, capsys):
    metrics = json.loads((run / "metrics.json").read_text())[split]
    assert main(["evaluate", str(run), "--split", split, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"run": str(run), "dataset": "toy", "split": split} | metrics
    assert printed["accuracy"] > 0.9


def test_evaluation_in_words(run, capsys):
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert main(["evaluate", str(run)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{run} on 30 test images of toy",
        f"loss      {metrics['loss']:.4f}  (with label smoothing 0.1)",
        f"accuracy  {metrics['accuracy']:.2%}",
    ]


def test_training_images(run, capsys):
    assert main(["evaluate", str(run), "--split", "train"]) == 0
    assert "on 108 train images" in capsys.readouterr().out


def fails(capsys, *arguments):
    """Return what a command says that cannot do what it was asked to."""
    assert main([*map(str, arguments)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"minigrad {arguments[0]}: error: ")
    assert "Traceback" not in err
    return err


def test_a_folder_without_a_run(tmp_path, capsys):
    assert "config.json: no such file; want a folder" in one_line(fails(capsys, "evaluate", tmp_path))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"dataset": "toy"}', "\udcff"])
def test_a_config_that_is_none(content, broken, capsys):
    (broken / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert "config.json: not a configuration" in one_line(fails(capsys, "evaluate", broken))


def test_a_run_without_a_model(broken, capsys):
    (broken / "model.safetensors").unlink()
    assert "model.safetensors: no such file" in one_line(fails(capsys, "evaluate", broken))


@pytest.mark.parametrize("size", [0, 5, 100, -10])
def test_a_model_that_is_cut_off(size, broken, capsys):
    path = broken / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert "model.safetensors: not a safetensors file, or cut off or corrupt" in one_line(
        fails(capsys, "evaluate", broken)
    )


def test_the_model_of_another_config(broken, capsys):
    path = broken / "model.safetensors"
    state = load_state(path)
    state["3.weight"] = state["3.weight"][:, :4]
    save_state(path, state)
    message = fails(capsys, "evaluate", broken)
    assert "is not the model that config.json describes" in message
    assert "3.weight is (3, 8), got (3, 4)" in message


def test_a_model_that_this_version_does_not_know(broken, capsys):
    path = broken / "config.json"
    path.write_text(path.read_text().replace('"mlp"', '"transformer"'))
    assert "'transformer'" in one_line(fails(capsys, "evaluate", broken))


def test_data_that_are_gone(run, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    assert "toy was not found. Looked in:" in fails(capsys, "evaluate", run)


# ------------------------------------------------------------------------------------------------------- predict


def predicted(capsys, *arguments):
    """Return the names of the most probable classes."""
    assert main(["predict", *map(str, arguments), "--json"]) == 0
    return [image["classes"][0]["class"] for image in json.loads(capsys.readouterr().out)]


def as_idx(path, array):
    write_idx(path, array)


def as_gzip(path, array):
    write_idx(path.with_suffix(".plain"), array)
    path.write_bytes(gzip.compress(path.with_suffix(".plain").read_bytes()))


def as_npy(path, array):
    with path.open("wb") as file:
        np.save(file, array)


FORMS = {
    "N, H, W": lambda x: x,
    "N, 1, H, W": lambda x: x[:, None],
    "N, H * W": lambda x: x.reshape(len(x), -1),
    "float32": lambda x: (x / 255).astype(np.float32),
    "float64": lambda x: x / 255,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("write", [as_idx, as_gzip, as_npy])
def test_arrays_are_known_by_their_content(write, form, run, tmp_path, capsys):
    x, y = images(20, 2)
    write(tmp_path / "some.thing", FORMS[form](x))
    assert predicted(capsys, run, tmp_path / "some.thing") == [CLASSES[k] for k in y]


@pytest.mark.parametrize("shape", [SHAPE, (1, *SHAPE), (1, 1, *SHAPE), (30,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_one_image_as_an_array(shape, dtype, run, tmp_path, capsys):
    np.save(tmp_path / "one.npy", LEFT.reshape(shape).astype(dtype))
    assert predicted(capsys, run, tmp_path / "one.npy") == ["left"]


def test_inverted_arrays(run, tmp_path, capsys):
    np.save(tmp_path / "bytes.npy", 255 - LEFT)
    np.save(tmp_path / "floats.npy", 1 - LEFT / 255)
    assert predicted(capsys, run, tmp_path / "bytes.npy", tmp_path / "floats.npy", "--invert") == ["left", "left"]


def rgb(array):
    return Image.fromarray(np.stack([array] * 3, axis=-1))


def with_alpha(array):
    """Return a black drawing on nothing."""
    return Image.fromarray(np.stack([np.zeros_like(array)] * 3 + [array], axis=-1))


PICTURES = {
    "grey.png": (Image.fromarray(LEFT), []),
    "colour.jpg": (rgb(LEFT), []),
    "large.png": (Image.fromarray(LEFT).resize((50, 60)), []),
    "wide.png": (Image.fromarray(np.pad(LEFT, ((0, 0), (0, 1)))).resize((60, 60)), []),
    "palette.gif": (rgb(LEFT).quantize(16), []),
    "dark.png": (Image.fromarray(255 - LEFT), ["--invert"]),
    "transparent.png": (with_alpha(LEFT), ["--invert"]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name, run, tmp_path, capsys):
    picture, options = PICTURES[name]
    picture.save(tmp_path / name)
    assert predicted(capsys, run, tmp_path / name, *options) == ["left"]


def test_predictions_in_words(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_idx("two.idx", np.stack([LEFT, np.zeros_like(LEFT)]))
    Image.fromarray(LEFT).save("left.png")
    assert main(["predict", str(run), "two.idx", "left.png", "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["two.idx[0]", "left"],
        ["two.idx[1]", "dark"],
        ["left.png[0]", "left"],
    ]
    assert all(line.count("%") == 2 for line in lines)


def test_predictions_as_json(run, tmp_path, capsys):
    np.save(tmp_path / "one.npy", LEFT)
    assert main(["predict", str(run), str(tmp_path / "one.npy"), "--top", "99", "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert (image["file"], image["index"]) == (str(tmp_path / "one.npy"), 0)
    shares = [best["probability"] for best in image["classes"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert {best["label"]: best["class"] for best in image["classes"]} == dict(enumerate(CLASSES))


BAD_ARRAYS = {
    "want images of 6 x 5 pixels, got an array of shape (2, 28, 28)": np.zeros((2, 28, 28), np.uint8),
    "got an array of shape (5, 6)": np.zeros((5, 6), np.uint8),
    "got an array of shape ()": np.zeros(()),
    "got an empty array (0, 6, 5)": np.zeros((0, *SHAPE), np.uint8),
    "want floats from 0 to 1, got 0 to 255": np.linspace(0, 255, 30),
    "got nan to nan": np.full(30, np.nan),
    "want integers from 0 to 255, got -1 to": np.arange(-1, 29),
    "want integers from 0 to 255 or floats from 0 to 1, got complex128": np.zeros(30, complex),
    "allow_pickle": np.full(30, None),
}


@pytest.mark.parametrize("message", BAD_ARRAYS)
def test_arrays_that_are_no_images(message, run, tmp_path, capsys):
    np.save(tmp_path / "bad.npy", BAD_ARRAYS[message], allow_pickle=True)
    err = one_line(fails(capsys, "predict", run, tmp_path / "bad.npy"))
    assert f"{tmp_path / 'bad.npy'}: " in err
    assert message in err


def png_bytes(folder):
    Image.fromarray(LEFT).resize((90, 90)).save(folder / "whole.png")
    return (folder / "whole.png").read_bytes()


BAD_FILES = {
    "text": lambda folder: b"This is not an image.\n",
    "empty": lambda folder: b"",
    "cut off picture": lambda folder: png_bytes(folder)[:100],
    "cut off npy": lambda folder: b"\x93NUMPY\x01\x00",
    "cut off idx": lambda folder: b"\0\0\x08\x03\0\0\0\x01",
    "damaged gzip": lambda folder: gzip.compress(b"\0\0\x08\x03")[:-4],
    "gzip of something else": lambda folder: gzip.compress(b"some text"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_files_that_are_no_images(kind, run, tmp_path, capsys):
    path = tmp_path / "file"
    path.write_bytes(BAD_FILES[kind](tmp_path))
    assert f"error: {path}: " in one_line(fails(capsys, "predict", run, path))


def test_a_file_that_is_not_there(run, tmp_path, capsys):
    path = tmp_path / "missing.png"
    assert one_line(fails(capsys, "predict", run, path)).endswith(f"{path}: No such file or directory\n")


def test_without_pillow(run, tmp_path, capsys, monkeypatch):
    Image.fromarray(LEFT).save(tmp_path / "left.png")
    np.save(tmp_path / "left.npy", LEFT)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "images need Pillow: pip install minigrad[image]" in one_line(
        fails(capsys, "predict", run, tmp_path / "left.png")
    )
    assert predicted(capsys, run, tmp_path / "left.npy") == ["left"]
