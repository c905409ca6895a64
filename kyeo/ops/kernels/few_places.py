"""Convolutions whose window reaches over more than the image has, or the result, as the last ones of deep networks do.

XLA's CPU calls its fast code only where the window fits into the image without its padding, and loops over single
numbers elsewhere: 32 x 2 x 2 x 512, 3x3 into 512, takes it 277 ms, and 500 more for both gradients. Here the taps that
no output needs are left out, and the rest is one matrix product with copies of the input: 4.0 ms, with both gradients
10.9; of 32 x 1 x 1 x 512 10.6 / 0.4 ms. Where the result is smaller than the window, it is the gradient by the input
that XLA is as slow at. ResNet50 on 64 x 64 pixels, 8 of them a training step: 545 / 183 ms; predict, 48 of them:
1,830 / 275 ms (two cores of an AMD EPYC).
"""

import math

from jax import Array, lax

from kyeo.ops.kernels.product import matrix_product
from kyeo.ops.kernels.windows import Pads, Sizes, output_size, slices, spans

__all__ = ["are_few", "few_places"]

# What needs more is left to XLA: taps, each of which is an operation, and numbers copied for each image.
MOST_TAPS, MOST_COPIED = 128, 2**19


def are_few(sizes: Sizes, shape: Sizes, strides: Sizes, pads: Pads, dilation: Sizes) -> bool:
    """Whether a kernel's window reaches over more than an image of these sizes, or the result, has on some axis."""
    *window, channels, _ = shape
    reaches = spans(tuple(window), dilation)
    outs = tuple(map(output_size, sizes, reaches, strides, pads))
    # The gradient by the input meets every stride-th tap at once (`phases` in conv.py).
    over = any(reach > size or -(-reach // stride) > out
               for reach, size, out, stride in zip(reaches, sizes, outs, strides))
    taps = math.prod(window)
    return over and taps <= MOST_TAPS and math.prod(outs) * taps * channels <= MOST_COPIED


def few_places(x: Array, kernel: Array, strides: Sizes, pads: Pads, dilation: Sizes) -> Array:
    """The convolution as one matrix product."""
    kernel, pads = _without_idle_taps(kernel, x.shape[1:-1], strides, pads, dilation)
    *window, channels, filters = kernel.shape
    taps = math.prod(window)
    copies = lax.concatenate(slices(x, 0, tuple(window), strides, pads, dilation), x.ndim - 1)
    flat = copies.reshape(math.prod(copies.shape[:-1]), taps * channels)
    return matrix_product(flat, kernel.reshape(taps * channels, filters)).reshape(*copies.shape[:-1], filters)


def _without_idle_taps(kernel: Array, sizes: Sizes, strides: Sizes, pads: Pads, dilation: Sizes) -> tuple[Array, Pads]:
    """The kernel from the first to the last tap that meets the image, not only its padding; and pads for it."""
    outs = map(output_size, sizes, spans(kernel.shape[:-2], dilation), strides, pads)
    begins, ends, edges = [], [], []
    for taps, n, out, s, d, (lo, _) in zip(kernel.shape, sizes, outs, strides, dilation, pads):
        used = [t for t in range(taps) if any(0 <= place * s + t * d - lo < n for place in range(out))] or [0]
        first, last = used[0], used[-1]
        before = lo - first * d
        begins.append(first)
        ends.append(last + 1)
        edges.append((before, (out - 1) * s + (last - first) * d + 1 - n - before))
    return lax.slice(kernel, (*begins, 0, 0), (*ends, *kernel.shape[-2:])), tuple(edges)
