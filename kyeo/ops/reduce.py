"""Ops that reduce, sort or accumulate along axes."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.op import op
from kyeo.ops.kernels.extreme import largest, smallest
from kyeo.ops.kernels.length import root
from kyeo.ops.rows import dtype_or_own, in_float32, reduction, tuple_axis

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "count_nonzero", "cumprod", "cumsum", "in_top_k",
    "logsumexp", "max", "mean", "median", "min", "prod", "ptp", "sort", "std", "sum", "top_k", "var",
]


def _range(x: jax.Array, axis: Any, keepdims: bool) -> jax.Array:
    return largest(x, axis, keepdims) - smallest(x, axis, keepdims)


def _std(x: jax.Array, axis: Any, keepdims: bool) -> jax.Array:
    return root(jnp.real(jnp.var(x, axis, keepdims=keepdims)))


def _logsumexp(x: jax.Array, axis: Any, keepdims: bool) -> jax.Array:
    """Of nothing but minus infinity: minus infinity, with a gradient of 0."""
    if not jnp.issubdtype(x.dtype, jnp.floating) or not x.size:
        return jax.nn.logsumexp(x, axis, keepdims=keepdims)
    nothing = jnp.max(x, axis, keepdims=True) == -jnp.inf
    out = jnp.where(nothing, -jnp.inf, jax.nn.logsumexp(jnp.where(nothing, 0, x), axis, keepdims=True))
    return out if keepdims else jnp.squeeze(out, axis)


all = reduction("all", jnp.all, "Whether every element is true.", "[True, False]", "False")
amax = reduction("amax", largest, "Largest element.", "[[1, 2], [3, 4]], 0", "[3, 4]")
amin = reduction("amin", smallest, "Smallest element.", "[[1, 2], [3, 4]], 0", "[1, 2]")
any = reduction("any", jnp.any, "Whether some element is true.", "[True, False]", "True")
logsumexp = reduction("logsumexp", _logsumexp, "log(sum(exp(x))), no overflow.", "[1000.0]", "1000.0")
mean = reduction("mean", in_float32(jnp.mean), "Mean; of integers in float32.", "[[1, 2], [3, 4]], 0", "[2.0, 3.0]")
median = reduction("median", jnp.median, "Middle element.", "[1.0, 2.0, 9.0]", "2.0")
ptp = reduction("ptp", _range, "Largest minus smallest.", "[1, 5]", "4")
std = reduction("std", in_float32(_std), "Standard deviation (divided by n).", "[1.0, 3.0]", "1.0")
sum = reduction("sum", jnp.sum, "Sum.", "[[1, 2], [3, 4]], 0", "[4, 6]")
var = reduction("var", in_float32(jnp.var), "Variance (divided by n).", "[1.0, 3.0]", "1.0")


@op
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> jax.Array:
    """Largest element along `axis` (of all when None), and of `initial`.

    Args:
        x: array of any shape.
        axis: the axis, or axes, to take away.
        keepdims: whether a size of 1 stays in their place.
        initial: the result where there are no elements.

    >>> import kyeo
    >>> kyeo.ops.max([[1, 2], [3, 4]], axis=1).tolist()
    [2, 4]
    """
    return largest(to_array(x), tuple_axis(axis), keepdims=keepdims, initial=initial)


@op
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> jax.Array:
    """Smallest element along `axis` (of all when None), and of `initial`.

    Args:
        x, axis, keepdims, initial: as for `kyeo.ops.max`.

    >>> import kyeo
    >>> kyeo.ops.min([[1, 2], [3, 4]], axis=1).tolist()
    [1, 3]
    """
    return smallest(to_array(x), tuple_axis(axis), keepdims=keepdims, initial=initial)


@op
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> jax.Array:
    """Product along `axis` (of all when None).

    Args:
        x: array of any shape.
        axis: the axis, or axes, to take away.
        keepdims: whether a size of 1 stays in their place.
        dtype: in which it is computed; that of `x` by default.

    >>> import kyeo
    >>> kyeo.ops.prod([[1, 2], [3, 4]], axis=1).tolist()
    [2, 12]
    """
    return jnp.prod(to_array(x), tuple_axis(axis), dtype_or_own(dtype), keepdims=keepdims)


@op
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> jax.Array:
    """Running sum along `axis`; of the flattened array when None.

    >>> import kyeo
    >>> kyeo.ops.cumsum([1, 2, 3]).tolist()
    [1, 3, 6]
    """
    return jnp.cumsum(to_array(x), axis, dtype_or_own(dtype))


@op
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> jax.Array:
    """Running product along `axis`; of the flattened array when None.

    >>> import kyeo
    >>> kyeo.ops.cumprod([1, 2, 3]).tolist()
    [1, 2, 6]
    """
    return jnp.cumprod(to_array(x), axis, dtype_or_own(dtype))


@op
def count_nonzero(x: Any, axis: Any = None) -> jax.Array:
    """How many elements are not zero, as int32.

    >>> import kyeo
    >>> int(kyeo.ops.count_nonzero([0, 3, 4]))
    2
    """
    return jnp.count_nonzero(to_array(x), tuple_axis(axis)).astype("int32")


@op
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> jax.Array:
    """Index (int32) of the first largest element along `axis`; in the flattened array when None.

    >>> import kyeo
    >>> kyeo.ops.argmax([[1, 5, 2], [7, 0, 7]], axis=-1).tolist()
    [1, 0]
    """
    return jnp.argmax(to_array(x), axis, keepdims=keepdims)


@op
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> jax.Array:
    """Index (int32) of the first smallest element along `axis`; in the flattened array when None.

    >>> import kyeo
    >>> kyeo.ops.argmin([[1, 5, 2], [7, 0, 7]], axis=-1).tolist()
    [0, 1]
    """
    return jnp.argmin(to_array(x), axis, keepdims=keepdims)


@op
def sort(x: Any, axis: int | None = -1) -> jax.Array:
    """Elements in rising order along `axis`; of all in a row where that is None.

    >>> import kyeo
    >>> kyeo.ops.sort([3, 1, 2]).tolist()
    [1, 2, 3]
    """
    return jnp.sort(to_array(x), axis)


@op
def argsort(x: Any, axis: int | None = -1) -> jax.Array:
    """Indices that sort `x` along `axis`, or all in a row where that is None; equal elements keep their order.

    >>> import kyeo
    >>> kyeo.ops.argsort([3, 1, 2]).tolist()
    [1, 2, 0]
    """
    x = to_array(x)
    return jnp.argsort(x, axis if x.ndim else None)


@op
def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    """The k largest elements of the last axis, largest first, and their indices.

    `sorted=False` allows any order; the order here is the same.

    >>> import kyeo
    >>> values, indices = kyeo.ops.top_k([1, 5, 2], k=2)
    >>> values.tolist(), indices.tolist()
    ([5, 2], [1, 2])
    """
    return jax.lax.top_k(to_array(x), k)


@op
def in_top_k(targets: Any, predictions: Any, k: int) -> jax.Array:
    """Whether each target class is among the k best of its row of `predictions`.

    >>> import kyeo
    >>> kyeo.ops.in_top_k([2, 0], [[0.1, 0.3, 0.6], [0.1, 0.3, 0.6]], k=2).tolist()
    [True, False]
    """
    targets, predictions = to_array(targets), to_array(predictions)
    own = jnp.take_along_axis(predictions, targets[..., None], axis=-1)
    own = jnp.where(jnp.isnan(own), -jnp.inf, own)
    return jnp.sum(predictions > own, axis=-1) < k
