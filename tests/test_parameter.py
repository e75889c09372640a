"""Parameter: the gradient that is cleared when somebody looks."""

import copy

import numpy as np
import pytest

from minigrad.nn import Parameter

A, B = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)


def test_zero_grad_and_additions() -> None:
    parameter = Parameter(np.ones((2, 4)))
    memory = parameter.grad
    for _ in range(3):
        parameter.grad += 1
        parameter.add_product(A, B)
        parameter.add_product(A, B)
        np.testing.assert_array_equal(parameter.grad, 2 * A @ B + 1)
        parameter.zero_grad()
        parameter.add_product(A, B)
        np.testing.assert_array_equal(parameter.grad, A @ B)
        parameter.add_product(A, B)
        np.testing.assert_array_equal(parameter.grad, 2 * A @ B)
        parameter.zero_grad()
        parameter.zero_grad()
        np.testing.assert_array_equal(parameter.grad, 0)
    parameter.zero_grad()
    parameter.grad += 2
    np.testing.assert_array_equal(parameter.grad, 2)
    assert parameter.grad is memory


def test_a_cleared_gradient_that_is_nan() -> None:
    """Cleared means zero, not multiplied by zero."""
    parameter = Parameter(np.ones((2, 4)))
    parameter.grad += np.nan
    parameter.zero_grad()
    parameter.add_product(A, B)
    np.testing.assert_array_equal(parameter.grad, A @ B)


def test_copy_of_a_cleared_parameter() -> None:
    parameter = Parameter(np.ones((2, 4)))
    parameter.grad += 3
    parameter.zero_grad()
    np.testing.assert_array_equal(copy.deepcopy(parameter).grad, 0)


def test_bad_data_and_repr() -> None:
    with pytest.raises(TypeError, match="want float32 or float64 data, got int64"):
        Parameter([1, 2])
    assert repr(Parameter([1.0, 2.0])) == "Parameter(shape=(2,), dtype=float64)"
