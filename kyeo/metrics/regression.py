"""Distances between numbers and their predictions, as metrics, and the R2 score."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.dtypes import widened
from kyeo.core.errors import one_of, positive_int
from kyeo.core.plain import warn
from kyeo.metrics.metric import Metric
from kyeo.metrics.reduction import Mean, MeanMetricWrapper, divide
from kyeo.ops import losses as functions
from kyeo.ops.kernels import as_one
from kyeo.ops.losses.pair import as_array, expand_to, match
from kyeo.ops.losses.regression import cosine

__all__ = [
    "CosineSimilarity", "LogCoshError", "MeanAbsoluteError", "MeanAbsolutePercentageError",
    "MeanSquaredError", "MeanSquaredLogarithmicError", "R2Score", "RootMeanSquaredError",
]


class MeanSquaredError(MeanMetricWrapper):
    """Mean of the squared differences.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]]))
    5.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None):
        super().__init__(functions.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of the absolute differences.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.MeanAbsoluteError()([[0.0], [0.0]], [[1.0], [3.0]]))
    2.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None):
        super().__init__(functions.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean of the absolute differences in percent of the true numbers.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.MeanAbsolutePercentageError()([[4.0]], [[2.0]]))
    50.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(functions.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean of the squared differences of log(x + 1).

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> round(float(kyeo.metrics.MeanSquaredLogarithmicError()([[0.0]], [[1.0]])), 3)
    0.48
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(functions.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """Mean of log(cosh(difference)).

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> round(float(kyeo.metrics.LogCoshError()([[0.0]], [[1.0]])), 3)
    0.434
    """

    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype: Any = None):
        super().__init__(functions.log_cosh, name, dtype)


class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between true and predicted vectors: 1 is best (the loss has the other sign).

    Args:
        name, dtype: as in `Metric`.
        axis: the axis along which the vectors lie.

    >>> import kyeo
    >>> float(kyeo.metrics.CosineSimilarity()([[0.0, 2.0]], [[0.0, 1.0]]))
    1.0
    """

    _direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(cosine, name, dtype, axis=axis)


class RootMeanSquaredError(Mean):
    """Square root of the mean of the squared differences over all batches.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.RootMeanSquaredError()([[0.0], [0.0]], [[4.0], [4.0]]))
    4.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take in a batch of numbers and predictions."""
        true, pred = match(y_true, as_array(y_pred, widened(self.dtype), "y_pred"), type(self).__name__)
        super().update_state(jnp.square(pred - true), sample_weight)

    def result(self) -> jax.Array:
        """The root so far."""
        return jnp.sqrt(divide(self.total.value, self.count.value)).astype(self.dtype)


_R2_SUMS = ("squared_sum", "sum", "residual", "count")  # the first of squared deviations from the mean


class R2Score(Metric, one_program=("update_state",)):
    """Share of the variance that the predictions explain: 1 is best, 0 is no better than the mean.

    Args:
        class_aggregation: how several columns are joined: "uniform_average", "variance_weighted_average", or
            None for one score each.
        num_regressors: number of input features, for the adjusted score; 0 for the plain one.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> round(float(kyeo.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 3)
    0.571
    """

    _direction, _makes_late = "up", True

    def __init__(
        self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0,
        name: str | None = "r2_score", dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        allowed = (None, "uniform_average", "variance_weighted_average")
        self.class_aggregation = one_of(self, allowed, class_aggregation=class_aggregation)
        self.num_regressors = positive_int(self, minimum=0, num_regressors=num_regressors)
        self.num_samples = self.add_variable((), "zeros", name="num_samples")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of numbers and predictions of shape (n, columns)."""
        true, pred = match(y_true, as_array(y_pred, widened(self.dtype), "y_pred"), type(self).__name__, least_rank=2)
        if len(self.variables) == 1:
            for name in _R2_SUMS:
                setattr(self, name, self.add_variable((pred.shape[-1],), "zeros", name=name))
        weight = jnp.ones((), pred.dtype)
        if sample_weight is not None:
            weight = as_array(sample_weight, pred.dtype, "sample_weight")
        weight = jnp.broadcast_to(expand_to(weight, pred), pred.shape)
        true, pred = (jnp.where(weight == 0, 0, x) for x in (true, pred))
        summed, count = jnp.sum(true * weight, 0), jnp.sum(weight, 0)
        deviation = jnp.sum(jnp.square(true - divide(summed, count)) * weight, 0)
        # Chan, Golub and LeVeque, 1979. Squares of numbers far from 0 would lose the digits of their difference
        apart = divide(self.sum.value, self.count.value) - divide(summed, count)
        deviation += jnp.square(apart) * divide(self.count.value * count, self.count.value + count)
        for name, term in zip(_R2_SUMS, (deviation, summed, jnp.sum(jnp.square(true - pred) * weight, 0), count)):
            getattr(self, name).assign_add(term)
        self.num_samples.assign_add(jnp.sum(jnp.any(weight != 0, axis=-1)) * pred.shape[-1])

    def result(self) -> jax.Array:
        """The score so far."""
        if len(self.variables) == 1:
            return jnp.zeros((), self.dtype)
        samples, regressors = self.num_samples.value, self.num_regressors
        if regressors and not isinstance(samples, jax.core.Tracer) and float(samples) <= regressors + 1:
            warn("R2Score: there are not more samples than regressors, so the plain score is given.")
        return _score(self.squared_sum.value, self.residual.value, samples, self.class_aggregation, regressors)


@as_one(3, 4)
def _score(
    total: jax.Array, residual: jax.Array, samples: jax.Array, aggregation: str | None, regressors: int,
) -> jax.Array:
    scores = 1 - residual / total
    scores = jnp.where(jnp.isinf(scores), 0.0, scores)
    if aggregation == "uniform_average":
        scores = jnp.mean(scores)
    elif aggregation == "variance_weighted_average":
        scores = jnp.sum(total * scores) / jnp.sum(total)
    if not regressors:
        return scores
    free = samples - regressors - 1
    return jnp.where(free > 0, 1.0 - (1.0 - scores) * (samples - 1.0) / free, scores)
