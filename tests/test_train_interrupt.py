import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.train import Callback, Trainer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

SCRIPT = """
import signal
import sys
import numpy as np
from minigrad import nn, optim
from minigrad.io import load_state
from minigrad.train import Callback, Checkpoint, CSVLog, EarlyStopping, Trainer

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore

class Keep(Callback):
    states = []

    def on_epoch_end(self, trainer, row):
        self.states.append(trainer.model.state_dict())

rng = np.random.default_rng(0)
x, y = rng.standard_normal((2000, 5)).astype(np.float32), rng.integers(0, 3, 2000)
model = nn.Sequential(nn.Linear(5, 7, rng=0), nn.BatchNorm1d(7), nn.Linear(7, 3, rng=1))
loss = nn.CrossEntropyLoss()
folder = sys.argv[1]
early = EarlyStopping(patience=10**9)
trainer = Trainer(
    model, loss, optim.Adam(model.parameters()),
    callbacks=[Keep(), early, Checkpoint(folder), CSVLog(folder + "/log.csv")],
)
history = trainer.fit((x, y), (x, y), epochs=10**6, batch_size=16)
print("stopped", history.stopped, "stack", len(model._saved), len(loss._saved))
assert history is trainer.history and len(history) >= 1
best = Keep.states[early.best_epoch - 1]
assert all((array == best[name]).all() for name, array in model.state_dict().items())
load_state(folder + "/best.safetensors")
again = Trainer(
    model, loss, trainer.optimizer, callbacks=[EarlyStopping(patience=10**9), Checkpoint(folder)], progress=False
)
again.resume(folder)
assert len(again.history) in (len(history), len(history) - 1)
print("all well")
"""


@pytest.mark.parametrize(
    ("sent", "stopped"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_real_signal_ends_cleanly(tmp_path, sent, stopped):
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        epochs = (line for line in process.stdout if line.startswith("epoch "))
        lines = [next(epochs), next(epochs)]
        process.send_signal(sent)
        output, errors = process.communicate(timeout=60)
    assert lines[0].startswith("epoch 1/1000000  loss ")
    assert process.returncode == 0, errors
    assert errors == ""
    assert f"{stopped} in epoch" in output
    assert f"stopped {stopped} stack 0 0" in output
    assert output.endswith("all well\n")
    assert {path.name for path in tmp_path.iterdir()} == {"best.safetensors", "last.safetensors", "log.csv"}


def fit_with(*callbacks):
    model = nn.Linear(3, 2, rng=0)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    run = Trainer(model, nn.CrossEntropyLoss(), sgd, callbacks=callbacks, progress=False)
    return run.fit((np.eye(3, dtype=np.float32), np.array([0, 1, 1])), epochs=3)


class Send(Callback):
    """Sends SIGTERM to this process, and has seen which handler there was."""

    def on_epoch_start(self, trainer):
        self.handler = signal.getsignal(signal.SIGTERM)
        if callable(self.handler):
            signal.raise_signal(signal.SIGTERM)

    def on_fit_end(self, trainer):
        self.handler_in_the_end = signal.getsignal(signal.SIGTERM)


@pytest.fixture
def _default_handler():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_default_handler")
def test_the_handler_is_there_while_a_fit_runs_and_a_second_signal_is_the_systems():
    send = Send()
    assert fit_with(send).stopped == "terminated"
    assert send.handler is not signal.SIG_DFL
    assert send.handler_in_the_end is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert fit_with().stopped is None


@pytest.mark.usefixtures("_default_handler")
def test_a_handler_of_ones_own_is_left_alone():
    came = []
    signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    assert fit_with(Send()).stopped is None
    assert came == [signal.SIGTERM] * 3


@pytest.mark.usefixtures("_default_handler")
def test_another_thread_has_no_handler():
    send = Send()
    thread = threading.Thread(target=fit_with, args=(send,))
    thread.start()
    thread.join()
    assert send.handler is signal.SIG_DFL
