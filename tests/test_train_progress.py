import io
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from rich.console import Console

from minigrad import engine, nn, optim
from minigrad.train import Callback, EarlyStopping, Trainer
from minigrad.train.progress import LiveBar, PlainLines, Silence, reporter

X, Y = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32), np.arange(40) % 3


@pytest.fixture(autouse=True)
def _nothing_else_to_say(monkeypatch):
    """Have the kernels compiled, and said what this process cannot compile."""
    monkeypatch.setattr("minigrad.train.steps._said_in_this_process", {engine.why_nothing()})
    make().fit((X, Y), (X, Y), epochs=1)


def make(*callbacks, progress=False, **options):
    model = nn.Linear(5, 3, rng=0)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    return Trainer(model, nn.CrossEntropyLoss(), sgd, callbacks=callbacks, progress=progress, **options)


def on_terminal(trainer, monkeypatch, width=100, **fit):
    """Return what a fit writes to a terminal."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, _environ={})
    monkeypatch.setattr("minigrad.train.trainer.reporter", lambda wanted: LiveBar(console))
    trainer.fit((X, Y), **fit)
    return console.file.getvalue()


def visible(text):
    """Return the lines without control sequences."""
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()]


@pytest.mark.parametrize("progress", [None, True])
def test_plain_lines_where_output_is_no_terminal(capsys, progress):
    make(progress=progress).fit((X, Y), (X, Y), epochs=2)
    output, errors = capsys.readouterr()
    number = r"\d\.\d{4}"
    assert errors == ""
    for epoch, line in enumerate(output.splitlines(), 1):
        assert re.fullmatch(
            rf"epoch {epoch}/2  loss {number}  accuracy {number}  "
            rf"val_loss {number}  val_accuracy {number}  lr 0\.1  seconds \d+\.\d",
            line,
        )
    assert output.count("\n") == 2
    assert output.replace("\n", "").isprintable()


def test_silence(capsys):
    make(EarlyStopping("loss"), progress=False).fit((X, Y), epochs=2)
    assert capsys.readouterr() == ("", "")


def test_the_end_is_said_in_one_line(capsys):
    class Stop(Callback):
        def on_step_end(self, trainer):
            if trainer.epoch == 2:
                raise self.error

    stop = Stop()
    stop.error = KeyboardInterrupt()
    make(stop, EarlyStopping("loss"), progress=True).fit((X, Y), epochs=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("weights of epoch 1: loss 1.")
    assert lines[2:] == ["interrupted in epoch 2: the history has 1 whole epochs"]

    stop.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        make(stop, progress=True).fit((X, Y), epochs=3)
    assert capsys.readouterr().out.splitlines()[1:] == ["ended by an error in epoch 2"]

    make(EarlyStopping("loss", patience=1, min_delta=9), progress=True).fit((X, Y), epochs=3)
    assert capsys.readouterr().out.splitlines()[-1] == "stopped after epoch 2: early"


def test_a_terminal_gets_a_table_and_a_live_bar(monkeypatch):
    monkeypatch.setattr("minigrad.train.progress.REFRESH_SECONDS", 0)
    output = on_terminal(make(EarlyStopping("loss")), monkeypatch, epochs=2, batch_size=8)
    lines = visible(output)
    table = [line for line in lines if re.match(r" +(epoch|[12]) +", line)]
    assert table[0].split() == ["epoch", "loss", "accuracy", "lr", "seconds"]
    assert [line.split()[0] for line in table[1:]] == ["1", "2"]
    assert len({len(line) for line in table}) == 1
    assert re.search(r"epoch 1/2 .* 3/5 +loss \d\.\d{4}", "\n".join(lines))
    assert "weights of epoch 2" in output
    assert "\x1b[?25h" in output  # the cursor is back


def test_the_bar_is_rate_limited(monkeypatch):
    monkeypatch.setattr("minigrad.train.steps.SECONDS", 0)  # each step is a call of its own
    few = on_terminal(make(), monkeypatch, epochs=1, batch_size=1)
    monkeypatch.setattr("minigrad.train.progress.REFRESH_SECONDS", 0)
    many = on_terminal(make(), monkeypatch, epochs=1, batch_size=1)
    assert len(many) > 3 * len(few)


def test_the_display_ends_with_an_exception(monkeypatch):
    class Fail(Callback):
        def on_step_end(self, trainer):
            raise ZeroDivisionError

    console = Console(file=io.StringIO(), force_terminal=True, _environ={})
    monkeypatch.setattr("minigrad.train.trainer.reporter", lambda wanted: LiveBar(console))
    with pytest.raises(ZeroDivisionError):
        make(Fail()).fit((X, Y), epochs=1)
    assert "\x1b[?25h" in console.file.getvalue()
    assert "ended by an error in epoch 1" in console.file.getvalue()


def test_the_reporter_fits_the_output(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    assert type(reporter(None)) is PlainLines
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert type(reporter(None)) is type(reporter(True)) is LiveBar
    assert type(reporter(False)) is Silence
    monkeypatch.setenv("TERM", "dumb")
    assert type(reporter(None)) is PlainLines


def test_rich_is_not_imported_for_plain_lines():
    code = """
import sys
import numpy as np
from minigrad import nn, optim
from minigrad.train import Trainer
model = nn.Linear(5, 3)
trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1))
trainer.fit((np.ones((8, 5), np.float32), np.ones((8, 3), np.float32)), epochs=1)
assert "rich" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_step_of_the_bar_costs_microseconds():
    bar, trainer = LiveBar(Console(file=io.StringIO(), force_terminal=True, _environ={})), make()
    trainer.steps = 10
    bar.on_fit_start(trainer)
    bar.on_epoch_start(trainer)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(1000):
            bar._next = float("inf")
            bar.on_step_end(trainer)
        times.append(time.perf_counter() - start)
    bar._bar.stop()
    assert min(times) / 1000 < 20e-6
