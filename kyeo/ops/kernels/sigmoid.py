"""Logarithms of a sigmoid and of what it leaves to 1, found together."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from kyeo.core.tracing import step_by_step
from kyeo.ops.kernels.derivative import as_one

__all__ = ["log_sigmoids"]


@as_one()
def log_sigmoids(x: Array) -> tuple[Array, Array]:
    """`log(sigmoid(x))` and `log(1 - sigmoid(x))`, each to the last digits where it is small too.

    They share a power of e and a logarithm, the dearest kernels of a binary cross-entropy: each takes LLVM 40 ms.

    >>> [round(float(y), 4) for y in log_sigmoids(jnp.array(3.0))]
    [-0.0486, -3.0486]
    """
    return _both(x)


@jax.custom_jvp
def _both(x: Array) -> tuple[Array, Array]:
    rest = jnp.log1p(_small(x))
    return jnp.where(x < 0, x, 0) - rest, jnp.where(x > 0, -x, 0) - rest


@_both.defjvp
@step_by_step
def _tangent(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    small = _small(x)
    larger = 1 / (1 + small)
    smaller = small * larger
    return _both(x), (jnp.where(x < 0, larger, smaller) * dx, jnp.where(x < 0, smaller, larger) * -dx)


def _small(x: Array) -> Array:
    """`exp(-|x|)`, never too large. Not by `abs`, whose gradient at 0 is 0: second derivatives there need that of a
    side."""
    return jnp.exp(jnp.where(x < 0, x, -x))
