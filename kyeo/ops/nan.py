"""Reductions that leave NaN out."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import as_floats, to_array
from kyeo.core.op import op
from kyeo.ops.kernels.length import root
from kyeo.ops.kernels.settled import of_settled
from kyeo.ops.rows import dtype_or_own, in_float32, reduction, tuple_axis
from kyeo.ops.statistics import method_of

__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile",
    "nanprod", "nanquantile", "nanstd", "nansum", "nanvar",
]


def _std(x: jax.Array, axis: Any, keepdims: bool) -> jax.Array:
    return root(jnp.real(jnp.nanvar(x, axis, keepdims=keepdims)))


nanmax = reduction("nanmax", of_settled(jnp.nanmax), "Largest element that is not NaN.", "[1.0, float('nan')]", "1.0")
nanmean = reduction("nanmean", in_float32(jnp.nanmean), "Mean of those that are not NaN.", "[1.0, float('nan')]", "1.0")
nanmin = reduction("nanmin", of_settled(jnp.nanmin), "Smallest element that is not NaN.", "[1.0, float('nan')]", "1.0")
nansum = reduction("nansum", jnp.nansum, "Sum of those that are not NaN.", "[1.0, float('nan')]", "1.0")
nanmedian = reduction("nanmedian", jnp.nanmedian, "Middle of those not NaN.", "[1.0, 3.0, float('nan')]", "2.0")
nanprod = reduction("nanprod", jnp.nanprod, "Product of those not NaN.", "[2.0, float('nan')]", "2.0")
nanstd = reduction(
    "nanstd", in_float32(_std), "Standard deviation of those not NaN.", "[1.0, 3.0, float('nan')]", "1.0")
nanvar = reduction("nanvar", in_float32(jnp.nanvar), "Variance of those not NaN.", "[1.0, 3.0, float('nan')]", "1.0")


@op
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> jax.Array:
    """Index (int32) of the first largest element along `axis` that is not NaN; -1 where all are.

    >>> import kyeo
    >>> int(kyeo.ops.nanargmax([1.0, float("nan"), 3.0]))
    2
    """
    return jnp.nanargmax(to_array(x), axis, keepdims=keepdims)


@op
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> jax.Array:
    """Index (int32) of the first smallest element along `axis` that is not NaN; -1 where all are.

    >>> import kyeo
    >>> int(kyeo.ops.nanargmin([float("nan"), 2.0, 1.0]))
    2
    """
    return jnp.nanargmin(to_array(x), axis, keepdims=keepdims)


@op
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> jax.Array:
    """Running sum along `axis` with NaN as 0; of the flattened array when None.

    >>> import kyeo
    >>> kyeo.ops.nancumsum([1.0, float("nan"), 2.0]).tolist()
    [1.0, 1.0, 3.0]
    """
    return jnp.nancumsum(to_array(x), axis, dtype_or_own(dtype))


@op
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> jax.Array:
    """Running product along `axis` with NaN as 1; of the flattened array when None.

    >>> import kyeo
    >>> kyeo.ops.nancumprod([2.0, float("nan"), 3.0]).tolist()
    [2.0, 2.0, 6.0]
    """
    return jnp.nancumprod(to_array(x), axis, dtype_or_own(dtype))


@op
def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> jax.Array:
    """The value below which a part `q` (0 to 1) of the elements that are not NaN lies; `method` as in `quantile`.

    >>> import kyeo
    >>> float(kyeo.ops.nanquantile([1.0, float("nan"), 3.0], 0.5))
    2.0
    """
    x = as_floats(to_array(x))
    return jnp.nanquantile(x, as_floats(to_array(q), x.dtype), tuple_axis(axis),
                           method=method_of("nanquantile", method), keepdims=keepdims)


@op
def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> jax.Array:
    """The value below which `q` (0 to 100) per cent of the elements that are not NaN lie; `method` as in `quantile`.

    >>> import kyeo
    >>> float(kyeo.ops.nanpercentile([1.0, float("nan"), 3.0], 50))
    2.0
    """
    return jnp.nanpercentile(to_array(x), to_array(q), tuple_axis(axis), method=method_of("nanpercentile", method),
                             keepdims=keepdims)
