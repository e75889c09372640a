"""Tests that want a data set which a machine may not have."""

import os

import pytest

from minigrad import data


def require(name: str) -> None:
    """Skip the test if the data set is not on this machine; fail instead where MINIGRAD_REQUIRE_DATA is set."""
    if data.find(name) is None:
        message = f"{name} is not on this machine; MINIGRAD_DATA may name its folder"
        if os.environ.get("MINIGRAD_REQUIRE_DATA"):
            pytest.fail(message)
        pytest.skip(message)
