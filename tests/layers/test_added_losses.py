"""Losses that a layer adds inside the functions of control flow come out summed, with their gradients."""

import jax
import numpy as np
import pytest

import kyeo
from kyeo import layers, ops

X = np.arange(12, dtype="float32").reshape(3, 2, 2)


class Adds(layers.Layer):
    def build(self, input_shape):
        self.w = self.add_weight((input_shape[-1],), "ones", name="w")

    def call(self, x):
        self.add_loss(ops.sum(x * self.w))
        return x * self.w


class Around(layers.Layer):
    def __init__(self, run):
        super().__init__()
        self.inner, self.run = Adds(), run

    def build(self, input_shape):
        self.inner.build((None, input_shape[-1]))

    def call(self, x):
        return self.run(self.inner, x)


RUNS = {  # how the layer is called, and on which of the three steps
    "scan": (lambda f, x: ops.scan(lambda c, t: (c, f(t)), 0.0, x)[1], 3),
    "nested": (lambda f, x: ops.scan(lambda c, t: (c, ops.cond(True, lambda: f(t), lambda: t)), 0.0, x)[1], 3),
    "map": (lambda f, x: ops.map(f, x), 3),
    "fori": (lambda f, x: ops.fori_loop(0, 2, lambda i, c: c + f(ops.take(x, i, 0)), x[0] * 0), 2),
    "while": (lambda f, x: ops.while_loop(lambda i, c: i < 2, lambda i, c: (i + 1, c + f(ops.take(x, i, 0))), (0, x[0] * 0))[1], 2),
    "cond": (lambda f, x: ops.cond(False, lambda: x[0], lambda: f(x[0])), 1),
    "not taken": (lambda f, x: ops.cond(True, lambda: x[0], lambda: f(x[0])), 0),
    "remat": (lambda f, x: kyeo.remat(f)(x[0]), 1),
}


@pytest.mark.parametrize("name", RUNS)
def test_sum_and_gradient(name):
    run, steps = RUNS[name]
    layer = Around(run)
    layer(X)
    np.testing.assert_allclose(sum(map(float, layer.losses)), X[:steps].sum())
    if name != "while":  # which JAX cannot differentiate backwards
        grad = jax.grad(lambda w: sum(layer.stateless_call([w], [], X, return_losses=True)[2]))(layer.inner.w.value)
        np.testing.assert_allclose(grad, X[:steps].sum((0, 1)))


def test_a_call_for_shapes_leaves_them():
    layer = Adds()
    layer(X)
    layer.compute_output_shape(X.shape), layer(kyeo.Input((2, 2)))
    assert [float(loss) for loss in layer.losses] == [X.sum()]


@pytest.mark.parametrize("transform", [
    lambda f, x: ops.vectorized_map(f, x), lambda f, x: ops.associative_scan(lambda a, b: a + f(b), x)])
def test_without_an_order_of_steps(transform):
    with pytest.raises(ValueError, match="return the loss"):
        Around(transform)(X)
