"""Losses between numbers and their predictions."""

from typing import Any

from kyeo.losses.loss import LossFunctionWrapper
from kyeo.ops import losses as functions

__all__ = ["MeanAbsoluteError", "MeanSquaredError"]


class MeanSquaredError(LossFunctionWrapper):
    """Mean of the squared differences.

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> float(kyeo.losses.MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]]))
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
    >>> float(kyeo.losses.MeanAbsoluteError()([[0.0], [0.0]], [[1.0], [3.0]]))
    2.0
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_absolute_error",
                 dtype: Any = None):
        super().__init__(functions.mean_absolute_error, reduction, name, dtype)
