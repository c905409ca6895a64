"""Layers whose kernels have gradients of their own can be differentiated as those of Keras on JAX can: forward, and on
several devices."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import kyeo
from kyeo import layers
from kyeo.ops.kernels import standardized
from tests.thin import thinned

PICTURE, SERIES = (2, 6, 6, 3), (2, 4, 3)
ROWS = [
    (layers.Conv2D(4, 3), PICTURE),
    (layers.Conv2D(20, 3, strides=2, padding="same"), (1, 6, 6, 17)),
    (layers.Conv2D(6, 3, groups=3), PICTURE),
    (layers.Conv1D(4, 3, padding="causal"), SERIES),
    (layers.Conv3D(2, 2), (1, 3, 4, 4, 2)),
    (layers.DepthwiseConv2D(3), PICTURE),
    (layers.Conv2DTranspose(3, 2, strides=2), PICTURE),
    (layers.MaxPooling2D(3, 1, "same"), PICTURE),
    (layers.AveragePooling2D(2), PICTURE),
    (layers.AdaptiveMaxPooling2D(4), PICTURE),
    (layers.AdaptiveAveragePooling2D(4), PICTURE),
    (layers.BatchNormalization(), (4, 4, 4, 2)),
    (layers.LayerNormalization(), SERIES),
    (layers.LayerNormalization(axis=(1, 2)), SERIES),
    (layers.LSTM(3, return_sequences=True), SERIES),
    (layers.GRU(3), SERIES),
    (layers.SimpleRNN(3), SERIES),
    (layers.ConvLSTM1D(2, 3), (1, 3, 5, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), thinned(ROWS),
                         ids=lambda v: type(v).__name__ if hasattr(v, "name") else str(v))
def test_both_directions_give_one_derivative(layer, shape):
    rng = np.random.default_rng(0)
    x, change = (jnp.asarray(rng.normal(size=shape), "float32") for _ in range(2))
    layer.build(shape)
    values = [v.value for v in layer.variables]
    training = {"training": True} if isinstance(layer, layers.BatchNormalization) else {}

    def run(x):
        return kyeo.core.variable.pure(lambda: layer(x, **training), layer.variables)(values)[0]

    y, forward = kyeo.ops.jvp(run, (x,), (change,))
    weights = jnp.asarray(rng.normal(size=y.shape), "float32")
    (backward,) = jax.vjp(run, x)[1](weights)
    np.testing.assert_allclose(jnp.vdot(weights, forward), jnp.vdot(backward, change), rtol=1e-4, atol=1e-4)


def test_second_derivatives_of_both_orders_agree():
    # an unseeded draw goes by the layer's name, so by the tests before; some make a sum that cancels
    layer = layers.Conv2D(2, 3, kernel_initializer=kyeo.initializers.GlorotUniform(seed=0))
    layer.build(PICTURE)
    x = jnp.asarray(np.random.default_rng(0).normal(size=PICTURE), "float32")

    def loss(u):
        return jnp.sum(jnp.sin(layer(x * u[0] + u[1])))

    at = jnp.array([1.0, 0.0])
    np.testing.assert_allclose(jax.hessian(loss)(at), jax.jacrev(jax.jacrev(loss))(at), rtol=1e-4)


@pytest.mark.parametrize("layer", thinned([layers.Conv2D(4, 3), layers.LayerNormalization()], 2), ids=lambda v: type(v).__name__)
def test_inside_shard_map(layer):
    layer.build(PICTURE)
    x = jnp.asarray(np.random.default_rng(0).normal(size=PICTURE), "float32")
    names = [v.path for v in layer.trainable_variables]
    values = [v.value for v in layer.trainable_variables]
    rows, mesh = PartitionSpec("rows"), Mesh(np.array(jax.devices()[:1]), ("rows",))

    def run(values, x):
        return kyeo.core.variable.pure(lambda: layer(x, training=False), layer.trainable_variables)(values)[0]

    def loss(run):
        return jax.grad(lambda values: jnp.sum(jnp.sin(run(values, x))))(values)

    split = jax.shard_map(run, mesh=mesh, in_specs=(PartitionSpec(), rows), out_specs=rows)
    for name, here, there in zip(names, loss(run), loss(split), strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_kernel_is_copied_and_pickled_by_its_name():
    assert copy.deepcopy(standardized) is standardized
    assert pickle.loads(pickle.dumps(standardized)) is standardized
