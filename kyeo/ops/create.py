"""Ops that make arrays."""

import builtins
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.dtypes import array_dtype, is_float
from kyeo.core.errors import boolean, positive_int, problem
from kyeo.core.op import op
from kyeo.core.parameters import checked
from kyeo.core.scope import current
from kyeo.ops.core import convert_to_tensor
from kyeo.ops.kernels.derivative import as_one
from kyeo.ops.rows import dtype_or_own

__all__ = [
    "arange", "array", "copy", "diagflat", "empty", "empty_like", "eye", "full", "full_like", "geomspace",
    "identity", "linspace", "logspace", "meshgrid", "ones", "ones_like", "tri", "vander", "zeros", "zeros_like",
]

Shape = int | Sequence[int]

# JAX makes them of a number that it first makes an array of: 3 x 4 zeros 145 -> 29 us.
_zeros, _ones = as_one(0, 1)(jnp.zeros), as_one(0, 1)(jnp.ones)
_full, _eye = as_one(0, 2)(jnp.full), as_one(0, 1, 2, 3)(jnp.eye)


@op
def array(x: Any, dtype: Any = None) -> jax.Array:
    """A new array of the values.

    >>> import kyeo
    >>> kyeo.ops.array([1, 2], "float32").tolist()
    [1.0, 2.0]
    """
    return jnp.array(convert_to_tensor(x, dtype))


@op
def copy(x: Any) -> jax.Array:
    """A copy.

    >>> import kyeo
    >>> kyeo.ops.copy([1, 2]).tolist()
    [1, 2]
    """
    return jnp.copy(to_array(x))


@checked
def zeros(shape: Shape, dtype: Any = None) -> jax.Array:
    """Zeros; of `floatx()` unless a dtype is given.

    >>> import kyeo
    >>> kyeo.ops.zeros((2,)).tolist()
    [0.0, 0.0]
    """
    return _zeros(shape, array_dtype(dtype))


@checked
def ones(shape: Shape, dtype: Any = None) -> jax.Array:
    """Ones; of `floatx()` unless a dtype is given.

    >>> import kyeo
    >>> kyeo.ops.ones((2,)).tolist()
    [1.0, 1.0]
    """
    return _ones(shape, array_dtype(dtype))


@checked
def empty(shape: Shape, dtype: Any = None) -> jax.Array:
    """An array whose values do not matter (they are zeros).

    >>> import kyeo
    >>> kyeo.ops.empty((2,)).shape
    (2,)
    """
    return _zeros(shape, array_dtype(dtype))


@op
def full(shape: Shape, fill_value: Any, dtype: Any = None) -> jax.Array:
    """One value everywhere; of `floatx()` unless a dtype is given.

    >>> import kyeo
    >>> kyeo.ops.full((2,), 7).tolist()
    [7.0, 7.0]
    """
    return _full(shape, fill_value if type(fill_value) is float else to_array(fill_value), array_dtype(dtype))


@op
def zeros_like(x: Any, dtype: Any = None) -> jax.Array:
    """Zeros of the shape (and, unless given, dtype) of x.

    >>> import kyeo
    >>> kyeo.ops.zeros_like([1, 2]).tolist()
    [0, 0]
    """
    return jnp.zeros_like(to_array(x), dtype_or_own(dtype))


@op
def ones_like(x: Any, dtype: Any = None) -> jax.Array:
    """Ones of the shape (and, unless given, dtype) of x.

    >>> import kyeo
    >>> kyeo.ops.ones_like([1, 2]).tolist()
    [1, 1]
    """
    return jnp.ones_like(to_array(x), dtype_or_own(dtype))


@op
def empty_like(x: Any, dtype: Any = None) -> jax.Array:
    """An array like x whose values do not matter (they are zeros).

    >>> import kyeo
    >>> kyeo.ops.empty_like([1, 2]).shape
    (2,)
    """
    return jnp.empty_like(to_array(x), dtype_or_own(dtype))


@op
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> jax.Array:
    """One value in the shape (and, unless given, dtype) of x.

    >>> import kyeo
    >>> kyeo.ops.full_like([1, 2], 7).tolist()
    [7, 7]
    """
    return jnp.full_like(to_array(x), to_array(fill_value), dtype_or_own(dtype))


@op
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> jax.Array:
    """Numbers from `start` (0 if only one is given) up to but not with `stop`.

    >>> import kyeo
    >>> kyeo.ops.arange(3).tolist(), kyeo.ops.arange(1, 2, 0.5).tolist()
    ([0, 1, 2], [1.0, 1.5])
    """
    if dtype is None:
        given = [0 if jax.export.is_symbolic_dim(v) else v for v in (start, stop, step) if v is not None]
        dtype = jnp.result_type(*(getattr(v, "dtype", type(v)) for v in given))
        if dtype.kind == "f" and not any(hasattr(v, "dtype") for v in given):
            dtype = None  # Python's floats follow `floatx`
    return jnp.arange(start, stop, step, array_dtype(dtype))


def _ends(start: Any, stop: Any) -> tuple[Any, Any]:
    start, stop = (to_array(end) if isinstance(end, (list, tuple)) else end for end in (start, stop))
    return start, stop


@op
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` evenly spaced numbers from `start` to `stop` (left out if `endpoint` is False).

    With `retstep`, also the distance between them; `axis` is where they lie if the ends are arrays.

    >>> import kyeo
    >>> kyeo.ops.linspace(0, 1, 3).tolist()
    [0.0, 0.5, 1.0]
    """
    return jnp.linspace(*_ends(start, stop), num, endpoint, retstep, dtype_or_own(dtype), axis)


@op
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10, dtype: Any = None,
    axis: int = 0,
) -> jax.Array:
    """`num` numbers from `base ** start` to `base ** stop`, evenly spaced in their logarithms.

    >>> import kyeo
    >>> kyeo.ops.logspace(0, 2, 3, base=2).tolist()
    [1.0, 2.0, 4.0]
    """
    return jnp.logspace(*_ends(start, stop), num, endpoint, base, dtype_or_own(dtype), axis)


@op
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0,
) -> jax.Array:
    """`num` numbers from `start` to `stop`, each the same multiple of the one before.

    >>> import kyeo
    >>> kyeo.ops.geomspace(1.0, 4.0, 3).round(3).tolist()
    [1.0, 2.0, 4.0]
    """
    return jnp.geomspace(*_ends(start, stop), num, endpoint, dtype_or_own(dtype), axis)


def _count(where: str, name: str, value: Any) -> None:
    if isinstance(value, builtins.float) or (hasattr(value, "dtype") and is_float(value.dtype)):
        raise problem(f"`{name}` counts rows or columns.", received=f"{name}={value}", expected="an int",
                      where=where, kind=TypeError)


@checked
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> jax.Array:
    """Ones on the diagonal number `k` of an N x M matrix (M = N if left out), else zeros.

    >>> import kyeo
    >>> kyeo.ops.eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    _count("ops.eye", "N", N)
    _count("ops.eye", "M", M)
    return _eye(N, M, k, array_dtype(dtype))


@checked
def identity(n: int, dtype: Any = None) -> jax.Array:
    """The n x n identity matrix.

    >>> import kyeo
    >>> kyeo.ops.identity(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return jnp.identity(n, array_dtype(dtype))


@checked
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> jax.Array:
    """Ones on and below the diagonal number `k` of an N x M matrix, else zeros.

    >>> import kyeo
    >>> kyeo.ops.tri(2).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return jnp.tri(N, M, k, array_dtype(dtype))


@op
def meshgrid(*x: Any, indexing: str = "xy") -> Any:
    """Coordinates of the grid that vectors span, one array an axis; "ij" keeps their order.

    >>> import kyeo
    >>> [g.tolist() for g in kyeo.ops.meshgrid([1, 2], [3, 4])]
    [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
    """
    return jnp.meshgrid(*map(to_array, x), indexing=indexing)


@op
def diagflat(x: Any, k: int = 0) -> jax.Array:
    """The matrix with all elements of x on its diagonal number k.

    >>> import kyeo
    >>> kyeo.ops.diagflat([[1, 2]]).tolist()
    [[1, 0], [0, 2]]
    """
    x = to_array(x)
    if current().symbolic and not isinstance(x.size, int):
        return jnp.zeros((x.size + builtins.abs(k),) * 2, x.dtype)
    return jnp.diagflat(x, k)


@op
def vander(x: Any, N: int | None = None, increasing: bool = False) -> jax.Array:
    """The matrix whose N columns are powers of a vector: N - 1, ..., 1, 0, or the other way round if `increasing`.

    >>> import kyeo
    >>> kyeo.ops.vander([2, 3], 3).tolist()
    [[4, 2, 1], [9, 3, 1]]
    """
    x, columns = to_array(x), positive_int("ops.vander", minimum=0, optional=True, N=N)
    if x.ndim != 1:
        raise problem("Powers are taken of a vector.", received=x, expected="an array of one axis", where="ops.vander")
    boolean("ops.vander", increasing=increasing)
    if current().symbolic and not isinstance(x.size, int):
        return jnp.zeros((x.size, x.size if columns is None else columns), x.dtype)
    return jnp.vander(x, columns, increasing=increasing)
