"""Adaptive pools and their gradients against one window at a time."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kyeo.ops.kernels import adaptive_average_pool, adaptive_max_pool
from tests.numpy_jaxpr import compiled, in_numpy
from tests.thin import thinned

SIZES = [((5,), (2,)), ((7,), (7,)), ((21,), (7,)), ((3,), (7,)), ((40,), (1,)), ((6, 7), (4, 3)), ((4, 5, 3), (3, 5, 2))]


def by_hand(reduce, x, counts):
    """Each window by itself, put into place."""
    spans = [[slice(i * s // n, -(-(i + 1) * s // n)) for i in range(n)] for s, n in zip(x.shape[1:], counts)]
    axes = tuple(range(1, x.ndim - 1))
    each = [reduce(x[(slice(None), *window)], axis=axes) for window in itertools.product(*spans)]
    return jnp.stack(each, 1).reshape(x.shape[0], *counts, x.shape[-1])


@pytest.mark.parametrize("pool, reduce", [(adaptive_max_pool, jnp.max), (adaptive_average_pool, jnp.mean)])
@pytest.mark.parametrize("sizes, counts", thinned(SIZES))
def test_windows_and_gradient(pool, reduce, sizes, counts):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, *sizes, 3)), "float32")

    def both(function, x):
        y, pull = jax.vjp(function, x)
        return y, *pull(jnp.cos(jnp.arange(y.size, dtype="float32")).reshape(y.shape))

    found = compiled(functools.partial(both, lambda x: pool(x, counts)), x)
    wanted = in_numpy(functools.partial(both, lambda x: by_hand(reduce, x, counts)), x)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_infinity_stays_in_its_windows():
    x = jnp.array([1.0, 2.0, 3.0, jnp.inf, 5.0]).reshape(1, 5, 1)
    assert adaptive_average_pool(x, (2,)).ravel().tolist() == [2.0, float("inf")]
    assert adaptive_average_pool(x[:, ::-1], (3,)).ravel().tolist() == [float("inf"), float("inf"), 1.5]


def test_dtypes():
    x = jnp.arange(10).reshape(1, 5, 2)
    assert adaptive_max_pool(x, (2,)).dtype == x.dtype and adaptive_average_pool(x, (2,)).dtype == "float32"
    half = adaptive_average_pool(x.astype("bfloat16"), (3,))
    assert half.dtype == "bfloat16" and half[0, :, 0].tolist() == [1.0, 4.0, 7.0]
