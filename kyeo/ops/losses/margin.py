"""Hinge losses: nothing to pay beyond a margin on the right side."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.ops.kernels.extreme import largest, maximum
from kyeo.ops.losses.pair import match, per_sample

__all__ = ["categorical_hinge", "hinge", "squared_hinge"]


def _shortfall(y_true: Any, y_pred: Any, name: str) -> jax.Array:
    """How far each prediction falls short of 1 on its label's side; labels all 0 or 1 mean -1 and 1."""
    true, pred = match(y_true, y_pred, name)
    is_binary = jnp.all((true == 0) | (true == 1))
    true = jnp.where(is_binary, 2.0 * true - 1.0, true)
    return maximum(1.0 - true * pred, 0.0)


@per_sample
def hinge(y_true: Any, y_pred: Any) -> jax.Array:
    """Mean over the last axis of `max(0, 1 - y_true * y_pred)`.

    Args:
        y_true: labels -1 or 1. If all are 0 or 1, 0 is read as -1.
        y_pred: scores of the same shape.

    >>> import kyeo
    >>> kyeo.losses.hinge([[1.0, -1.0]], [[0.5, 1.0]]).tolist()
    [1.25]
    """
    return jnp.mean(_shortfall(y_true, y_pred, "hinge"), axis=-1)


@per_sample
def squared_hinge(y_true: Any, y_pred: Any) -> jax.Array:
    """Mean over the last axis of `max(0, 1 - y_true * y_pred) ** 2`.

    Args:
        y_true: labels -1 or 1. If all are 0 or 1, 0 is read as -1.
        y_pred: scores of the same shape.

    >>> import kyeo
    >>> kyeo.losses.squared_hinge([[1.0, -1.0]], [[0.5, 1.0]]).tolist()
    [2.125]
    """
    return jnp.mean(jnp.square(_shortfall(y_true, y_pred, "squared_hinge")), axis=-1)


@per_sample
def categorical_hinge(y_true: Any, y_pred: Any) -> jax.Array:
    """`max(0, 1 + best score of a wrong class - score of the right class)`.

    Args:
        y_true: one-hot labels.
        y_pred: class scores of the same shape.

    >>> import kyeo
    >>> kyeo.losses.categorical_hinge([[1, 0]], [[0.5, 0.25]]).tolist()
    [0.75]
    """
    true, pred = match(y_true, y_pred, "categorical_hinge")
    right = jnp.sum(true * pred, axis=-1)
    wrong = largest((1.0 - true) * pred, axis=-1)
    return maximum(wrong - right + 1.0, 0.0)
