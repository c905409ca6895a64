"""Convolution with one window for each channel, as plain arithmetic on moved copies of the input."""

import functools
import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from kyeo.ops.kernels.derivative import own_gradient
from kyeo.ops.kernels.windows import (
    Pads,
    Sizes,
    covered,
    padded,
    pads_of_transpose,
    places,
    slices,
    spans,
    spread,
)

__all__ = ["depthwise", "weighted_sum"]

# Partial sums over the batch, so that the product is never written out whole.
PARTIAL = 8
# The sum of more parts than this is written out: XLA would make one slow loop of it and a pool behind it. Measured, a
# convolution, relu and a pool of 2x2, joined / written out, in ms: 3x3, 64 x 32 x 32 x 3 into 32 channels 26.7 / 3.4,
# 16 x 150 x 150 x 3 147 / 18; a window of 5x5 for each channel, 32 x 32 x 32 x 32 13.2 / 3.2.
MOST_JOINED = 18


def weighted_sum(parts: Sequence[Array], weights: Array) -> Array:
    """The sum of the parts, each times its row of the weights."""
    total = functools.reduce(jnp.add, [part * row for part, row in zip(parts, weights, strict=True)])
    return total if len(parts) <= MOST_JOINED else lax.optimization_barrier(total)


@own_gradient(fixed=(2, 3, 4))
def depthwise(x: Array, kernel: Array, strides: Sizes, pads: Pads, dilation: Sizes) -> Array:
    """A window for each channel: the sum of strided slices, each times its tap. Half precision is summed in float32."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    taps = kernel.astype(wide).reshape(-1, kernel.shape[-1])
    parts = slices(x, 0, kernel.shape[:-2], strides, pads, dilation)
    return weighted_sum(parts, taps).astype(x.dtype)


def depthwise_forward(x, kernel, strides, pads, dilation):
    # Written out, as `conv.few_forward` says.
    return lax.optimization_barrier(depthwise(x, kernel, strides, pads, dilation)), (x, kernel)


def depthwise_backward(strides, pads, dilation, saved, g):
    """Both gradients. What comes, and what goes on, is written out: else XLA computes all that made the one for each
    tap, and the sum over the taps for each that reads the other, a normalization three times. Measured on two cores of
    an AMD EPYC without vectors of 512 bits: a step of MobileNetV2, 16 images of 96 x 96, 227 -> 173 ms, XLA's time to
    compile it 24 -> 20.5 s, EfficientNetB0 31 -> 24.5 s, steps of 32 x 32 66 -> 64 ms.
    """
    x, kernel = saved
    g = lax.optimization_barrier(g)
    window = kernel.shape[:-2]
    if max(strides) == 1:
        edges = pads_of_transpose(pads, spans(window, dilation))
        dx = depthwise(g, jnp.flip(kernel, tuple(range(len(window)))), strides, edges, dilation)
    else:
        taps = kernel.reshape(-1, kernel.shape[-1])
        dx = spread([g * tap for tap in taps], window, strides, pads, x.shape[1:-1])
    dk = sums_of_products(x, g, window, strides, pads, dilation)
    return lax.optimization_barrier(dx), dk.astype(kernel.dtype).reshape(kernel.shape)


depthwise.defvjp(depthwise_forward, depthwise_backward)


def sums_of_products(x: Array, g: Array, window: Sizes, strides: Sizes, pads: Pads, dilation: Sizes) -> Array:
    """For each place of a window and each channel the sum over all windows of the element there times the window's g:
    shape (places, channels).

    XLA's reduction of a product is slow on a CPU; a first sum over slices of the batch is plain arithmetic, and
    what it leaves is small enough to write out. A loop over the places: else each is a kernel of its own to compile,
    288 of EfficientNetB0's. Measured on two cores of an AMD EPYC, windows of 3x3 and 5x5 with all gradients: 0.8 -> 0.5
    and 1.7 -> 0.6 s of processor time to compile, steps 0.84 to 1.07 of the time in thirteen of fourteen shapes.
    """
    wide = jnp.promote_types(g.dtype, jnp.float32)
    count = math.gcd(PARTIAL, g.shape[0]) if isinstance(g.shape[0], int) else 1

    def cut(a: Array) -> list[Array]:
        return jnp.split(a.astype(wide), count) if count > 1 else [a.astype(wide)]

    x = padded(x, pads)
    lengths = (x.shape[0], *covered(g.shape[1:-1], strides), x.shape[-1])

    def of_place(offset: Array) -> Array:
        offset, own = lax.optimization_barrier((offset, g))  # else the parts of g are copied before the loop
        part = lax.dynamic_slice(x, (0, *offset, 0), lengths)
        part = lax.slice(part, (0,) * x.ndim, lengths, (1, *strides, 1))
        partial = functools.reduce(jnp.add, map(jnp.multiply, cut(part), cut(own)))
        return lax.optimization_barrier(partial).sum(tuple(range(g.ndim - 1)))

    return lax.map(of_place, np.multiply(list(places(window)), dilation).astype("int32"))
