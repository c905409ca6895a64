"""The larger and the smaller of numbers, with NaN wherever one is among them.

XLA's CPU hands reductions, and what is computed element by element in front of them, to YNNPACK, whose maximum and
minimum pass over NaN (JAX 0.12.0.1: `jnp.max` of 64 x 1000 numbers with a NaN among them has none, nor has the sum of
their relu). A network whose weights have become NaN would seem to work, and its loss to be finite. So what YNNPACK does
not take stands here: comparisons; and NaN is asked for beside a reduction, which costs a little more than XLA's own
maximum: 2048 x 512 along the last axis 0.6 ms, XLA's own 0.5, YNNPACK's 0.24.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from kyeo.ops.kernels.derivative import as_one
from kyeo.ops.kernels.settled import settled
from kyeo.ops.kernels.windows import on_cpu

__all__ = ["greater", "largest", "maximum", "minimum", "nan_of", "smallest"]


def maximum(x1: Any, x2: Any) -> Array:
    """The larger of two numbers, element by element.

    >>> import jax, jax.numpy as jnp
    >>> jax.jit(maximum)(jnp.array([1.0, jnp.nan, 2.0]), jnp.array([3.0, 0.0, jnp.nan])).tolist()
    [3.0, nan, nan]
    """
    return _greater(x1, x2) if _may_lose_nan(x1, x2) else jnp.maximum(x1, x2)


def minimum(x1: Any, x2: Any) -> Array:
    """The smaller of two numbers, element by element.

    >>> import jax, jax.numpy as jnp
    >>> jax.jit(minimum)(jnp.array([1.0, jnp.nan, 2.0]), 1.5).tolist()
    [1.0, nan, 1.5]
    """
    return _less(x1, x2) if _may_lose_nan(x1, x2) else jnp.minimum(x1, x2)


def greater(x1: Array, x2: Array) -> Array:
    """`maximum` of arrays of one shape and type, for those who know its gradient.

    >>> import jax.numpy as jnp
    >>> greater(jnp.array([1.0, jnp.nan, 2.0]), jnp.array([3.0, 0.0, jnp.nan])).tolist()
    [3.0, nan, nan]
    """
    return _first_if(lax.gt, x1, x2)


def _first_if(chosen: Callable[[Array, Array], Array], x1: Array, x2: Array) -> Array:
    """The elements of `x1` that are chosen or NaN, else those of `x2`."""
    return lax.select(chosen(x1, x2) | lax.ne(x1, x1), x1, x2)


def _may_lose_nan(*operands: Any) -> bool:
    """Whether these are operands of a program in which something may follow; one alone YNNPACK does not take."""
    traced = any(isinstance(x, jax.core.Tracer) for x in operands)
    return traced and on_cpu() and jnp.issubdtype(jnp.result_type(*operands), jnp.floating)


def _as_jax(of_jax: Callable[..., Array], chosen: Callable[[Array, Array], Array]) -> Callable[[Any, Any], Array]:
    """`of_jax` of two arrays, with its derivative, found by comparison."""
    @jax.custom_jvp
    def run(x1: Array, x2: Array) -> Array:
        return _first_if(chosen, x1, x2)

    run.defjvp(lambda primals, tangents: (run(*primals), jax.jvp(of_jax, primals, tangents)[1]))

    def call(x1: Any, x2: Any) -> Array:
        dtype = jnp.result_type(x1, x2)
        return run(*jnp.broadcast_arrays(jnp.asarray(x1, dtype), jnp.asarray(x2, dtype)))

    return call


_greater, _less = _as_jax(jnp.maximum, lax.gt), _as_jax(jnp.minimum, lax.lt)


def nan_of(x: Array, axis: Any, keepdims: bool, found: Array) -> Array:
    """What a reduction of `x` found, with NaN where it met one and may have passed over it.

    >>> import jax.numpy as jnp
    >>> nan_of(jnp.array([[1.0, 5.0], [jnp.nan, 0.0]]), 1, False, jnp.array([5.0, 0.0])).tolist()
    [5.0, nan]
    """
    if not on_cpu() or not jnp.issubdtype(x.dtype, jnp.floating):
        return found
    return jnp.where(jnp.any(jnp.isnan(x), axis, keepdims=keepdims), jnp.nan, found)


def _reduced(reduce: Callable[..., Array], x: Array, axis: Any, keepdims: bool, initial: Any) -> Array:
    # Not a reduction by `greater`: where arrays lie in parts on several devices, XLA's CPU joins by its own alone.
    x = settled(x)
    return nan_of(x, axis, keepdims, reduce(x, axis, keepdims=keepdims, initial=initial))


@as_one(1, 2)
def largest(x: Array, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Array:
    """The largest element along axes, and of `initial`; arguments as of `jnp.max`. Equal ones share the gradient.

    >>> import jax.numpy as jnp
    >>> largest(jnp.array([[1.0, 5.0], [jnp.nan, 0.0]]), 1).tolist()
    [5.0, nan]
    """
    return _reduced(jnp.max, x, axis, keepdims, initial)


@as_one(1, 2)
def smallest(x: Array, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Array:
    """The smallest element along axes, as `largest`.

    >>> import jax.numpy as jnp
    >>> smallest(jnp.array([[1.0, 5.0], [jnp.nan, 0.0]]), 1).tolist()
    [1.0, nan]
    """
    return _reduced(jnp.min, x, axis, keepdims, initial)
