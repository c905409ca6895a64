"""Ops that reduce, sort or accumulate along axes."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import problem
from kyeo.core.op import op
from kyeo.ops.rows import reduction, tuple_axis

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "average", "bincount", "count_nonzero",
    "cumprod", "cumsum", "in_top_k", "logsumexp", "max", "mean", "median", "min", "nanmax", "nanmean",
    "nanmin", "nansum", "prod", "ptp", "quantile", "searchsorted", "segment_max", "segment_sum", "sort",
    "std", "sum", "top_k", "var",
]


def _mean(x: jax.Array, axis: Any, keepdims: bool) -> jax.Array:
    """Half precision is summed in float32: 65504 is soon reached."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    out = jnp.mean(x, axis, dtype=wide, keepdims=keepdims)
    return out.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else out


def _var(x: jax.Array, axis: Any, keepdims: bool) -> jax.Array:
    wide = jnp.promote_types(x.dtype, jnp.float32)
    out = jnp.var(x, axis, dtype=wide, keepdims=keepdims)
    return out.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else out


all = reduction("all", jnp.all, "Whether every element is true.", "[True, False]", "False")
amax = reduction("amax", jnp.amax, "Largest element.", "[[1, 2], [3, 4]], 0", "[3, 4]")
amin = reduction("amin", jnp.amin, "Smallest element.", "[[1, 2], [3, 4]], 0", "[1, 2]")
any = reduction("any", jnp.any, "Whether some element is true.", "[True, False]", "True")
logsumexp = reduction("logsumexp", jax.nn.logsumexp, "log(sum(exp(x))), no overflow.", "[1000.0]", "1000.0")
mean = reduction("mean", _mean, "Mean; of integers in float32.", "[[1, 2], [3, 4]], 0", "[2.0, 3.0]")
median = reduction("median", jnp.median, "Middle element.", "[1.0, 2.0, 9.0]", "2.0")
nanmax = reduction("nanmax", jnp.nanmax, "Largest element that is not NaN.", "[1.0, float('nan')]", "1.0")
nanmean = reduction("nanmean", jnp.nanmean, "Mean of those that are not NaN.", "[1.0, float('nan')]", "1.0")
nanmin = reduction("nanmin", jnp.nanmin, "Smallest element that is not NaN.", "[1.0, float('nan')]", "1.0")
nansum = reduction("nansum", jnp.nansum, "Sum of those that are not NaN.", "[1.0, float('nan')]", "1.0")
ptp = reduction("ptp", jnp.ptp, "Largest minus smallest.", "[1, 5]", "4")
std = reduction("std", jnp.std, "Standard deviation (divided by n).", "[1.0, 3.0]", "1.0")
sum = reduction("sum", jnp.sum, "Sum.", "[[1, 2], [3, 4]], 0", "[4, 6]")
var = reduction("var", _var, "Variance (divided by n).", "[1.0, 3.0]", "1.0")


@op
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> jax.Array:
    """Largest element along `axis` (of all when None), and of `initial`.

    >>> import kyeo
    >>> kyeo.ops.max([[1, 2], [3, 4]], axis=1).tolist()
    [2, 4]
    """
    return jnp.max(to_array(x), tuple_axis(axis), keepdims=keepdims, initial=initial)


@op
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> jax.Array:
    """Smallest element along `axis` (of all when None), and of `initial`.

    >>> import kyeo
    >>> kyeo.ops.min([[1, 2], [3, 4]], axis=1).tolist()
    [1, 3]
    """
    return jnp.min(to_array(x), tuple_axis(axis), keepdims=keepdims, initial=initial)


@op
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> jax.Array:
    """Product along `axis` (of all when None).

    >>> import kyeo
    >>> kyeo.ops.prod([[1, 2], [3, 4]], axis=1).tolist()
    [2, 12]
    """
    return jnp.prod(to_array(x), tuple_axis(axis), _dtype(dtype), keepdims=keepdims)


def _dtype(dtype: Any) -> Any:
    return None if dtype is None else standardize_dtype(dtype)


@op
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> jax.Array:
    """Running sum along `axis`; of the flattened array when None.

    >>> import kyeo
    >>> kyeo.ops.cumsum([1, 2, 3]).tolist()
    [1, 3, 6]
    """
    return jnp.cumsum(to_array(x), axis, _dtype(dtype))


@op
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> jax.Array:
    """Running product along `axis`; of the flattened array when None.

    >>> import kyeo
    >>> kyeo.ops.cumprod([1, 2, 3]).tolist()
    [1, 2, 6]
    """
    return jnp.cumprod(to_array(x), axis, _dtype(dtype))


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
def sort(x: Any, axis: int = -1) -> jax.Array:
    """Elements in rising order along `axis`.

    >>> import kyeo
    >>> kyeo.ops.sort([3, 1, 2]).tolist()
    [1, 2, 3]
    """
    return jnp.sort(to_array(x), axis)


@op
def argsort(x: Any, axis: int = -1) -> jax.Array:
    """Indices that sort `x` along `axis`; equal elements keep their order.

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


@op
def average(x: Any, axis: Any = None, weights: Any = None) -> jax.Array:
    """Mean with weights: an array like `x`, or one weight for each place along `axis`.

    >>> import kyeo
    >>> float(kyeo.ops.average([1.0, 4.0], weights=[2, 1]))
    2.0
    """
    x = to_array(x)
    dtypes = [x.dtype, float] + ([] if weights is None else [to_array(weights).dtype])
    dtype = jnp.result_type(*dtypes)
    weights = None if weights is None else to_array(weights).astype(dtype)
    return jnp.average(x.astype(dtype), tuple_axis(axis), weights)


@op
def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> jax.Array:
    """The value below which a part `q` (0 to 1) of the elements lies.

    >>> import kyeo
    >>> float(kyeo.ops.quantile([1.0, 2.0, 3.0], 0.5))
    2.0
    """
    return jnp.quantile(to_array(x), to_array(q), tuple_axis(axis), method=method, keepdims=keepdims)


@op
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> jax.Array:
    """How often each of 0, 1, 2, ... occurs (or the sum of its weights), for each row of a matrix.

    The length is that of the largest number, so it cannot be used inside `jax.jit`.

    >>> import kyeo
    >>> kyeo.ops.bincount([0, 2, 2]).tolist()
    [1, 0, 2]
    """
    if sparse:
        raise problem("Sparse tensors are not supported.", received="sparse=True", expected="sparse=False",
                      where="ops.bincount")
    x = to_array(x)
    weights = weights if weights is None else to_array(weights)
    length = jnp.maximum(jnp.max(x, initial=-1) + 1, minlength)
    if x.ndim != 2:
        return jnp.bincount(x, weights, length=int(length))
    weights = [None] * len(x) if weights is None else weights
    return jnp.stack([jnp.bincount(row, w, length=int(length)) for row, w in zip(x, weights)])


@op
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> jax.Array:
    """Where each value would be put into the sorted sequence.

    >>> import kyeo
    >>> kyeo.ops.searchsorted([1, 3, 5], [3, 4]).tolist()
    [1, 2]
    """
    sequence = to_array(sorted_sequence)
    if sequence.ndim != 1:
        raise problem("`searchsorted` takes one sorted sequence.", received=sequence,
                      expected="an array of one axis", where="ops.searchsorted",
                      fix="use kyeo.ops.vectorized_map for many sequences")
    return jnp.searchsorted(sequence, to_array(values), side=side)


def _segments(data: Any, segment_ids: Any, num_segments: Any, name: str) -> tuple[jax.Array, jax.Array]:
    data, ids = to_array(data), to_array(segment_ids)
    if num_segments is None:
        raise problem("The number of segments must be known.", received="num_segments=None",
                      expected="an int", where=f"ops.{name}")
    if ids.ndim != 1 or ids.shape[0] != data.shape[0]:
        raise problem("`segment_ids` must name a segment for each row of `data`.", received=ids,
                      expected=f"shape ({data.shape[0]},)", where=f"ops.{name}")
    return data, ids


@op
def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False,
) -> jax.Array:
    """Sum of the rows of each segment.

    Args:
        data: array of any rank.
        segment_ids: the segment of each row, from 0; others are dropped.
        num_segments: how many segments the result has; needed.
        sorted: a promise that `segment_ids` rises.

    >>> import kyeo
    >>> kyeo.ops.segment_sum([1, 2, 4], [0, 0, 1], num_segments=2).tolist()
    [3, 4]
    """
    data, ids = _segments(data, segment_ids, num_segments, "segment_sum")
    return jax.ops.segment_sum(data, ids, num_segments, indices_are_sorted=sorted)


@op
def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False,
) -> jax.Array:
    """Largest of the rows of each segment; an empty one gives the lowest number. Arguments as `segment_sum`.

    >>> import kyeo
    >>> kyeo.ops.segment_max([1, 2, 4], [0, 0, 1], num_segments=2).tolist()
    [2, 4]
    """
    data, ids = _segments(data, segment_ids, num_segments, "segment_max")
    return jax.ops.segment_max(data, ids, num_segments, indices_are_sorted=sorted)
