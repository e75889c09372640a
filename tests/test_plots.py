import subprocess
import sys

import numpy as np
import pytest

from minigrad import plots
from minigrad.train import History

PNG = b"\x89PNG\r\n\x1a\n"


def run(epochs=3, *columns):
    columns = columns or ("loss", "accuracy", "val_loss", "val_accuracy")
    return History([{"epoch": e + 1} | dict.fromkeys(columns, 1 / (e + 2)) for e in range(epochs)])


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, to look at."""
    figures, save = [], plots._save

    def keep(figure, path):
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(plots, "_save", keep)
    return figures


def test_curves_are_dashed_in_training_and_solid_in_validation(tmp_path, drawn):
    plots.curves({"small": run(), "large": run(5)}, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)
    loss, accuracy = drawn[0].axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    assert [line.get_linestyle() for line in loss.lines] == ["--", "-", "--", "-"]
    colours = [line.get_color() for line in accuracy.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert list(loss.lines[3].get_xdata()) == [1, 2, 3, 4, 5]
    legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert legend == ["small", "large", "training", "validation"]


def test_curves_without_accuracy_or_validation(tmp_path, drawn):
    plots.curves({"regression": run(1, "loss")}, tmp_path / "curves.svg")
    assert b"<svg" in (tmp_path / "curves.svg").read_bytes()
    assert len(drawn[0].axes) == 1
    assert len(drawn[0].axes[0].lines) == 1


def test_curves_of_many_runs_have_many_colours(tmp_path, drawn):
    plots.curves({f"run {i}": run() for i in range(12)}, tmp_path / "curves")
    assert (tmp_path / "curves").read_bytes().startswith(PNG)
    assert len({line.get_color() for line in drawn[0].axes[0].lines}) == 12


@pytest.mark.parametrize("histories", [{}, {"nothing": History()}])
def test_curves_need_an_epoch(tmp_path, histories):
    with pytest.raises(ValueError, match="want at least one history with an epoch"):
        plots.curves(histories, tmp_path / "curves.png")


def test_confusion_matrix_has_its_numbers_in_the_cells(tmp_path, drawn):
    matrix = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    plots.confusion_matrix(matrix, ["cat", "dog", "cow"], tmp_path / "matrix.png")
    axes = drawn[0].axes[0]
    assert [int(text.get_text()) for text in axes.texts] == matrix.ravel().tolist()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "cow"]
    assert axes.get_title() == "85.00% of 20 right"


def test_confusion_matrix_wants_a_name_for_each_class(tmp_path):
    with pytest.raises(ValueError, match=r"want a matrix \(2, 2\) for 2 classes, got \(3, 3\)"):
        plots.confusion_matrix(np.eye(3), ["a", "b"], tmp_path / "matrix.png")
    assert not list(tmp_path.iterdir())


def test_a_failed_picture_leaves_the_old_file(tmp_path):
    path = tmp_path / "curves.nonsense"
    path.write_text("old")
    with pytest.raises(ValueError, match="nonsense"):
        plots.curves({"run": run()}, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_matplotlib_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install minigrad\[plot\]"):
        plots.curves({"run": run()}, tmp_path / "curves.png")


def test_pyplot_is_never_touched(tmp_path):
    code = f"""
import sys
from minigrad import plots
assert "matplotlib" not in sys.modules
plots.confusion_matrix([[1]], ["a"], {str(tmp_path / "m.png")!r})
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
