"""What a compiled step is to who uses it: what it takes, what it refuses, what it shows."""

import re
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.nn.errors import LayerError
from tests.backend import needs_engine
from tests.engine_runs import programs_of, shared_by
from tests.engine_twins import adam, compiled, network, samples, twins

# ------------------------------------------------------------------------------------------------ taking and refusing


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (nn.MSELoss(reduction="none"), {}, "compile: want a loss with reduction 'mean' or 'sum', got 'none'"),
        (nn.MSELoss(), {"batch_size": 0}, "compile: want a batch_size of at least 1, got 0"),
        (nn.MSELoss(), {"clip_norm": 0.0}, "compile: want a positive clip_norm, got 0.0"),
        (nn.MSELoss(), {"clip_norm": float("nan")}, "compile: want a positive clip_norm, got nan"),
    ],
)
@pytest.mark.filterwarnings("ignore:minigrad.compile")  # where there is no Numba
def test_what_compile_refuses(loss: nn.Loss, options: dict[str, Any], message: str) -> None:
    model = nn.Linear(3, 3)
    with pytest.raises(ValueError, match=message):
        minigrad.compile(model, loss, adam(model), **options)


def test_what_compiled_refuses() -> None:
    with pytest.raises(ValueError, match="compiled: want a batch_size of at least 1, got 0"):
        nn.Linear(3, 3).compiled(batch_size=0)


X, Y = samples()
BAD = [
    (X[:, :2], Y, r"^Sequential\[0\].Linear: want input of shape \(\*, 3\), got \(8, 2\)"),
    (X[:0], Y[:0], r"^Sequential\[0\].Linear: want a non-empty input, got shape \(0, 3\)"),
    (X.astype(np.float32), Y, r"^Sequential\[0\].Linear: input is float32, weight is float64"),
    (X.astype(int), Y, r"^Sequential\[0\].Linear: want float32 or float64 input, got int64"),
    (X.astype(np.float16), Y, "got float16"),
    (X[:1], Y[:1], r"^Sequential\[1\].BatchNorm1d: want more than 1 value for each channel in training, got \(1, 7\)"),
    (X, Y[:3], r"^CrossEntropyLoss: for an input of shape \(8, 5\) want integer class indices of shape \(8,\)"),
    (X, Y + 0.5, r"^CrossEntropyLoss: for an input of shape \(8, 5\) want integer class indices of shape \(8,\)"),
    (X, Y + 5, r"^CrossEntropyLoss: want class indices in \[0, 5\), got 6 to 9"),
    (X, Y - 5, r"^CrossEntropyLoss: want class indices in \[0, 5\), got -4 to -1"),
    (X, np.array(["a"] * 8), r"^CrossEntropyLoss: for an input"),
]


@needs_engine
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
@pytest.mark.parametrize(("x", "y", "message"), BAD, ids=[message for _, _, message in BAD])
def test_what_a_step_refuses(x: np.ndarray, y: np.ndarray, message: str, is_first: bool) -> None:
    """In the words of the layers and losses, before anything has changed, in its first call and later."""
    both = twins(network())
    if not is_first:
        both.train(2)
    before = both.compiled.model.state_dict()
    with pytest.raises(ValueError, match=message):
        both.eager(x, y)
    with pytest.raises(ValueError, match=message):
        both.compiled(x, y)
    for name, array in both.compiled.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    assert np.isfinite(both.compiled(*samples()))


@needs_engine
@pytest.mark.parametrize("index", [11, -1])
def test_an_embedding_refuses_indices(index: int) -> None:
    """Also in a batch that has the form of one before."""
    both = twins(nn.Sequential(nn.Embedding(11, 3, rng=0), nn.Flatten(), nn.Linear(12, 5, rng=0)).to(np.float64))
    x, y = np.random.default_rng(0).integers(0, 11, (8, 4)), samples()[1]
    both.step(x, y)
    x[3, 2] = index
    message = rf"^Sequential\[0\].Embedding: want indices in \[0, 11\), got {x.min()} to {x.max()}"
    for step in (both.eager, both.compiled):
        with pytest.raises(ValueError, match=message):
            step(x, y)
    with pytest.raises(ValueError, match=message):
        both.compiled.model.compiled()(x)


@needs_engine
def test_an_error_is_a_layer_error() -> None:
    with pytest.raises(LayerError):
        compiled()(X[:, :2], Y)


@needs_engine
@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda x: x[::-1],
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: np.broadcast_to(x[:, :1], x.shape),
        lambda x: np.frombuffer(b"_" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
    ],
    ids=["Fortran", "reversed", "strided", "repeated", "not aligned"],
)
def test_any_layout_in_memory(change: Any) -> None:
    both = twins(network())
    x, y = samples()
    for _ in range(2):
        both.step(change(x), y[::-1])
    x.flags.writeable = False
    both.step(x, y)
    np.testing.assert_allclose(
        both.compiled.model.compiled()(change(x)), both.eager.model.eval()(change(x)), rtol=1e-10
    )


@needs_engine
@pytest.mark.parametrize("kind", ["uint8", "int32", "uint64", "list"])
def test_class_indices_of_all_kinds(kind: str) -> None:
    both = twins(network())
    x, y = samples()
    both.step(x, y.tolist() if kind == "list" else y.astype(kind))


@needs_engine
@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.BCEWithLogitsLoss(), nn.HuberLoss(delta=0.3)], ids=repr)
@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "bool", "uint8"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_targets_of_all_kinds(loss: nn.Loss, kind: str, precision: str) -> None:
    """They become what the outputs are, as in an eager step."""
    both = twins(nn.Linear(3, 5, rng=0).to(precision), loss=loss)
    x, y = X.astype(precision), np.random.default_rng(0).integers(0, 2, (8, 5)).astype(kind)
    for _ in range(3):
        both.step(x, y)


@needs_engine
def test_inference_takes_any_number_of_rows() -> None:
    """It is the model in evaluation, whatever mode it is in, and leaves it so."""
    model = network()
    model[1].eval()
    forward = model.compiled(batch_size=6)
    modes, state = [module.training for module in model.modules()], model.state_dict()
    outputs = {count: forward(samples(count, seed=count)[0]) for count in (1, 5, 6, 7, 12, 20)}
    assert [module.training for module in model.modules()] == modes
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[name], err_msg=name)
    assert model[3].step == 0
    model.eval()
    for count, y in outputs.items():
        np.testing.assert_allclose(y, model(samples(count, seed=count)[0]), rtol=1e-12, atol=1e-14)


@needs_engine
@pytest.mark.parametrize(("cache", "rows"), [(2**30, [200]), (60_000, [64, 64, 64, 8]), (1, [32] * 6 + [8])])
def test_inference_takes_as_many_rows_as_the_cache_holds(
    cache: int, rows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from minigrad.engine import inference

    monkeypatch.setattr(inference, "CACHE", cache)
    seen: list[int] = []
    run = inference._ForwardProgram.run
    monkeypatch.setattr(inference._ForwardProgram, "run", lambda self, x: (seen.append(len(x)), run(self, x))[1])
    model = nn.Sequential(nn.Linear(3, 50, rng=0), nn.Tanh(), nn.Linear(50, 2, rng=1)).to(np.float64)
    x = samples(200)[0]
    y = model.compiled()(x)
    assert seen == rows
    np.testing.assert_allclose(y, model.eval()(x), rtol=1e-12, atol=1e-14)


@needs_engine
@pytest.mark.parametrize(
    ("model", "shape"), [(nn.Linear(40, 2, rng=0), (40,)), (nn.Conv2d(40, 2, 3, rng=0), (40, 6, 6))], ids=repr
)
def test_inference_of_one_sample_is_not_cut(model: nn.Module, shape: tuple[int, ...]) -> None:
    """Its first axis holds features or channels; an error names the shape that was given."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    np.testing.assert_allclose(model.compiled()(x), model.eval()(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"got \(45, 6\)"):
        model.compiled()(np.ones((45, 6), np.float32))


@needs_engine
def test_inference_sees_other_weights() -> None:
    """Whether they are changed where they lie, or lie elsewhere."""
    model, (x, _) = network().eval(), samples()
    forward = model.compiled()
    forward(x)
    changes: list[Callable[[], Any]] = [
        lambda: model.load_state_dict({name: value * 0.9 for name, value in model.state_dict().items()}),
        lambda: setattr(model[7].bias, "data", model[7].bias.data + 1),
        lambda: setattr(model[1], "running_mean", model[1].running_mean + 1),
        lambda: setattr(model[1], "running_var", model[1].running_var * 2),
        lambda: adam(model),
        lambda: model.to(np.float64),
    ]
    for change in changes:
        change()
        np.testing.assert_allclose(forward(x), model(x), rtol=1e-12, atol=1e-14)
    model.to(np.float32)
    np.testing.assert_allclose(forward(x.astype(np.float32)), model(x.astype(np.float32)), rtol=1e-5, atol=1e-6)


@needs_engine
def test_an_answer_is_the_callers_own() -> None:
    """The next one does not change it; neither does its owner change the input, where nothing is computed."""
    x, y = samples()
    forward = network().compiled()
    first = forward(x)
    kept = first.copy()
    forward(x + 1)
    np.testing.assert_array_equal(first, kept, strict=True)
    for model in (nn.Sequential(), nn.Identity(), nn.Dropout(0.5), nn.Flatten()):
        answer = model.compiled()(x)
        np.testing.assert_array_equal(answer, x, strict=True)
        assert not np.shares_memory(answer, x)
    step = compiled()
    before = x.copy(), y.copy()
    step(x, y)
    step.epoch(x, y)
    np.testing.assert_array_equal(x, before[0], strict=True)
    np.testing.assert_array_equal(y, before[1], strict=True)


@needs_engine
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 2)), r"^Sequential\[0\].Linear: want input of shape \(\*, 3\), got \(4, 2\)"),
        (np.zeros((4, 3), np.float32), "input is float32, weight is float64"),
        (np.zeros((0, 3)), "non-empty"),
    ],
)
def test_what_inference_refuses(x: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network().compiled()(x)


# ------------------------------------------------------------------------------------------------------------- showing


@needs_engine
def test_print_shows_the_program() -> None:
    """Each instruction with the shapes of its operands, where they lie, and how much work it is."""
    step = compiled(batch_size=8)
    assert "no program yet" in repr(step)
    step(*samples())
    shown = str(step)
    (program,) = programs_of(step)
    lines = shown.splitlines()
    assert f"{len(program.instructions)} instructions" in lines[0]
    assert f"{program.arena_bytes:,} bytes" in shown
    rows = [line for line in lines if re.match(r" *\d+  \w", line)]
    assert [row.split()[1] for row in rows] == [each.kernel for each in program.instructions]
    first = next(row for row in rows if "linear_forward" in row)
    assert f" {8 * 3 * 7:,} " in first  # multiply-adds
    for part in ("float64[8, 3]", "float64[7, 3]", "float64[8, 7]"):
        assert part in first
    assert re.search(r"float64\[8, 7\] @[\d,]+", first)
    products = 8 * (3 * 7 + 7 * 7 + 7 * 4 + 18 * 5)
    assert f"{3 * products - 8 * 3 * 7:,} multiply-adds" in shown  # no gradient of the input
    step(*samples(4))
    assert str(step).count("instructions") == 2


@needs_engine
def test_print_shows_an_inference() -> None:
    forward = network().compiled(batch_size=8)
    assert "no program yet" in repr(forward)
    forward(samples(20)[0])
    assert repr(forward).count("instructions") == 2
    assert "batch_norm_forward" in repr(forward)
    assert "backward" not in repr(forward)


# -------------------------------------------------------------------------------------------------------------- memory


@needs_engine
@pytest.mark.parametrize(("threads", "most"), [(1, 1), (2, 20)])
def test_a_native_call_allocates_nothing(threads: int, most: int) -> None:
    """In Numba's memory, where arrays of kernels would be: however many steps, and whatever is in them.

    One object stands for the array in which threads meet, for each call from Python of the loop over instructions; the
    threads of a team call theirs anew when they have looked in vain for some 200 us, which on a busy machine is often:
    so the least of some calls counts, in which an allocation at each step would show as well.
    """
    from numba.core.runtime import _nrt_python, rtsys

    _nrt_python.memsys_enable_stats()
    x, y = samples(40)
    with shared_by(threads):
        step = compiled(batch_size=4)
        step.epoch(x, y)
        for count in (10, 1000):
            made = []
            for _ in range(5):
                before = rtsys.get_allocation_stats().alloc
                step.epoch(x, y, np.arange(4 * count) % 40)
                made.append(rtsys.get_allocation_stats().alloc - before)
            assert 0 < min(made) <= most


@needs_engine
def test_a_step_makes_no_arrays() -> None:
    """Python's own small objects only: nothing that grows with the batch or the model."""
    x, y = samples(512)
    step = compiled()
    for _ in range(3):
        step(x, y)
    tracemalloc.start()
    try:
        for _ in range(100):
            step(x, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes


@needs_engine
@pytest.mark.parametrize(("clip_norm", "chained"), [(None, 4), (1.0, 0)])
def test_an_update_follows_its_gradient(clip_norm: float | None, chained: int) -> None:
    """Where the gradient of a weight is whole, unless the norm of all gradients has to be known before."""
    with shared_by(2):
        step = compiled(clip_norm=clip_norm)
        step(*samples())
    (program,) = programs_of(step)
    pairs = pairwise(program.instructions)
    updates = [(before.kernel, each.kernel) for before, each in pairs if each.is_chained]
    assert updates == [("linear_backward_weight", "adam_update")] * chained


@needs_engine
def test_memory_is_used_again() -> None:
    """A chain of many layers needs no more room for its forward than for two of its outputs."""
    chain = nn.Sequential(*[nn.Tanh() for _ in range(20)])
    forward = chain.compiled()
    x = samples(100)[0]
    np.testing.assert_allclose(forward(x), chain(x), rtol=1e-12)
    (program,) = programs_of(forward)
    assert program.arena_bytes <= 2 * (x.nbytes + 64)


@needs_engine
def test_old_programs_are_forgotten() -> None:
    """Batches of ever new sizes do not fill the memory."""
    step = compiled()
    for count in range(2, 60):
        step(*samples(count))
    assert len(programs_of(step)) < 40
