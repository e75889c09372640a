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


def test_the_legend_of_one_run_names_its_lines(tmp_path, drawn):
    plots.curves({"fashion-mnist": run(5)}, tmp_path / "curves.png", {"fashion-mnist": 4})
    (legend,), (loss, _) = drawn[0].legends, drawn[0].axes
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation", "chosen epoch"]
    assert drawn[0].get_suptitle() == "fashion-mnist"
    training, validation, ring = loss.lines
    handles = legend.get_lines()
    assert [line.get_linestyle() for line in handles[:2]] == ["--", "-"]
    assert {line.get_color() for line in handles} == {training.get_color()}
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (4, validation.get_ydata()[3])


def test_the_legend_names_no_line_that_is_not_drawn(tmp_path, drawn):
    plots.curves({"a": run(2, "loss"), "b": run(2, "loss")}, tmp_path / "curves.png", {"a": 9})
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["a", "b", "training"]


def test_names_are_no_formulas(tmp_path, drawn):
    names = ["$1-$5_", "a $^$", "_hidden"]
    plots.curves({name: run() for name in names}, tmp_path / "curves.png")
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()][:3] == names
    plots.curves({"lr=$x^$": run()}, tmp_path / "curves.png")
    plots.confusion_matrix(np.eye(3), names, tmp_path / "matrix.png")
    assert [label.get_text() for label in drawn[-1].axes[0].get_yticklabels()] == names


def test_classes_may_be_numbers(tmp_path, drawn):
    plots.confusion_matrix(np.eye(2), [3, 5], tmp_path / "matrix.png")
    assert [label.get_text() for label in drawn[0].axes[0].get_xticklabels()] == ["3", "5"]


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
