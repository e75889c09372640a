"""What is around an optimizer's rule: flat memory, parameter groups, state dicts, errors."""

import copy
import pickle

import numpy as np
import pytest
import torch

from minigrad import optim
from minigrad.kernels.memory import LINE
from minigrad.nn.parameter import Parameter
from tests.optim_twins import (
    NAMES,
    SHAPES,
    assert_same,
    make,
    make_torch,
    parameters,
    run,
    run_torch,
    stateful,
    tensors,
    to_numpy,
)

SIZE = sum(int(np.prod(shape)) for shape in SHAPES)


# ---------------------------------------------------------------------------------------------------- flat memory


def assert_flat(params):
    """One behind the other in memory that belongs to all, from the beginning of a cache line on."""
    for kind in ("data", "grad"):
        arrays = [getattr(p, kind) for p in params]
        starts = np.cumsum([arrays[0].ctypes.data, *(array.nbytes for array in arrays)])
        assert starts[0] % LINE == 0
        assert [array.ctypes.data for array in arrays] == list(starts[:-1])
        assert all(array.base is arrays[0].base and array.flags.c_contiguous for array in arrays)
        assert 0 <= arrays[0].base.nbytes - sum(array.nbytes for array in arrays) <= LINE


def test_parameters_are_views_of_one_array_in_order():
    ours, before = parameters(), parameters()
    ours[0].grad += 3
    optim.SGD(ours)
    assert_flat(ours)
    assert_same(ours, before, rtol=0, atol=0)
    assert (ours[0].grad == 3).all()
    assert (ours[1].grad == 0).all()


def test_each_group_has_memory_of_its_own():
    ours = parameters()
    optim.SGD([{"params": ours[:2]}, {"params": ours[2:]}])
    assert_flat(ours[:2])
    assert_flat(ours[2:])


@stateful
@pytest.mark.parametrize("kind", ["data", "grad"])
def test_rebound_arrays_are_moved_in_again(name, options, kind):
    ours, twins = parameters(), parameters()
    optimizer, twin = make(name, ours, **options), make(name, twins, **options)
    run(twin, twins)
    run(optimizer, ours, range(7))
    for p in ours:
        setattr(p, kind, np.array(getattr(p, kind), order="F"))
    run(optimizer, ours, range(7, 20))
    assert_same(ours, twins, rtol=0, atol=0)
    assert_flat(ours)


def test_a_rebound_gradient_counts_in_step():
    w = Parameter([1.0, 2.0])
    sgd = optim.SGD([w], lr=1.0)
    w.grad = np.array([1.0, -1.0])
    w.data = np.array([5.0, 6.0])
    sgd.step()
    assert w.data.tolist() == [4.0, 7.0]
    w.grad = np.array([1.0, -1.0])
    sgd.zero_grad()
    assert w.grad.tolist() == [0.0, 0.0]
    assert w.data.tolist() == [4.0, 7.0]


def test_two_optimizers_over_the_same_parameters():
    ours, theirs = parameters(), tensors()
    a, b = optim.Adam(ours, lr=0.1), optim.SGD(ours[1:], lr=0.1, momentum=0.9)
    twin_a, twin_b = torch.optim.Adam(theirs, lr=0.1), torch.optim.SGD(theirs[1:], lr=0.1, momentum=0.9)
    for step in range(0, 12, 2):
        run(a, ours, [step])
        run(b, ours[1:], [step + 1])
        run_torch(twin_a, theirs, [step])
        run_torch(twin_b, theirs[1:], [step + 1])
    assert_same(ours, theirs)


@stateful
def test_a_converted_model_goes_on_in_its_new_dtype(name, options):
    ours, twins = parameters("float32"), parameters("float32")
    optimizer, twin = make(name, ours, **options), make(name, twins, **options)
    run(optimizer, ours, range(5))
    run(twin, twins, range(5))
    for p in ours:
        p.data, p.grad = p.data.astype(np.float64), p.grad.astype(np.float64)
    run(optimizer, ours, range(5, 10))
    run(twin, twins, range(5, 10))
    assert_flat(ours)
    for p, other in zip(ours, twins, strict=True):
        assert p.data.dtype == p.grad.dtype == np.float64
        np.testing.assert_allclose(p.data, other.data, rtol=1e-5, atol=1e-5)


def test_a_part_of_the_parameters_is_converted():
    ours, twins = parameters(), parameters()
    optimizer, twin = optim.Adam(ours, lr=0.1), optim.Adam(twins, lr=0.1)
    run(optimizer, ours, range(3))
    run(twin, twins, range(3))
    ours[1].data = ours[1].data.astype(np.float32)
    run(optimizer, ours, range(3, 6))
    run(twin, twins, range(3, 6))
    assert [p.data.dtype for p in ours] == ["f8", "f4", "f8", "f8"]
    assert [p.grad.dtype for p in ours] == ["f8", "f4", "f8", "f8"]
    assert_same([ours[0], *ours[2:]], [twins[0], *twins[2:]])
    np.testing.assert_allclose(ours[1].data, twins[1].data, rtol=1e-5, atol=1e-5)
    assert list(optimizer.state_dict()["state"]) == [0, 1, 2, 3]


@stateful
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_goes_on_by_itself(name, options, clone):
    ours, twins = parameters(), parameters()
    optimizer, twin = make(name, ours, **options), make(name, twins, **options)
    run(twin, twins)
    run(optimizer, ours, range(6))
    frozen = [p.data.copy() for p in ours]
    other, others = clone((optimizer, ours))
    run(other, others, range(6, 20))
    assert_same(others, twins, rtol=0, atol=0)
    assert_flat(others)
    for p, data in zip(ours, frozen, strict=True):
        np.testing.assert_array_equal(p.data, data)
    run(optimizer, ours, range(6, 20))
    assert_same(ours, twins, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kind", "array", "message"),
    [
        ("data", np.zeros((5, 3)), r"parameter 0: want an array of \(3, 5\) as before, got one of \(5, 3\)"),
        ("data", np.zeros(1), r"parameter 0: want an array of \(3, 5\) as before, got one of \(1,\)"),
        ("grad", None, r"gradient of parameter 0: want an array of \(3, 5\) as before, got NoneType"),
    ],
)
def test_a_rebound_array_must_have_the_same_shape(kind, array, message):
    ours = parameters()
    optimizer = optim.SGD(ours)
    setattr(ours[0], kind, array)
    with pytest.raises(ValueError, match=message):
        optimizer.step()


# ------------------------------------------------------------------------------------------------------- the state


@stateful
def test_state_goes_on_identically(name, options):
    ours, twins, fresh = parameters(), parameters(), parameters(seed=1)
    optimizer, twin, other = (make(name, p, **options) for p in (ours, twins, fresh))
    run(twin, twins)
    run(optimizer, ours, range(9))
    state = optimizer.state_dict()
    for p, source in zip(fresh, ours, strict=True):
        p.data[...] = source.data
    run(optimizer, ours, range(9, 20))  # the state is a copy
    other.load_state_dict(state)
    run(other, fresh, range(9, 20))
    assert_same(fresh, twins, rtol=0, atol=0)


@stateful
@pytest.mark.parametrize("before", [0, 9])
def test_torchs_state_goes_on_identically(name, options, before):
    ours, theirs = parameters(), tensors()
    twin = make_torch(name, [{"params": theirs[:1]}, {"params": theirs[1:], "lr": 0.03}], **options)
    run_torch(twin, theirs, range(before))
    for p, t in zip(ours, theirs, strict=True):
        p.data[...] = t.detach().numpy()
    optimizer = make(name, [{"params": ours[:1]}, {"params": ours[1:]}], lr=1.0)
    optimizer.load_state_dict(to_numpy(twin.state_dict()))
    run(optimizer, ours, range(before, 20))
    run_torch(twin, theirs, range(before, 20))
    assert_same(ours, theirs)


@stateful
def test_torch_goes_on_from_our_state(name, options):
    ours, theirs = parameters(), tensors()
    optimizer, twin = make(name, ours, **options), make_torch(name, theirs, **options)
    run(optimizer, ours, range(9))
    for p, t in zip(ours, theirs, strict=True):
        t.data.copy_(torch.tensor(p.data))
    state = optimizer.state_dict()
    for entry in state["state"].values():
        entry |= {key: torch.tensor(value) for key, value in entry.items() if key != "step"}
    twin.load_state_dict(state)
    run(optimizer, ours, range(9, 20))
    run_torch(twin, theirs, range(9, 20))
    assert_same(ours, theirs)


@stateful
def test_state_has_torchs_form(name, options):
    ours, theirs = parameters(), tensors()
    optimizer, twin = make(name, ours, **options), make_torch(name, theirs, **options)
    run(optimizer, ours, range(3))
    run_torch(twin, theirs, range(3))
    got, want = optimizer.state_dict(), to_numpy(twin.state_dict())
    assert list(got["state"]) == list(want["state"]) == [0, 1, 2, 3]
    for number in got["state"]:
        assert set(got["state"][number]) == set(want["state"][number])
        for key, value in want["state"][number].items():
            np.testing.assert_allclose(got["state"][number][key], value, rtol=1e-10)
            assert np.shape(got["state"][number][key]) == value.shape
    assert set(got["param_groups"][0]) - set(want["param_groups"][0]) == {"l1"}
    assert got["param_groups"][0]["params"] == want["param_groups"][0]["params"]


def test_a_fresh_state_is_empty():
    assert optim.Adam(parameters()).state_dict()["state"] == {}
    sgd = optim.SGD(ours := parameters())
    run(sgd, ours, range(2))
    assert sgd.state_dict()["state"] == {}


def test_state_keeps_names_and_options():
    w, b = Parameter(np.ones((2, 3))), Parameter(np.zeros(2))
    optimizer = optim.Adam([("fc.weight", w), ("fc.bias", b)], lr=0.1)
    group = optimizer.state_dict()["param_groups"][0]
    assert (group["param_names"], group["params"], group["lr"]) == (["fc.weight", "fc.bias"], [0, 1], 0.1)
    assert optimizer.param_groups[0]["params"] == [w, b]


def bad_states():
    def change(f):
        def changed(state):
            f(state)
            return state

        return changed

    def entry(number, **values):
        return change(lambda state: state["state"][number].update(values))

    return [
        (change(lambda s: s.pop("state")), "want the keys 'state' and 'param_groups', got ..param_groups"),
        (change(lambda s: s["param_groups"].pop()), r"want groups of \[1, 3\] parameters, got \[1\]"),
        (change(lambda s: s["param_groups"][1]["params"].pop()), r"want groups of \[1, 3\] .*got \[1, 2\]"),
        (entry(1, exp_avg=np.zeros((7, 1))), r"parameter 1: exp_avg is \(7, 1\), want \(7,\)"),
        (entry(2, sum=np.zeros(())), "parameter 2: unknown state sum, want step, exp_avg, exp_avg_sq, max"),
        (change(lambda s: s["state"][2].pop("exp_avg")), r"parameter 2: has \['exp_avg_sq', 'step'\], others"),
        (change(lambda s: s["param_groups"][0].update(lr=-1.0)), "Adam: want lr >= 0 and finite, got -1.0"),
    ]


@pytest.mark.parametrize(("damage", "message"), bad_states())
def test_a_bad_state_is_refused_and_changes_nothing(damage, message):
    ours = parameters()
    optimizer = optim.Adam([{"params": ours[:1]}, {"params": ours[1:], "lr": 0.5}])
    run(optimizer, ours, range(3))
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(damage(copy.deepcopy(before)))
    after = optimizer.state_dict()
    assert before["param_groups"] == after["param_groups"]
    for number, entry in before["state"].items():
        for key, value in entry.items():
            np.testing.assert_array_equal(after["state"][number][key], value)


def test_all_that_is_wrong_is_named_at_once():
    ours = parameters()
    optimizer = optim.Adam(ours)
    run(optimizer, ours, range(1))
    state = optimizer.state_dict()
    for number in (0, 3):
        state["state"][number]["exp_avg"] = np.zeros(99)
    with pytest.raises(ValueError, match=r"(?s)Adam.load_state_dict:\n  parameter 0: .*\n  parameter 3: "):
        optimizer.load_state_dict(state)


def test_adam_and_adamw_do_not_load_each_other():
    state = optim.AdamW(parameters()).state_dict()
    with pytest.raises(ValueError, match="Adam: want decoupled_weight_decay=False, got True"):
        optim.Adam(parameters()).load_state_dict(state)


# -------------------------------------------------------------------------------------------- constructing, errors


def test_parameters_come_in_many_forms():
    ours = parameters()
    for params in (
        ours,
        tuple(ours),
        iter(ours),
        ((f"p{i}", p) for i, p in enumerate(ours)),
        [{"params": (p for p in ours[:2])}, {"params": ours[2:], "name": "head"}],
        [{"params": [("a", ours[0]), ("b", ours[1])]}, {"params": [("c", ours[2]), ("d", ours[3])]}],
        [{"params": ours[0]}, {"params": ours[1:]}],
        [{"params": ours}, {"params": []}],
    ):
        optimizer = optim.SGD(params)
        assert [p for group in optimizer.param_groups for p in group["params"]] == ours
        optimizer.step()


def test_a_group_that_was_given_is_not_changed():
    group = {"params": parameters()}
    optim.SGD([group])
    assert list(group) == ["params"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "want at least one parameter, got none"),
        (set(parameters()), TypeError, "want parameters in a list, got a set, which has no order"),
        ([{"params": set(parameters())}], TypeError, "got a set"),
        (Parameter(1.0), TypeError, "want a list of parameters, got Parameter"),
        ([np.zeros(3)], TypeError, "want parameters .float32 or float64 data, grad, requires_grad., got array"),
        ([{"lr": 1.0}], TypeError, "want a dict with the key 'params', got {'lr': 1.0}"),
        ([{"params": parameters(), "rate": 1.0}], ValueError, r"unknown options \['rate'\], want lr, "),
        ([("a", Parameter(1.0)), Parameter(1.0)], ValueError, "want names for all"),
        (
            [{"params": [Parameter(1.0)]}, {"params": [("a", Parameter(1.0))]}],
            ValueError,
            "names .* of all groups or of",
        ),
        ([p := Parameter(1.0), p], ValueError, "a parameter comes twice"),
        ([{"params": [p]}, {"params": [Parameter(2.0), p]}], ValueError, "a parameter comes twice"),
        ([{"params": p}, {"params": p}], ValueError, "a parameter comes twice"),
        ([{"params": [p], "lr": -2}], ValueError, "want lr >= 0 and finite, got -2"),
    ],
)
def test_bad_parameters(name, params, error, message):
    with pytest.raises(error, match=f"^{name}: .*{message}"):
        make(name, params)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [(name, option, value) for name in NAMES for option in ("lr", "weight_decay", "l1") for value in (-0.1, np.nan)]
    + [(name, "lr", np.array([0.1, 0.2])) for name in NAMES]
    + [("SGD", "momentum", -0.5), ("RMSprop", "momentum", -0.5), ("RMSprop", "alpha", -0.5)]
    + [(name, "eps", -1e-8) for name in NAMES if name != "SGD"]
    + [
        (name, "betas", value)
        for name in ("Adam", "AdamW")
        for value in [(1.0, 0.9), (0.9, -0.1), (0.9, 1.0), (0.9,), 0.9]
    ]
    + [("Adagrad", "lr_decay", -1), ("Adagrad", "initial_accumulator_value", -1)],
)
def test_bad_options(name, option, value):
    with pytest.raises(ValueError, match=f"^{name}: want {option} .*, got ") as error:
        make(name, [Parameter(1.0)], **{option: value})
    assert str(value) in str(error.value)


def test_an_array_of_one_number_is_a_number():
    lr = np.array(0.5)
    group = optim.Adam([Parameter(1.0)], lr=lr).param_groups[0]
    lr += 1
    assert (type(group["lr"]), group["lr"]) == (float, 0.5)


@pytest.mark.parametrize(("momentum", "dampening"), [(0.0, 0.0), (0.9, 0.1)])
def test_nesterov_wants_plain_momentum(momentum, dampening):
    with pytest.raises(ValueError, match=f"^SGD: nesterov .* got momentum {momentum} and dampening {dampening}"):
        optim.SGD([Parameter(1.0)], momentum=momentum, dampening=dampening, nesterov=True)


def test_repr_shows_the_groups():
    text = repr(optim.SGD([{"params": parameters()}, {"params": parameters(), "lr": 0.5}]))
    assert text.startswith("SGD(\n  4 parameters: lr=0.001, momentum=0.0")
    assert "\n  4 parameters: lr=0.5" in text
