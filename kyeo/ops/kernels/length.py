"""Vectors at unit length, with a gradient where there is no direction."""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from kyeo.ops.kernels.derivative import as_one

__all__ = ["at_unit_length", "root"]


@as_one(1, 2)
def at_unit_length(x: Array, axis: Any, most: float) -> Array:
    """`x` divided by the root of the sum of its squares along `axis`, that is, times at most `most`.

    A vector of zeros stays as it is. It has no direction, so its gradient is 0; that of the root would be NaN, and all
    weights behind it with it.

    Args:
        x: floats of any shape.
        axis: the axis, or a tuple of them.
        most: the largest factor.

    >>> import jax, jax.numpy as jnp
    >>> at_unit_length(jnp.array([[6.0, 8.0], [0.0, 0.0]]), -1, 1e7).round(1).tolist()
    [[0.6..., 0.8...], [0.0, 0.0]]
    >>> jax.grad(lambda x: at_unit_length(x, -1, 1e7).sum())(jnp.zeros(2)).tolist()
    [0.0, 0.0]
    """
    half, x = x.dtype, x.astype(jnp.promote_types(x.dtype, "float32"))  # the square of 300 is infinite in float16
    most = min(most, float(jnp.finfo(x.dtype).max))
    squares = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    nothing = squares == 0
    factor = jnp.minimum(lax.rsqrt(jnp.where(nothing, 1, squares)), most)
    return jnp.where(nothing, lax.stop_gradient(x) * most, x * factor).astype(half)


def root(squares: Array) -> Array:
    """The square root, with a gradient of 0 at 0: a length or a deviation of 0 has no direction in which it grows.

    >>> import jax, jax.numpy as jnp
    >>> jax.grad(lambda x: root(jnp.sum(x * x)))(jnp.zeros(2)).tolist()
    [0.0, 0.0]
    """
    nothing = squares == 0
    return jnp.where(nothing, 0, jnp.sqrt(jnp.where(nothing, 1, squares)))
