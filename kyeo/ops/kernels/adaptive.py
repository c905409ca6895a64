"""Pools whose windows follow from the number of outputs, of channels-last arrays.

Output number i of n along an axis of size s looks at the elements from floor(i s / n) to ceil((i + 1) s / n). Where n
divides s those are the windows of an ordinary pool. Where it does not, windows differ in size and share elements: the
axis is first written out window after window, each as long as the longest, and then pooled as usual.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from kyeo.ops.kernels.derivative import own_gradient
from kyeo.ops.kernels.pool import average_pool, max_pool

__all__ = ["adaptive_average_pool", "adaptive_max_pool"]


def adaptive_max_pool(x: Array, sizes: Sequence[int]) -> Array:
    """Return the largest element of each of `sizes` windows, for `x` of shape (batch, *spatial, channels).

    >>> import jax.numpy as jnp
    >>> adaptive_max_pool(jnp.arange(5.0).reshape(1, 5, 1), (2,)).ravel().tolist()
    [2.0, 4.0]
    """
    return pooled(max_pool, x, sizes)


def adaptive_average_pool(x: Array, sizes: Sequence[int]) -> Array:
    """Return the mean of each of `sizes` windows, for `x` of shape (batch, *spatial, channels); integers give float32.

    >>> import jax.numpy as jnp
    >>> adaptive_average_pool(jnp.arange(5.0).reshape(1, 5, 1), (2,)).ravel().tolist()
    [1.0, 3.0]
    """
    return pooled(average_pool, x, sizes)


def pooled(pool: Callable, x: Array, sizes: Sequence[int]) -> Array:
    """Write out the axes that need it, and pool them all at once."""
    window, factors = [], np.ones(())
    for axis, count in enumerate(sizes, 1):
        size = x.shape[axis]
        starts, ends = windows(size, count)
        longest = int((ends - starts).max())
        window.append(longest)
        if size % count:
            places = starts[:, None] + np.arange(longest)
            real = places < ends[:, None]
            # The last element of a short window stands for those it lacks: it changes no maximum.
            x = rows(x, axis, tuple(np.minimum(places, ends[:, None] - 1).ravel().tolist()))
            if pool is average_pool:
                x = jnp.where(along(real.ravel(), axis, x.ndim), x, jnp.zeros((), x.dtype))
        factors = factors[..., None] * (longest / (ends - starts))
    y = pool(x, tuple(window), tuple(window))
    return y if pool is max_pool or (factors == 1).all() else (y * factors[..., None].astype("float32")).astype(y.dtype)


def windows(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `count` windows over an axis begins and ends."""
    numbers = np.arange(count)
    return numbers * size // count, -(-(numbers + 1) * size // count)


def along(values: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    """A vector shaped to lie along one axis."""
    return values.reshape([-1 if a == axis else 1 for a in range(ndim)])


@own_gradient(fixed=(1, 2))
def rows(x: Array, axis: int, places: tuple[int, ...]) -> Array:
    """The elements of `x` at these places of an axis. Its gradient collects instead of scattering."""
    return jnp.take(x, np.array(places), axis)


def rows_forward(x, axis, places):
    return rows(x, axis, places), jnp.zeros((x.shape[axis], 0))


def rows_backward(axis, places, empty, g):
    size = empty.shape[0]
    where = [np.flatnonzero(np.array(places) == place) for place in range(size)]
    total = jnp.zeros((), g.dtype)
    for turn in range(max(map(len, where))):
        there = np.array([len(w) > turn for w in where])
        found = jnp.take(g, np.array([w[turn] if len(w) > turn else 0 for w in where]), axis)
        total = total + jnp.where(along(there, axis, g.ndim), found, jnp.zeros((), g.dtype))
    return (total,)


rows.defvjp(rows_forward, rows_backward)
