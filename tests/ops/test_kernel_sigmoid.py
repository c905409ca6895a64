"""`log_sigmoids` against float64, with its derivatives."""

import jax
import numpy as np
import pytest

import kyeo
from kyeo.ops.kernels.sigmoid import log_sigmoids

POINTS = np.array([0.0, 1e-3, -1e-3, 0.5, -0.5, 3, -3, 20, -20, 80, -80], "float32")


def softplus(x):
    return np.logaddexp(0, np.asarray(x, "float64"))


def sigmoid(x):
    return np.exp(-softplus(-np.asarray(x, "float64")))


@pytest.mark.parametrize(("derivative", "positive", "negative"), [
    (lambda f: f, lambda x: -softplus(-x), lambda x: -softplus(x)),
    (jax.grad, lambda x: sigmoid(-x), lambda x: -sigmoid(x)),
    (jax.jacfwd, lambda x: sigmoid(-x), lambda x: -sigmoid(x)),
    (lambda f: jax.grad(jax.grad(f)), lambda x: -sigmoid(x) * sigmoid(-x), lambda x: -sigmoid(x) * sigmoid(-x)),
    (lambda f: jax.jacfwd(jax.grad(f)), lambda x: -sigmoid(x) * sigmoid(-x), lambda x: -sigmoid(x) * sigmoid(-x)),
], ids=["values", "reverse", "forward", "second", "hessian"])
def test_both_sides_to_the_last_digits(derivative, positive, negative):
    for side, wanted in ((0, positive), (1, negative)):
        found = jax.jit(jax.vmap(derivative(lambda x, side=side: log_sigmoids(x)[side])))(POINTS)
        np.testing.assert_allclose(found, wanted(POINTS), rtol=2e-6)


def test_what_is_no_number_stays_none():
    odd = np.array([np.nan, np.inf, -np.inf], "float32")
    positive, negative = jax.jit(log_sigmoids)(odd)
    np.testing.assert_array_equal(positive, [np.nan, 0, -np.inf])
    np.testing.assert_array_equal(negative, [np.nan, -np.inf, 0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_the_loss_keeps_its_dtype(dtype):
    logits = kyeo.ops.cast([[0.5, -2.0]], dtype)
    loss = kyeo.losses.binary_crossentropy(kyeo.ops.cast([[1.0, 0.0]], dtype), logits, from_logits=True)
    assert loss.dtype == logits.dtype
    np.testing.assert_allclose(np.asarray(loss, "float64"), [np.mean(softplus([-0.5, -2.0]))], rtol=1e-2)
