"""Correlations between true and predicted rows of numbers."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.settings import settings
from kyeo.metrics.reduction import MeanMetricWrapper
from kyeo.ops.losses.pair import match, per_sample

__all__ = ["ConcordanceCorrelation", "PearsonCorrelation", "concordance_correlation", "pearson_correlation"]


@per_sample
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> jax.Array:
    """How well a straight line explains one row by the other, from -1 to 1.

    Args:
        y_true: the true numbers.
        y_pred: the predicted numbers, of the same shape.
        axis: the axis along which values belong together.

    >>> import kyeo
    >>> rows = kyeo.metrics.pearson_correlation([[0, 1, 0.5]], [[0.1, 0.9, 0.5]])
    >>> [round(float(v), 3) for v in rows]
    [1.0]
    """
    centred = [x - jnp.mean(x, axis, keepdims=True) for x in match(y_true, y_pred, "pearson_correlation")]
    true, pred = (x / jnp.std(x, axis, keepdims=True) for x in centred)
    return jnp.mean(true * pred, axis=axis)


@per_sample
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> jax.Array:
    """How near the pairs of values are to the line where both are equal, from -1 to 1.

    Args:
        y_true: the true numbers.
        y_pred: the predicted numbers, of the same shape.
        axis: the axis along which values belong together.

    Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility", 1989.

    >>> import kyeo
    >>> rows = kyeo.metrics.concordance_correlation([[0, 1, 0.5]], [[0.1, 0.9, 0.5]])
    >>> [round(float(v), 3) for v in rows]
    [0.976]
    """
    true, pred = match(y_true, y_pred, "concordance_correlation")
    true_mean, pred_mean = (jnp.mean(x, axis, keepdims=True) for x in (true, pred))
    spread = jnp.var(true, axis, keepdims=True) + jnp.var(pred, axis, keepdims=True)
    spread = spread + jnp.square(true_mean - pred_mean)
    return jnp.mean(2 * (true - true_mean) * (pred - pred_mean) / (spread + settings.epsilon), axis=axis)


class PearsonCorrelation(MeanMetricWrapper):
    """Mean over the rows of how well a straight line explains the true by the predicted values, -1 to 1.

    Args:
        name, dtype: as in `Metric`.
        axis: the axis along which values belong together. Along the batch axis (0) each batch counts once
            for each column, and weights cannot be used.

    >>> import kyeo
    >>> round(float(kyeo.metrics.PearsonCorrelation()([[0, 1, 0.5]], [[0.1, 0.9, 0.5]])), 3)
    1.0
    """

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(pearson_correlation, name, dtype, axis=axis)


class ConcordanceCorrelation(MeanMetricWrapper):
    """Mean over the rows of how near true and predicted values are to being equal, -1 to 1.

    Args:
        name, dtype: as in `Metric`.
        axis: the axis along which values belong together. Along the batch axis (0) each batch counts once
            for each column, and weights cannot be used.

    >>> import kyeo
    >>> round(float(kyeo.metrics.ConcordanceCorrelation()([[0, 1, 0.5]], [[0.1, 0.9, 0.5]])), 3)
    0.976
    """

    _direction = "up"

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(concordance_correlation, name, dtype, axis=axis)
