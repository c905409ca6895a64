"""Every test of this folder compiles quickly."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def quickly(quick_compilation):
    return quick_compilation
