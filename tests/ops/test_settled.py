"""Gradients of maxima: each goes to somebody, though XLA computes sums of products twice and rounds them differently."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kyeo
from kyeo import layers, ops
from tests.numpy_jaxpr import compiled

# as for users: older compilers move barriers where they are told not to optimize
pytestmark = pytest.mark.usefixtures("full_compilation")


def test_gradient_of_a_maximum_of_what_is_computed_twice():
    """Sums of products are rounded differently in two places; each maximum still gives its gradient to somebody."""
    rng = np.random.default_rng(0)
    x, kernel, bias = (rng.normal(size=s).astype("float32") for s in ((4, 8, 8, 3), (3, 3, 3, 3), (3,)))
    for reduce in (layers.GlobalMaxPooling2D(), lambda y: ops.max(y, (1, 2)), lambda y: ops.amin(y, (1, 2))):
        count = compiled(jax.grad(lambda bias: reduce(ops.conv(x, kernel, padding="valid") + bias).sum()), bias)
        np.testing.assert_allclose(count, [4, 4, 4])
    raw = compiled(jax.grad(lambda kernel, bias: jnp.max(ops.conv(x, kernel, padding="valid") + bias, (1, 2)).sum(), (0, 1)),
                   kernel, bias)
    np.testing.assert_allclose(raw[1], [4, 4, 4])


def test_a_raw_maximum_in_a_lambda_has_its_gradient():
    """Compiled in full: as XLA would do it in a user's program."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(4, 8, 8, 2)), "float32")
    model = kyeo.Sequential([kyeo.Input((8, 8, 2)), layers.Conv2D(2, 1), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()])
    model.set_weights([np.abs(rng.normal(size=v.shape)) for v in model.weights])
    state = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]

    def gradient(largest):
        return jax.jit(jax.grad(lambda x: (largest(model.stateless_call(*state, x, training=True)[0]) ** 2).sum()))(x)

    for axis in ((1, 2), -1):
        raw = layers.Lambda(lambda y, axis=axis: jnp.max(y, axis))
        assert np.abs(gradient(raw) - gradient(lambda y, axis=axis: kyeo.ops.max(y, axis))).max() < 1e-4
