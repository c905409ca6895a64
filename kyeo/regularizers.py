"""Regularizers: penalties on the size of a layer's weights or outputs, added to the loss."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import as_floats, to_array
from kyeo.core.configurable import Configurable
from kyeo.core.errors import number, one_of, problem
from kyeo.core.gone import answer_for_missing
from kyeo.core.lookup import deserialize_in, register_aliases, resolve, serialize_named
from kyeo.core.variable import unwrap

__all__ = [
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
    "orthogonal_regularizer", "serialize",
]


class Regularizer(Configurable):
    """Base of regularizers: a callable that gives one number for an array, the penalty.

    >>> import kyeo
    >>> class Mean(kyeo.regularizers.Regularizer):
    ...     def __call__(self, x):
    ...         return 0.1 * kyeo.ops.mean(x)
    >>> float(Mean()(kyeo.ops.ones((2, 2)))) > 0
    True
    """

    def __call__(self, x: Any) -> Any:
        return 0.0


def _weight(owner: Any, default: float = 0.0, **named: Any) -> float:
    """A finite weight of at least 0; None means the default."""
    given: dict[str, Any] = {name: default if value is None else value for name, value in named.items()}
    return float(number(owner, low=0, check=math.isfinite, expected="a finite number >= 0", **given))


def _penalty(x: Any, l1: float = 0.0, l2: float = 0.0) -> jax.Array:
    """l1 * sum |x| + l2 * sum x^2, in the dtype of x; of integers as floats, or the weights would be 0."""
    x = as_floats(to_array(unwrap(x)))
    total = jnp.zeros((), x.dtype)
    if l1:
        total += jnp.asarray(l1, x.dtype) * jnp.sum(jnp.abs(x))
    if l2:
        total += jnp.asarray(l2, x.dtype) * jnp.sum(jnp.square(x))
    return total


class L1L2(Regularizer):
    """The penalty `l1 * sum(abs(x)) + l2 * sum(x ** 2)`.

    Args:
        l1, l2: the two weights, at least 0.

    >>> import kyeo
    >>> float(kyeo.regularizers.L1L2(l1=1.0, l2=1.0)(kyeo.ops.array([1.0, -2.0])))
    8.0
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0):
        self.l1, self.l2 = _weight(self, l1=l1), _weight(self, l2=l2)

    def __call__(self, x: Any) -> jax.Array:
        return _penalty(x, self.l1, self.l2)


class L1(Regularizer):
    """The penalty `l1 * sum(abs(x))`, which drives weights to zero.

    >>> import kyeo
    >>> float(kyeo.regularizers.L1(1.0)(kyeo.ops.array([1.0, -2.0])))
    3.0
    """

    def __init__(self, l1: float | None = 0.01):
        self.l1: float = _weight(self, 0.01, l1=l1)

    def __call__(self, x: Any) -> jax.Array:
        return _penalty(x, l1=self.l1)


class L2(Regularizer):
    """The penalty `l2 * sum(x ** 2)`, which keeps weights small.

    >>> import kyeo
    >>> float(kyeo.regularizers.L2(1.0)(kyeo.ops.array([1.0, -2.0])))
    5.0
    """

    def __init__(self, l2: float | None = 0.01):
        self.l2: float = _weight(self, 0.01, l2=l2)

    def __call__(self, x: Any) -> jax.Array:
        return _penalty(x, l2=self.l2)


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean absolute cosine between different rows (or columns) of a matrix.

    Args:
        factor: the weight, at least 0.
        mode: "rows" or "columns".

    >>> import kyeo
    >>> float(kyeo.regularizers.OrthogonalRegularizer(1.0)(kyeo.ops.eye(3)))
    0.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor: float = _weight(self, factor=factor)
        self.mode = one_of(self, ("rows", "columns"), mode=mode)

    def __call__(self, inputs: Any) -> jax.Array:
        x = to_array(unwrap(inputs))
        if x.ndim != 2:
            raise problem("Orthogonality is measured on matrices.", received=x, where=self,
                          expected="an array of two axes")
        x = x if self.mode == "rows" else x.T
        x = x / jnp.sqrt(jnp.maximum(jnp.sum(jnp.square(x), 1, keepdims=True), 1e-12))
        cosines = jnp.abs(x @ x.T) * (1 - jnp.eye(len(x), dtype=x.dtype))
        pairs = max(len(x) * (len(x) - 1) / 2, 1)  # a single row has no other to be orthogonal to
        return self.factor * 0.5 * jnp.sum(cosines) / pairs


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
register_aliases("regularizers", {
    "l1": L1, "l2": L2, "l1_l2": L1L2, "l1l2": L1L2, "orthogonal_regularizer": OrthogonalRegularizer,
})


def get(identifier: Any) -> Any:
    """The regularizer meant by a name, an object, a class, a config or a function; None stays None.

    Args:
        identifier: any of these.

    Raises:
        ValueError: it is none of them, or a name that is not known.

    >>> import kyeo
    >>> kyeo.regularizers.get("l2").l2
    0.01
    """
    return resolve(identifier, "regularizers")


def serialize(regularizer: Any) -> Any:
    """The regularizer as plain values.

    >>> import kyeo
    >>> kyeo.regularizers.serialize(kyeo.regularizers.L2(0.5))["config"]
    {'l2': 0.5}
    """
    return serialize_named(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The regularizer that a config from `serialize`, or a name, describes.

    Args:
        config: the plain values, or a name.
        custom_objects: {name: class or function} for the user's own.

    >>> import kyeo
    >>> kyeo.regularizers.deserialize({"class_name": "L1", "config": {"l1": 0.5}}).l1
    0.5
    """
    return deserialize_in(config, "regularizers", custom_objects)

answer_for_missing(__name__)
