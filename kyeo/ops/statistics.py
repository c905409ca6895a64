"""Ops of statistics: averages, quantiles, counts, correlations."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import as_floats, to_array
from kyeo.core.errors import one_of, positive_int, problem
from kyeo.core.op import op
from kyeo.ops.rows import sized_by_values, tuple_axis

__all__ = [
    "average", "bincount", "corrcoef", "correlate", "digitize", "histogram", "percentile", "quantile", "searchsorted",
    "trapezoid",
]

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def method_of(name: str, method: str) -> str:
    """A way to find a quantile between two elements, checked."""
    return one_of(f"ops.{name}", METHODS, method=method)


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

    `method` says what lies between two elements: "linear", "lower", "higher", "midpoint" or "nearest".

    >>> import kyeo
    >>> float(kyeo.ops.quantile([1.0, 2.0, 3.0], 0.5))
    2.0
    """
    x = as_floats(to_array(x))
    return jnp.quantile(x, as_floats(to_array(q), x.dtype), tuple_axis(axis), method=method_of("quantile", method),
                        keepdims=keepdims)


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
    with sized_by_values("bincount", "with n numbers: kyeo.ops.sum(kyeo.ops.one_hot(x, n), axis=-2)"):
        length = max(int(jnp.max(x)) + 1 if x.size else 0, int(minlength))
    if x.ndim != 2:
        return jnp.bincount(x, weights, length=length)
    weights = [None] * len(x) if weights is None else weights
    return jnp.stack([jnp.bincount(row, w, length=length) for row, w in zip(x, weights)])


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


@op
def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> jax.Array:
    """The value below which `q` (0 to 100) per cent of the elements lie; `method` as in `quantile`.

    >>> import kyeo
    >>> float(kyeo.ops.percentile([1.0, 2.0, 3.0], 50))
    2.0
    """
    return jnp.percentile(to_array(x), to_array(q), tuple_axis(axis), method=method_of("percentile", method),
                          keepdims=keepdims)


@op
def histogram(x: Any, bins: int = 10, range: Any = None) -> Any:
    """How many elements of a vector fall into each of `bins` equal parts, and the edges of those.

    Args:
        x: array of one axis, or one number.
        bins: how many parts.
        range: a tuple (lowest, highest); those of x when None. What lies outside is not counted.

    >>> import kyeo
    >>> counts, edges = kyeo.ops.histogram([0.0, 1.0, 3.0], bins=2, range=(0, 4))
    >>> counts.tolist(), edges.tolist()
    ([2.0, 1.0], [0.0, 2.0, 4.0])
    """
    x, bins = to_array(x), positive_int("ops.histogram", bins=bins)
    if x.ndim > 1:
        raise problem("`histogram` counts a vector.", received=x, expected="an array of one axis, or a number",
                      where="ops.histogram", fix="ravel it first")
    if range is not None and (not isinstance(range, (tuple, list)) or len(range) != 2 or range[0] > range[1]):
        raise problem("`range` is not valid.", received=f"range={range!r}", where="ops.histogram",
                      expected="a tuple (lowest, highest)")
    return jnp.histogram(x, bins=bins, range=None if range is None else tuple(range))


@op
def digitize(x: Any, bins: Any) -> jax.Array:
    """The number (int32) of the bin of each element: how many of the rising `bins` are not above it.

    >>> import kyeo
    >>> kyeo.ops.digitize([0.5, 1.0, 9.0], [1.0, 2.0]).tolist()
    [0, 1, 2]
    """
    bins = to_array(bins)
    if bins.ndim != 1:
        raise problem("`bins` are the edges of the bins.", received=bins, expected="an array of one axis",
                      where="ops.digitize")
    return jnp.digitize(to_array(x), bins)


@op
def corrcoef(x: Any) -> jax.Array:
    """Pearson's correlation of every row of a matrix with every other.

    >>> import kyeo
    >>> kyeo.ops.corrcoef([[1.0, 2.0], [2.0, 1.0]]).round(3).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    return jnp.corrcoef(to_array(x))


@op
def correlate(x1: Any, x2: Any, mode: str = "valid") -> jax.Array:
    """Sums of the products of x1 and x2 moved along it.

    Args:
        x1: array of one axis.
        x2: array of one axis.
        mode: "valid" where they lie over each other in full, "same" for the length of the longer, "full" for all.

    >>> import kyeo
    >>> kyeo.ops.correlate([1.0, 2.0, 3.0], [1.0, 1.0]).tolist()
    [3.0, 5.0]
    """
    return jnp.correlate(to_array(x1), to_array(x2), one_of("ops.correlate", ("valid", "same", "full"), mode=mode))


@op
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> jax.Array:
    """Area under the line through the points y at x (or at equal distances `dx`), along `axis`.

    >>> import kyeo
    >>> float(kyeo.ops.trapezoid([1.0, 2.0, 3.0]))
    4.0
    """
    return jnp.trapezoid(to_array(y), None if x is None else to_array(x), to_array(dx), axis)
