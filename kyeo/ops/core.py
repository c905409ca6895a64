"""Ops on what a tensor is: conversion, dtype, shape, slices and scattered writes."""

import builtins
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import to_array
from kyeo.core.dtypes import array_dtype, is_float, standardize_dtype
from kyeo.core.errors import describe, one_of, problem
from kyeo.core.op import op
from kyeo.core.parameters import checked
from kyeo.core.variable import unwrap
from kyeo.ops.kernels.derivative import as_one

__all__ = [
    "cast", "convert_to_numpy", "convert_to_tensor", "dtype", "get_item", "is_tensor", "ndim", "saturate_cast",
    "scatter", "scatter_update", "shape", "size", "slice", "slice_update", "stop_gradient", "unstack", "view",
]


@op
def convert_to_tensor(
    x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None,
) -> jax.Array:
    """A number, list, NumPy array or variable as a JAX array, of `dtype` if one is given.

    Python's numbers must be among those of the dtype (`OverflowError`); arrays are cast as NumPy casts them.

    >>> import kyeo
    >>> kyeo.ops.convert_to_tensor([1, 2], dtype="float32").tolist()
    [1.0, 2.0]
    """
    if sparse or ragged:
        raise problem("Sparse and ragged tensors are not supported.", where="ops.convert_to_tensor",
                      received=f"sparse={sparse}, ragged={ragged}", fix="use dense arrays and masks")
    return to_array(x) if dtype is None else _as_dtype(x, array_dtype(dtype))


def _as_dtype(x: Any, dtype: str) -> jax.Array:
    on_host = isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "iu" and is_float(dtype)
    if on_host or isinstance(x, (bool, int, float, list, tuple)):  # integers of 64 bits as they are
        return to_array(x, dtype)
    return to_array(x).astype(dtype)


def _numeric(where: str, values: np.ndarray, x: Any) -> np.ndarray:
    if values.dtype == object and not isinstance(x, np.ndarray):
        raise problem("This is not an array.", received=x, where=f"ops.{where}", kind=TypeError,
                      expected="an array, a number, or lists of them of equal lengths")
    return values


@checked
def convert_to_numpy(x: Any) -> np.ndarray:
    """A copy of the values for NumPy.

    >>> import kyeo
    >>> type(kyeo.ops.convert_to_numpy(kyeo.ops.ones(2))).__name__
    'ndarray'
    """
    values = np.array(unwrap(x))
    return _numeric("convert_to_numpy", values, x)


@op
def cast(x: Any, dtype: Any) -> jax.Array:
    """x in another number type; floats are cut, not rounded, to integers.

    Python's numbers must be among those of the type (`OverflowError`); arrays are cast as NumPy casts them.

    Args:
        x: array of any shape.
        dtype: the type, by its name or as NumPy has it.

    >>> import kyeo
    >>> kyeo.ops.cast([1.7, 0.0], "int32").tolist(), kyeo.ops.cast([1.7, 0.0], bool).tolist()
    ([1, 0], [True, False])
    """
    return _as_dtype(x, array_dtype(dtype))


@op
def view(x: Any, dtype: Any = None) -> jax.Array:
    """The bits of x read as another number type; a narrower one makes the last axis longer.

    >>> import kyeo
    >>> kyeo.ops.view(kyeo.ops.array([1.0], "float32"), "int32").tolist()
    [1065353216]
    """
    return to_array(x).view(None if dtype is None else array_dtype(dtype))


def _limits(dtype: str) -> tuple[float, float]:
    if dtype == "bool":
        return 0, 1
    info: Any = jnp.iinfo(dtype) if "int" in dtype else jnp.finfo(dtype)
    return info.min, info.max


@op
def saturate_cast(x: Any, dtype: Any) -> jax.Array:
    """As `cast`, but what does not fit becomes the nearest number that does.

    >>> import kyeo
    >>> kyeo.ops.saturate_cast([300.0, -4.0], "uint8").tolist()
    [255, 0]
    """
    x, dtype = to_array(x), array_dtype(dtype)
    source = standardize_dtype(x.dtype)
    (own_low, own_high), (low, high) = _limits(source), _limits(dtype)
    bounds = []
    for own, wanted, outside in ((own_low, low, np.less), (own_high, high, np.greater)):
        bound = np.asarray(np.maximum(own, wanted) if outside is np.less else np.minimum(own, wanted))
        bound = bound.astype(source)
        # a bound that x's type can only hold rounded outwards is moved one step inwards
        bounds.append(np.nextafter(bound, bound.dtype.type(0)) if outside(bound, wanted) else bound)
    return jnp.clip(x, *bounds).astype(dtype)


@checked
def is_tensor(x: Any) -> bool:
    """Whether x is a JAX array (or a value being traced).

    >>> import kyeo
    >>> kyeo.ops.is_tensor(kyeo.ops.ones(2)), kyeo.ops.is_tensor([1.0])
    (True, False)
    """
    return isinstance(x, jax.Array)


@checked
def shape(x: Any) -> tuple[Any, ...]:
    """The sizes of x, None where they are unknown.

    >>> import kyeo
    >>> kyeo.ops.shape(kyeo.ops.ones((2, 3))), kyeo.ops.shape(kyeo.KerasTensor((None, 3)))
    ((2, 3), (None, 3))
    """
    if hasattr(x, "shape"):
        return tuple(x.shape)
    return _numeric("shape", np.asarray(x), x).shape


@checked
def ndim(x: Any) -> int:
    """How many axes x has.

    >>> import kyeo
    >>> kyeo.ops.ndim([[1, 2]])
    2
    """
    return len(shape(x))


@op
def size(x: Any) -> Any:
    """How many elements x has.

    >>> import kyeo
    >>> int(kyeo.ops.size([[1, 2]]))
    2
    """
    return jnp.size(to_array(x))


@checked
def dtype(x: Any) -> str:
    """The number type of x, by its Keras name.

    >>> import kyeo
    >>> kyeo.ops.dtype(kyeo.ops.ones(2))
    'float32'
    """
    if not hasattr(x, "dtype"):
        raise problem("This is not an array.", received=x, expected="an array", where="ops.dtype", kind=TypeError)
    return standardize_dtype(x.dtype)


@op
def stop_gradient(variable: Any) -> Any:
    """The same values, which gradients take for constants.

    Args:
        variable: an array, or nested lists, tuples and dicts of arrays.

    >>> import kyeo
    >>> kyeo.ops.stop_gradient([1.0]).tolist()
    [1.0]
    """
    if isinstance(variable, (list, tuple, dict)) and any(hasattr(part, "dtype") for part in jax.tree.leaves(variable)):
        return jax.tree.map(lambda part: jax.lax.stop_gradient(to_array(part)), variable)
    return jax.lax.stop_gradient(to_array(variable))


@op
def get_item(x: Any, key: Any) -> jax.Array:
    """x[key], with NumPy's indexing.

    >>> import kyeo
    >>> kyeo.ops.get_item([[1, 2], [3, 4]], 1).tolist()
    [3, 4]
    """
    x = to_array(x)
    _check_indices(x.shape, key)
    return x[key]


def _check_indices(shape: Sequence[Any], key: Any) -> None:
    """Refuse a number that is no index of its axis: JAX would take the last one, or the first."""
    keys = key if isinstance(key, tuple) else (key,)
    axes = [k for k in keys if k is not None]
    if any((hasattr(k, "ndim") and k.ndim) or isinstance(k, (bool, list, tuple)) for k in axes):
        return
    at = next((i for i, k in enumerate(axes) if k is Ellipsis), len(axes))
    after = len(axes) - at - 1  # entries behind the ellipsis
    for k, size in [*zip(axes[:at], shape), *zip(axes[::-1][:max(after, 0)], shape[::-1])]:
        if isinstance(k, (int, np.integer)) and isinstance(size, int) and not -size <= k < size:
            raise problem("This is not an index.", received=f"{k} for an axis of size {size}, in {key!r}",
                          expected=f"an int from {-size} to {size - 1}", where="ops.get_item", kind=IndexError)


@op
def slice(inputs: Any, start_indices: Any, shape: Sequence[int]) -> jax.Array:
    """A block that begins at `start_indices` (numbers or arrays); a size of -1 is all the rest.

    >>> import kyeo
    >>> kyeo.ops.slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, -1)).tolist()
    [[2, 3], [5, 6]]
    """
    inputs = to_array(inputs)
    _check_block("ops.slice", inputs, start_indices, f"shape={describe(shape)}", len(shape))
    sizes = [inputs.shape[i] - start_indices[i] if s == -1 else s for i, s in enumerate(shape)]
    return jax.lax.dynamic_slice(inputs, start_indices, sizes)


@op
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> jax.Array:
    """`inputs` with the block that begins at `start_indices` replaced by `updates`.

    >>> import kyeo
    >>> kyeo.ops.slice_update([1, 2, 3], [1], [9]).tolist()
    [1, 9, 3]
    """
    inputs, updates = to_array(inputs), to_array(updates)
    _check_block("ops.slice_update", inputs, start_indices, f"updates={describe(updates)}", updates.ndim)
    return jax.lax.dynamic_update_slice(inputs, updates.astype(inputs.dtype), start_indices)


def _check_block(where: str, inputs: jax.Array, starts: Any, block: str, axes: int) -> None:
    """Refuse a block of more or fewer axes than the tensor it is of."""
    if not len(starts) == axes == inputs.ndim:
        raise problem("The block does not have as many axes as the tensor.", where=where,
                      received=f"{describe(inputs)}, start_indices={describe(starts)}, {block}",
                      expected=f"{inputs.ndim} axes, and as many numbers in `start_indices`")


@op
def scatter(indices: Any, values: Any, shape: Sequence[int]) -> jax.Array:
    """Zeros of `shape` with `values` added at `indices` (the last axis is one index).

    >>> import kyeo
    >>> kyeo.ops.scatter([[0], [2], [2]], [1, 2, 3], (4,)).tolist()
    [1, 0, 5, 0]
    """
    return _scattered(to_array(indices), to_array(values), tuple(shape))


@as_one(2)
def _scattered(indices: jax.Array, values: jax.Array, shape: Sequence[int]) -> jax.Array:
    return jnp.zeros(shape, values.dtype).at[tuple(jnp.moveaxis(indices, -1, 0))].add(values)


_WRITES = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "multiply"}


@op
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> jax.Array:
    """`inputs` with `updates` put (or, with a reduction, added, ...) at `indices` (one row is one index).

    Args:
        inputs: array.
        indices: integers of shape (number of updates, number of axes).
        updates: one value for each index.
        reduction: None (replace), "add", "max", "min" or "mul".

    >>> import kyeo
    >>> kyeo.ops.scatter_update([1, 2, 3], [[0], [2]], [10, 30], reduction="add").tolist()
    [11, 2, 33]
    """
    reduction = one_of("ops.scatter_update", _WRITES, reduction=reduction)
    return _written(to_array(inputs), to_array(indices), to_array(updates), _WRITES[reduction])


@as_one(3)
def _written(inputs: jax.Array, indices: jax.Array, updates: jax.Array, how: str) -> jax.Array:
    result: jax.Array = getattr(inputs.at[tuple(jnp.transpose(indices))], how)(updates.astype(inputs.dtype))
    return result


@op
def unstack(x: Any, num: int | None = None, axis: int = 0) -> Any:
    """The list of the slices along `axis`; `num`, how many there are, is needed where the size is not known.

    >>> import kyeo
    >>> [part.tolist() for part in kyeo.ops.unstack([[1, 2], [3, 4]])]
    [[1, 2], [3, 4]]
    """
    x = to_array(x)
    size = x.shape[axis] if isinstance(x.shape[axis], int) else num
    if size is None or num not in (None, size):
        raise problem("How many slices there are must be known." if size is None else "`num` is not valid.",
                      received=f"{describe(x)}, num={num}, axis={axis}", where="ops.unstack",
                      expected="`num`, or a size that is not None" if size is None else f"{size} slices, or None")
    return [jnp.take(x, i, axis) for i in builtins.range(size)]
