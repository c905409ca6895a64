"""Distances between numbers and their predictions, one value for each sample."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.ops.losses.pair import loss_function, match

__all__ = ["mean_absolute_error", "mean_squared_error"]


@loss_function("losses", "metrics")
def mean_squared_error(y_true: Any, y_pred: Any) -> jax.Array:
    """Mean of the squared differences over the last axis.

    Args:
        y_true: the true numbers.
        y_pred: the predicted numbers, of the same shape.

    >>> import kyeo
    >>> kyeo.losses.mean_squared_error([[0.0, 1.0]], [[2.0, 1.0]]).tolist()
    [2.0]
    """
    true, pred = match(y_true, y_pred, "mean_squared_error")
    return jnp.mean(jnp.square(true - pred), axis=-1)


@loss_function("losses", "metrics")
def mean_absolute_error(y_true: Any, y_pred: Any) -> jax.Array:
    """Mean of the absolute differences over the last axis.

    Args:
        y_true: the true numbers.
        y_pred: the predicted numbers, of the same shape.

    >>> import kyeo
    >>> kyeo.losses.mean_absolute_error([[0.0, 1.0]], [[2.0, 1.0]]).tolist()
    [1.0]
    """
    true, pred = match(y_true, y_pred, "mean_absolute_error")
    return jnp.mean(jnp.abs(true - pred), axis=-1)
