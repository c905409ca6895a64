"""Convolutions by oneDNN: what it takes, and that it gives the numbers of the plain form, gradients too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kyeo
from kyeo.core.scope import scope
from kyeo.ops.kernels import onednn
from kyeo.ops.kernels.conv import conv
from tests.ops.test_kernel_conv import by_hand, draw

needs_onednn = pytest.mark.skipif(not onednn.compiler_options(), reason="this jaxlib has no oneDNN")
IMAGES = {
    # name: input shape, window, filters, padding
    "large": ((3, 20, 19, 16), (3, 3), 24, "same"),
    "small": ((4, 8, 7, 16), (3, 3), 24, "same"),
    "valid": ((4, 9, 8, 16), (3, 2), 8, "valid"),
    "uneven": ((4, 9, 24, 8), (4, 5), 16, [(2, 1), (0, 4)]),
}


def run(*geometry):
    def both(x, kernel, g):
        with scope(onednn=True):
            y, pull = jax.vjp(lambda x, kernel: conv(x, kernel, (1, 1), *geometry, (1, 1)), x, kernel)
            return y, *pull(g)

    return jax.jit(both, compiler_options=onednn.compiler_options())


@needs_onednn
@pytest.mark.parametrize("name", IMAGES)
def test_same_numbers_as_by_hand(name, monkeypatch):
    monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)
    shape, window, filters, padding = IMAGES[name]
    x, kernel = draw(shape), draw((*window, shape[-1], filters), 1)
    y, g, dx, dk = by_hand(x, kernel, (1, 1), padding, (1, 1), 1)
    step = run(padding)
    arguments = x, kernel, jnp.asarray(g, "float32")
    for ours, want in zip(step(*arguments), (y, dx, dk), strict=True):
        np.testing.assert_allclose(ours, want, atol=2e-6 * abs(want).max())
    large = np.prod(y.shape[1:3]) > onednn.LARGEST_IMAGE
    text = step.lower(*arguments).compile().as_text()
    assert text.count('custom_call_target="__onednn$convolution"') == (2 if large else 3)


@pytest.mark.parametrize("changes", [
    {"dtype": "bfloat16"}, {"strides": (2, 1)}, {"dilation": (1, 2)}, {"pads": ((3, 1), (1, 1))}, {"batch": 1}, {}])
def test_takes_only_what_it_is_faster_at(changes):
    x = jax.ShapeDtypeStruct((changes.get("batch", 32), 28, 28, 32), changes.get("dtype", "float32"))
    kernel = jax.ShapeDtypeStruct((3, 3, 32, 32), x.dtype)
    geometry = [changes.get(k, v) for k, v in
                {"strides": (1, 1), "pads": ((1, 1), (1, 1)), "dilation": (1, 1)}.items()]
    assert not onednn.takes(x, kernel, *geometry)  # outside of a step that is compiled for it
    with scope(onednn=True):
        assert onednn.takes(x, kernel, *geometry) == (changes == {})


@needs_onednn
def test_known_versions_answer():
    assert onednn.answers()


def test_an_option_that_jaxlib_does_not_know_means_no(monkeypatch):
    monkeypatch.setattr(onednn, "OPTIONS", {"xla_cpu_no_such_option": True})
    assert not onednn.answers()


@needs_onednn
def test_training_uses_it_and_follows_the_plain_form(monkeypatch):
    x, y = draw((48, 12, 12, 16)), np.arange(48) % 3

    def losses(options):
        monkeypatch.setattr(onednn, "compiler_options", lambda: options)
        monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)
        kyeo.utils.set_random_seed(1)
        model = kyeo.Sequential([
            kyeo.layers.Conv2D(16, 3, activation="relu"), kyeo.layers.Flatten(), kyeo.layers.Dense(3)])
        model.compile("adam", kyeo.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model.fit(x, y, batch_size=16, epochs=4, verbose=0, shuffle=False).history["loss"]

    np.testing.assert_allclose(losses(dict(onednn.OPTIONS)), losses({}), rtol=1e-4)
