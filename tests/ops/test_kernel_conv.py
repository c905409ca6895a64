"""The convolution kernel and its gradients against NumPy in float64, in every form it may take."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from kyeo.ops.kernels import conv, conv_transpose
from tests.numpy_jaxpr import in_numpy
from tests.thin import thinned

CASES = {
    # name: input shape, window, filters, strides, padding, dilation, groups
    "ordinary": ((2, 8, 7, 8), (3, 3), 6, (1, 1), "same", (1, 1), 1),
    "ordinary, strides": ((2, 9, 8, 8), (3, 2), 6, (2, 3), "same", (1, 1), 1),
    "ordinary, dilation": ((2, 9, 8, 8), (3, 3), 6, (1, 1), "valid", (2, 1), 1),
    "explicit padding": ((2, 6, 6, 8), (3, 3), 4, (1, 1), [(2, 0), (0, 3)], (1, 1), 1),
    "in phases": ((2, 9, 8, 16), (3, 3), 6, (2, 2), "same", (1, 1), 1),
    "in phases, wide": ((2, 11, 13, 16), (5, 2), 4, (3, 4), "valid", (1, 1), 1),
    "in phases, padding": ((2, 7, 8, 16), (4, 3), 4, (3, 2), [(2, 0), (0, 3)], (1, 1), 1),
    "in phases, volume": ((2, 5, 6, 4, 16), (3, 2, 3), 4, (2, 2, 2), "same", (1, 1, 1), 1),
    "sequence": ((3, 12, 16), (5,), 4, (2,), "valid", (1,), 1),
    "causal": ((3, 12, 16), (3,), 4, (1,), "causal", (2,), 1),
    "pointwise": ((2, 5, 6, 4), (1, 1), 7, (1, 1), "same", (1, 1), 1),
    "pointwise, strides": ((2, 5, 6, 4), (1, 1), 7, (2, 3), "valid", (1, 1), 1),
    "pointwise, padded": ((2, 5, 6, 4), (1, 1), 7, (1, 1), [(1, 1), (0, 2)], (1, 1), 1),
    "few inputs": ((4, 8, 7, 1), (3, 3), 6, (1, 1), "same", (1, 1), 1),
    "few inputs, strides": ((4, 9, 8, 3), (3, 3), 6, (2, 2), "same", (1, 1), 1),
    "few inputs, dilation": ((4, 9, 8, 2), (3, 2), 6, (1, 1), "valid", (2, 3), 1),
    "few inputs, sequence": ((4, 20, 2), (7,), 6, (3,), "causal", (1,), 1),
    "depthwise": ((8, 8, 7, 5), (3, 3), 5, (1, 1), "same", (1, 1), 5),
    "depthwise, strides": ((3, 9, 8, 5), (3, 3), 5, (2, 2), "same", (1, 1), 5),
    "depthwise, wide strides": ((3, 9, 8, 5), (2, 3), 5, (3, 4), "valid", (1, 1), 5),
    "depthwise, dilation": ((4, 9, 8, 5), (3, 3), 5, (1, 1), "valid", (2, 3), 5),
    "depthwise, far padding": ((4, 5, 5, 5), (2, 2), 5, (1, 1), [(3, 0), (0, 4)], (1, 1), 5),
    "depthwise, both": ((3, 9, 8, 5), (3, 3), 5, (2, 2), "same", (2, 2), 5),
    "depthwise, sequence": ((4, 12, 5), (4,), 5, (2,), "causal", (1,), 5),
    "depthwise, volume": ((2, 5, 4, 6, 3), (3, 2, 3), 3, (1, 1, 1), "same", (1, 1, 1), 3),
    "depth multiplier": ((3, 8, 7, 5), (3, 3), 15, (2, 2), "same", (1, 1), 5),
    "groups": ((3, 8, 7, 12), (3, 3), 6, (1, 1), "same", (1, 1), 3),
    "many groups": ((2, 6, 5, 80), (3, 3), 40, (2, 1), "same", (1, 1), 20),
    "groups, pointwise": ((3, 8, 7, 12), (1, 1), 6, (1, 1), "same", (1, 1), 3),
    "volume": ((2, 5, 6, 4, 12), (3, 2, 3), 4, (1, 1, 1), "same", (1, 1, 1), 1),
    "volume, strides": ((2, 7, 6, 5, 2), (3, 3, 2), 4, (2, 1, 2), "valid", (1, 1, 1), 1),
    "volume, dilation": ((2, 7, 6, 5, 2), (3, 2, 2), 4, (1, 1, 1), "same", (2, 1, 3), 1),
    "apart": ((2, 8, 10, 16), (2, 2), 6, (2, 2), "valid", (1, 1), 1),
    "apart, remainder": ((2, 9, 11, 16), (2, 3), 6, (2, 3), "valid", (1, 1), 1),
    "apart, gaps": ((2, 9, 8, 16), (2, 1), 6, (3, 2), "valid", (1, 1), 1),
    "apart, padded": ((2, 9, 8, 16), (2, 2), 6, (3, 2), "same", (1, 1), 1),
    "apart, far padding": ((2, 6, 6, 16), (2, 2), 4, (2, 2), [(3, 0), (1, 4)], (1, 1), 1),
    "apart, few channels": ((2, 8, 9, 3), (4, 4), 6, (4, 4), "valid", (1, 1), 1),
    "apart, sequence": ((2, 11, 16), (3,), 6, (3,), "valid", (1,), 1),
    "apart, volume": ((2, 4, 5, 4, 16), (2, 2, 2), 6, (2, 2, 2), "valid", (1, 1, 1), 1),
    "few places": ((3, 2, 2, 16), (3, 3), 6, (1, 1), "same", (1, 1), 1),
    "few places, one": ((3, 1, 1, 16), (3, 3), 6, (1, 1), "same", (1, 1), 1),
    "few places, on one axis": ((3, 7, 1, 16), (3, 3), 6, (1, 1), "same", (1, 1), 1),
    "few places, strides": ((3, 2, 3, 16), (5, 4), 6, (2, 2), "same", (1, 1), 1),
    "few places, dilation": ((3, 4, 2, 16), (3, 2), 6, (1, 1), "same", (3, 2), 1),
    "few places, far padding": ((3, 2, 2, 16), (3, 3), 6, (1, 1), [(5, 4), (3, 0)], (1, 1), 1),
    "few places, idle taps": ((3, 2, 3, 16), (5, 6), 6, (3, 1), [(1, 2), (0, 4)], (1, 1), 1),
    "few places in the gradient": ((3, 4, 3, 16), (3, 3), 6, (1, 1), "valid", (1, 1), 1),
    "few places, dilation in the gradient": ((3, 8, 8, 16), (3, 3), 6, (1, 1), "valid", (3, 2), 1),
    "few places, causal": ((3, 6, 16), (3,), 6, (1,), "causal", (8,), 1),
    "few places, too many taps": ((2, 6, 11, 4), (11, 12), 3, (1, 1), "same", (1, 1), 1),
    "few places, groups": ((3, 2, 2, 40), (3, 3), 8, (1, 1), "same", (1, 1), 2),
    "few places, volume": ((2, 2, 1, 2, 12), (3, 3, 3), 4, (1, 1, 1), "same", (1, 1, 1), 1),
    "few places, phases": ((2, 2, 3, 16), (3, 3), 4, (2, 2), "same", (1, 1), 1),
    "volume, groups": ((2, 4, 4, 4, 4), (2, 2, 2), 4, (1, 1, 1), "same", (1, 1, 1), 2),
}


def draw(shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), "float32")


def pads_by_hand(sizes, window, strides, padding, dilation):
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation)]
    if padding == "same":
        totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(sizes, strides, spans)]
        return [(t // 2, t - t // 2) for t in totals]
    named = {"valid": [(0, 0)] * len(sizes), "causal": [(spans[0] - 1, 0)]}
    return named[padding] if isinstance(padding, str) else padding


def by_hand(x, kernel, strides, padding, dilation, groups):
    """Output, and the gradients of <output, g> for the g returned: one loop over the taps, in float64."""
    x, kernel = np.asarray(x, "float64"), np.asarray(kernel, "float64")
    window, filters, channels = kernel.shape[:-2], kernel.shape[-1], x.shape[-1]
    pads = pads_by_hand(x.shape[1:-1], window, strides, padding, dilation)
    padded = np.pad(x, [(0, 0), *pads, (0, 0)]).reshape(x.shape[0], *(n + sum(p) for n, p in zip(x.shape[1:], pads)),
                                                        groups, channels // groups)
    kernel = kernel.reshape(*window, channels // groups, groups, filters // groups)
    outs = [(n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(padded.shape[1:], window, dilation, strides)]
    steps = list(zip(dilation, outs, strides))
    seen = {
        tap: (slice(None), *(slice(t * d, t * d + (n - 1) * s + 1, s) for t, (d, n, s) in zip(tap, steps)))
        for tap in itertools.product(*map(range, window))
    }
    y = sum(np.einsum("...gi,igo->...go", padded[at], kernel[tap]) for tap, at in seen.items())
    g = np.asarray(draw(y.shape, 2), "float64")
    dx, dk = np.zeros_like(padded), np.zeros_like(kernel)
    for tap, at in seen.items():
        dx[at] += np.einsum("...go,igo->...gi", g, kernel[tap])
        dk[tap] = np.einsum("pgi,pgo->igo", padded[at].reshape(-1, *padded.shape[-2:]), g.reshape(-1, *g.shape[-2:]))
    inside = (slice(None), *(slice(lo, lo + n) for (lo, _), n in zip(pads, x.shape[1:])))
    flat = (*y.shape[:-2], filters)
    return y.reshape(flat), g.reshape(flat), dx[inside].reshape(x.shape), dk.reshape(*window, -1, filters)


def value_and_pull(x, kernel, g, *geometry):
    def both(x, kernel, g):
        y, pull = jax.vjp(lambda x, kernel: conv(x, kernel, *geometry), x, kernel)
        return y, *pull(g)

    return jax.jit(both)(x, kernel, g)


@pytest.mark.parametrize("name", thinned(CASES, 2))
def test_conv_and_its_gradients(name):
    shape, window, filters, *geometry, groups = CASES[name]
    x, kernel = draw(shape), draw((*window, shape[-1] // groups, filters), 1)
    y, g, dx, dk = by_hand(x, kernel, *geometry, groups)
    got = value_and_pull(x, kernel, jnp.asarray(g, "float32"), *geometry, groups)
    for ours, want in zip(got, (y, dx, dk)):
        assert ours.dtype == jnp.float32
        np.testing.assert_allclose(ours, want, atol=2e-6 * abs(want).max())


@pytest.mark.parametrize("shape, window, groups, written", [
    ((2, 8, 8, 1), (3, 3), 1, False), ((2, 8, 8, 2), (3, 3), 1, False), ((2, 8, 8, 3), (3, 3), 1, True),
    ((2, 8, 8, 1), (5, 5), 1, True), ((2, 8, 8, 6), (3, 3), 6, False), ((2, 8, 8, 6), (5, 5), 6, True)])
def test_an_output_of_many_inputs_is_not_joined_with_what_follows(shape, window, groups, written):
    """Without a gradient too: XLA would add them up again inside of a max-pool, eight times as slowly."""
    kernel = draw((*window, shape[-1] // groups, 6))
    found = jax.make_jaxpr(lambda x: conv(x, kernel, (1, 1), "same", (1, 1), groups))(draw(shape))
    assert ("optimization_barrier" in str(found)) is written


def test_planes_are_computed_once():
    x, kernel = draw((1, 4, 5, 6, 8)), draw((3, 3, 3, 8, 4))
    step = jax.jit(lambda x: conv(jnp.sin(x), kernel, (1, 1, 1), "same", (1, 1, 1)))
    assert step.lower(x).compile().as_text().count("sine(") == 1


@pytest.mark.parametrize("name", thinned(["ordinary", "pointwise", "groups", "depthwise", "few inputs", "volume"]))
def test_conv_transforms(name):
    shape, window, filters, *geometry, groups = CASES[name]

    def loss(x, kernel):
        return (conv(x, kernel, *geometry, groups) ** 3).sum() * 1e-3

    x, kernel = draw((3, *shape)), draw((*window, shape[-1] // groups, filters), 1)
    each = jnp.stack([jax.grad(loss, 1)(one, kernel) for one in x])
    np.testing.assert_allclose(jax.vmap(jax.grad(loss, 1), (0, None))(x, kernel), each, atol=1e-5 * abs(each).max())
    second = jax.jit(jax.grad(lambda kernel: (jax.grad(loss)(x[0], kernel) ** 2).sum()))(kernel)
    assert jnp.isfinite(second).all() and (second != 0).any()


@pytest.mark.parametrize("dtype", thinned(["bfloat16", "float16"]))
@pytest.mark.parametrize("name", ["ordinary", "pointwise", "few inputs", "depthwise", "groups", "volume"])
def test_conv_keeps_half_precision(name, dtype):
    shape, window, filters, *geometry, groups = CASES[name]
    x, kernel = draw(shape).astype(dtype), draw((*window, shape[-1] // groups, filters), 1).astype(dtype)
    y, g, dx, dk = by_hand(x, kernel, *geometry, groups)
    got = value_and_pull(x, kernel, jnp.asarray(g, dtype), *geometry, groups)
    for ours, want in zip(got, (y, dx, dk)):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours.astype("float32"), want, atol=2e-2 * abs(want).max())


@pytest.mark.parametrize("name", CASES)
def test_conv_of_symbolic_sizes(name):
    shape, window, filters, *geometry, groups = CASES[name]
    kernel = jax.ShapeDtypeStruct((*window, shape[-1] // groups, filters), "float32")
    want = jax.eval_shape(lambda x, k: conv(x, k, *geometry, groups), jnp.ones(shape), kernel).shape
    names = ["b", *"pqr"[: len(window)]]
    for unknown in (1, len(names)):
        spec = ", ".join([*names[:unknown], *map(str, shape[unknown:])])
        symbolic = export.symbolic_shape(spec, constraints=[f"{n}>=12" for n in names[:unknown]])
        x = jax.ShapeDtypeStruct(symbolic, "float32")
        y = jax.eval_shape(lambda x, k: conv(x, k, *geometry, groups), x, kernel)
        assert y.shape[0] == symbolic[0] and y.shape[-1] == filters
        if unknown == 1:  # JAX has no gradient of a convolution with strides over unknown sizes
            assert y.shape[1:] == want[1:]
            gradient = jax.eval_shape(jax.grad(lambda x, k: conv(x, k, *geometry, groups).sum(), 1), x, kernel)
            assert gradient.shape == kernel.shape


@pytest.mark.parametrize("shape, window, filters, strides, pads, dilation", [
    ((2, 5, 16), (3,), 16, (2,), [(1, 2)], 1), ((2, 5, 6, 4), (3, 5), 16, (2, 3), [(2, 2), (1, 4)], 1),
    ((2, 5, 6, 4), (3, 2), 17, (2, 3), [(2, 0), (1, 2)], 1), ((2, 5, 6, 4), (3, 3), 3, (2, 2), [(2, 2), (1, 2)], 1),
    ((2, 3, 4, 3, 4), (3, 3, 2), 16, (2, 1, 2), [(1, 1)] * 3, 1), ((2, 4, 4, 4), (4, 4), 16, (2, 2), [(5, 3)] * 2, 1),
    ((2, 4, 4, 8), (2, 2), 16, (2, 2), [(1, 1)] * 2, 1), ((2, 4, 4, 8), (1, 1), 5, (2, 1), [(0, 0)] * 2, 1), ((2, 3, 3, 4, 8), (2, 2, 2), 3, (2, 2, 2), [(1, 1)] * 3, 1),
    ((2, 3, 3, 2, 4), (3, 3, 2), 3, (2, 2, 1), [(2, 1)] * 2 + [(1, 0)], 1), ((2, 4, 4, 4), (2, 3), 5, (3, 3), [(1, 1), (2, 2)], 1),
    ((2, 5, 6, 4), (3, 2), 16, (2, 1), [(3, 2), (1, 2)], 2), ((2, 5, 6, 4), (3, 3), 16, (1, 1), [(2, 2), (1, 1)], 1),
])
def test_conv_transpose_as_lax(shape, window, filters, strides, pads, dilation):
    """Also where it is done in phases: the output and both gradients."""
    x, kernel, axes = draw(shape), draw((*window, filters, shape[-1]), 1), "DHW"[-len(window):]

    def plain(x, kernel):
        return jax.lax.conv_transpose(
            x, kernel, strides, pads, [dilation] * len(window), (f"N{axes}C", f"{axes}IO", f"N{axes}C"), transpose_kernel=True)

    def all_of(function):
        y, pull = jax.vjp(function, x, kernel)
        return y, *pull(jnp.cos(jnp.arange(y.size, dtype="float32")).reshape(y.shape))

    def ours(x, kernel):
        return conv_transpose(x, kernel, strides, tuple(pads), (dilation,) * len(window))

    for got, want in zip(jax.jit(lambda: all_of(ours))(), in_numpy(lambda: all_of(plain)), strict=True):
        np.testing.assert_allclose(got, want, atol=3e-6 * abs(want).max())
    batch = jax.ShapeDtypeStruct((export.symbolic_shape("b")[0], *shape[1:]), "float32")
    gradients = jax.eval_shape(jax.grad(lambda x, kernel: ours(x, kernel).sum(), (0, 1)), batch, kernel)
    assert [g.shape for g in gradients] == [batch.shape, kernel.shape]


def test_a_larger_window_for_each_channel_has_no_more_gradients_to_compile():
    def size(window):
        x, kernel = draw((8, 16, 16, 4)), draw((window, window, 1, 4), 1)
        gradient = jax.grad(lambda k: conv(x, k, (1, 1), "same", (1, 1), 4).sum())
        text = jax.jit(gradient).lower(kernel).as_text()
        assert "stablehlo.while" in text
        return text.split("stablehlo.while")[1].count("stablehlo.multiply")

    assert size(3) == size(7)
