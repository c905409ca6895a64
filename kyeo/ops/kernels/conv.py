"""Convolution over one to three axes, channels last. Layers and ops call this one function, and its transpose.

XLA convolves ordinary images at 70 to 80 per cent of the speed of its matrix product on a CPU, forward and both
gradients; those stay with it. Six kinds it does badly there (measured with JAX 0.12, see benchmarks/kernels.py),
and each has a form of its own: windows of one element, one window for each channel, channels in groups, volumes,
a first layer of few channels, and windows larger than the image. Gradients of strides, and transposed convolutions,
are done in phases; by Winograd's products the gradient of a 3x3 kernel of many channels, in long trainings both
gradients and the convolution, in large predictions the convolution.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from kyeo.ops.kernels import onednn, winograd
from kyeo.ops.kernels.blocks import blocks, in_blocks, in_patches, patches, spread_blocks
from kyeo.ops.kernels.depthwise import MOST_JOINED, depthwise, weighted_sum
from kyeo.ops.kernels.derivative import own_gradient
from kyeo.ops.kernels.few_places import are_few, few_places
from kyeo.ops.kernels.product import matrix_product
from kyeo.ops.kernels.windows import (
    Pads,
    Sizes,
    interleave,
    on_cpu,
    output_size,
    padded,
    pads_of,
    pads_of_transpose,
    places,
    side_by_side,
    slices,
    spans,
    static,
    turned,
    without,
)

__all__ = ["conv", "conv_transpose"]

# Groups are convolved together, as one kernel with zeros between the groups, up to this many channels: below it the
# zeros cost less than what a convolution of so few channels leaves unused.
TOGETHER = 32
# Up to this many inputs to one output, the gradient of a kernel is a matrix product with copies of the moved input.
FEW = 32
# From this many channels on, the transpose of a convolution with strides is done in phases.
FEWEST_IN_PHASES = 16
# Up to so many windows for each channel are taken one by one.
MOST_TIMES = 8
# Larger windows are left to XLA: forms that write an operation for each tap would be traced for minutes.
MOST_TAPS = 4096


def conv(
    x: Array, kernel: Array, strides: Sequence[int], padding: str | Sequence[tuple[int, int]], dilation: Sequence[int],
    groups: int = 1,
) -> Array:
    """Slide `kernel` over `x`.

    Args:
        x: shape (batch, *sizes, channels).
        kernel: shape (*window, channels / groups, output channels), of the dtype of x.
        strides: step on each axis.
        padding: "valid", "same", "causal" (one axis: an output sees no later input), or (before, after) for each axis.
        dilation: distance between the taps of the window on each axis.
        groups: in how many groups the channels are kept apart.

    >>> import jax.numpy as jnp
    >>> conv(jnp.arange(5.0).reshape(1, 5, 1), jnp.ones((2, 1, 1)), (1,), "causal", (1,)).ravel().tolist()
    [0.0, 1.0, 3.0, 5.0, 7.0]
    """
    strides, dilation, window = tuple(strides), tuple(dilation), kernel.shape[:-2]
    if padding == "causal":
        padding = [(dilation[0] * (window[0] - 1), 0)]
    if not on_cpu() or not static(x.shape[1:]) or math.prod(window) > MOST_TAPS:
        return plain(x, kernel, strides, padding, dilation, groups)
    if isinstance(padding, str):
        padding = pads_of(padding, x.shape[1:-1], spans(window, dilation), strides)
    pads: Pads = tuple((int(lo), int(hi)) for lo, hi in padding)
    if groups == 1:
        return ungrouped(x, kernel, strides, pads, dilation)
    times = kernel.shape[-1] // groups
    if groups == x.shape[-1] and times <= MOST_TIMES and (max(strides) == 1 or max(dilation) == 1):
        # One window after the other: 16 x 32 x 32 x 32 into 64 takes 1.2 ms, with zeros between the channels 7.1.
        found = [depthwise(x, kernel[..., at::times], strides, pads, dilation) for at in range(times)]
        return found[0] if times == 1 else jnp.stack(found, -1).reshape(*found[0].shape[:-1], kernel.shape[-1])
    return grouped(x, kernel, strides, pads, dilation, groups)


def plain(x: Array, kernel: Array, strides: Sizes, padding: Any, dilation: Sizes, groups: int = 1) -> Array:
    """The convolution as XLA does it."""
    axes = "DHW"[2 - x.ndim :]
    return lax.conv_general_dilated(
        x, kernel, strides, padding.upper() if isinstance(padding, str) else padding, rhs_dilation=dilation,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"), feature_group_count=groups)


def ungrouped(x: Array, kernel: Array, strides: Sizes, pads: Pads, dilation: Sizes) -> Array:
    """A convolution in which every output channel sees every channel."""
    *window, channels, _ = kernel.shape
    if max(window) == 1 and not any(map(any, pads)):
        return pointwise(x, kernel, strides)
    if len(window) == 3:
        return volume(x, kernel, strides, pads, dilation)
    if math.prod(window) * channels <= FEW:
        return few_inputs(x, kernel, strides, pads, dilation)
    if are_few(x.shape[1:-1], kernel.shape, strides, pads, dilation):
        return few_places(x, kernel, strides, pads, dilation)
    return image(x, kernel, strides, pads, dilation, onednn.takes(x, kernel, strides, pads, dilation))


def pointwise(x: Array, kernel: Array, strides: Sizes) -> Array:
    """Windows of one element: a matrix product, whose gradients are matrix products too.

    Two axes only: the gradient of a product with more contracts all of them at once, three times slower.
    """
    x = lax.slice(x, (0,) * x.ndim, x.shape, (1, *strides, 1))
    flat = matrix_product(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), kernel.reshape(kernel.shape[-2:]))
    return flat.reshape(*x.shape[:-1], kernel.shape[-1])


def volume(x: Array, kernel: Array, strides: Sizes, pads: Pads, dilation: Sizes) -> Array:
    """Three axes: planes, with the neighbouring planes as further channels; the first axis goes into the batch.

    The input is written out: XLA would compute it anew for each plane.
    """
    depth = kernel.shape[0]
    count = output_size(x.shape[1], spans(kernel.shape[:1], dilation)[0], strides[0], pads[0])
    x = padded(lax.optimization_barrier(x), [pads[0], (0, 0), (0, 0)])
    starts = [place * dilation[0] for place in range(depth)]
    length = max(count - 1, 0) * strides[0] + min(count, 1)
    planes = [lax.slice_in_dim(x, at, at + length, strides[0], axis=1) for at in starts]
    x = lax.concatenate(planes, 4)
    kernel = jnp.moveaxis(kernel, 0, 2).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    y = ungrouped(x.reshape(x.shape[0] * count, *x.shape[2:]), kernel, strides[1:], pads[1:], dilation[1:])
    return y.reshape(x.shape[0], count, *y.shape[1:])


def grouped(x: Array, kernel: Array, strides: Sizes, pads: Pads, dilation: Sizes, groups: int) -> Array:
    """Channels in groups: one convolution for every few groups, instead of XLA's loops over single channels."""
    each = x.shape[-1] // groups
    together = max(n for n in range(1, groups + 1) if groups % n == 0 and (n == 1 or n * each <= TOGETHER))
    parts = groups // together
    kernels = [block_diagonal(part, together) for part in jnp.split(kernel, parts, -1)]
    return lax.concatenate(
        [ungrouped(part, k, strides, pads, dilation) for part, k in zip(jnp.split(x, parts, -1), kernels)], x.ndim - 1)


def block_diagonal(kernel: Array, groups: int) -> Array:
    """The kernel of all channels that does what `kernel` does in groups: zeros between different groups."""
    *window, each, filters = kernel.shape
    own = jnp.eye(groups, dtype=kernel.dtype)[:, None, :, None]
    blocks = kernel.reshape(*window, 1, each, groups, filters // groups) * own
    return blocks.reshape(*window, groups * each, filters)


# Ordinary images: the gradients ---------------------------------------------------------------------------


@own_gradient(fixed=(2, 3, 4, 5))
def image(x: Array, kernel: Array, strides: Sizes, pads: Pads, dilation: Sizes, by_onednn: bool) -> Array:
    """A convolution as XLA does it, by oneDNN if asked, with gradients that begin from arrays that are written out.

    XLA transposes both arrays for the kernel's gradient, and would compute what made them (a whole normalization and
    its gradient) in the transposed order: 60 ms where the convolution takes 4. A ResNet-20 step under the profiler:
    560 ms without the barrier, 215 with it.
    """
    if by_onednn:
        # Written out once: XLA would compute it anew as the array of three axes (5 of 150 ms of a ResNet-20 step).
        return long_image(lax.optimization_barrier(x), kernel, strides, pads, trains=False)
    return plain(x, kernel, strides, pads, dilation)


def long_image(x: Array, kernel: Array, strides: Sizes, pads: Pads, trains: bool = True) -> Array:
    """A convolution of a long training or a large prediction: by Winograd's products where these are faster than oneDNN
    and win back that each shape takes longer to compile.
    """
    if winograd.suits_forward(x, kernel, strides, pads, trains):
        return winograd.convolve(x, kernel, pads)
    return onednn.convolve(x, kernel, strides, pads)


def image_forward(x, kernel, strides, pads, dilation, by_onednn):
    y = (long_image(lax.optimization_barrier(x), kernel, strides, pads) if by_onednn else
         image(x, kernel, strides, pads, dilation, False))
    return y, (x, kernel)


def image_backward(strides, pads, dilation, by_onednn, saved, g):
    x, kernel = saved
    if by_onednn and winograd.suits_gradients(x, kernel, strides, pads):  # never with a distribution
        return winograd.gradients(x, kernel, g, pads)
    x, g = lax.optimization_barrier((x, g))
    if by_onednn:
        dk = onednn.kernel_gradient(x, g, kernel.shape[:-2], strides, pads)
    elif max(dilation) == 1 and winograd.suits_kernel_gradient(x, kernel, strides, pads):
        dk = winograd.kernel_gradient(x, g, pads)
    elif in_patches(kernel.shape, strides, pads, dilation):
        (dk,) = jax.vjp(lambda kernel: patches(x, kernel), kernel)[1](g)
    else:
        (dk,) = jax.vjp(lambda kernel: plain(x, kernel, strides, pads, dilation), kernel)[1](g)
    if in_blocks(kernel.shape, strides, dilation):
        return spread_blocks(g, kernel, strides, pads, x.shape[1:-1]), dk
    if in_phases(kernel.shape, strides, dilation):
        return phases(g, kernel, strides, pads, x.shape[1:-1]), dk
    if by_onednn and max(strides) == 1:
        return long_image(g, turned(kernel), strides, pads_of_transpose(pads, kernel.shape)), dk
    return *jax.vjp(lambda x: plain(x, kernel, strides, pads, dilation), x)[1](g), dk


image.defvjp(image_forward, image_backward)


# The transpose of a convolution ----------------------------------------------------------------------------


def conv_transpose(x: Array, kernel: Array, strides: Sequence[int], pads: Pads, dilation: Sequence[int]) -> Array:
    """The gradient of a convolution with respect to its input, as a layer that makes sizes larger.

    Args:
        x: shape (batch, *sizes, channels).
        kernel: shape (*window, output channels, channels), of the dtype of x.
        strides: distance of the input's elements in the output.
        pads: what is added before and after each axis once its elements stand apart.
        dilation: distance between the taps of the window on each axis.

    >>> import jax.numpy as jnp
    >>> x, kernel = jnp.array([1.0, 2.0]).reshape(1, 2, 1), jnp.array([1.0, 10.0, 100.0]).reshape(3, 1, 1)
    >>> conv_transpose(x, kernel, (2,), ((2, 2),), (1,)).ravel().tolist()
    [1.0, 10.0, 102.0, 20.0, 200.0]
    """
    strides, dilation = tuple(strides), tuple(dilation)
    edges = pads_of_transpose(pads, spans(kernel.shape, dilation))
    if on_cpu() and static(x.shape[1:]) and min(map(min, edges)) >= 0:
        return turned_conv(x, kernel, strides, edges, dilation)
    return plain_transpose(x, kernel, strides, pads, dilation)


def plain_transpose(x: Array, kernel: Array, strides: Sizes, pads: Any, dilation: Sizes) -> Array:
    """The transpose as XLA does it."""
    axes = "DHW"[2 - x.ndim :]
    return lax.conv_transpose(
        x, kernel, strides, pads, dilation, (f"N{axes}C", f"{axes}IO", f"N{axes}C"), transpose_kernel=True)


@own_gradient(fixed=(2, 3, 4))
def turned_conv(x: Array, kernel: Array, strides: Sizes, edges: Pads, dilation: Sizes) -> Array:
    """The transpose of the convolution with these pads; its gradient is that convolution, and that of its kernel.

    JAX would differentiate the phases, or the convolution with zeros between the elements. Measured on two cores of an
    AMD EPYC in ms, forward and all gradients, before / after: windows of 4x4, stride 2, 64 x 7 x 7 x 64 into 64
    channels 125 / 9.8, 64 x 14 x 14 x 64 into 32 256 / 20; windows of 2x2, 8 x 8 x 8 x 128 into 64 9.9 / 1.6. A step of
    the generator of a GAN 391 / 38, of a U-Net 74 / 51. Three axes, 3x3x3 / 2,
    4 x 16 x 16 x 16 x 16 into 8, forward, XLA's / phases: 412 / 2.7.
    """
    spread = spans(kernel.shape[:-2], dilation)
    sizes = tuple((n - 1) * s + k - lo - hi for n, s, k, (lo, hi) in zip(x.shape[1:-1], strides, spread, edges))
    pads = pads_of_transpose(edges, spread)
    if min(sizes, default=1) <= 0 or min(map(min, pads)) < 0:
        return plain_transpose(x, kernel, strides, pads, dilation)
    apart = in_blocks(kernel.shape, strides, dilation)
    if not apart and are_few(sizes, kernel.shape, strides, edges, dilation):
        nothing = jnp.zeros((x.shape[0], *sizes, kernel.shape[-2]), x.dtype)
        return jax.vjp(lambda y: few_places(y, kernel, strides, edges, dilation), nothing)[1](x)[0]
    if max(strides) == 1:
        return ungrouped(x, turned(kernel), strides, pads, dilation)
    if apart:
        return blocks(x, kernel, strides, edges, sizes)
    if (max(dilation) == 1 and len(strides) == 3) or in_phases(kernel.shape, strides, dilation):
        return phases(x, kernel, strides, tuple((lo, 0) for lo, _ in edges), sizes)
    return plain_transpose(x, kernel, strides, pads, dilation)


def turned_forward(x, kernel, strides, edges, dilation):
    return turned_conv(x, kernel, strides, edges, dilation), (x, kernel)


def turned_backward(strides, edges, dilation, saved, g):
    x, kernel = saved
    back, pull = jax.vjp(lambda kernel: ungrouped(g, kernel, strides, edges, dilation), kernel)
    return back, *pull(x)


turned_conv.defvjp(turned_forward, turned_backward)


def in_phases(shape: Sizes, strides: Sizes, dilation: Sizes) -> bool:
    """Whether `phases` is faster than XLA, which multiplies with the zeros between the elements.

    Measured on a 3x3 / 2 kernel: 16 -> 32 channels at 32x32 2.7 against 5.5 ms, 64 -> 64 at 56x56 12 against 19. Slower
    where few channels come out (3: 53 against 15 ms) and where windows do not overlap (0.7 against 0.4 ms).
    """
    *window, filters, _ = shape
    overlap = any(k > s > 1 for k, s in zip(window, strides))
    return overlap and max(dilation) == 1 and filters >= FEWEST_IN_PHASES


def phases(g: Array, kernel: Array, strides: Sizes, pads: Pads, sizes: Sizes) -> Array:
    """The transpose of a convolution with these strides and pads, whose input had these sizes.

    Elements that agree modulo the strides see the same taps: each such phase is a convolution without strides.
    """
    ones = (1,) * len(strides)
    lengths = [-(-(n + lo) // s) for n, (lo, _), s in zip(sizes, pads, strides)]
    merged = merged_phases(g, kernel, strides, lengths)
    if merged is not None:
        return without(pads, sizes, merged)
    empty = jnp.zeros((g.shape[0], *lengths, kernel.shape[-2]), g.dtype)
    found = []
    for phase in places(strides):
        part = kernel[tuple(slice(at, None, s) for at, s in zip(phase, strides))]
        edges = tuple((taps - 1, m - n) for taps, m, n in zip(part.shape, lengths, g.shape[1:]))
        found.append(empty if 0 in part.shape else ungrouped(g, turned(part), ones, edges, ones))
    return without(pads, sizes, interleave(found, strides))


def merged_phases(g: Array, kernel: Array, strides: Sizes, lengths: Sequence[int]) -> Array | None:
    """All phases by one convolution whose outputs are the phases' channels, with zeros for the taps that some lack;
    None where oneDNN does not do it. For a 3x3 / 2 kernel, 16 -> 32 channels at 32x32, one convolution of 1.1 ms.

    Nor where zeros would be multiplied though a phase is work enough for oneDNN by itself. Measured on an AMD Zen 4,
    3x3 / 2, ms merged / apart: 64 x 16 x 16 x 32 into 16 1.75 / 2.2, 32 x 32 x 32 x 32 into 16 3.6 / 4.0, 16 x 56 x 56
    x 32 into 32 11.3 / 8.8, 32 x 14 x 14 x 128 into 64 8.7 / 5.6, 16 x 7 x 7 x 512 into 256 15.8 / 11.0.
    """
    *window, channels, filters = kernel.shape
    taps, ones = [-(-k // s) for k, s in zip(window, strides)], (1,) * len(window)
    edges = tuple((t - 1, m - n) for t, m, n in zip(taps, lengths, g.shape[1:]))
    surplus = math.prod(taps) * math.prod(strides) / math.prod(window)
    largest = jax.ShapeDtypeStruct((*taps, filters, channels), kernel.dtype)
    if surplus > 2 or (surplus > 1 and onednn.takes(g, largest, ones, edges, ones)):
        return None
    whole = lax.pad(kernel, jnp.zeros((), kernel.dtype),
                    [*((0, t * s - k, 0) for t, s, k in zip(taps, strides, window)), (0, 0, 0), (0, 0, 0)])
    whole = whole.reshape(*itertools.chain.from_iterable(zip(taps, strides)), channels, filters)
    rank = len(window)
    order = [*range(0, 2 * rank, 2), 2 * rank + 1, *range(1, 2 * rank, 2), 2 * rank]
    whole = jnp.flip(whole.transpose(order), tuple(range(rank))).reshape(*taps, filters, -1)
    if not onednn.takes(g, whole, ones, edges, ones):
        return None
    found = image(g, whole, ones, edges, ones, True)
    return side_by_side(found.reshape(g.shape[0], *lengths, *strides, channels), strides)


# A first layer -------------------------------------------------------------------------------------------


@own_gradient(fixed=(2, 3, 4))
def few_inputs(x: Array, kernel: Array, strides: Sizes, pads: Pads, dilation: Sizes) -> Array:
    """A convolution of few channels with a small window: a sum of moved channels, each times its weights.

    XLA makes one loop of it together with bias and activation. Measured against its convolution: 32 x 28 x 28 x 1
    into 32 channels 0.27 instead of 0.56 ms, 64 x 32 x 32 x 3 into 16 channels 0.64 instead of 2.4 ms. Compiled for
    oneDNN, large images go there, unless so few products are joined to what follows: 20 x 150 x 150 x 3 into 32 7.8
    instead of 16 ms, 64 x 32 x 32 x 3 into 16 0.63 instead of 0.93; 128 x 28 x 28 x 1 into 32 0.51, by oneDNN 1.06.
    """
    if math.prod(kernel.shape[:-1]) > MOST_JOINED and onednn.takes(x, kernel, strides, pads, dilation, part=0.5):
        return onednn.convolve(x, kernel, strides, pads)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    parts = slices(x.astype(wide), 0, kernel.shape[:-2], strides, pads, dilation)
    channels = [part[..., c, None] for part in parts for c in range(x.shape[-1])]
    return weighted_sum(channels, kernel.astype(wide).reshape(-1, kernel.shape[-1])).astype(x.dtype)


def few_forward(x, kernel, strides, pads, dilation):
    # Written out: XLA might compute the sum twice and round differently, and the gradient of a maximum of it asks which
    # elements equal the maximum (`settled.py`). No cost: 27.3 ms a step of the tutorial's CNN with and without.
    return lax.optimization_barrier(few_inputs(x, kernel, strides, pads, dilation)), (x, kernel)


def few_backward(strides, pads, dilation, saved, g):
    x, kernel = saved
    (dx,) = jax.vjp(lambda x: plain(x, kernel, strides, pads, dilation), x)[1](g)
    moved = moved_copies(x, kernel.shape[:-2], strides, pads, dilation)
    filters = g.shape[-1]
    taps = math.prod(kernel.shape[:-1])
    return dx, (moved.reshape(taps, math.prod(g.shape[:-1])) @ g.reshape(-1, filters)).reshape(kernel.shape)


few_inputs.defvjp(few_forward, few_backward)


def moved_copies(x: Array, window: Sizes, strides: Sizes, pads: Pads, dilation: Sizes) -> Array:
    """The input that each tap of the window sees: shape (*window, channels, batch, *output sizes)."""
    outs = map(output_size, x.shape[1:-1], spans(window, dilation), strides, pads)
    lengths = [max(n - 1, 0) * s + min(n, 1) for n, s in zip(outs, strides)]
    x = jnp.moveaxis(padded(x, pads), -1, 0)
    for back in range(1, len(window) + 1):  # axis by axis, the last first: one pass over all taps would be slow code
        starts = [tap * dilation[-back] for tap in range(window[-back])]
        ends = [start + lengths[-back] for start in starts]
        axis = x.ndim - back
        x = jnp.stack([lax.slice_in_dim(x, a, b, strides[-back], axis) for a, b in zip(starts, ends)])
        x = lax.optimization_barrier(x)
    return x
