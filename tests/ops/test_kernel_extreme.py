"""Extremes: as JAX finds them, with their gradients; and NaN is never lost on the way to an output or a loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kyeo
from kyeo import ops
from kyeo.ops import kernels

RNG = np.random.default_rng(0)
REDUCED = {
    "one axis": ((64, 1000), 1), "first axis": ((32, 100), 0), "two axes": ((8, 22, 22, 32), (1, 2)), "all": ((60, 700), None),
    "negative": ((3, 4, 5), -2), "one number": ((1,), None), "none": ((3, 4), ()), "ties": ((6, 3), 1),
}
PAIRS = {
    "rows": ((64, 700), (64, 700)), "a row": ((64, 700), (700,)), "a number": ((5, 3), ()), "halves": ((5, 3), (5, 1)),
}


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", REDUCED)
def test_reductions_are_those_of_jax(name, keepdims):
    shape, axis = REDUCED[name]
    x = RNG.integers(0, 3, shape).astype("float32") if name == "ties" else RNG.normal(size=shape).astype("float32")
    for mine, theirs in ((kernels.largest, jnp.max), (kernels.smallest, jnp.min)):
        a, b = (jax.value_and_grad(lambda x: jnp.sin(f(x, axis, keepdims=keepdims)).sum())(x) for f in (mine, theirs))
        np.testing.assert_allclose(a[0], b[0], rtol=1e-6)
        np.testing.assert_allclose(a[1], b[1], rtol=1e-6)
        np.testing.assert_array_equal(mine(x, axis, keepdims), theirs(x, axis, keepdims=keepdims))
        np.testing.assert_allclose(jax.jvp(lambda x: mine(x, axis), (x,), (x,))[1], theirs(x, axis), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "bfloat16", "float16", "uint8", "bool"])
def test_types_stay(dtype):
    x = jnp.asarray(RNG.integers(0, 2, (4, 5)), dtype)
    assert kernels.largest(x, 1).dtype == kernels.smallest(x, 1).dtype == x.dtype
    np.testing.assert_array_equal(kernels.largest(x, 1), jnp.max(x, 1))
    np.testing.assert_array_equal(jax.jit(kernels.maximum)(x, x[:1]), jnp.maximum(x, x[:1]))


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_those_of_jax(name):
    a, b = (RNG.integers(-2, 3, shape).astype("float32") for shape in PAIRS[name])
    for mine, theirs in ((kernels.maximum, jnp.maximum), (kernels.minimum, jnp.minimum)):
        found, wanted = (jax.jit(jax.value_and_grad(lambda a, b: (f(a, b) ** 2).sum(), (0, 1)))(a, b) for f in (mine, theirs))
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


def with_nan(shape):
    x = RNG.uniform(0.1, 0.9, shape).astype("float32")
    x.reshape(-1)[7] = np.nan
    return x


OPS = {
    **{name: getattr(ops, name) for name in ("max", "min", "amax", "amin", "ptp", "mean", "sum", "std", "var", "prod", "logsumexp")},
    **{f"norm of order {order}": lambda x, axis=None, order=order: ops.norm(x, order, axis) for order in (1, 2, 3, np.inf, -np.inf)},
}


@pytest.mark.parametrize("shape, axis", [((64, 1000), 1), ((32, 10), 1), ((4, 100, 64), 1)])
@pytest.mark.parametrize("name", OPS)
def test_reductions_keep_nan(name, shape, axis):
    x = with_nan(shape)
    for run in (lambda x: OPS[name](x, axis=axis), jax.jit(lambda x: OPS[name](x, axis=axis))):
        assert np.isnan(run(x)).sum() == 1


BEFORE = {
    **{name: getattr(ops, name) for name in (
        "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign", "tanh", "sigmoid", "hard_sigmoid",
        "hard_silu", "celu", "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink", "sparse_plus", "squareplus",
        "softmax", "log_softmax", "sparsemax", "sparse_sigmoid", "square", "abs")},
    "maximum": lambda x: ops.maximum(x, 0.0), "minimum": lambda x: ops.minimum(0.5, x), "clip": lambda x: ops.clip(x, 0, 1),
    "threshold": lambda x: ops.threshold(x, 0.1, 0.2), "relu of Keras": kyeo.layers.ReLU(2.0, 0.1, 0.2),
    "merged": lambda x: kyeo.layers.Maximum()([x, x * 0]), "pooled": lambda x: kyeo.layers.MaxPooling1D(2)(x[..., None])[..., 0],
}


@pytest.mark.parametrize("name", BEFORE)
def test_means_of_activations_keep_nan(name):
    found = jax.jit(lambda x: ops.mean(BEFORE[name](x), axis=1))(with_nan((64, 1000)))
    assert np.isnan(found).sum() == 1


LOSSES = sorted(name for name, loss in vars(kyeo.losses).items() if isinstance(loss, type) and issubclass(loss, kyeo.losses.Loss)
                and name not in ("Loss", "CTC", "Circle", "SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_keep_nan(name):
    true = np.eye(1000, dtype="float32")[RNG.integers(0, 1000, 64)]
    loss = getattr(kyeo.losses, name)()
    assert np.isnan(jax.jit(lambda y: loss(true, y))(with_nan((64, 1000))))


TAILS = {
    "mean": lambda layers: [layers.ReLU(), layers.GlobalAveragePooling2D()],
    "pool, mean": lambda layers: [layers.ReLU(), layers.MaxPooling2D(2), layers.GlobalAveragePooling2D()],
    "wide pool, mean": lambda layers: [layers.MaxPooling2D(3, 1), layers.GlobalAveragePooling2D()],
    "largest": lambda layers: [layers.GlobalMaxPooling2D()],
    "adaptive": lambda layers: [layers.AdaptiveMaxPooling2D(3), layers.GlobalAveragePooling2D()],
}


@pytest.mark.parametrize("name", TAILS)
@pytest.mark.parametrize("first", ["Conv2D", "SeparableConv2D"])
def test_networks_keep_nan(name, first):
    """Predictions, evaluations and trainings of a network whose input has a NaN."""
    layers = kyeo.layers
    model = kyeo.Sequential([kyeo.Input((24, 24, 4)), getattr(layers, first)(32, 3), *TAILS[name](layers), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = with_nan((8, 24, 24, 4))
    assert np.isnan(model.predict(x, verbose=0)).sum() == 1
    assert np.isnan(model.evaluate(x, np.zeros((8, 1)), verbose=0))
    with pytest.warns(UserWarning, match="NaN|nan|finite"):
        assert np.isnan(model.fit(x, np.zeros((8, 1)), verbose=0).history["loss"][0])
