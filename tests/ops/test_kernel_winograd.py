"""The gradient of a 3x3 kernel by Winograd's products: the numbers of the plain form, and when it is chosen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kyeo.core import processor
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


@pytest.mark.parametrize("name", IMAGES)
def test_same_numbers_as_by_hand(name):
    shape, filters, padding = IMAGES[name]
    x, kernel = draw(shape), draw((3, 3, shape[-1], filters), 1)
    _, g, _, want = by_hand(x, kernel, (1, 1), padding, (1, 1), 1)
    pads = pads_of(padding, shape[1:-1], (3, 3), (1, 1)) if isinstance(padding, str) else padding
    found = winograd.kernel_gradient(x, jnp.asarray(g, "float32"), pads)
    np.testing.assert_allclose(found, want, atol=1e-5 * abs(want).max())


def taken(monkeypatch):
    """Let it be chosen wherever it can be; the list gets an element for each time it is."""
    by_products, seen = winograd.kernel_gradient, []
    monkeypatch.setattr(winograd, "suits", lambda *_: True)
    monkeypatch.setattr(winograd, "kernel_gradient", lambda *args: seen.append(1) or by_products(*args))
    return seen


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_convolution_asks_for_it(padding, monkeypatch):
    seen = taken(monkeypatch)
    x, kernel = draw((2, 9, 8, 8)), draw((3, 3, 8, 4), 1)
    y, g, dx, dk = by_hand(x, kernel, (1, 1), padding, (1, 1), 1)
    ours, pull = jax.vjp(lambda x, kernel: conv(x, kernel, (1, 1), padding, (1, 1)), x, kernel)
    for found, want in zip((ours, *pull(jnp.asarray(g, "float32"))), (y, dx, dk), strict=True):
        np.testing.assert_allclose(found, want, atol=1e-5 * abs(want).max())
    assert seen == [1]


def test_a_long_sum_loses_no_digits():
    """As much is lost as by YNNPACK, which is what XLA uses: against float64, 1e-5 of the largest element."""
    x, g = (np.random.default_rng(seed).normal(size=(16, 32, 32, 32)).astype("float32") for seed in (0, 1))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).astype("float64")
    want = np.array([[np.tensordot(padded[:, i:i + 32, j:j + 32], g.astype("float64"), ((0, 1, 2),) * 2)
                      for j in range(3)] for i in range(3)])
    found = jax.jit(winograd.kernel_gradient, static_argnums=2)(x, g, ((1, 1), (1, 1)))
    np.testing.assert_allclose(found, want, atol=1e-5 * abs(want).max())


FAST = {"wide": False, "shape": (32, 28, 28, 32), "filters": 32, "pads": ((1, 1), (1, 1)), "by_onednn": True}


@pytest.mark.parametrize("change, chosen", [
    ({}, True),
    ({"wide": True}, False),  # oneDNN is faster there
    ({"wide": None}, False),
    ({"by_onednn": False}, False),  # not worth its compilation
    ({"by_onednn": False, "shape": (64, 32, 32, 64)}, True),
    ({"by_onednn": False, "shape": (64, 32, 32, 64), "wide": True}, True),
    ({"shape": (32, 28, 28, 16)}, False),
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
    case = FAST | {"window": (3, 3), "strides": (1, 1), "dtype": "float32"} | change
    monkeypatch.setattr(winograd, "has_wide_vectors", lambda: case["wide"])
    x = jax.ShapeDtypeStruct(case["shape"], case["dtype"])
    kernel = jax.ShapeDtypeStruct((*case["window"], x.shape[-1], case["filters"]), x.dtype)
    assert winograd.suits(x, kernel, case["strides"], case["pads"], case["by_onednn"]) is chosen


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


@pytest.mark.parametrize("flags, wide", [
    ("fpu sse sse2 ssse3 sse4_1 sse4_2 avx avx2 fma bmi1 bmi2 aes", False),
    ("fpu sse sse2 ssse3 sse4_1 sse4_2 avx avx2 fma avx512f avx512bw avx512vl", True), ("arm", None)])
def test_width_of_vectors(flags, wide, monkeypatch):
    monkeypatch.setattr(processor, "description", lambda: f"model name: A\nflags: {flags}")
    assert processor.has_wide_vectors() is wide
