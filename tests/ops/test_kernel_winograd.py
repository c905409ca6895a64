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
    y, g, dx, dk = by_hand(x, kernel, (1, 1), padding, (1, 1), 1)
    pads = pads_of(padding, shape[1:-1], (3, 3), (1, 1)) if isinstance(padding, str) else padding
    g = jnp.asarray(g, "float32")
    found = [winograd.convolve(x, kernel, pads), winograd.kernel_gradient(x, g, pads)]
    found += winograd.gradients(x, kernel, g, pads)
    for one, want in zip(found, (y, dk, dx, dk), strict=True):
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
                   jax.make_jaxpr(lambda x: winograd.gradients(x, kernel, g, pads))(x)):
        lengths = [equation.params["length"] for equation in traced.eqns if equation.primitive.name == "scan"]
        assert lengths == ([images // together] if together else [])
    whole = str(jax.make_jaxpr(lambda x: winograd.kernel_gradient(x, g, pads))(x))
    assert "scan[" not in whole


def taken(monkeypatch):
    """Let gradients be found so wherever they can be; the list gets an element for each time they are."""
    seen = []
    for name in ("kernel_gradient", "gradients"):
        found = getattr(winograd, name)
        monkeypatch.setattr(winograd, f"suits_{name}", lambda *_: True)
        monkeypatch.setattr(winograd, name, lambda *args, name=name, found=found: seen.append(name) or found(*args))
    return seen


@pytest.mark.parametrize("by_onednn", [False, True])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_convolution_asks_for_it(padding, by_onednn, monkeypatch):
    """For both gradients together by oneDNN's products, else for that of the kernel."""
    seen = taken(monkeypatch)
    monkeypatch.setattr(onednn, "LEAST_FLOPS", 0)
    x, kernel = draw((2, 9, 8, 8)), draw((3, 3, 8, 4), 1)
    y, g, dx, dk = by_hand(x, kernel, (1, 1), padding, (1, 1), 1)
    with scope(onednn=by_onednn):
        ours, pull = jax.vjp(lambda x, kernel: conv(x, kernel, (1, 1), padding, (1, 1)), x, kernel)
        found = (ours, *pull(jnp.asarray(g, "float32")))
    for one, want in zip(found, (y, dx, dk), strict=True):
        np.testing.assert_allclose(one, want, atol=1e-5 * abs(want).max())
    assert seen == (["gradients"] if by_onednn else ["kernel_gradient"])


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
    for chosen in ("suits_gradients", "suits_forward"):
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


@pytest.mark.parametrize("most", [10**9, 1])  # all images at once, or one at a time
def test_a_gradient_that_nobody_asks_for_is_not_computed(most, monkeypatch):
    """Of a frozen kernel, or of data."""
    monkeypatch.setattr(winograd, "_most_bytes", lambda: most)
    x, kernel = jnp.ones((4, 8, 8, 16)), jnp.ones((3, 3, 16, 16))

    def operations(*asked):
        found = jax.jit(lambda *args: [winograd.gradients(*args, ((1, 1), (1, 1)))[i] for i in asked])
        return found.lower(x, kernel, x).compile().cost_analysis()["flops"]

    both, of_x, of_kernel = operations(0, 1), operations(0), operations(1)
    product = 2 * 36 * (4 if most > 1 else 1) * 4 * 16 * 16  # of the tiles that are taken at a time
    assert of_x <= both - product and of_kernel <= both - product


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
    x, kernel, g = (np.ones(shape, "float32") for shape in [(3, 4, 4, 2), (3, 3, 2, 2), (3, 4, 4, 2)])
    with jax.enable_x64(True):
        found = winograd.gradients(jnp.asarray(x), jnp.asarray(kernel), jnp.asarray(g), ((1, 1), (1, 1)))
    assert [one.dtype for one in found] == ["float32", "float32"]


def test_a_long_sum_loses_no_digits():
    """As much is lost as by YNNPACK, which is what XLA uses: against float64, 1e-5 of the largest element."""
    x, g = (np.random.default_rng(seed).normal(size=(16, 32, 32, 32)).astype("float32") for seed in (0, 1))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).astype("float64")
    want = np.array([[np.tensordot(padded[:, i:i + 32, j:j + 32], g.astype("float64"), ((0, 1, 2),) * 2)
                      for j in range(3)] for i in range(3)])
    found = jax.jit(winograd.kernel_gradient, static_argnums=2)(x, g, ((1, 1), (1, 1)))
    np.testing.assert_allclose(found, want, atol=1e-5 * abs(want).max())


ORDINARY = {"bits": 256, "shape": (32, 28, 28, 32), "filters": 32, "pads": ((1, 1), (1, 1))}


@pytest.mark.parametrize("change, chosen", [
    ({}, True),
    ({"bits": 512}, False),  # oneDNN is faster there
    ({"bits": "512 in halves"}, True),
    ({"bits": None}, False),
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
    ({"shape": (64, 7, 7, 32)}, True),
    ({"shape": (64, 5, 5, 64), "filters": 64}, False),
    ({"shape": (32, 26, 26, 32), "pads": ((0, 0), (0, 0))}, True),
    ({"shape": (32, 26, 26, 32), "pads": ((3, 3), (3, 3))}, False),  # the input's gradient would cut off
    ({"shape": (8, 7, 7, 512), "filters": 512}, False),  # sums too short
    ({"shape": (32, 7, 7, 512), "filters": 512}, True),
    ({"shape": (0, 28, 28, 32)}, False),
    ({"shape": (8, 1, 28, 32), "pads": ((0, 0), (1, 1))}, False),
])
def test_gradients_are_chosen_where_it_is_faster(change, chosen, monkeypatch):
    assert winograd.suits_gradients(*question(ORDINARY | change, monkeypatch)) is chosen


@pytest.mark.parametrize("change, chosen", [
    ({"shape": (64, 32, 32, 64)}, True),
    ({"shape": (64, 32, 32, 64), "bits": 512}, True),
    ({}, False),  # not worth its compilation
    ({"shape": (640, 32, 32, 16), "bits": "512 in halves"}, False),
    ({"shape": (128, 8, 8, 128), "filters": 128}, True),
    ({"shape": (128, 7, 7, 128), "filters": 128}, False),  # too much of the tiles is empty
    ({"shape": (24, 8, 8, 256), "filters": 256}, False),  # sums too short
    ({"shape": (8, 16, 16, 512), "filters": 512}, True),
    ({"shape": (7, 16, 16, 512), "filters": 512}, False),
    ({"shape": (0, 28, 28, 32)}, False),
])
def test_a_kernels_gradient_is_chosen_where_it_is_faster(change, chosen, monkeypatch):
    assert winograd.suits_kernel_gradient(*question(ORDINARY | change, monkeypatch)) is chosen


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


@pytest.mark.parametrize("least, asked", [(0, "suits_gradients"), (1e9, "suits_kernel_gradient")])
def test_asked_whether_it_takes_the_place_of_onednn(least, asked, monkeypatch):
    seen = []
    monkeypatch.setattr(onednn, "LEAST_FLOPS", least)
    for name in ("suits_gradients", "suits_kernel_gradient"):
        monkeypatch.setattr(winograd, name, lambda *_, name=name: seen.append(name))
    x, kernel = draw((2, 12, 12, 16)), draw((3, 3, 16, 8))
    with scope(onednn=True):
        jax.grad(lambda kernel: conv(x, kernel, (1, 1), "same", (1, 1)).sum())(kernel)
    assert seen == [asked]


def test_not_with_distances_between_the_taps(monkeypatch):
    seen = taken(monkeypatch)
    x, kernel = draw((2, 12, 12, 4)), draw((3, 3, 4, 8))
    jax.grad(lambda kernel: conv(x, kernel, (1, 1), "same", (2, 2)).sum())(kernel)
    assert not seen


def test_sums_at_the_points_are_written_without_detours():
    parts = [jnp.ones((2, 3)) for _ in range(6)]
    text = jax.jit(lambda parts: winograd._weighted(winograd._matrices().of_input, parts, 1)).lower(parts).as_text()
    assert text.count("stablehlo.broadcast_in_dim") == 12 and "reshape" not in text
