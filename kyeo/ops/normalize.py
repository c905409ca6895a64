"""Ops that bring arrays to a common mean, variance or length."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kyeo.core.arrays import as_floats, to_array
from kyeo.core.errors import no_more, positive_int, problem
from kyeo.core.op import op
from kyeo.core.settings import settings
from kyeo.ops.kernels import as_one, at_unit_length
from kyeo.ops.rows import tuple_axis

__all__ = ["batch_normalization", "layer_normalization", "moments", "normalize", "rms_normalization"]


@op
def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
    """Mean and variance along `axes`; half precision is summed in float32.

    >>> import kyeo
    >>> [float(v) for v in kyeo.ops.moments([1.0, 3.0], axes=0)]
    [2.0, 1.0]
    """
    if synchronized:
        raise problem("Moments over several devices come by sharding the batch.", where="ops.moments",
                      received="synchronized=True", expected="synchronized=False", kind=NotImplementedError)
    x, axes = to_array(x), tuple_axis(axes)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    found = jnp.mean(wide, axes, keepdims=keepdims), jnp.var(wide, axes, keepdims=keepdims)
    if x.dtype not in (jnp.float16, jnp.bfloat16):
        return found
    most = jnp.finfo(jnp.float16).max  # rather the largest number than infinity
    return tuple(jnp.clip(v, -most, most).astype(x.dtype) for v in found)


def _affine(x: jax.Array, mean: Any, variance: Any, scale: Any, offset: Any, epsilon: float) -> jax.Array:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, as one multiplication and one addition of x."""
    factor = lax.rsqrt(variance + epsilon)
    factor = factor if scale is None else factor * scale
    shift = -mean * factor
    return x * factor + (shift if offset is None else shift + offset)


@op
def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3,
) -> jax.Array:
    """x with given `mean` and `variance` taken out along `axis`, times `scale`, plus `offset`.

    Each of the four has one number for every place along `axis`. Ioffe and Szegedy, 2015 (https://arxiv.org/abs/1502.03167).

    >>> import kyeo
    >>> kyeo.ops.batch_normalization([[3.0]], [1.0], [4.0], axis=-1, epsilon=0.0).tolist()
    [[1.0]]
    """
    return _along(to_array(x), _arrays(mean, variance, scale, offset), axis, epsilon)


@as_one(2)
def _along(x: jax.Array, numbers: Sequence[Any], axis: int, epsilon: Any) -> jax.Array:
    shape = [1] * x.ndim
    shape[axis] = -1
    mean, variance, scale, offset = (None if v is None else v.reshape(shape) for v in numbers)
    return _affine(x, mean, variance, scale, offset, epsilon)


def _prepare(x: jax.Array, weights: Sequence[Any], axis: Any) -> tuple[jax.Array, Any, tuple[int, ...], list[Any]]:
    """x in float32 at least, its own dtype, the axes in order, and weights shaped to broadcast over them."""
    x, dtype = x.astype(jnp.promote_types(x.dtype, jnp.float32)), x.dtype
    x = x if x.ndim else x[None]
    axes = tuple(sorted(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)))
    shape = [size if i in axes else 1 for i, size in enumerate(x.shape)]
    arrays = [None if w is None else w.astype(x.dtype) for w in weights]
    fits = (0, x.ndim) if axes != (x.ndim - 1,) else range(x.ndim + 1)  # what broadcasts as it is
    return x, dtype, axes, [w if w is None or w.ndim in fits else w.reshape(shape) for w in arrays]


@op
def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None, **kwargs: Any,
) -> jax.Array:
    """x with mean 0 and variance 1 along `axis`, times `gamma`, plus `beta`.

    `epsilon` (that of `kyeo.config` when None) keeps the division finite. Ba et al., 2016
    (https://arxiv.org/abs/1607.06450).

    >>> import kyeo
    >>> kyeo.ops.layer_normalization([1.0, 3.0]).round(3).tolist()
    [-1.0, 1.0]
    """
    if kwargs.pop("rms_scaling", False):
        raise problem("`rms_scaling` divided by the wrong number.", received="rms_scaling=True",
                      where="ops.layer_normalization", fix="use kyeo.ops.rms_normalization")
    no_more("ops.layer_normalization", kwargs)
    return _standardized(to_array(x), _arrays(gamma, beta), tuple_axis(axis), _least(epsilon))


def _arrays(*given: Any) -> list[jax.Array | None]:
    return [None if one is None else to_array(one) for one in given]


def _least(epsilon: float | None) -> float:
    return settings.epsilon if epsilon is None else epsilon


@as_one(2)
def _standardized(x: jax.Array, weights: Sequence[Any], axis: Any, epsilon: Any) -> jax.Array:
    x, dtype, axes, (gamma, beta) = _prepare(x, weights, axis)
    mean, variance = jnp.mean(x, axes, keepdims=True), jnp.var(x, axes, keepdims=True)
    return _affine(x, mean, variance, gamma, beta, epsilon).astype(dtype)


@op
def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> jax.Array:
    """x divided by the root of the mean of its squares along `axis`, times `scale`.

    Zhang and Sennrich, 2019 (https://arxiv.org/abs/1910.07467).

    >>> import kyeo
    >>> kyeo.ops.rms_normalization([3.0, 3.0]).round(3).tolist()
    [1.0, 1.0]
    """
    return _of_mean_square_one(to_array(x), _arrays(scale), tuple_axis(axis), _least(epsilon))


@as_one(2)
def _of_mean_square_one(x: jax.Array, weights: Sequence[Any], axis: Any, epsilon: Any) -> jax.Array:
    x, dtype, axes, (scale,) = _prepare(x, weights, axis)
    out = x * lax.rsqrt(jnp.mean(jnp.square(x), axes, keepdims=True) + epsilon)
    return (out if scale is None else out * scale).astype(dtype)


@op
def normalize(x: Any, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> jax.Array:
    """x divided by its norm along `axis` (of order 2: the Euclidean one), which counts as at least `epsilon`.

    >>> import kyeo
    >>> kyeo.ops.normalize([3.0, 4.0]).round(3).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    order = positive_int("ops.normalize", order=order)
    x, epsilon, axis = as_floats(to_array(x)), _least(epsilon), tuple_axis(axis)
    x = x if x.ndim else x[None]
    if order == 2:
        return at_unit_length(x, axis, 1 / epsilon if epsilon else float("inf"))
    return x / jnp.maximum(jnp.linalg.norm(x, order, axis, keepdims=True), epsilon)
