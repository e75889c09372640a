import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")

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


def test_a_real_ctrl_c_ends_cleanly(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        epochs = (line for line in process.stdout if line.startswith("epoch "))
        lines = [next(epochs), next(epochs)]
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert lines[0].startswith("epoch 1/1000000  loss ")
    assert process.returncode == 0, errors
    assert errors == ""
    assert "interrupted in epoch" in output
    assert "stopped interrupted stack 0 0" in output
    assert output.endswith("all well\n")
    assert {path.name for path in tmp_path.iterdir()} == {"best.safetensors", "last.safetensors", "log.csv"}
