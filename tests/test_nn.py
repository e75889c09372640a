"""What modules do beside their arithmetic: errors, state, containers as lists, dropout, summary, observers."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from minigrad import nn
from minigrad.gradcheck import gradcheck
from tests.backend import fewer


def test_error_names_the_path() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Residual(nn.Sequential(nn.Linear(6, 5), nn.Linear(4, 6))))
    message = "Sequential[1].body[1].Linear: want input of shape (*, 4), got (2, 5)"
    with pytest.raises(nn.LayerError, match=f"^{re.escape(message)}$"):
        model(np.ones((2, 3, 2), np.float32))
    with pytest.raises(nn.LayerError, match=f"^{re.escape(message)}$"):
        model.vjp(np.ones((2, 3, 2), np.float32))


def test_branches_must_agree() -> None:
    with pytest.raises(nn.LayerError, match=r"Sum: want branches of one shape, got \(4, 7\), \(4, 6\)"):
        nn.Sum(nn.Linear(3, 7), nn.Linear(3, 6))(np.ones((4, 3), np.float32))
    with pytest.raises(nn.LayerError, match=r"Concat: want outputs that agree but for axis 0"):
        nn.Concat(nn.Linear(3, 7), nn.Linear(3, 6), axis=0)(np.ones((4, 3), np.float32))
    for container in (nn.Sum, nn.Concat):
        with pytest.raises(ValueError, match="at least one branch"):
            container()
    with pytest.raises(TypeError, match=r"Sequential: want modules, got function as child 1"):
        nn.Sequential(nn.ReLU(), lambda x: x)


def test_backward_without_forward() -> None:
    layer = nn.Linear(3, 2)
    with pytest.raises(nn.BackwardError, match="Linear: backward without forward"):
        layer.backward(np.ones((4, 2), np.float32))
    with nn.no_grad():
        layer(np.ones((4, 3), np.float32))
    with pytest.raises(nn.BackwardError, match="Linear: backward without forward"):
        layer.backward(np.ones((4, 2), np.float32))


@pytest.mark.parametrize(
    "dy", [np.ones((2, 4), np.float32), np.ones((4, 2)), [[1.0, 1.0]] * 4], ids=["shape", "dtype", "list"]
)
def test_wrong_cotangent(dy: object) -> None:
    layer = nn.Linear(3, 2)
    layer(np.ones((4, 3), np.float32))
    with pytest.raises(nn.BackwardError, match=r"Linear.backward: want dy like the output, float32 \(4, 2\)"):
        layer.backward(dy)
    assert len(layer._saved) == 1  # the right one can still come


def test_forwards_without_backward_are_noticed() -> None:
    layer = nn.Tanh()
    for _ in range(64):
        layer(np.ones(3))
    with pytest.raises(nn.BackwardError, match="64 forwards without a backward; wrap an evaluation"):
        layer(np.ones(3))


def test_a_forward_whose_loss_failed_is_forgotten() -> None:
    """However many batches a user skips; what came before them keeps its backward."""
    model, loss = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh()), nn.CrossEntropyLoss()
    x = np.ones((4, 3), np.float32)
    first = model(x)
    for _ in range(100):
        with pytest.raises(ValueError, match="want class indices"):
            loss(model(x).reshape(4, 2), np.full(4, 7))
    value = loss(model(x), np.zeros(4, np.int64))
    assert value > 0
    assert len(model._saved) == 2
    model.backward(loss.backward())
    model.backward(np.ones_like(first))
    assert len(model._saved) == len(loss._saved) == 0


def test_a_layer_that_returns_its_input_may_be_tried_again() -> None:
    layer, loss, x = nn.Identity(), nn.MSELoss(), np.ones((4, 3))
    with pytest.raises(ValueError, match="want a target"):
        loss(layer(x), np.ones(7))
    loss(layer(x), x)
    layer(np.ones(5))
    assert len(layer._saved) == 2


def test_mismatched_state_lists_everything() -> None:
    model = nn.Sequential(nn.Linear(3, 7), nn.BatchNorm1d(7), nn.Linear(7, 2))
    state = model.state_dict()
    del state["1.running_var"], state["2.bias"]
    state |= {"0.weight": np.ones((7, 4)), "9.weight": np.ones(3)}
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"Sequential.load_state_dict") as raised:
        model.load_state_dict(state)
    for line in (
        "missing: 1.running_var (7,)",
        "missing: 2.bias (2,)",
        "unexpected: 9.weight (3,)",
        "shape: 0.weight is (7, 3), got (7, 4)",
    ):
        assert line in str(raised.value)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    del state["0.weight"]
    model.load_state_dict(state, strict=False)


def test_nan_reaches_the_loss() -> None:
    model = nn.Sequential(nn.Linear(3, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.3, rng=0), nn.Linear(7, 4))
    x = np.ones((5, 3), np.float32)
    x[2, 1] = np.nan
    assert np.isnan(nn.CrossEntropyLoss(label_smoothing=0.1)(model(x), [0, 1, 2, 3, 0]))


def test_layers_before_the_first_parameter_are_left_out() -> None:
    class Stop(nn.Identity):
        def _backward(self, saved: None, dy: np.ndarray) -> np.ndarray:
            raise AssertionError("nobody asked for this gradient")

    model = nn.Sequential(Stop(), nn.Sequential(nn.Identity(), nn.Linear(3, 2)), nn.Tanh())
    y = model(np.ones((4, 3), np.float32))
    model.backward(np.ones_like(y), input_grad=False)
    assert model[1][1].weight.grad.any()
    parameterless = nn.Sequential(Stop(), nn.Tanh())
    parameterless.backward(parameterless(np.ones(3)), input_grad=False)


def test_dropout_drops_its_share_and_repeats_itself() -> None:
    count = fewer(200_000)
    layer, x = nn.Dropout(0.3, rng=5), np.ones(count)
    first, second = layer(x), layer(x)
    for y in (first, second):
        # Four standard deviations of a share of so many.
        assert abs(np.mean(y == 0) - 0.3) < 4 * (0.3 * 0.7 / count) ** 0.5
        np.testing.assert_allclose(y[y != 0], 1 / 0.7)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / count**0.5
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4 / count**0.5
    np.testing.assert_array_equal(nn.Dropout(0.3, rng=5)(x), first)
    layer.step = 0
    np.testing.assert_array_equal(layer(x), first)
    assert (nn.Dropout(0.3, rng=6)(x) != first).any()


def test_shared_parameter_comes_once() -> None:
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    assert set(model.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_sequential_as_a_list() -> None:
    layers = [nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 2)]
    model = nn.Sequential(*layers[:2]).append(layers[2])
    assert list(model) == layers
    assert model[-1] is layers[2]
    assert list(model[:2]) == layers[:2]
    named = nn.Sequential({"first": layers[0], "last": layers[2]})
    assert list(named.state_dict()) == ["first.weight", "first.bias", "last.weight", "last.bias"]


def test_children_in_attributes_and_lists() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.rest = nn.Linear(3, 3), [nn.Tanh(), nn.Linear(3, 2)]
            self._private = np.ones(3)

        def _forward(self, x: np.ndarray) -> tuple[np.ndarray, object]:
            saves = []
            for layer in (self.first, *self.rest):
                x, saved = layer._forward(x)
                saves.append((layer, saved))
            return x, saves

        def _backward(self, saved: list, dy: np.ndarray) -> np.ndarray:
            for layer, inner in reversed(saved):
                dy = layer._backward(inner, dy)
            return dy

    block = Block()
    assert list(block.state_dict()) == ["first.weight", "first.bias", "rest.1.weight", "rest.1.bias"]
    assert gradcheck(block, np.ones((4, 3))) < 1e-7
    with pytest.raises(nn.LayerError, match=r"^Block.first.Linear: "):
        block(np.ones((4, 5), np.float32))


def test_summary() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 2))
    table = model.summary((5, 3, 4))
    assert [row.path.split(".")[-1] for row in table.rows] == ["Flatten", "Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert table.parameters == sum(p.size for p in model.parameters()) == 12 * 7 + 7 + 14 + 16
    assert table.multiply_adds == 5 * (12 * 7 + 7 * 2)
    assert table.activation_bytes == 4 * 5 * (7 + 7 + 7 + 2)  # Flatten is a view
    assert model.training
    assert int(model[2].num_batches_tracked) == 0
    assert "_forward" not in vars(model[1])


def test_repr_says_whether_there_is_a_bias() -> None:
    for layer in (nn.BatchNorm1d(3, bias=False), nn.LayerNorm(3, bias=False), nn.Linear(3, 2, bias=False)):
        assert layer.bias is None
        assert "bias=False" in repr(layer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(0, 3), "Linear: want positive sizes, got 0 and 3"),
        (lambda: nn.Embedding(5, 0), "Embedding: want positive sizes, got 5 and 0"),
        (lambda: nn.Embedding(5, 3, padding_idx=5), "Embedding: want padding_idx within 5 rows, got 5"),
        (lambda: nn.Embedding(5, 3, padding_idx=-6), "Embedding: want padding_idx within 5 rows, got -6"),
        (lambda: nn.BatchNorm1d(3, eps=0.0), "BatchNorm1d: want eps > 0, got 0.0"),
        (lambda: nn.Dropout(1.5), "Dropout: want a probability p in [0, 1], got 1.5"),
        (lambda: nn.GELU("sigmoid"), "GELU: want approximate 'none' or 'tanh', got 'sigmoid'"),
        (lambda: nn.Hardtanh(2.0, 2.0), "Hardtanh: want min_val < max_val, got 2.0 and 2.0"),
    ],
)
def test_constructors_refuse_what_cannot_be(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


def test_zero_grad_clears_every_layer() -> None:
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.Residual(nn.Sequential(nn.BatchNorm1d(3), shared)), nn.Linear(3, 2))
    for parameter in model.parameters():
        parameter.grad += 1
    model.zero_grad()
    assert [parameter.grad.any() for parameter in model.parameters()] == [False] * 6


def test_manual_seed_repeats_weights() -> None:
    import minigrad

    def weights() -> np.ndarray:
        minigrad.manual_seed(3)
        return nn.Sequential(nn.Linear(3, 7), nn.Dropout(0.5))[0].weight.data

    np.testing.assert_array_equal(weights(), weights())


def test_to_converts_everything() -> None:
    model = nn.Sequential(nn.Linear(3, 7), nn.BatchNorm1d(7)).to(np.float64)
    assert {value.dtype for value in model.state_dict().values()} == {np.dtype(np.float64), np.dtype(np.int64)}
    with pytest.raises(ValueError, match="want float32 or float64, got float16"):
        model.to(np.float16)


def test_observers_nest() -> None:
    model, seen = nn.Sequential(nn.Tanh()), []
    with nn.observe(model, lambda path, *_: seen.append(("outer", path))):
        with nn.observe(model, lambda path, *_: seen.append(("inner", path))):
            model(np.ones(3))
        model(np.ones(3))
    model(np.ones(3))
    paths = ["Sequential[0].Tanh", "Sequential"]
    assert sorted(seen) == sorted([("inner", p) for p in paths] + [("outer", p) for p in paths] * 2)


def test_vjp_records_inside_no_grad() -> None:
    model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh()), np.ones((2, 3), np.float32)
    y, pullback = model.vjp(x)
    with nn.no_grad():
        inside, pullback_inside = model.vjp(x)
    np.testing.assert_array_equal(inside, y)
    np.testing.assert_array_equal(pullback_inside(np.ones_like(y)), pullback(np.ones_like(y)))
