"""The recurrent kernels against a plain scan that JAX differentiates, in float64: states and all gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from kyeo.ops import kernels
from tests.numpy_jaxpr import compiled, in_numpy
from tests.thin import thinned

pytestmark = pytest.mark.usefixtures("full_compilation")  # rounding is that of the optimized loops
TIME, BATCH, UNITS = 7, 3, 5


def scan(step, states, x, mask):
    """All states of a step function; where masked they stay."""
    def body(states, now):
        x, real = now
        new = step(x, *states)
        if real is not None:
            new = tuple(jnp.where(real, n, o) for n, o in zip(new, states))
        return new, new

    return lax.scan(body, states, (x, mask))[1]


def plain_lstm(x, h, c, recurrent, mask):
    def step(x, h, c):
        i, f, g, o = jnp.split(x + h @ recurrent, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    hidden, cells = scan(step, (h, c), x, mask)
    return hidden, cells[-1]


def plain_gru(x, h, recurrent, bias, mask):
    def step(x, h):
        (a, b, c), (d, e, f) = jnp.split(x, 3, -1), jnp.split(h @ recurrent + bias, 3, -1)
        z, candidate = jax.nn.sigmoid(a + d), jnp.tanh(c + jax.nn.sigmoid(b + e) * f)
        return (z * h + (1 - z) * candidate,)

    return scan(step, (h,), x, mask)[0]


def plain_simple(x, h, recurrent, mask):
    return scan(lambda x, h: (jnp.tanh(x + h @ recurrent),), (h,), x, mask)[0]


def plain_conv_lstm(x, h, c, recurrent, mask):
    def convolved(h):
        return lax.conv_general_dilated(h, recurrent, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def step(x, h, c):
        i, f, g, o = jnp.split(x + convolved(h), 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    hidden, cells = scan(step, (h, c), x, None if mask is None else mask[..., None, None])
    return hidden, cells[-1]


STATE = (BATCH, UNITS)
IMAGE = (BATCH, 4, 5, 2)
KERNELS = {
    "lstm": (kernels.lstm, plain_lstm, [(TIME, BATCH, 4 * UNITS), STATE, STATE, (UNITS, 4 * UNITS)]),
    "conv_lstm": (kernels.lstm, plain_conv_lstm, [(TIME, *IMAGE[:-1], 8), IMAGE, IMAGE, (3, 2, 2, 8)]),
    "gru": (kernels.gru, plain_gru, [(TIME, BATCH, 3 * UNITS), STATE, (UNITS, 3 * UNITS), (3 * UNITS,)]),
    "simple_rnn": (kernels.simple_rnn, plain_simple, [(TIME, BATCH, UNITS), STATE, (UNITS, UNITS)]),
}


@pytest.mark.parametrize("name, masked", thinned(
    [(name, masked) for turn, name in enumerate(KERNELS) for masked in (turn % 2 == 1, turn % 2 == 0)], 2))
def test_equal_to_the_plain_form(name, masked):
    kernel, plain, shapes = KERNELS[name]
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        mask = jnp.asarray(rng.random((TIME, BATCH, 1)) < 0.6) if masked else None
        arguments = [jnp.asarray(2 * rng.normal(size=shape)) for shape in shapes]

        def results(function, run):
            def loss(*arguments):
                outputs = jax.tree.leaves(function(*arguments, mask))
                return sum((jnp.cos(jnp.arange(o.size)).reshape(o.shape) * o).sum() for o in outputs), outputs

            return run(jax.value_and_grad(loss, tuple(range(len(shapes))), has_aux=True), *arguments)

        found = results(kernel, compiled), results(plain, in_numpy)
        for mine, wanted in zip(*map(jax.tree.leaves, found), strict=True):
            assert mine.dtype == "float64"
            np.testing.assert_allclose(mine, wanted, rtol=1e-12, atol=1e-12)


def test_float32_is_as_near_to_float64_as_the_plain_form():
    shapes = [(80, 8, 4 * 16), (8, 16), (8, 16), (16, 64)]
    values = [np.random.default_rng(0).normal(size=shape) for shape in shapes]
    with jax.enable_x64(True):
        exact = np.asarray(plain_lstm(*map(jnp.asarray, values), None)[0])
    errors = [np.abs(np.asarray(f(*(jnp.asarray(v, "float32") for v in values), None)[0]) - exact).max()
              for f in (kernels.lstm, plain_lstm)]
    assert errors[0] < 2 * errors[1] + 1e-6
