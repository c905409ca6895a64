"""Ops that choose elements: by index, by condition, by place in a matrix."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.errors import problem
from kyeo.core.op import op
from kyeo.core.scope import current
from kyeo.ops.kernels.derivative import as_one
from kyeo.ops.rows import operands, sized_by_values

__all__ = [
    "argpartition", "diag", "diagonal", "isin", "nonzero", "select", "take", "take_along_axis", "tril", "triu",
    "unique", "unravel_index", "where",
]

Many = Sequence[Any]

_taken = as_one("axis")(jnp.take)


@op
def take(x: Any, indices: Any, axis: int | None = None) -> jax.Array:
    """Slices of x at `indices` along `axis`; of the flattened x when None. Beyond its end there is NaN.

    >>> import kyeo
    >>> kyeo.ops.take([10, 20, 30], [2, 0]).tolist()
    [30, 10]
    """
    return _taken(to_array(x), to_array(indices), axis=axis)


@op
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> jax.Array:
    """For each place, the element of x at the index found there, along `axis`.

    >>> import kyeo
    >>> kyeo.ops.take_along_axis([[1, 2], [3, 4]], [[1], [0]], axis=1).tolist()
    [[2], [3]]
    """
    return jnp.take_along_axis(to_array(x), to_array(indices), axis)


@op
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition is true, else x2; without them, the indices where it is true.

    >>> import kyeo
    >>> kyeo.ops.where([True, False], 1.0, 0.0).tolist()
    [1.0, 0.0]
    """
    if (x1 is None) != (x2 is None):
        raise problem("`where` needs both values or none.", received=f"x1={x1!r}, x2={x2!r}",
                      expected="x1 and x2", where="ops.where")
    condition = to_array(condition)
    with sized_by_values("where", "give values for both: kyeo.ops.where(condition, x, 0)"):
        return jnp.where(condition) if x1 is None else jnp.where(condition, *operands(x1, x2))


@op
def select(condlist: Many, choicelist: Many, default: Any = 0) -> jax.Array:
    """From the first list entry whose condition is true, else `default`.

    >>> import kyeo
    >>> x = kyeo.ops.arange(4)
    >>> kyeo.ops.select([x < 1, x > 2], [x, x * 10], 7).tolist()
    [0, 7, 7, 30]
    """
    for name, value in {"condlist": condlist, "choicelist": choicelist}.items():
        if not isinstance(value, (list, tuple)) or not value:
            raise problem(f"`{name}` must be a list.", received=value, expected="a list of arrays",
                          where="ops.select")
    return jnp.select([to_array(c) for c in condlist], [to_array(c) for c in choicelist], default)


@op
def nonzero(x: Any) -> Any:
    """The indices of elements that are not zero, one array an axis; not inside `jax.jit`.

    >>> import kyeo
    >>> [i.tolist() for i in kyeo.ops.nonzero([0, 3, 4])]
    [[1, 2]]
    """
    with sized_by_values("nonzero"):
        return jnp.nonzero(to_array(x))


@op
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> jax.Array:
    """Whether each element of x1 is somewhere in x2 (is not, with `invert`).

    >>> import kyeo
    >>> kyeo.ops.isin([1, 2, 3], [3, 1]).tolist()
    [True, False, True]
    """
    return jnp.isin(to_array(x1), to_array(x2), assume_unique=assume_unique, invert=invert)


@op
def unique(
    x: Any, sorted: bool = True, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, size: int | None = None, fill_value: Any = None,
) -> Any:
    """The different elements of x, and what else is asked for; inside `jax.jit` only with a `size`.

    >>> import kyeo
    >>> kyeo.ops.unique([3, 1, 3]).tolist()
    [1, 3]
    """
    with sized_by_values("unique", "unique(..., size=n)"):
        return jnp.unique(to_array(x), return_index, return_inverse, return_counts, axis, equal_nan=False,
                          size=size, fill_value=fill_value, sorted=sorted)


@op
def diag(x: Any, k: int = 0) -> jax.Array:
    """The diagonal number k of a matrix, or the matrix with a vector on it.

    >>> import kyeo
    >>> kyeo.ops.diag([1, 2]).tolist()
    [[1, 0], [0, 2]]
    """
    x = to_array(x)
    return jnp.diag(x, k) if x.ndim == 1 else diagonal(x, k)


@op
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> jax.Array:
    """The diagonals of the matrices that two axes span, on the last axis.

    >>> import kyeo
    >>> kyeo.ops.diagonal([[1, 2], [3, 4]]).tolist()
    [1, 4]
    """
    x = to_array(x)
    if current().symbolic and x.ndim > 1:
        sides = [size for size in (x.shape[axis1], x.shape[axis2]) if not isinstance(size, int)]
        if sides:  # the shorter side counts, and which that is shows when the model runs
            rest = jnp.moveaxis(x, (axis1, axis2), (0, 1)).shape[2:]
            return jnp.zeros((*rest, sides[0]), x.dtype)
    return jnp.diagonal(x, offset, axis1, axis2)


@op
def tril(x: Any, k: int = 0) -> jax.Array:
    """x with zeros above the diagonal number k.

    >>> import kyeo
    >>> kyeo.ops.tril([[1, 2], [3, 4]]).tolist()
    [[1, 0], [3, 4]]
    """
    return jnp.tril(to_array(x), k)


@op
def triu(x: Any, k: int = 0) -> jax.Array:
    """x with zeros below the diagonal number k.

    >>> import kyeo
    >>> kyeo.ops.triu([[1, 2], [3, 4]]).tolist()
    [[1, 2], [0, 4]]
    """
    return jnp.triu(to_array(x), k)


@op
def argpartition(x: Any, kth: int, axis: int | None = -1) -> jax.Array:
    """Indices (int32) that put the element number `kth` in its place along `axis`, smaller ones before it.

    The flattened x is meant when `axis` is None.

    >>> import kyeo
    >>> int(kyeo.ops.argpartition([30, 10, 20], 1)[1])
    2
    """
    x = to_array(x)
    return jnp.argpartition(jnp.ravel(x) if axis is None else x, kth, 0 if axis is None else axis)


@op
def unravel_index(indices: Any, shape: int | Sequence[int]) -> Any:
    """The index on every axis of an array of `shape` (one int for a single axis), given indices into the flattened one.

    >>> import kyeo
    >>> [i.tolist() for i in kyeo.ops.unravel_index([1, 5], (2, 3))]
    [[0, 1], [1, 2]]
    """
    return jnp.unravel_index(to_array(indices), (shape,) if isinstance(shape, int) else shape)
