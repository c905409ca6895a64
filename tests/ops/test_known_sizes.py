"""Sizes and axes that are arrays whose values are known: numbers to NumPy and JAX, but not hashable."""

import jax.numpy as jnp
import numpy as np
import pytest

from kyeo import ops

X = jnp.arange(6.0)
TWO = jnp.asarray(2)
CASES = {
    "broadcast_to": (lambda: ops.broadcast_to(X, (TWO, 6)), (2, 6)),
    "full": (lambda: ops.full((TWO, 3), 1.0), (2, 3)),
    "ones of an array": (lambda: ops.ones(np.array([2, 3])), (2, 3)),
    "reshape": (lambda: ops.reshape(X, (TWO, -1)), (2, 3)),
    "reshape by a product": (lambda: ops.reshape(X, (ops.prod(ops.array([1, 2])), 3)), (2, 3)),
    "scatter": (lambda: ops.scatter([[0, 1]], [1.0], jnp.array([2, 3])), (2, 3)),
    "segment_sum": (lambda: ops.segment_sum(X, [0, 0, 1, 1, 1, 1], num_segments=TWO), (2,)),
    "zeros": (lambda: ops.zeros((TWO, 3)), (2, 3)),
    "zeros of a list": (lambda: ops.zeros([2, 3]), (2, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_known_sizes(name):
    call, shape = CASES[name]
    assert call().shape == shape
