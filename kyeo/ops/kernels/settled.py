"""An array that stays as it was computed, for ops whose gradient asks which elements equal the result.

The gradient of a maximum goes to the elements that equal it. XLA may compute the argument twice, once for the
maximum and once for the question, and round differently: a convolution written as sums of products, plus a bias, is
added up by fused multiply-adds in one place and not in the other. Then no element equals the maximum, and a whole
channel gets no gradient, or NaN. Behind a barrier both places see the same numbers. Without a gradient there is
none, and nobody asks for one of an array that is not traced.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

__all__ = ["of_settled", "settled"]


def settled(x: Array) -> Array:
    """`x`, which is not computed again where its gradient is asked for.

    >>> import jax, jax.numpy as jnp
    >>> jax.grad(lambda x: jnp.max(settled(x)))(jnp.array([1.0, 3.0])).tolist()
    [0.0, 1.0]
    """
    return _settled(x) if isinstance(x, jax.core.Tracer) and jnp.issubdtype(x.dtype, jnp.floating) else x


def of_settled(fn: Callable[..., Any]) -> Callable[..., Array]:
    """`fn`, a function of an array first, of a settled one."""
    return lambda x, *args, **kwargs: fn(settled(x), *args, **kwargs)


@jax.custom_jvp
def _settled(x: Array) -> Array:
    return x


@_settled.defjvp
def _behind_a_barrier(primals: Any, tangents: Any) -> tuple[Array, Any]:
    return lax.optimization_barrier(primals[0]), tangents[0]
