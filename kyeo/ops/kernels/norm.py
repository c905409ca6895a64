"""Statistics of channels over a batch, and scaling by them, for channels-last arrays; the same for each row.

XLA's CPU hands a sum over everything but the channels to a library, which first wants its argument written out: the
squares, the products with the gradient, each an array as large as the input. Here a first sum over a few parts of the
picture is plain arithmetic in one pass (`sums`), and what it leaves is small.

Measured, batch normalization and relu forward and backward, before / after in ms on two cores: 64 x 32 x 32 x 16
2.1 / 1.5, 64 x 16 x 16 x 32 0.91 / 0.60, 64 x 8 x 8 x 64 0.45 / 0.30. Alone, 32 x 32 x 32 x 64 is slower (2.8 / 4.1).
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from kyeo.ops.kernels.derivative import own_gradient
from kyeo.ops.kernels.windows import Sizes, on_cpu, static

__all__ = ["moments", "rescaled", "standardized"]

# Into at most so many parts the places of a picture are divided.
PARTS = 16


def moments(x: Array, real: Array | None = None, count: Any = None) -> tuple[Array, Array]:
    """Mean and biased variance of each channel, shape (channels,), of `x`, shape (batch, ..., channels).

    Args:
        x: at least float32.
        real: what counts, as booleans that broadcast against x; all where None.
        count: how many elements that is of each channel; a number, or shape (channels,).

    >>> import jax.numpy as jnp
    >>> [v.tolist() for v in moments(jnp.array([[1.0, 2.0], [3.0, 6.0]]))]
    [[2.0, 4.0], [1.0, 4.0]]
    """
    count = math.prod(x.shape[:-1]) if count is None else count
    return (moments_in_parts if in_parts(x) else plain_moments)(x, real, jnp.asarray(count, x.dtype))


def rescaled(x: Array, mean: Array, factor: Array, shift: Array) -> Array:
    """`(x - mean) * factor + shift`, where the last three have one number for each channel.

    >>> import jax.numpy as jnp
    >>> rescaled(jnp.array([[1.0, 2.0]]), jnp.array([1.0, 0.0]), jnp.array([5.0, 5.0]), jnp.array([0.0, 1.0])).tolist()
    [[0.0, 11.0]]
    """
    return (rescaled_in_parts if in_parts(x) else plain_rescaled)(x, mean, factor, shift)


def in_parts(x: Array) -> bool:
    """Whether the sums over `x` are taken in parts: there are pictures with places to divide."""
    return on_cpu() and x.ndim > 3 and static(x.shape[1:]) and divisor(math.prod(x.shape[1:-1])) > 1


def divisor(places: int) -> int:
    """The most equal parts that so many places make."""
    return max(n for n in range(1, PARTS + 1) if places % n == 0)


def plain_moments(x: Array, real: Array | None, count: Array) -> tuple[Array, Array]:
    """The moments, as formulas."""
    axes = tuple(range(x.ndim - 1))
    mean = jnp.sum(kept(x, real), axes) / count
    return mean, jnp.sum(kept(jnp.square(x - mean), real), axes) / count


def plain_rescaled(x: Array, mean: Array, factor: Array, shift: Array) -> Array:
    """The scaling, as a formula."""
    return (x - mean) * factor + shift


def kept(x: Array, real: Array | None) -> Array:
    """Zero for what does not count."""
    return x if real is None else jnp.where(real, x, jnp.zeros((), x.dtype))


def sums(term: Callable[..., Array], *arrays: Array | None) -> Array:
    """The sum of `term(*arrays)` for each channel. Parts of the picture come from one image, so the batch may be of any
    size and spread over devices."""
    whole = next(a for a in arrays if a is not None).shape
    count = divisor(math.prod(whole[1:-1]))

    def cut(a: Array | None) -> list[Any]:
        if a is None:
            return [None] * count
        a = jnp.broadcast_to(a, (*whole[:-1], a.shape[-1]))
        return jnp.split(a.reshape(whole[0], -1, a.shape[-1]), count, 1)

    partial = functools.reduce(jnp.add, [term(*parts) for parts in zip(*map(cut, arrays))])
    return lax.optimization_barrier(partial).sum((0, 1))


@own_gradient(jit=True)
def moments_in_parts(x: Array, real: Array | None, count: Array) -> tuple[Array, Array]:
    """The moments, in two passes over x."""
    mean = sums(kept, x, real) / count
    return mean, sums(lambda x, real: kept(jnp.square(x - mean), real), x, real) / count


def moments_forward(x, real, count):
    mean, variance = moments_in_parts(x, real, count)
    return (mean, variance), (x, real, count, mean)


def moments_backward(saved, g):
    x, real, count, mean = saved
    by_mean, by_variance = (part / count for part in g)
    return kept(by_mean + 2 * by_variance * (x - mean), real), None, None


moments_in_parts.defvjp(moments_forward, moments_backward)


@own_gradient(jit=True)
def rescaled_in_parts(x: Array, mean: Array, factor: Array, shift: Array) -> Array:
    """The scaling, with a gradient of two passes for the channels."""
    return plain_rescaled(x, mean, factor, shift)


def rescaled_forward(x, mean, factor, shift):
    return plain_rescaled(x, mean, factor, shift), (x, mean, factor)


def rescaled_backward(saved, g):
    x, mean, factor = saved
    total = sums(lambda g: g, g)
    return g * factor, -factor * total, sums(lambda g, x: g * (x - mean), g, x), total


rescaled_in_parts.defvjp(rescaled_forward, rescaled_backward)


# Each row by itself -----------------------------------------------------------------------------------------


def standardized(x: Array, gamma: Array | None, beta: Array | None, axes: Sizes, epsilon: float) -> Array:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with the moments along `axes`.

    XLA would find its gradient through arrays as large as x that hold a row's or a channel's number over and over.
    Measured, a training step of a transformer with four of them, 128 wide: 46.2 instead of 48.4 ms.

    Args:
        x: at least float32.
        gamma, beta: what broadcasts against x; 1 and 0 where None.
        axes: of x.
        epsilon: added to the variance.

    >>> import jax.numpy as jnp
    >>> standardized(jnp.array([[1.0, 3.0], [5.0, 5.0]]), None, jnp.array([0.0, 1.0]), (1,), 3.0).tolist()
    [[-0.5, 1.5], [0.0, 1.0]]
    """
    if on_cpu():
        return standardized_rows(x, gamma, beta, axes, epsilon)
    return standardized_forward(x, gamma, beta, axes, epsilon)[0]


@own_gradient(fixed=(3, 4))
def standardized_rows(x: Array, gamma: Array | None, beta: Array | None, axes: Sizes, epsilon: float) -> Array:
    """The same, with a gradient of its own."""
    return standardized_forward(x, gamma, beta, axes, epsilon)[0]


def standardized_forward(x, gamma, beta, axes, epsilon):
    mean = jnp.mean(x, axes, keepdims=True)
    root = lax.rsqrt(jnp.mean(jnp.square(x - mean), axes, keepdims=True) + epsilon)
    y = (x - mean) * root
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta, (x, mean, root, gamma, beta)


def standardized_backward(axes, epsilon, saved, g):
    x, mean, root, gamma, beta = saved
    normal = (x - mean) * root
    by_normal = g if gamma is None else g * gamma
    along = jnp.mean(by_normal, axes, keepdims=True), jnp.mean(by_normal * normal, axes, keepdims=True)
    return root * (by_normal - along[0] - normal * along[1]), summed(g * normal, gamma), summed(g, beta)


standardized_rows.defvjp(standardized_forward, standardized_backward)


def summed(x: Array, like: Array | None) -> Array | None:
    """The sum of `x` over what `like` was broadcast along."""
    if like is None:
        return None
    sizes = (1,) * (x.ndim - like.ndim) + like.shape
    return x.sum(tuple(a for a, size in enumerate(sizes) if size == 1)).reshape(like.shape)
