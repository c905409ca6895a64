"""Constraints: what weights must satisfy; they are projected onto it after each optimizer step."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.configurable import Configurable
from kyeo.core.errors import fraction, number
from kyeo.core.lookup import deserialize_in, register_aliases, resolve, serialize_named
from kyeo.core.settings import settings
from kyeo.core.variable import unwrap

__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm",
    "min_max_norm", "non_neg", "serialize", "unit_norm",
]

Axis = int | Sequence[int] | None


class Constraint(Configurable):
    """Base of constraints: a callable that gives the nearest allowed weight to a weight.

    >>> import kyeo
    >>> class Small(kyeo.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return kyeo.ops.clip(w, -1, 1)
    >>> Small()(kyeo.ops.array([3.0])).tolist()
    [1.0]
    """

    def __call__(self, w: Any) -> Any:
        return w


def _norms(w: Any, axis: Axis) -> tuple[jax.Array, jax.Array]:
    """The weight as an array, and its Euclidean norms along `axis`."""
    w = to_array(unwrap(w))
    axis = tuple(axis) if isinstance(axis, list) else axis
    return w, jnp.sqrt(jnp.sum(jnp.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Norms along `axis` of at most `max_value`.

    Args:
        max_value: the bound.
        axis: the axes one norm is taken over: 0 for Dense kernels (one norm a unit), [0, 1, 2] for Conv2D.

    Srivastava et al., 2014 (https://jmlr.org/papers/v15/srivastava14a.html).

    >>> import kyeo
    >>> kyeo.constraints.MaxNorm(1.0)(kyeo.ops.array([[3.0], [4.0]])).round(3).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0):
        self.max_value, self.axis = number(self, max_value=max_value), axis

    def __call__(self, w: Any) -> jax.Array:
        w, norms = _norms(w, self.axis)
        return w * (jnp.clip(norms, 0, self.max_value) / (settings.epsilon + norms))


class NonNeg(Constraint):
    """Weights of at least 0.

    >>> import kyeo
    >>> kyeo.constraints.NonNeg()(kyeo.ops.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __call__(self, w: Any) -> jax.Array:
        return jnp.maximum(to_array(unwrap(w)), 0)


class UnitNorm(Constraint):
    """Norms along `axis` of 1.

    Args:
        axis: as for `MaxNorm`.

    >>> import kyeo
    >>> kyeo.constraints.UnitNorm()(kyeo.ops.array([[2.0], [0.0]])).tolist()
    [[1.0], [0.0]]
    """

    def __init__(self, axis: Axis = 0):
        self.axis = axis

    def __call__(self, w: Any) -> jax.Array:
        w, norms = _norms(w, self.axis)
        return w / (settings.epsilon + norms)


class MinMaxNorm(Constraint):
    """Norms along `axis` moved towards the interval from `min_value` to `max_value`.

    Args:
        min_value, max_value: the interval.
        rate: 1 moves the norm into it at once, less moves it that part of the way.
        axis: as for `MaxNorm`.

    >>> import kyeo
    >>> kyeo.constraints.MinMaxNorm(0.5, 1.0)(kyeo.ops.array([[4.0], [0.0]])).tolist()
    [[1.0], [0.0]]
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0):
        self.min_value, self.max_value = number(self, min_value=min_value), number(self, max_value=max_value)
        self.rate, self.axis = fraction(self, rate=rate), axis

    def __call__(self, w: Any) -> jax.Array:
        w, norms = _norms(w, self.axis)
        wanted = self.rate * jnp.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (wanted / (settings.epsilon + norms))


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm
register_aliases("constraints", {
    "max_norm": MaxNorm, "min_max_norm": MinMaxNorm, "non_neg": NonNeg, "nonneg": NonNeg,
    "unit_norm": UnitNorm,
})


def get(identifier: Any) -> Any:
    """The constraint meant by a name, an object, a class, a config or a function; None stays None.

    Args:
        identifier: any of these.

    Raises:
        ValueError: it is none of them, or a name that is not known.

    >>> import kyeo
    >>> kyeo.constraints.get("non_neg")
    NonNeg()
    """
    return resolve(identifier, "constraints")


def serialize(constraint: Any) -> Any:
    """The constraint as plain values.

    >>> import kyeo
    >>> kyeo.constraints.serialize(kyeo.constraints.UnitNorm(axis=1))["config"]
    {'axis': 1}
    """
    return serialize_named(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint that a config from `serialize`, or a name, describes.

    Args:
        config: the plain values, or a name.
        custom_objects: {name: class or function} for the user's own.

    >>> import kyeo
    >>> kyeo.constraints.deserialize({"class_name": "NonNeg", "config": {}})
    NonNeg()
    """
    return deserialize_in(config, "constraints", custom_objects)
