"""Distances between numbers and their predictions, one value for each sample."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.settings import settings
from kyeo.ops.kernels import at_unit_length, maximum
from kyeo.ops.losses.pair import match, per_sample

__all__ = [
    "cosine_similarity", "huber", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_error", "mean_squared_logarithmic_error", "poisson",
]


@per_sample
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


@per_sample
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


@per_sample
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> jax.Array:
    """Mean over the last axis of the absolute differences in percent of the true numbers.

    Args:
        y_true: the true numbers; their size counts as `epsilon()` at least.
        y_pred: the predicted numbers, of the same shape.

    >>> import kyeo
    >>> kyeo.losses.mean_absolute_percentage_error([[4.0, 1.0]], [[2.0, 1.0]]).tolist()
    [25.0]
    """
    true, pred = match(y_true, y_pred, "mean_absolute_percentage_error")
    size = jnp.maximum(jnp.abs(true), jnp.asarray(settings.epsilon, pred.dtype))
    return 100.0 * jnp.mean(jnp.abs((true - pred) / size), axis=-1)


@per_sample
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> jax.Array:
    """Mean over the last axis of the squared differences of log(x + 1); negative numbers count as 0.

    Args:
        y_true: the true numbers.
        y_pred: the predicted numbers, of the same shape.

    >>> import kyeo
    >>> loss = kyeo.losses.mean_squared_logarithmic_error([[0.0]], [[1.0]])
    >>> [round(float(v), 3) for v in loss]
    [0.48]
    """
    true, pred = match(y_true, y_pred, "mean_squared_logarithmic_error")
    logs = [jnp.log(maximum(x, settings.epsilon) + 1.0) for x in (pred, true)]
    return jnp.mean(jnp.square(logs[0] - logs[1]), axis=-1)


def cosine(y_true: Any, y_pred: Any, axis: int) -> jax.Array:
    """Cosine of the angle between the vectors along `axis`."""
    true, pred = match(y_true, y_pred, "cosine_similarity")
    true, pred = (at_unit_length(x, axis, 1.0 / settings.epsilon) for x in (true, pred))
    return jnp.sum(true * pred, axis=axis)


@per_sample
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> jax.Array:
    """Minus the cosine of the angle between two vectors: -1 for the same direction, 1 for the opposite one.

    Args:
        y_true: the true vectors.
        y_pred: the predicted vectors, of the same shape.
        axis: the axis along which the vectors lie.

    >>> import kyeo
    >>> loss = kyeo.losses.cosine_similarity([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]])
    >>> [abs(round(float(v), 3)) for v in loss]
    [0.0, 1.0]
    """
    return -cosine(y_true, y_pred, axis)


@per_sample
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> jax.Array:
    """Mean over the last axis of half the square of small differences, and of the size of large ones.

    Args:
        y_true: the true numbers.
        y_pred: the predicted numbers, of the same shape.
        delta: where the parabola goes over into a straight line.

    Huber, "Robust Estimation of a Location Parameter", 1964.

    >>> import kyeo
    >>> kyeo.losses.huber([[0.0, 0.0]], [[1.0, 3.0]]).tolist()
    [1.5]
    """
    true, pred = match(y_true, y_pred, "huber")
    limit, error = jnp.asarray(delta, pred.dtype), jnp.abs(pred - true)
    return jnp.mean(jnp.where(error <= limit, 0.5 * error**2, limit * error - 0.5 * limit**2), axis=-1)


@per_sample
def log_cosh(y_true: Any, y_pred: Any) -> jax.Array:
    """Mean over the last axis of log(cosh(difference)): a square for small, a size for large differences.

    Args:
        y_true: the true numbers.
        y_pred: the predicted numbers, of the same shape.

    >>> import kyeo
    >>> [round(float(v), 3) for v in kyeo.losses.log_cosh([[0.0]], [[1.0]])]
    [0.434]
    """
    true, pred = match(y_true, y_pred, "log_cosh")
    error = pred - true
    # log(cosh(x)) = x + log(1 + exp(-2x)) - log(2) does not overflow
    return jnp.mean(error + jax.nn.softplus(-2.0 * error) - jnp.log(jnp.asarray(2.0, pred.dtype)), axis=-1)


@per_sample
def poisson(y_true: Any, y_pred: Any) -> jax.Array:
    """Mean over the last axis of `y_pred - y_true * log(y_pred)`: how badly the rates explain the counts.

    Args:
        y_true: counts.
        y_pred: positive rates, of the same shape.

    >>> import kyeo
    >>> [round(float(v), 3) for v in kyeo.losses.poisson([[1.0]], [[2.0]])]
    [1.307]
    """
    true, pred = match(y_true, y_pred, "poisson")
    return jnp.mean(pred - true * jnp.log(pred + jnp.asarray(settings.epsilon, pred.dtype)), axis=-1)
