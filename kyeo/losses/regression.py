"""Losses between numbers and their predictions."""

from typing import Any

from kyeo.losses.loss import LossFunctionWrapper
from kyeo.ops import losses as functions

__all__ = [
    "CosineSimilarity", "Huber", "LogCosh", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson",
]


class MeanSquaredError(LossFunctionWrapper):
    """Mean of the squared differences.

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]])), 3)
    5.0
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_squared_error",
                 dtype: Any = None):
        super().__init__(functions.mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(LossFunctionWrapper):
    """Mean of the absolute differences.

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.MeanAbsoluteError()([[0.0], [0.0]], [[1.0], [3.0]])), 3)
    2.0
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ):
        super().__init__(functions.mean_absolute_error, reduction, name, dtype)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """Mean of the absolute differences in percent of the true numbers.

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.MeanAbsolutePercentageError()([[4.0]], [[2.0]])), 3)
    50.0
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error", dtype: Any = None,
    ):
        super().__init__(functions.mean_absolute_percentage_error, reduction, name, dtype)


class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """Mean of the squared differences of log(x + 1).

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.MeanSquaredLogarithmicError()([[0.0]], [[1.0]])), 3)
    0.48
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error", dtype: Any = None,
    ):
        super().__init__(functions.mean_squared_logarithmic_error, reduction, name, dtype)


class LogCosh(LossFunctionWrapper):
    """Mean of log(cosh(difference)): squares for small, sizes for large differences.

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.LogCosh()([[0.0]], [[1.0]])), 3)
    0.434
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "log_cosh",
                 dtype: Any = None):
        super().__init__(functions.log_cosh, reduction, name, dtype)


class Poisson(LossFunctionWrapper):
    """Mean of `y_pred - y_true * log(y_pred)`, for counts and predicted rates.

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.Poisson()([[1.0]], [[2.0]])), 3)
    1.307
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "poisson",
                 dtype: Any = None):
        super().__init__(functions.poisson, reduction, name, dtype)


class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine of the angle between true and predicted vectors: -1 is best, 1 is worst.

    Args:
        axis: the axis along which the vectors lie.
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.CosineSimilarity()([[0.0, 2.0]], [[0.0, 1.0]])), 3)
    -1.0
    """

    def __init__(
        self, axis: int = -1, reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity", dtype: Any = None,
    ):
        super().__init__(functions.cosine_similarity, reduction, name, dtype, axis=axis)


class Huber(LossFunctionWrapper):
    """Half the squares of small differences, the sizes of large ones.

    Args:
        delta: where the parabola goes over into a straight line.
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> float(kyeo.losses.Huber()([[0.0], [0.0]], [[1.0], [3.0]]))
    1.5
    """

    def __init__(
        self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss", dtype: Any = None,
    ):
        super().__init__(functions.huber, reduction, name, dtype, delta=delta)
