"""Max and average pooling of channels-last arrays, with gradients that are fast on a CPU.

XLA differentiates a max over windows into select-and-scatter, a serial loop on the CPU that costs ten times
the rest of the layer. Here a pool is an elementwise maximum (or sum) of one strided slice per place in the
window, and its gradient puts the slices together again. Windows that overlap are pooled one axis after the
other, so the work grows with the sum of the window's sides, not with their product; the first maximum in
row-major order is the same.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from kyeo.core.tracing import step_by_step
from kyeo.ops.kernels.derivative import own_gradient
from kyeo.ops.kernels.extreme import greater
from kyeo.ops.kernels.rectify import before_relu, relu
from kyeo.ops.kernels.windows import Pads, Sizes, fitted, on_cpu, output_size, pads_of, places, slices, spread, static

__all__ = ["average_pool", "max_pool"]

# A window up to this many elements is pooled in one stage; the program grows with the number of its slices.
ONE_STAGE = 8
# A side longer than this makes too long a program: plain `lax.reduce_window` then.
LONGEST_SIDE = 32


def max_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str = "valid") -> Array:
    """Return the largest element of each window of `x`, shape `(batch, *spatial, channels)`.

    `window` and `strides` hold one number per spatial axis; `padding` is "valid" (whole windows only) or
    "same" (`ceil(size / stride)` outputs; what lies outside is never chosen). NaN wins over every number. The
    gradient goes to the first maximum of a window in row-major order, as `lax.reduce_window` does it.

    >>> import jax.numpy as jnp
    >>> max_pool(jnp.arange(6.0).reshape(1, 6, 1), (2,), (2,)).ravel().tolist()
    [1.0, 3.0, 5.0]
    """
    earlier = before_relu(x)
    if earlier is not None:
        return relu(max_pool(earlier, window, strides, padding))
    window, strides = tuple(window), tuple(strides)
    stages = stages_of(x, window, strides, padding)
    if stages is None:
        low, geometry = np.array(lowest(x.dtype), x.dtype), (*whole(window, strides), padding.upper())
        y = lax.reduce_window(x, low, lax.max, *geometry)
        if not on_cpu() or not jnp.issubdtype(x.dtype, jnp.floating):
            return y
        missing = reduce_sum(jnp.isnan(x).astype("float32"), *geometry) > 0  # which the maximum may lose (`extreme.py`)
        return jnp.where(missing, jnp.nan, y)
    for stage in stages:
        x = max_stage(x, *stage)
    return x


def average_pool(x: Array, window: Sequence[int], strides: Sequence[int], padding: str = "valid") -> Array:
    """Return the mean of each window of `x`, shape `(batch, *spatial, channels)`.

    Arguments as in `max_pool`. With `padding="same"` only the elements inside the array are counted. Integers
    give float32; half precision is summed in float32 and rounded once.

    >>> import jax.numpy as jnp
    >>> average_pool(jnp.arange(3.0).reshape(1, 3, 1), (2,), (2,), "same").ravel().tolist()
    [0.5, 2.0]
    """
    window, strides = tuple(window), tuple(strides)
    result = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.dtype("float32")
    stages = stages_of(x, window, strides, padding)
    x = x.astype(jnp.promote_types(result, jnp.float32))
    if stages is None:
        geometry = (*whole(window, strides), padding.upper())
        ones = jnp.ones((1, *x.shape[1:-1], 1), x.dtype)
        return (reduce_sum(x, *geometry) / reduce_sum(ones, *geometry)).astype(result)
    counts = counts_of(x.shape[1:-1], window, strides, pads_of(padding, x.shape[1:-1], window, strides))
    for stage in stages:
        x = sum_stage(x, *stage)
    return (x / counts.astype(x.dtype)).astype(result)


def stages_of(x: Array, window: Sizes, strides: Sizes, padding: str) -> list | None:
    """Return the stages `(window, strides, pads)` that pool `x` in turn, or None where only `lax` will do."""
    if not len(window) == len(strides) == x.ndim - 2:
        raise ValueError(
            "A pool needs one window size and one stride per spatial axis. "
            f"Received: x of shape {x.shape}, window={window}, strides={strides}."
        )
    if not on_cpu() or not static(x.shape[1:]) or max(window) > LONGEST_SIDE:
        pads_of(padding, (1,), (1,), (1,))  # only the check of the name: sizes may be symbolic
        return None
    pads = pads_of(padding, x.shape[1:-1], window, strides)
    if not all(map(output_size, x.shape[1:-1], window, strides, pads)):
        return None
    if math.prod(window) <= ONE_STAGE and window == strides:
        return [(window, strides, pads)]

    def along(axis: int, values: tuple[Any, ...], other: Any) -> tuple[Any, ...]:
        return tuple(v if i == axis else other for i, v in enumerate(values))

    # The last axis first: then the first maximum of a column of row maxima is the first in row-major order.
    return [
        (along(axis, window, 1), along(axis, strides, 1), along(axis, pads, (0, 0)))
        for axis in reversed(range(len(window)))
        if (window[axis], strides[axis]) != (1, 1)
    ]


def whole(window: Sizes, strides: Sizes) -> tuple[Sizes, Sizes]:
    """Window and strides with the batch and channel axes."""
    return (1, *window, 1), (1, *strides, 1)


def lowest(dtype: Any) -> float:
    """The smallest value of a dtype, which any other replaces in a maximum."""
    if jnp.issubdtype(dtype, jnp.bool_):
        return False
    return -jnp.inf if jnp.issubdtype(dtype, jnp.floating) else int(jnp.iinfo(dtype).min)


def reduce_sum(x: Array, window: Sizes, strides: Sizes, padding: str) -> Array:
    """Sum over windows, left to XLA."""
    return lax.reduce_window(x, np.zeros((), x.dtype), lax.add, window, strides, padding)


def counts_of(sizes: Sizes, window: Sizes, strides: Sizes, pads: Pads) -> np.ndarray:
    """How many elements of each window lie inside the array: one number, or shape `(*spatial, 1)`."""
    counts = np.ones(())
    for axis in zip(sizes, window, strides, pads):
        counts = counts[..., None] * np.sum([inside(*axis, place) for place in range(axis[1])], axis=0)
    return np.asarray(math.prod(window)) if (counts == math.prod(window)).all() else counts[..., None]


def inside(size: int, window: int, stride: int, pads: tuple[int, int], place: int) -> np.ndarray:
    """For each window along one axis: is its element number `place` in the array, not in the padding?"""
    position = np.arange(output_size(size, window, stride, pads)) * stride + place - pads[0]
    return (position >= 0) & (position < size)


# Stages: pools with custom gradients ---------------------------------------------------------------------


def max_of_windows(x: Array, window: Sizes, strides: Sizes, pads: Pads) -> Array:
    """The maximum of each window as XLA does it. Of equal elements the first moves it, as in the stage's gradient."""
    edges = ((0, 0), *pads, (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window, 1), (1, *strides, 1), edges)


@own_gradient(fixed=(1, 2, 3), forward=max_of_windows)
def max_stage(x: Array, window: Sizes, strides: Sizes, pads: Pads) -> Array:
    """The maximum of each window, as a maximum of strided slices."""
    return functools.reduce(greater, slices(x, lowest(x.dtype), window, strides, pads))


def max_forward(x, window, strides, pads):
    return max_stage(x, window, strides, pads), x


@step_by_step
def max_backward(window, strides, pads, x, g):
    # Written out: XLA would find it anew for each place of the window, with all that made it (a dropout's hash, say).
    # Measured for the tutorial's CNN: 1.107 -> 0.942 s to compile, the steps as long as before.
    place = first_maximum(x, window, strides, pads)
    if window == strides:
        place, g = lax.optimization_barrier((place, g))
        return (side_by_side_gradient(place, g, window, pads, x.shape[1:-1]),)
    g = lax.optimization_barrier(g)
    parts = [jnp.where(place == k, g, jnp.zeros((), g.dtype)) for k in range(math.prod(window))]
    return (spread(parts, window, strides, pads, x.shape[1:-1]),)


max_stage.defvjp(max_forward, max_backward)


@own_gradient(fixed=(1, 2, 3))
def sum_stage(x: Array, window: Sizes, strides: Sizes, pads: Pads) -> Array:
    """The sum of each window, as a sum of strided slices."""
    return functools.reduce(jnp.add, slices(x, 0, window, strides, pads))


def sum_forward(x, window, strides, pads):
    # Only the shape of x is needed again: an array of no elements carries it without keeping x alive.
    return sum_stage(x, window, strides, pads), jnp.zeros((0, *x.shape[1:-1], 0), x.dtype)


def sum_backward(window, strides, pads, empty, g):
    return (spread([g] * math.prod(window), window, strides, pads, empty.shape[1:-1]),)


sum_stage.defvjp(sum_forward, sum_backward)


def side_by_side_gradient(place: Array, g: Array, window: Sizes, pads: Pads, sizes: Sequence[int]) -> Array:
    """The gradient of the maximum of windows that do not overlap, by an input of these sizes: one pass in its order.

    Measured on two cores of an AMD EPYC, in ms, put together from one array for each place (`spread`) / so: alone,
    windows of 2x2, 20 x 148 x 148 x 32 17.8 / 8.2, 20 x 34 x 34 x 128 5.8 / 2.4, 64 x 32 x 32 x 32 2.6 / 1.3; a step of
    `separable` 46.8 / 41.1, of `cnn_128` 197 / 182, of a network for images of 150 x 150 402 / 359. Half of that where
    `place` is not written out. `interleave` one axis after the other is as fast here, and slower for other pools.
    """
    rank = len(window)
    numbers = np.arange(math.prod(window), dtype="uint8").reshape(window)
    numbers = np.expand_dims(numbers, tuple(range(0, 2 * rank + 1, 2)))  # behind each axis of windows one of places
    wide_place, wide = (jnp.expand_dims(array, tuple(range(2, 2 * rank + 1, 2))) for array in (place, g))
    wide = jnp.where(wide_place == numbers, wide, jnp.zeros((), g.dtype))
    lengths = [n * k for n, k in zip(g.shape[1:-1], window)]
    return fitted(wide.reshape(g.shape[0], *lengths, g.shape[-1]), pads, sizes)


def first_maximum(x: Array, window: Sizes, strides: Sizes, pads: Pads) -> Array:
    """Return as uint8 the place of the first maximum (or first NaN) of each window, never in the padding."""
    axes = list(zip(x.shape[1:-1], window, strides, pads))
    best: Any = None
    place: Any = None
    started = np.array(False)
    parts = slices(x, lowest(x.dtype), window, strides, pads)
    for k, (offset, part) in enumerate(zip(places(window), parts)):
        real = functools.reduce(np.multiply.outer, [inside(*axis, at) for axis, at in zip(axes, offset)])
        if best is None:
            best, place, started = part, jnp.zeros(part.shape, jnp.uint8), real
            continue
        better = ~(part <= best) & (best == best)
        if not started.all():  # padding equals a real minus infinity: the first real element replaces it
            better |= (real & ~started)[..., None]
            started = started | real
        place = jnp.where(better, jnp.uint8(k), place)
        best = jnp.maximum(best, part)
    return place
