"""Batch statistics taken in parts, and the relu of long trainings: the numbers and gradients of the plain forms."""

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

import kyeo
from kyeo.core.scope import scope
from kyeo.ops.kernels import before_relu, max_pool, moments, norm, origins, pool, relu, rescaled, standardized
from tests.numpy_jaxpr import in_numpy

SHAPES = {
    # name: shape of x, shape of what says which elements count (None: all do)
    "divides": ((3, 8, 6, 5), None),
    "few parts": ((2, 7, 7, 3), None),
    "one axis": ((5, 1, 13, 2), None),
    "volume": ((2, 2, 3, 4, 3), (2, 1, 1, 1, 1)),
    "real rows": ((6, 4, 4, 3), (6, 1, 1, 1)),
    "real columns": ((2, 4, 6, 3), (2, 1, 6, 1)),
}


def draw(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), "float32")


def pulled(function, g, *arguments):
    """Values, and gradients of their product with `g`."""
    y, pull = jax.vjp(function, *arguments)
    return jax.tree.leaves((y, pull(g)))


@pytest.mark.parametrize("name", SHAPES)
def test_parts_give_what_the_formulas_give(name):
    shape, counted = SHAPES[name]
    x, g, channels = 3 + draw(shape), draw(shape, 1), shape[-1]
    real = None if counted is None else draw(counted, 2) > -0.5
    count = jnp.float32(np.prod(shape[:-1]) if real is None else np.broadcast_to(real, shape).sum() / channels)
    assert norm.in_parts(x)
    vectors = [draw((channels,), seed) for seed in (3, 4, 5)]

    def both(moments, rescaled):
        forms = [lambda x: moments(x, real, count), rescaled]
        given = [(tuple(vectors[:2]), x), (g, x, *vectors)]
        return [v for form, (g, *args) in zip(forms, given) for v in pulled(form, g, *args)]

    ours = jax.jit(lambda: both(norm.moments_in_parts, norm.rescaled_in_parts))()
    for a, b in zip(ours, both(norm.plain_moments, norm.plain_rescaled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * abs(b).max())


def test_the_variance_keeps_its_digits_beside_a_large_mean():
    x = 1000 + draw((8, 16, 16, 4))
    wide = np.asarray(x, "float64")
    for ours, want in zip(moments(x), (wide.mean((0, 1, 2)), wide.var((0, 1, 2)))):
        np.testing.assert_allclose(ours, want, rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 3), (4, 17, 19, 3)])
def test_other_shapes_are_left_to_xla_and_may_be_differentiated_forward(shape):
    assert not norm.in_parts(draw(shape))
    jax.jvp(lambda x: rescaled(x, *moments(x), jnp.ones(3)), (draw(shape),), (draw(shape),))


def test_the_size_of_the_batch_may_be_unknown():
    spec = jax.ShapeDtypeStruct(export.symbolic_shape("b, 4, 4, 3"), "float32")
    mean, variance = jax.eval_shape(moments, spec)
    assert mean.shape == variance.shape == (3,)
    layer = kyeo.layers.BatchNormalization()
    assert layer(kyeo.Input((4, 4, 3)), training=True).shape == (None, 4, 4, 3)


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("bfloat16", 1e-2), ("float16", 1e-3)])
def test_the_layer_normalizes_any_axis_in_any_precision(axis, dtype, tolerance):
    x = np.asarray(2 + 3 * draw((6, 4, 8, 4)), "float64")
    layer = kyeo.layers.BatchNormalization(axis=axis, dtype=kyeo.dtype_policies.DTypePolicy(
        dtype if dtype == "float32" else f"mixed_{dtype}"))
    y = layer(jnp.asarray(x, dtype), training=True)
    others = tuple(a for a in range(4) if a != axis % 4)
    want = (x - x.mean(others, keepdims=True)) / np.sqrt(x.var(others, keepdims=True) + 1e-3)
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, "float64"), want, atol=3 * tolerance)


# relu ---------------------------------------------------------------------------------------------------------


def levels(shape, seed=0):
    """Few different numbers, zeros of both signs and ties among them, and a NaN."""
    return jnp.round(draw(shape, seed)).at[0, 0, 0, 0].set(jnp.nan)


@pytest.mark.parametrize("window, strides, padding", [
    ((2, 2), (2, 2), "valid"), ((3, 3), (2, 2), "same"), ((3, 2), (1, 2), "valid")])
def test_a_pool_goes_before_the_relu_with_the_same_numbers(window, strides, padding):
    x = levels((2, 8, 9, 3))

    def pooled(relu, x):
        return relu(max_pool(relu(x), window, strides, padding))

    g = jnp.round(4 * draw(jax.eval_shape(lambda x: pooled(jax.nn.relu, x), x).shape, 1))  # whole numbers add without rounding
    plain = in_numpy(lambda x: pulled(lambda x: pooled(jax.nn.relu, x), g, x), x)

    def ours(x):
        with scope(onednn=True):
            return pulled(lambda x: pooled(relu, x), g, x)

    for a, b in zip(jax.jit(ours)(x), plain, strict=True):
        np.testing.assert_array_equal(a, b)
    text = str(jax.make_jaxpr(ours)(x))
    stages = len(pool.stages_of(x, window, strides, padding))
    # one relu before (not used), one after: forward; one backward, and one for each stage of the pool
    assert text.count("optimization_barrier") == 3 + stages
    gc.collect()
    assert not origins._made


def test_relu_is_as_before_outside_of_a_long_training():
    y = relu(levels((1, 2, 2, 1)))
    assert before_relu(y) is None
    assert "optimization_barrier" not in str(jax.make_jaxpr(relu)(y))


def test_a_stored_relu_is_differentiated_twice_and_forward():
    x = jnp.asarray([[[[-1.0], [2.0]]]])
    with scope(onednn=True):
        assert "optimization_barrier" in str(jax.make_jaxpr(relu)(x))
        _, tangent = jax.jvp(lambda x: relu(x) * x, (x,), (jnp.ones_like(x),))
        second = jax.grad(lambda x: jax.grad(lambda x: (relu(x) * x).sum())(x).sum())(x)
    assert tangent.ravel().tolist() == [0, 4] and second.ravel().tolist() == [0, 2]
    assert lax.max(relu(x), 0.0).shape == x.shape


@pytest.mark.parametrize("axes", [(2,), (1, 2)])
@pytest.mark.parametrize("scaled", ["", "gamma", "beta", "both"])
def test_rows_give_what_the_formula_gives(axes, scaled):
    x, g = 3 + draw((4, 5, 6)), draw((4, 5, 6), 1)
    shape = (6,) if axes == (2,) else (1, 5, 6)
    given = [draw(shape, 2) if scaled in ("gamma", "both") else None, draw(shape, 3) if scaled in ("beta", "both") else None]

    def formula(x, gamma, beta):
        y = (x - x.mean(axes, keepdims=True)) / jnp.sqrt(x.var(axes, keepdims=True) + 1e-3)
        return y * (1 if gamma is None else gamma) + (0 if beta is None else beta)

    ours = pulled(lambda *args: standardized(*args, axes, 1e-3), g, x, *given)
    for a, b in zip(ours, pulled(formula, g, x, *given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
