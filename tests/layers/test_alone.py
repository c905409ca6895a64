"""A layer called by itself, outside of `fit`: few programs are compiled, and the numbers are those of a compiled model."""

import jax
import numpy as np
import pytest

from kyeo import layers

COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def programs():
    """How many programs XLA was asked for."""
    seen = []

    def listen(event, _duration, **_):
        seen.extend([event] * (event == COMPILED))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)


# Before kernels ran as one program each these took 5 to 22: JAX compiles what is called by itself an operation at a time.
@pytest.mark.parametrize(("make", "words", "most"), [
    (lambda: layers.MaxPool2D(3, 2), {}, 2),
    (lambda: layers.AveragePooling2D(3, padding="same"), {}, 3),
    (lambda: layers.DepthwiseConv2D(3), {}, 3),
    (lambda: layers.Dropout(0.5, seed=1), {"training": True}, 3),
    (lambda: layers.GaussianNoise(0.5, seed=1), {"training": True}, 4),
    (lambda: layers.LayerNormalization(), {}, 2),
], ids=["max pool", "average pool", "depthwise", "dropout", "noise", "norm"])
def test_few_programs_and_the_same_numbers(programs, make, words, most):
    x = np.random.default_rng(0).normal(size=(2, 19, 23, 3)).astype("float32")  # of a shape no other test has
    layer, again = make(), make()
    layer.build(x.shape)
    again.build(x.shape)
    again.set_weights(layer.get_weights())
    programs.clear()
    alone = layer(x, **words)
    assert len(programs) <= most
    values = [v.value for v in again.variables]
    inside, _ = jax.jit(lambda values, x: again.stateless_call(values[:len(again.trainable_variables)],
                                                               values[len(again.trainable_variables):], x, **words))(values, x)
    np.testing.assert_allclose(alone, inside, rtol=1e-5, atol=1e-6)
