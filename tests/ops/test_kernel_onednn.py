"""Convolutions by oneDNN: what it takes, and that it gives the numbers of the plain form, gradients too."""

import functools
import platform

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest

import kyeo
from kyeo.core.scope import scope
from kyeo.ops import kernels
from kyeo.ops.kernels import onednn, winograd
from kyeo.ops.kernels.conv import conv, phases, plain
from kyeo.train import runner
from tests.numpy_jaxpr import in_numpy
from tests.ops.test_kernel_conv import by_hand, draw
from tests.ops.test_kernel_recurrent import plain_conv_lstm

HERE = (jaxlib.__version__, platform.system(), platform.machine())
needs_onednn = pytest.mark.skipif(not onednn.compiler_options(), reason="this jaxlib has no oneDNN")
IMAGES = {
    # name: input shape, window, filters, strides, padding, convolutions that go to oneDNN
    "many places": ((2, 12, 11, 40), (3, 3), 8, (1, 1), "same", 3),
    "few channels": ((3, 20, 19, 16), (3, 3), 24, (1, 1), "same", 3),
    "more channels": ((4, 8, 7, 40), (3, 3), 24, (1, 1), "same", 3),
    "valid": ((4, 9, 8, 24), (3, 2), 8, (1, 1), "valid", 3),
    "a first layer": ((4, 13, 12, 3), (3, 3), 8, (1, 1), "valid", 2),
    "a first layer, few products": ((4, 13, 12, 1), (5, 3), 8, (2, 2), "same", 0),
    "a first layer, padded columns": ((4, 11, 12, 3), (5, 5), 8, (1, 1), "same", 3),
    "a first layer, strides, padded columns": ((4, 12, 13, 5), (4, 7), 8, (2, 2), [(1, 2), (0, 3)], 2),
    "uneven": ((4, 9, 24, 8), (4, 5), 16, (1, 1), [(2, 1), (0, 4)], 3),
    "strides, few": ((3, 10, 9, 8), (3, 3), 16, (2, 2), "same", 2),
    "strides, more": ((3, 10, 9, 40), (3, 2), 16, (3, 2), "valid", 2),
    "strides, phases": ((3, 10, 9, 16), (3, 3), 24, (2, 2), "same", 5),
    "strides, uneven phases": ((3, 12, 9, 20), (5, 3), 16, (3, 2), "valid", 4),
    "strides, phases without zeros": ((3, 12, 9, 20), (4, 4), 16, (2, 2), "same", 3),
    "strides, too sparse": ((3, 12, 9, 16), (4, 4), 16, (3, 3), "valid", 3),
}


def run(strides, padding):
    def both(x, kernel, g):
        with scope(onednn=True):
            y, pull = jax.vjp(lambda x, kernel: conv(x, kernel, strides, padding, (1, 1)), x, kernel)
            return y, *pull(g)

    return jax.jit(both, compiler_options=onednn.compiler_options())


@pytest.fixture(autouse=True)
def not_by_winograd(monkeypatch):
    """Which shapes those take depends on the processor."""
    for chosen in ("suits_forward", "suits_gradients", "suits_kernel_gradient"):
        monkeypatch.setattr(winograd, chosen, lambda *_: False)


@needs_onednn
@pytest.mark.parametrize("name", IMAGES)
def test_same_numbers_as_by_hand(name, monkeypatch):
    monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)
    shape, window, filters, strides, padding, count = IMAGES[name]
    x, kernel = draw(shape), draw((*window, shape[-1], filters), 1)
    y, g, dx, dk = by_hand(x, kernel, strides, padding, (1, 1), 1)
    step = run(strides, padding)
    arguments = x, kernel, jnp.asarray(g, "float32")
    for ours, want in zip(step(*arguments), (y, dx, dk), strict=True):
        np.testing.assert_allclose(ours, want, atol=2e-6 * abs(want).max())
    text = step.lower(*arguments).compile().as_text()
    assert text.count('custom_call_target="__onednn$convolution"') == count


@needs_onednn
@pytest.mark.parametrize("least, count", [(5e5, 1), (2e5, 3)])  # of a phase alone: 230,400 operations
def test_small_phases_are_one_convolution(least, count, monkeypatch):
    """With zeros for the taps that some lack; 3 of 4, since one has a single tap."""
    g, kernel = draw((3, 5, 5, 24)), draw((3, 3, 16, 24), 1)
    whole = jax.vjp(lambda x: plain(x, kernel, (2, 2), "SAME", (1, 1)), jnp.ones((3, 10, 9, 16)))[1](g)[0]
    monkeypatch.setattr(onednn, "LEAST_FLOPS", least)
    with scope(onednn=True):
        asked = jax.make_jaxpr(lambda g: phases(g, kernel, (2, 2), ((0, 1), (1, 1)), (10, 9)))(g)
    assert str(asked).count("conv_general_dilated[") == count
    np.testing.assert_allclose(jax.core.eval_jaxpr(asked.jaxpr, asked.consts, g)[0], whole, atol=1e-5)


@needs_onednn
def test_a_loop_of_convolutions_has_the_numbers_of_the_plain_form(monkeypatch):
    """ConvLSTM in a long training: oneDNN inside of both loops; states, gradients, a mask."""
    monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)
    shapes = [(4, 2, 5, 6, 32), (2, 5, 6, 8), (2, 5, 6, 8), (3, 2, 8, 32)]
    arguments = [draw(shape, seed) for seed, shape in enumerate(shapes)]
    mask = np.random.default_rng(0).random((4, 2, 1)) < 0.6

    def results(function, *arguments):
        def loss(*arguments):
            hidden, cells = function(*arguments, mask)
            return jnp.sum(jnp.cos(hidden)) + jnp.sum(jnp.sin(cells)), (hidden, cells)

        with scope(onednn=True):
            return jax.value_and_grad(loss, (0, 1, 2, 3), has_aux=True)(*arguments)

    step = jax.jit(functools.partial(results, kernels.lstm), compiler_options=onednn.compiler_options())
    assert step.lower(*arguments).compile().as_text().count('custom_call_target="__onednn$convolution"') >= 2
    wanted = in_numpy(functools.partial(results, plain_conv_lstm), *arguments)
    for ours, want in zip(*map(jax.tree.leaves, (step(*arguments), wanted)), strict=True):
        np.testing.assert_allclose(ours, want, atol=3e-6 * abs(want).max())


@needs_onednn
@pytest.mark.parametrize("longest, parts", [(5 * 9 * 8, 1), (5 * 9 * 8 - 1, 2), (2 * 9 * 8, 3), (1, 5)])
def test_a_long_sum_is_added_in_parts_of_the_images(longest, parts, monkeypatch):
    monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)
    monkeypatch.setattr(onednn, "LONGEST_SUM", longest)
    x, kernel = draw((5, 9, 8, 16)), draw((3, 3, 16, 8), 1)
    _, g, _, dk = by_hand(x, kernel, (1, 1), "same", (1, 1), 1)
    compiled = run((1, 1), "same").lower(x, kernel, jnp.asarray(g, "float32")).compile()
    assert compiled.as_text().count('custom_call_target="__onednn$convolution"') == 2 + parts
    np.testing.assert_allclose(compiled(x, kernel, jnp.asarray(g, "float32"))[2], dk, atol=2e-6 * abs(dk).max())


@pytest.mark.parametrize("changes", [
    {"dtype": "bfloat16"}, {"dilation": (1, 2)}, {"pads": ((3, 1), (1, 1))}, {"batch": 1}, {}])
def test_takes_only_what_it_is_faster_at(changes):
    x = jax.ShapeDtypeStruct((changes.get("batch", 32), 28, 28, 32), changes.get("dtype", "float32"))
    kernel = jax.ShapeDtypeStruct((3, 3, 32, 32), x.dtype)
    geometry = [(1, 1), changes.get("pads", ((1, 1), (1, 1))), changes.get("dilation", (1, 1))]
    assert not onednn.takes(x, kernel, *geometry)  # outside of a step that is compiled for it
    with scope(onednn=True):
        assert onednn.takes(x, kernel, *geometry) == (changes == {})
        assert onednn.takes(x, kernel, *geometry, part=0.1) == (changes in ({}, {"batch": 1}))


@pytest.mark.skipif(HERE not in onednn.KNOWN, reason="asked at each start")
def test_known_versions_answer_as_is_known():
    assert onednn.answers() is onednn.KNOWN[HERE]


def test_an_option_that_jaxlib_does_not_know_means_no(monkeypatch):
    monkeypatch.setattr(onednn, "OPTIONS", {"xla_cpu_no_such_option": True})
    assert not onednn.answers()


def trained(epochs=4, **words):
    x, y = draw((48, 12, 12, 16)), np.arange(48) % 3
    kyeo.utils.set_random_seed(1)
    model = kyeo.Sequential([
        kyeo.layers.Conv2D(16, 3, activation="relu"), kyeo.layers.Flatten(), kyeo.layers.Dense(3)])
    model.compile("adam", kyeo.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, shuffle=False, **words).history["loss"]


@pytest.fixture
def forms(monkeypatch):
    """The convolutions that went to oneDNN while a step was traced, and whether each step was a long training's."""
    seen = {"taken": 0, "long": []}
    take, run = onednn.convolve, runner.Runner.run

    def convolve(*args):
        seen["taken"] += 1
        return take(*args)

    def run_step(self, data, rows, safe, count=None, form="single"):
        seen["long"].append(form == "long")
        return run(self, data, rows, safe, count, form)

    monkeypatch.setattr(onednn, "convolve", convolve)
    monkeypatch.setattr(runner.Runner, "run", run_step)
    monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)
    return seen


@needs_onednn
def test_a_long_training_uses_it_and_follows_the_plain_form(forms, monkeypatch):
    plain = trained()
    assert forms == {"taken": 0, "long": [False] * 12}
    monkeypatch.setattr(runner, "_LONG_FLOPS", 0)
    np.testing.assert_allclose(trained(), plain, rtol=1e-4)
    assert forms["taken"] > 0 and forms["long"][12:] == [True] * 12


@needs_onednn
def test_the_rest_of_a_training_takes_the_form_of_the_whole(forms, monkeypatch):
    trained(epochs=1)
    flops = 2 * 16 * (10 * 10 * 16 * 9 * 16 + 1600 * 3) * 3  # about, with gradients
    monkeypatch.setattr(runner, "_LONG_FLOPS", 6 * flops)  # of a step, and there are 3 in an epoch
    forms["long"].clear()
    trained(epochs=1)
    trained(epochs=4)
    trained(epochs=4, initial_epoch=3)
    assert forms["long"] == [False] * 3 + [True] * 12 + [True] * 3


@needs_onednn
@pytest.mark.parametrize("shape, layers, long", [
    ((12, 12, 16), [kyeo.layers.Conv2D(16, 3), kyeo.layers.GlobalMaxPooling2D()], True),
    ((6, 6, 6, 8), [kyeo.layers.Conv3D(8, 3), kyeo.layers.GlobalMaxPooling3D()], True),
    ((40, 16), [kyeo.layers.Conv1D(16, 3), kyeo.layers.GlobalMaxPooling1D()], False),
    ((12, 12, 16), [kyeo.layers.Dense(256), kyeo.layers.Dense(16), kyeo.layers.Conv2D(1, 3),
                    kyeo.layers.GlobalMaxPooling2D()], False)], ids=["images", "volumes", "series", "products"])
def test_only_convolutions_of_images_make_a_training_long(shape, layers, long, forms, monkeypatch):
    monkeypatch.setattr(runner, "_LONG_FLOPS", 1)
    model = kyeo.Sequential([kyeo.Input(shape), *layers])
    model.compile("sgd", "mse")
    model.fit(draw((8, *shape)), np.zeros((8, model.output_shape[-1])), batch_size=4, verbose=0)
    assert forms["long"] == [long] * 2
