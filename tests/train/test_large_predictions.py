"""Predictions so large that oneDNN multiplies: the plain form's numbers, NaN where it has NaN, few sizes compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kyeo
from kyeo import layers
from kyeo.core.arrays import copy_rows
from kyeo.ops.kernels import onednn
from kyeo.train import runner
from kyeo.train.cost import bounds_products, step_cost

needs_onednn = pytest.mark.skipif(not onednn.compiler_options(), reason="this jaxlib has no oneDNN")
ROWS = 300


def chain(*stack, shape=(8,)):
    return kyeo.Sequential([layers.Input(shape), *stack])


def attention():
    inputs = layers.Input((6, 16))
    seen = layers.MultiHeadAttention(2, 8)(inputs, inputs, use_causal_mask=True)
    return kyeo.Model(inputs, layers.LayerNormalization()(seen + inputs))


def residual():
    inputs = layers.Input((8,))
    return kyeo.Model(inputs, layers.Dense(8)(inputs) * 0.5 + inputs)


ACTIVATIONS = ["relu", "relu6", "hard_sigmoid", "hard_silu", "gelu", "silu", "tanh", "sigmoid", "elu", "selu", "softplus",
               "leaky_relu", "log_softmax", "softmax", "mish", "exponential"]
NETWORKS = {
    **{f"dense {name}": lambda name=name: chain(layers.Dense(32, activation=name), layers.Dense(6, activation=name))
       for name in ACTIVATIONS},
    "maximum": lambda: chain(layers.Dense(32), layers.Lambda(lambda x: kyeo.ops.maximum(x, 0.0)), layers.Dense(3)),
    "clip": lambda: chain(layers.Dense(32), layers.Lambda(lambda x: kyeo.ops.clip(x, 0.0, 6.0)), layers.Dense(3)),
    "layer normalization": lambda: chain(layers.Dense(32), layers.LayerNormalization(), layers.Dense(3)),
    "batch normalization": lambda: chain(layers.Dense(32, use_bias=False), layers.BatchNormalization(), layers.ReLU()),
    "softmax along": lambda: chain(layers.Dense(16), layers.Reshape((4, 4)), layers.Softmax(axis=1)),
    "einsum": lambda: chain(layers.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d"), shape=(4, 8)),
    "attention": attention,
    "residual": residual,
    "recurrent": lambda: chain(layers.LSTM(8), layers.Dense(3, activation="relu"), shape=(5, 8)),
    "convolution": lambda: chain(layers.Conv2D(32, 3, activation="relu"), layers.Conv2D(32, 3, activation="relu6"),
                                 layers.Flatten(), layers.Dense(3, activation="relu"), shape=(8, 8, 32)),
    "maximum of a convolution": lambda: chain(layers.Conv2D(32, 3), layers.Lambda(lambda x: kyeo.ops.maximum(x, 0.0)),
                                              shape=(8, 8, 32)),
}


@pytest.fixture
def all_large(monkeypatch):
    """Every prediction of several batches is a large one, and every training a long one."""
    for name in ("_LONG_FLOPS_AN_OPERATION", "_LONG_FLOPS"):
        monkeypatch.setattr(runner, name, 0)
    monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)


def spoilt(x, kind):
    """Rows of large numbers, infinity or NaN among the others."""
    x = x.copy()
    x[3::7] = {"as drawn": x[3::7], "large": x[3::7] * 1e4, "infinite": np.inf, "NaN": np.nan}[kind]
    return x


@needs_onednn
@pytest.mark.parametrize("kind", ["as drawn", "large", "infinite", "NaN"])
@pytest.mark.parametrize("name", NETWORKS)
def test_same_as_the_plain_form(name, kind, all_large):
    kyeo.utils.set_random_seed(1)
    model = NETWORKS[name]()
    x = spoilt(np.random.default_rng(0).normal(size=(ROWS, *model.input_shape[1:])).astype("float32"), kind)
    found, want = model.predict(x, verbose=0), np.asarray(model(x, training=False))
    finite = np.abs(want[np.isfinite(want)])
    np.testing.assert_allclose(found, want, rtol=3e-5, atol=3e-5 * finite.max(initial=1e-3))


@needs_onednn
@pytest.mark.parametrize("act", ["relu", "relu6", "hard_sigmoid", kyeo.ops.abs, lambda x: kyeo.ops.maximum(x, 0.0)])
@pytest.mark.parametrize("dense", [False, True])
def test_a_long_training_with_nan_says_so(act, dense, all_large):
    """A relu that oneDNN joins to its convolution takes NaN for 0: the loss would be that of a sound network."""
    model = chain(layers.Conv2D(32, 3), layers.Activation(act), layers.Flatten(), *[layers.Dense(8)] * dense,
                  *[layers.Activation(act)] * dense, shape=(8, 8, 32))
    model.compile("sgd", "mse")
    x = spoilt(np.random.default_rng(0).normal(size=(32, 8, 8, 32)).astype("float32"), "NaN")
    with pytest.warns(UserWarning, match="NaN|nan"):
        assert np.isnan(model.fit(x, np.zeros((32, *model.output_shape[1:])), verbose=0).history["loss"][0])


@pytest.mark.parametrize(("act", "clips"), [
    (lambda x: jnp.maximum(x, 0), True), (lambda x: jnp.maximum(0.0, x), True), (jax.nn.relu, True), (jax.nn.relu6, True),
    (lambda x: jnp.clip(x, 0, 6), True), (jax.nn.softmax, False), (lambda x: jnp.maximum(x, 1.0), False),
    (lambda x: jnp.maximum(x, x[::-1]), False), (lambda x: jnp.clip(x, -127, 127), False), (lambda x: jnp.clip(x, 0, 1), True), (lambda x: jnp.maximum(x.sum(-1), 0), False), (jnp.abs, False),
])
def test_what_bounds_a_product_by_0(act, clips):
    assert bounds_products(jax.jit(lambda x: act(x @ x + 1)).trace(jnp.ones((4, 4))).jaxpr) == clips


def test_cost_of_a_step():
    def work(x):
        return jax.lax.fori_loop(0, 5, lambda i, x: x @ x, x)

    cost = step_cost(jax.jit(work).trace(jnp.ones((4, 4))))
    assert cost.flops == 5 * 2 * 4 ** 3 and cost.loops and not cost.convolves and cost.dtypes == {"float32"}


@pytest.mark.parametrize("axes, counted", [(1, False), (2, True)])
def test_cost_of_convolutions_of_images(axes, counted):
    x, kernel = jnp.ones((2, *[8] * axes, 16)), jnp.ones((*[3] * axes, 16, 16))
    cost = step_cost(jax.jit(lambda x: kyeo.ops.conv(x, kernel, padding="same")).trace(x))
    assert cost.convolves and cost.flops == 2 * x.size * 3 ** axes * 16 and cost.of_images == counted * cost.flops


@needs_onednn
@pytest.mark.parametrize("verbose", [0, 1])
def test_a_large_prediction_is_one_dispatch_or_a_few_alike(verbose, all_large, monkeypatch):
    monkeypatch.setattr(runner, "_MOST_LARGE_ROWS", 128)
    model, seen = chain(layers.Dense(40 + verbose)), []  # a network of its own, which no other test compiled
    for rows, size in ((100, 100), (99, 100), (300, 100), (301, 102), (129, 66)):
        x = np.random.default_rng(rows).normal(size=(rows, 8)).astype("float32")
        found = model.predict(x, verbose=verbose)
        seen.append((size, 8))
        assert model.runner("predict")._compiled.started == set(seen)
        kernel, bias = model.get_weights()
        np.testing.assert_allclose(found, x @ kernel + bias, rtol=1e-5, atol=1e-6)


@needs_onednn
def test_a_large_prediction_of_convolutions_is_in_equal_parts(all_large, monkeypatch):
    monkeypatch.setattr(runner, "_LARGE_CONVOLVED_FLOPS", 0)
    model = chain(layers.Conv2D(32, 3), layers.GlobalMaxPooling2D(), shape=(8, 8, 31))
    x = np.random.default_rng(0).normal(size=(70, 8, 8, 31)).astype("float32")
    found = model.predict(x, verbose=0)
    assert model.runner("predict")._compiled.started == {(24, 8, 8, 31)}  # three of 24, not of 32
    np.testing.assert_allclose(found, np.asarray(model(x)), rtol=1e-5, atol=1e-5)


@needs_onednn
@pytest.mark.parametrize(("stack", "shape", "form"), [
    ([layers.Conv2D(32, 3), layers.GlobalMaxPooling2D()], (8, 8, 30), "large"), ([layers.Dense(32)], (30,), "single")])
def test_evaluations_and_validations_of_convolutions(stack, shape, form, all_large, monkeypatch):
    seen, run = [], runner.Runner.run

    def run_step(self, data, rows, safe, count=None, form="single"):
        seen.append(form)
        return run(self, data, rows, safe, count, form)

    model = chain(*stack, shape=shape)
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.random.default_rng(0).normal(size=(70, *shape)).astype("float32")
    y = np.zeros((70, 32), "float32")
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_LONG_FLOPS_AN_OPERATION", 1e12)
        want = model.evaluate(x, y, verbose=0)
    monkeypatch.setattr(runner.Runner, "run", run_step)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), want, rtol=1e-5)
    assert set(seen) == {form}
    seen.clear()
    model.fit(x, y, validation_data=(x, y), verbose=0, epochs=2)
    assert form in seen and len(set(seen)) == (1 if form == "single" else 2)


def quantized():
    model = chain(layers.Conv2D(32, 3), layers.Flatten(), layers.Dense(64), shape=(8, 8, 32))
    model.quantize("int8")
    return model


@needs_onednn
@pytest.mark.parametrize(("make", "form"), [
    (lambda: chain(layers.Dense(4)), "large"), (lambda: chain(layers.LSTM(4), shape=(5, 8)), "single"),
    (lambda: chain(layers.Dense(4, dtype="mixed_bfloat16")), "single"), (quantized, "long"),
    (lambda: chain(layers.Conv1D(16, 3), layers.Dense(4), shape=(40, 16)), "single"),
    (lambda: chain(layers.Conv2D(4, 3, strides=2), shape=(9, 9, 8)), "large"),
])
def test_loops_and_other_dtypes(make, form, all_large):
    """XLA's own code, and oneDNN's there, multiplies integers many times slower than YNNPACK; oneDNN convolves along one
    axis slower than XLA."""
    model = make()
    assert model.runner("predict").form((np.zeros((64, *model.input_shape[1:]), "float32"), None, None), None, 1) == form


@pytest.mark.parametrize("rows", [0, 1, 3, 1_100_001])
def test_rows_are_copied_whole(rows):
    source = np.arange(rows * 2, dtype="float32").reshape(rows, 2)
    to = np.empty_like(source)
    copy_rows(source, to)
    np.testing.assert_array_equal(to, source)
