"""`step_by_step`: functions whose operations JAX traces as they stand."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax

__all__ = ["step_by_step"]

F = TypeVar("F", bound=Callable[..., Any])


def step_by_step(function: F) -> F:
    """Let the operations of a function be traced as they stand.

    Every function of `jax.numpy` is a program of its own to JAX, traced anew for each shape before it goes into the
    program around it: 0.4 ms for a product, 1.5 ms for a `where`, instead of 0.15 and 0.6. Called with arrays alone,
    not traced, the function runs as it is. For functions without loops: JAX would write each turn of a `scan` out.

    >>> import jax.numpy as jnp
    >>> @step_by_step
    ... def clipped(x):
    ...     return jnp.where(x > 1, 1, x)
    >>> len(jax.make_jaxpr(clipped)(jnp.ones(3)).eqns), len(jax.make_jaxpr(clipped.__wrapped__)(jnp.ones(3)).eqns)
    (3, 2)
    """
    @functools.wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(arg, jax.core.Tracer) for arg in args):
            return function(*args, **kwargs)
        with jax.disable_jit():
            return function(*args, **kwargs)

    return cast(F, traced)
