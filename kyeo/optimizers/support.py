"""What the steps of all optimizers need: a branch on a traced condition, shared scalars, clipping."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from kyeo.core.dtypes import widened
from kyeo.core.errors import number
from kyeo.core.settings import settings
from kyeo.core.variable import Variable, pure, unwrap

__all__ = [
    "above_zero", "branch", "clip_by_global_norm", "clip_by_norm", "once_a_step", "one_step", "rate_dtype",
    "step_count",
]

Method = TypeVar("Method", bound=Callable[[Any], Any])
_shared: ContextVar[dict[Any, Any] | None] = ContextVar("kyeo_step_scalars", default=None)


@contextmanager
def one_step(inside: bool = False) -> Iterator[None]:
    """Within the block the `once_a_step` scalars are computed once; nothing of them is kept after it.

    `inside`: it is a part of such a block, whose scalars are known in it too.
    """
    token = _shared.set(dict(_shared.get() or {}) if inside else {})
    try:
        yield
    finally:
        _shared.reset(token)


def once_a_step(method: Method) -> Method:
    """A method without arguments whose result all variables of a step share (a bias correction)."""

    @functools.wraps(method)
    def shared(self: Any) -> Any:
        known = _shared.get()
        if known is None:
            return method(self)
        key = (id(self), method)
        if key not in known:
            known[key] = method(self)
        return known[key]

    return shared  # type: ignore[return-value]


def rate_dtype() -> str:
    """The number type of learning rates and corrections: `floatx`, but never shorter than float32.

    In bfloat16 a `beta_2` of 0.999 would round to 1 and the correction to 0.
    """
    return widened(settings.floatx)


def branch(
    condition: Any, yes: Callable[[], Any], no: Callable[[], Any], variables: Sequence[Variable],
) -> None:
    """Run one of two functions that assign to `variables`; a traced condition becomes a `lax.cond`."""
    if not isinstance(condition, jax.core.Tracer):
        (yes if condition else no)()
        return
    values = [v.value for v in variables]
    (_, taken) = jax.lax.cond(condition, pure(yes, variables), pure(no, variables), values)
    for variable, value in zip(variables, taken):
        variable.assign(value)


def _squares(gradient: jax.Array) -> jax.Array:
    """The sum of squares; in float16 that of 256 would be infinite, and the gradient clipped to nothing."""
    return jnp.sum(jnp.square(gradient.astype(widened(gradient.dtype))))


def clip_by_norm(gradient: jax.Array, limit: float) -> jax.Array:
    """The gradient, scaled down where its L2 norm is above `limit`."""
    norm = jnp.sqrt(_squares(gradient))
    return gradient * (limit / jnp.maximum(norm, limit)).astype(gradient.dtype)


def clip_by_global_norm(gradients: Sequence[jax.Array], limit: float) -> list[jax.Array]:
    """All gradients scaled by one factor, so that together their L2 norm is at most `limit`.

    A norm that is not finite makes every gradient NaN: half a step would hide the trouble.
    """
    norm = jnp.sqrt(sum(map(_squares, gradients)))
    scale = jnp.where(jnp.isfinite(norm), limit / jnp.maximum(norm, limit), jnp.nan)
    return [g * scale.astype(g.dtype) for g in gradients]


def above_zero(owner: Any, **named: Any) -> Any:
    """A number from 0 to 1, without 0."""
    expected = "a number above 0 and at most 1"
    return number(owner, high=1, check=lambda value: value > 0, expected=expected, **named)


@once_a_step
def step_count(optimizer: Any) -> jax.Array:
    """The number of this update, from 1, as a float."""
    return (unwrap(optimizer.iterations) + 1).astype(rate_dtype())
