"""Attention's two products, with a softmax between them; the axes that attend may be any of the array."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

__all__ = ["attend"]


def attend(
    query: Array, key: Array, value: Array, axes: Sequence[int] = (1,), mask: Array | None = None,
    scale: float | None = None, empty: float | None = None, change: Callable[[Array], Array] | None = None,
) -> tuple[Array, Array]:
    """`softmax(query key^T * scale) value`, and the softmax's weights.

    Args:
        query: shape (batch, ..., heads, size), with axes of any meaning between.
        key, value: the same, of other lengths along `axes`; the size of `value` may be another.
        axes: the axes along which a query looks for keys, in order; all others stay apart.
        mask: True where a query may look at a key; broadcasts to the weights.
        scale: 1 / sqrt(size) where None.
        empty: the weights of a query that may look at nothing; all the same where None.
        change: applied to the weights before they meet the values (dropout).

    The weights have shape (batch, ..., heads, *lengths of the queries, *lengths of the keys).

    >>> import jax.numpy as jnp
    >>> x = jnp.ones((2, 5, 3, 4))
    >>> output, weights = attend(x, x[:, :2], x[:, :2])
    >>> output.shape, weights.shape
    ((2, 5, 3, 4), (2, 3, 5, 2))
    """
    apart = tuple(a for a in range(query.ndim - 1) if a not in axes)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    logits = lax.dot_general(query * scale, key, (((query.ndim - 1,), (query.ndim - 1,)), (apart, apart)))
    last = tuple(range(-len(axes), 0))
    if mask is not None:
        logits = jnp.where(mask, logits, jnp.asarray(jnp.finfo(logits.dtype).min / 2, logits.dtype))
    wide = jnp.promote_types(logits.dtype, jnp.float32)
    weights = jax.nn.softmax(logits.astype(wide), last).astype(logits.dtype)
    if mask is not None and empty is not None:
        weights = jnp.where(mask, weights, jnp.asarray(empty, weights.dtype))
    changed = weights if change is None else change(weights)
    output = lax.dot_general(changed, value, ((tuple(a + changed.ndim for a in last), tuple(axes)),
                                              (tuple(range(len(apart))), apart)))
    order: list[Any] = [*apart, *axes, query.ndim - 1]  # the output's axes, by where they stand in the query
    return jnp.transpose(output, [order.index(a) for a in range(query.ndim)]), weights
