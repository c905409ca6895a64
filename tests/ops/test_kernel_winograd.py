"""3x3 convolutions and their kernels' gradients by Winograd's products: the numbers of the plain form, and when they
are chosen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kyeo.core.scope import scope
from kyeo.ops.kernels import onednn, winograd
from kyeo.ops.kernels.conv import conv
from kyeo.ops.kernels.windows import pads_of
from tests.ops.test_kernel_conv import by_hand, draw

IMAGES = {
    # name: input shape, filters, padding
    "whole tiles": ((2, 8, 12, 3), 5, "same"),
    "parts of tiles": ((3, 7, 9, 4), 2, "same"),
    "valid": ((2, 9, 11, 3), 4, "valid"),
    "smaller than a tile": ((5, 3, 2, 3), 4, "same"),
    "one place": ((4, 3, 3, 2), 6, "valid"),
    "uneven": ((2, 10, 6, 3), 4, [(2, 0), (1, 2)]),
    "a sequence of rows": ((1, 3, 40, 2), 3, "valid"),
}


@pytest.mark.parametrize("most", [10**9, 1])  # all images at once, or one at a time
@pytest.mark.parametrize("name", IMAGES)
def test_same_numbers_as_by_hand(name, most, monkeypatch):
    monkeypatch.setattr(winograd, "_most_bytes", lambda: most)
    shape, filters, padding = IMAGES[name]
    x, kernel = draw(shape), draw((3, 3, shape[-1], filters), 1)
    y, g, _, dk = by_hand(x, kernel, (1, 1), padding, (1, 1), 1)
    pads = pads_of(padding, shape[1:-1], (3, 3), (1, 1)) if isinstance(padding, str) else padding
    found = winograd.convolve(x, kernel, pads), winograd.kernel_gradient(x, jnp.asarray(g, "float32"), pads, most == 1)
    for one, want in zip(found, (y, dk), strict=True):
        np.testing.assert_allclose(one, want, atol=1e-5 * abs(want).max())


@pytest.mark.parametrize("images, most, together", [
    (12, 4 * 36 * 4 * 7, 6), (12, 4 * 36 * 4 * 5, 4), (7, 4 * 36 * 4 * 6, 1), (7, 4 * 36 * 4 * 7, None),
    (8, 0, 2)])  # as much as the kernel
def test_as_many_images_at_a_time_as_stay_in_the_cache(images, most, together, monkeypatch):
    monkeypatch.setattr(winograd, "_most_bytes", lambda: most)
    channels = 4 if most else 8  # of a kernel of 8 by 1 beside one tile of each image
    x, kernel = jnp.ones((images, 4, 4, channels)), jnp.ones((3, 3, channels, 1 if most else 2))
    g, pads = jnp.ones((images, 4, 4, kernel.shape[-1])), ((1, 1), (1, 1))
    for traced in (jax.make_jaxpr(lambda x: winograd.convolve(x, kernel, pads))(x),
                   jax.make_jaxpr(lambda x: winograd.kernel_gradient(x, g, pads, True))(x)):
        lengths = [equation.params["length"] for equation in traced.eqns if equation.primitive.name == "scan"]
        assert lengths == ([images // together] if together else [])
    whole = str(jax.make_jaxpr(lambda x: winograd.kernel_gradient(x, g, pads))(x))
    assert "scan[" not in whole


def taken(monkeypatch):
    """Let it be chosen wherever it can be; the list gets an element for each time it is."""
    by_products, seen = winograd.kernel_gradient, []
    monkeypatch.setattr(winograd, "suits", lambda *_: True)
    monkeypatch.setattr(
        winograd, "kernel_gradient", lambda *args, in_parts: seen.append(in_parts) or by_products(*args, in_parts))
    return seen


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_convolution_asks_for_it(padding, monkeypatch):
    seen = taken(monkeypatch)
    x, kernel = draw((2, 9, 8, 8)), draw((3, 3, 8, 4), 1)
    y, g, dx, dk = by_hand(x, kernel, (1, 1), padding, (1, 1), 1)
    ours, pull = jax.vjp(lambda x, kernel: conv(x, kernel, (1, 1), padding, (1, 1)), x, kernel)
    for found, want in zip((ours, *pull(jnp.asarray(g, "float32"))), (y, dx, dk), strict=True):
        np.testing.assert_allclose(found, want, atol=1e-5 * abs(want).max())
    assert seen == [False]


@pytest.mark.parametrize("predicts", [False, True])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_training_for_onednn_asks_for_it(padding, predicts, monkeypatch):
    """Forward and for the input's gradient; a prediction is asked for by itself."""
    seen, by_products = [], winograd.convolve
    monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)
    monkeypatch.setattr(winograd, "suits_forward", lambda *args: args[-1] is not predicts)
    monkeypatch.setattr(winograd, "convolve", lambda *args: seen.append(args[0].shape) or by_products(*args))
    x, kernel = draw((2 + predicts, 9, 8, 8)), draw((3, 3, 8, 16), 1)  # else JAX knows the program
    y, g, dx, dk = by_hand(x, kernel, (1, 1), padding, (1, 1), 1)
    with scope(onednn=True):
        alone = conv(x, kernel, (1, 1), padding, (1, 1))
        assert seen == [x.shape] * predicts
        ours, pull = jax.vjp(lambda x, kernel: conv(x, kernel, (1, 1), padding, (1, 1)), x, kernel)
        found = (alone, ours, *pull(jnp.asarray(g, "float32")))
    for one, want in zip(found, (y, y, dx, dk), strict=True):
        np.testing.assert_allclose(one, want, atol=1e-5 * abs(want).max())
    assert seen == ([x.shape] if predicts else [x.shape, y.shape])


def test_a_gradient_of_a_gradient(monkeypatch):
    """As a penalty on gradients asks for it, with images one at a time."""
    monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)
    monkeypatch.setattr(winograd, "_most_bytes", lambda: 1)
    for chosen in ("suits", "suits_forward"):
        monkeypatch.setattr(winograd, chosen, lambda *_: True)
    x, kernel = draw((4, 9, 8, 8)), 0.1 * draw((3, 3, 8, 4), 1)

    def penalty(convolve):
        def of_gradient(kernel):
            g = jax.grad(lambda x: jnp.sin(convolve(x, kernel)).sum())(x)
            return ((jnp.sqrt((g**2).sum((1, 2, 3))) - 1) ** 2).mean()
        return jax.grad(of_gradient)(kernel)

    with scope(onednn=True):
        found = penalty(lambda x, kernel: conv(x, kernel, (1, 1), "same", (1, 1)))
    want = penalty(lambda x, kernel: jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")))
    np.testing.assert_allclose(found, want, atol=1e-5 * abs(want).max())


def test_a_convolution_loses_few_digits():
    """Against float64, 1e-5 of the largest element, as by YNNPACK; and what is not finite stays in its image."""
    x, kernel = draw((3, 16, 16, 64)), draw((3, 3, 64, 64), 1)
    want = by_hand(x, kernel, (1, 1), "same", (1, 1), 1)[0]
    found = jax.jit(winograd.convolve, static_argnums=2)(x, kernel, ((1, 1), (1, 1)))
    np.testing.assert_allclose(found, want, atol=1e-5 * abs(want).max())
    broken = winograd.convolve(x.at[1, 5, 5, 0].set(jnp.nan), kernel, ((1, 1), (1, 1)))
    assert jnp.isnan(broken[1, 4:7, 4:7]).all()
    np.testing.assert_array_equal(jnp.isnan(broken).any((1, 2, 3)), [False, True, False])


def test_in_single_precision_where_jax_has_double(monkeypatch):
    """The sum over parts of the images is of the type of the images."""
    monkeypatch.setattr(winograd, "_most_bytes", lambda: 1)
    x, g = (np.ones((3, 4, 4, 2), "float32") for _ in range(2))
    with jax.enable_x64(True):
        assert winograd.kernel_gradient(jnp.asarray(x), jnp.asarray(g), ((1, 1), (1, 1)), True).dtype == "float32"


def test_a_long_sum_loses_no_digits():
    """As much is lost as by YNNPACK, which is what XLA uses: against float64, 1e-5 of the largest element."""
    x, g = (np.random.default_rng(seed).normal(size=(16, 32, 32, 32)).astype("float32") for seed in (0, 1))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).astype("float64")
    want = np.array([[np.tensordot(padded[:, i:i + 32, j:j + 32], g.astype("float64"), ((0, 1, 2),) * 2)
                      for j in range(3)] for i in range(3)])
    found = jax.jit(winograd.kernel_gradient, static_argnums=2)(x, g, ((1, 1), (1, 1)))
    np.testing.assert_allclose(found, want, atol=1e-5 * abs(want).max())


FAST = {"bits": 256, "shape": (32, 28, 28, 32), "filters": 32, "pads": ((1, 1), (1, 1)), "by_onednn": True}


@pytest.mark.parametrize("change, chosen", [
    ({}, True),
    ({"bits": 512}, False),  # oneDNN is faster there
    ({"bits": "512 in halves"}, True),
    ({"bits": None}, False),
    ({"by_onednn": False}, False),  # not worth its compilation
    ({"by_onednn": False, "shape": (64, 32, 32, 64)}, True),
    ({"by_onednn": False, "shape": (64, 32, 32, 64), "bits": 512}, True),
    ({"shape": (32, 28, 28, 16)}, False),
    ({"shape": (32, 28, 28, 16), "filters": 16, "bits": "512 in halves"}, True),
    ({"shape": (32, 28, 28, 8), "filters": 16, "bits": "512 in halves"}, False),
    ({"filters": 16}, False),
    ({"window": (3, 2)}, False),
    ({"window": (5, 5)}, False),
    ({"strides": (2, 2)}, False),
    ({"dtype": "bfloat16"}, False),
    ({"shape": (32, 13, 13, 32)}, False),  # too much of the tiles is empty
    ({"shape": (32, 13, 13, 64), "filters": 64}, True),
    ({"shape": (64, 8, 8, 64), "filters": 64}, True),
    ({"shape": (64, 7, 7, 64), "filters": 64}, False),
    ({"shape": (1, 16, 16, 128), "filters": 128}, False),  # sums too short
    ({"shape": (2, 16, 16, 128), "filters": 128}, True),
    ({"shape": (8, 8, 8, 128), "filters": 128}, False),
    ({"shape": (16, 8, 8, 128), "filters": 128}, True),
    ({"shape": (0, 28, 28, 32)}, False),
    ({"shape": (8, 1, 28, 32), "pads": ((0, 0), (1, 1))}, False),
])
def test_chosen_where_it_is_faster(change, chosen, monkeypatch):
    case = FAST | change
    assert winograd.suits(*question(case, monkeypatch), case["by_onednn"]) is chosen


def question(case, monkeypatch):
    """What is asked about a case: input, kernel, strides and padding."""
    case = {"window": (3, 3), "strides": (1, 1), "dtype": "float32"} | case
    bits = case["bits"]
    monkeypatch.setattr(winograd, "has_wide_vectors", lambda: bits and bits != 256)
    monkeypatch.setattr(winograd, "has_wide_products", lambda: bits and bits == 512)
    x = jax.ShapeDtypeStruct(case["shape"], case["dtype"])
    kernel = jax.ShapeDtypeStruct((*case["window"], x.shape[-1], case["filters"]), x.dtype)
    return x, kernel, case["strides"], case["pads"]


DEEP = {"bits": 256, "shape": (2, 8, 8, 64), "filters": 64, "pads": ((1, 1), (1, 1))}


@pytest.mark.parametrize("change, chosen", [
    ({}, True),
    ({"bits": 512}, False),
    ({"bits": "512 in halves"}, True),
    ({"bits": None}, False),
    ({"shape": (2, 8, 8, 32), "filters": 32}, True),
    ({"shape": (2, 8, 8, 16)}, False),
    ({"shape": (2, 8, 8, 16), "bits": "512 in halves"}, False),
    ({"filters": 16}, False),
    ({"window": (3, 1)}, False),
    ({"window": (5, 5)}, False),
    ({"strides": (2, 1)}, False),
    ({"dtype": "float16"}, False),
    ({"shape": (2, 7, 7, 64)}, True),
    ({"shape": (2, 6, 6, 64)}, False),  # too much of the tiles is empty
    ({"shape": (2, 6, 6, 64), "pads": ((2, 2), (2, 2))}, True),
    ({"shape": (2, 10, 10, 64), "pads": ((0, 0), (0, 0))}, True),
    ({"shape": (2, 2, 2, 64), "pads": ((0, 0), (0, 0))}, False),
])
def test_convolutions_are_chosen_where_it_is_faster(change, chosen, monkeypatch):
    assert winograd.suits_forward(*question(DEEP | change, monkeypatch)) is chosen


@pytest.mark.parametrize("change, chosen", [
    ({"shape": (29, 36, 36, 64), "filters": 128}, True),
    ({"shape": (29, 36, 36, 64), "filters": 128, "bits": 512}, False),
    ({"shape": (5, 36, 36, 64), "filters": 128}, False),  # does not win back its compilation
    ({"shape": (29, 36, 36, 32), "filters": 64}, False),
    ({"shape": (29, 72, 72, 32), "filters": 64}, True),
])
def test_chosen_for_large_predictions(change, chosen, monkeypatch):
    assert winograd.suits_forward(*question(DEEP | change, monkeypatch), False) is chosen


@pytest.mark.parametrize("least, by_onednn", [(0, True), (1e9, False)])
def test_asked_whether_it_takes_the_place_of_onednn(least, by_onednn, monkeypatch):
    asked = []
    monkeypatch.setattr(onednn, "LEAST_FLOPS", least)
    monkeypatch.setattr(winograd, "suits", lambda *args: asked.append(args[-1]))
    x, kernel = draw((2, 12, 12, 16)), draw((3, 3, 16, 8))
    with scope(onednn=True):
        jax.grad(lambda kernel: conv(x, kernel, (1, 1), "same", (1, 1)).sum())(kernel)
    assert asked == [by_onednn]


def test_not_with_distances_between_the_taps(monkeypatch):
    seen = taken(monkeypatch)
    x, kernel = draw((2, 12, 12, 4)), draw((3, 3, 4, 8))
    jax.grad(lambda kernel: conv(x, kernel, (1, 1), "same", (2, 2)).sum())(kernel)
    assert not seen


def test_sums_at_the_points_are_written_without_detours():
    parts = [jnp.ones((2, 3)) for _ in range(6)]
    text = jax.jit(lambda parts: winograd._weighted(winograd._matrices().of_input, parts, 1)).lower(parts).as_text()
    assert text.count("stablehlo.broadcast_in_dim") == 12 and "reshape" not in text
