"""The command line where packages are missing, and where standard output is no ordinary one."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.cli import main
from minigrad.train import Trainer
from tests.cli_toy import FILES, names, one_line, toy_in_catalog, train, train_toy

HIDING = """
import sys
hidden = sys.argv.pop(1).split(",")

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name.split(".")[0] in hidden else find_spec(name, *more)
sys.meta_path.insert(0, Hide())
"""
TRAINING = """
import numpy as np
from minigrad import data, nn, optim
from minigrad.io import load_state, load_torch, save_state, save_torch
from minigrad.train import Checkpoint, EarlyStopping, Trainer

x, y = np.random.default_rng(0).standard_normal((60, 4)), np.arange(60) % 3
model = nn.Sequential(nn.Linear(4, 8, rng=0), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3, rng=1))
adam = optim.Adam(model.parameters())
trainer = Trainer(model, nn.CrossEntropyLoss(), adam, callbacks=[EarlyStopping(), Checkpoint(sys.argv[1])])
trainer.fit((x, y), (x, y), epochs=2)
save_torch(sys.argv[1] + "/a.pth", model.state_dict())
model.load_state_dict(load_torch(sys.argv[1] + "/a.pth"))
model.load_state_dict(load_state(sys.argv[1] + "/best.safetensors"))
print(trainer.predict(x).shape)
"""
COMMAND = """
from minigrad.cli import main
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def toy(tmp_path):
    with toy_in_catalog(tmp_path) as patch:
        yield patch


def without(hidden, script, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", HIDING + script, hidden, *map(str, arguments)], capture_output=True, text=True, **options
    )


def test_numpy_and_safetensors_are_enough_to_train_in_python(tmp_path):
    done = without("numba,llvmlite,rich,pooch,matplotlib,PIL,scipy", TRAINING, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("(60, 3)\n")


@pytest.mark.parametrize(
    ("hidden", "command", "words"),
    [
        ("safetensors", ["train", "mnist"], "this needs safetensors: pip install safetensors"),
        ("safetensors", ["evaluate", "run"], "this needs safetensors: pip install safetensors"),
        ("safetensors", ["predict", "run", "a.png"], "this needs safetensors: pip install safetensors"),
        ("numba", ["warmup"], "there is nothing to compile"),
        (
            "pooch",
            ["data", "fetch", "mnist", "--to", "nowhere"],
            "downloading needs the package pooch",
        ),
    ],
)
def test_what_a_command_needs_is_said_at_its_start(hidden, command, words, tmp_path):
    done = without(hidden, COMMAND, *command, cwd=tmp_path)
    assert done.returncode == 1
    assert words in one_line(done.stderr)


@pytest.mark.parametrize("hidden", ["rich", "pooch", "numba", "matplotlib", "PIL"])
def test_a_run_from_beginning_to_end_without(hidden, tmp_path, monkeypatch, capsys):
    """In this process, as a toy is no data set of another one."""
    for name in [name for name in sys.modules if name.split(".")[0] == hidden and hidden != "numba"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, hidden, None)
    assert train(tmp_path, "--eager") == 0
    assert set(FILES) - {"curves.png", "confusion.png"} <= set(names(tmp_path / "run"))
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    np.save(tmp_path / "a.npy", np.zeros((2, 6, 5), np.uint8))
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "a.npy")]) == 0


class Log:
    """A standard output of somebody's own, with nothing but what print needs."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_a_standard_output_that_cannot_say_what_it_is(monkeypatch):
    log, model = Log(), nn.Linear(3, 2, rng=0)
    monkeypatch.setattr(sys, "stdout", log)
    Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1)).fit(
        (np.ones((4, 3)), [0, 1, 1, 0]), epochs=1
    )
    assert log.text.startswith("epoch 1/1  loss ")


def test_no_standard_output(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdout", None)
    assert train(tmp_path) == 0


def test_a_narrow_encoding_shows_escapes(tmp_path, monkeypatch, toy):
    run = train_toy(tmp_path)
    config = (run / "config.json").read_text().replace('"dark"', '"d\\u00fcster"').replace('"left"', '"l\\u00e4nks"')
    (run / "config.json").write_text(config.replace('"right"', '"r\\u00e9chts"'))
    file = tmp_path / "zür.npy"
    np.save(file, np.zeros((1, 6, 5), np.uint8))
    raw = io.BytesIO()
    narrow = io.TextIOWrapper(raw, "ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", narrow)
    assert main(["predict", str(run), str(file)]) == 0
    assert rb"z\\xfcr.npy[0]" in raw.getvalue().replace(b"\\", b"\\\\")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="wants a device that is always full")
def test_a_full_disk_is_said_once(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "minigrad", "recipes"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, one_line(done.stderr)) == (
        1,
        "minigrad recipes: error: [Errno 28] No space left on device\n",
    )


@pytest.mark.skipif(os.name != "posix", reason="wants pipes that have names")
def test_predict_reads_pipes_and_standard_input(tmp_path, monkeypatch, capsys):
    run, file = train_toy(tmp_path), tmp_path / "a.npy"
    np.save(file, np.full((1, 6, 5), 200, np.uint8))
    assert main(["predict", str(run), str(file)]) == 0
    expected = capsys.readouterr().out.partition("]")[2]
    reading, writing = os.pipe()
    os.write(writing, file.read_bytes())
    os.close(writing)
    assert main(["predict", str(run), f"/dev/fd/{reading}"]) == 0
    os.close(reading)
    assert capsys.readouterr().out.partition("]")[2] == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    assert main(["predict", str(run), "-"]) == 0
    assert capsys.readouterr().out.partition("]")[2] == expected


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("mean", '"x"', "want mean to be a number"),
        ("std", "0", "want std to be above 0"),
        ("shape", "[1, 6]", "want shape to be three whole numbers above 0"),
        ("classes", "[]", "want classes to be names"),
        ("size", "[3]", "want size to be null or two whole numbers"),
        ("size", "[1e30, 1e30]", "want size to be null or two whole numbers from 1 to 65535"),
        ("channels", "1000000000000000000000", "want channels to be null or a whole number from 1 to 65535"),
        ("mean", "[0, 0, 0]", "want mean to be a number, or one for each channel"),
        ("mean", "1000000000000000000000000000000", "want mean to be below 1e+18"),
        ("options", "{}", "want options to have dataset, a name"),
        (
            "model",
            '{"name": "mlp", "in_features": 30, "hidden": "a"}',
            "is not the model that config.json",
        ),
    ],
)
def test_a_configuration_that_somebody_edited(field, value, words, tmp_path, capsys):
    run = train_toy(tmp_path)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {field: json.loads(value)}))
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 1
    assert words in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": {"name": "mlp", "in_features": 30, "hiden": [8]}}, "unexpected keyword argument 'hiden'"),
        ({"options": "batch_norm"}, "config.json: want options to have batch_norm"),
    ],
)
def test_a_configuration_that_finetune_cannot_take(change, words, tmp_path, capsys):
    run = train_toy(tmp_path)
    config = json.loads((run / "config.json").read_text())
    if lacking := change.pop("options", None):
        del config["options"][lacking]
    (run / "config.json").write_text(json.dumps(config | change))
    capsys.readouterr()
    assert main(["finetune", "toy", "--weights", str(run), "--quiet", "--out", str(tmp_path / "tuned")]) == 1
    assert words in one_line(capsys.readouterr().err)


def test_sizes_that_no_memory_has(tmp_path, capsys):
    run, header = train_toy(tmp_path), b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000,), }"
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    (tmp_path / "lies.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    capsys.readouterr()
    assert main(["predict", str(run), str(tmp_path / "lies.npy")]) == 1
    assert "lies.npy: not an array that can be read" in one_line(capsys.readouterr().err)
    assert main(["train", "toy", "--hidden", "100000000000000", "--epochs", "1", "--out", str(tmp_path / "x")]) == 1
    assert "there is not enough memory" in one_line(capsys.readouterr().err)


def test_what_predict_cannot_read_is_one_line(tmp_path, monkeypatch, capsys):
    run = train_toy(tmp_path)
    monkeypatch.setattr(sys, "stdin", None)
    empty, text, deep = tmp_path / "empty", tmp_path / "text.csv", tmp_path / "deep.npy"
    empty.touch()
    text.write_text("1,2,3\n")
    np.save(deep, np.full((1, 6, 5), 60000, np.uint16))
    for file, words in {
        "-": "-: standard input is closed",
        empty: "empty: the file is empty",
        text: "text.csv: neither an image of a known format, nor IDX, nor .npy\n",
        deep: "want integers from 0 to 255, got 60000 to 60000; scale them: images / largest * 255, as uint8",
        tmp_path / "two\nlines": "two lines: No such file or directory",
        tmp_path: "Is a directory",
    }.items():
        capsys.readouterr()
        assert main(["predict", str(run), str(file)]) == 1
        assert words in one_line(capsys.readouterr().err)


def test_what_pillow_logs_is_not_said_beside_the_error(tmp_path, capfd):
    """Of a TIFF with too many samples Pillow says two things: one raised, one logged."""
    image = pytest.importorskip("PIL.Image")
    run, file = train_toy(tmp_path), tmp_path / "a.tif"
    image.fromarray(np.zeros((6, 5, 3), np.uint8)).save(file)
    content = bytearray(file.read_bytes())
    at = content.index(b"\x15\x01\x03\x00")  # the tag SamplesPerPixel, a short
    content[at + 8 : at + 10] = b"\xff\xd7"
    file.write_bytes(content)
    code = "import sys; from minigrad.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, "predict", str(run), str(file)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "neither an image" in one_line(done.stderr)


@pytest.mark.parametrize("name", ["MINIGRAD_KERNELS", "MINIGRAD_NUM_THREADS"])
def test_an_environment_that_cannot_be_understood(name, tmp_path):
    environment, words = os.environ | {name: "abc"}, f"{name}='abc': want"
    info, warmup = (
        subprocess.run([sys.executable, "-m", "minigrad", command], env=environment, capture_output=True, text=True)
        for command in ("info", "warmup")
    )
    assert info.returncode == 0, info.stderr
    assert words in info.stdout
    assert warmup.returncode == 1
    assert words in one_line(warmup.stderr)


def test_kernels_that_do_not_exist(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "minigrad", "train", "mnist"],
        env=os.environ | {"MINIGRAD_KERNELS": "abc"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "MINIGRAD_KERNELS='abc': want 'jit' or 'reference'" in one_line(done.stderr)
