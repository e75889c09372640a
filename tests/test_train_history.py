import json
import math

import pytest

from minigrad.train import History, Monitor

ROWS = [
    {"epoch": 1, "loss": 0.9, "accuracy": 0.5, "val_loss": math.nan},
    {"epoch": 2, "loss": 0.6, "accuracy": 0.75, "val_loss": 0.5},
    {"epoch": 3, "loss": 0.7, "accuracy": 0.7, "val_loss": 0.5, "lr": 0.1},
]


def test_columns_rows_and_length():
    history = History(ROWS)
    assert len(history) == 3
    assert history.columns == ["epoch", "loss", "accuracy", "val_loss", "lr"]
    assert history["loss"] == [0.9, 0.6, 0.7]
    assert math.isnan(history["lr"][0])
    assert history["lr"][2] == 0.1
    assert "epochs=3" in repr(history)


def test_an_unknown_column_lists_the_columns():
    with pytest.raises(KeyError, match="no column 'val_acc', there are epoch, loss, accuracy, val_loss, lr"):
        History(ROWS)["val_acc"]
    with pytest.raises(KeyError, match="none yet"):
        History()["loss"]


def test_best_knows_which_way_is_better_and_takes_the_first_of_equals():
    history = History(ROWS)
    assert history.best("loss")["epoch"] == 2
    assert history.best("accuracy")["epoch"] == 2
    assert history.best("val_loss")["epoch"] == 2
    assert history.best("accuracy", mode="min")["epoch"] == 1


def test_best_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"History.best: no column 'val_error' .* there are epoch, loss"):
        History(ROWS).best("val_error")
    with pytest.raises(ValueError, match="no finite value of 'val_loss' in 1 epochs"):
        History(ROWS[:1]).best()
    with pytest.raises(ValueError, match="'auto' does not know 'lr': say mode='min' or mode='max'"):
        History(ROWS).best("lr")
    with pytest.raises(ValueError, match="want 'min', 'max' or 'auto', got 'up'"):
        History(ROWS).best("lr", mode="up")


def test_save_and_load_keep_everything(tmp_path):
    path = tmp_path / "history.json"
    History(ROWS, "early").save(path)
    again = History.load(path)
    assert again.stopped == "early"
    assert repr(again.rows) == repr(ROWS)
    assert json.loads(path.read_text(), parse_constant=pytest.fail)["rows"][0]["val_loss"] is None
    assert [file.name for file in tmp_path.iterdir()] == ["history.json"]


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"rows": 3, "stopped": null}', '{"stopped": null}'])
def test_load_refuses_other_files_by_name(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"other.json: not a history"):
        History.load(path)


def test_monitor_needs_more_than_min_delta_and_something_finite():
    monitor = Monitor("val_loss", min_delta=0.1)
    assert monitor.is_better(5.0, None)
    assert not monitor.is_better(0.95, 1.0)
    assert monitor.is_better(0.85, 1.0)
    assert not monitor.is_better(math.nan, None)
    assert not monitor.is_better(-math.inf, None)
    with pytest.raises(ValueError, match="min_delta"):
        Monitor("val_loss", min_delta=-1)
