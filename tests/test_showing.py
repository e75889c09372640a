"""Objects are shown in one line, and tables as tables in a notebook."""

import numpy as np
import pytest

from minigrad import data, nn, optim
from minigrad.showing import briefly
from minigrad.train import (
    Averaging,
    Callback,
    Checkpoint,
    CSVLog,
    EarlyStopping,
    History,
    LRSchedule,
    Monitor,
    StopOnNaN,
    Trainer,
)

MODEL = nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU())
ADAM = optim.Adam(MODEL.parameters(), lr=0.01)
X, Y = np.ones((8, 1, 4, 4), np.uint8), np.zeros(8, int)

SHOWN = {
    "EarlyStopping(monitor=Monitor(column='val_accuracy'), patience=3)": EarlyStopping("val_accuracy", patience=3),
    "Monitor(column='loss', mode='min')": Monitor("loss", "min"),
    "StopOnNaN()": StopOnNaN(),
    "Checkpoint(folder=PosixPath('runs'), keep_every=5)": Checkpoint("runs", keep_every=5),
    "CSVLog(path=PosixPath('log.csv'))": CSVLog("log.csv"),
    "LRSchedule(scheduler=StepLR(optimizer=Adam(...), step_size=2, last_epoch=0), every='step')": LRSchedule(
        optim.StepLR(ADAM, 2), every="step"
    ),
    "Averaging(ema=EMA(...))": Averaging(optim.EMA(MODEL.parameters(), 0.9)),
    "Trainer(model=Sequential(...), loss=MSELoss(reduction='mean'), optimizer=Adam(...), clip_norm=1.0, "
    "callbacks=[StopOnNaN()], progress=False)": Trainer(
        MODEL, nn.MSELoss(), ADAM, clip_norm=1.0, callbacks=[StopOnNaN()], progress=False
    ),
    "Loader(data=ArrayDataset(x=uint8 (8, 1, 4, 4), y=int64 (8,)), batch_size=4, shuffle=True, mean=0.5, "
    "augment=Augmentation(...))": data.Loader((X, Y), 4, shuffle=True, mean=0.5, augment=data.Augmentation(flip=0.5)),
    "Subset(2 of [([1.0], 0), ([2.0], 1)])": data.samples.Subset([([1.0], 0), ([2.0], 1)], [0, 1]),
    "ArrayDataset(x=uint8 (8, 1, 4, 4), y=int64 (8,))": data.ArrayDataset(X, Y),
}


@pytest.mark.parametrize("text", SHOWN)
def test_shown_as_a_call(text):
    assert repr(SHOWN[text]) == text


def test_a_callback_of_ones_own_is_shown_whatever_it_keeps():
    class Mine(Callback):
        def __init__(self, folder, values, often=2):
            self.values, self._folder = values, folder

    assert repr(Mine("a", np.ones((3, 2)))) == "Mine(values=float64 (3, 2))"


def test_what_is_long_is_named():
    assert briefly("a" * 99) == "str(...)"
    assert briefly(object()) == "object(...)"
    assert briefly([1, "a"]) == "[1, 'a']"


def test_tables_in_a_notebook():
    summary = MODEL.summary((1, 3))
    assert repr(summary) == str(summary)
    assert summary._repr_html_().count("<tr>") == 4
    html = History([{"epoch": 1, "loss": 0.123456}, {"epoch": 2, "loss": 0.1, "<b>": 1}])._repr_html_()
    assert "<td>0.1235</td>" in html
    assert "&lt;b&gt;" in html
