"""Hinge losses as metrics."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from kyeo.metrics.reduction import MeanMetricWrapper
from kyeo.ops import losses as functions
from kyeo.ops.losses.pair import as_array, fill_absent

__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge"]


class _BinaryHinge(MeanMetricWrapper):
    """Base of the hinges that ask whether all labels are 0 or 1; rows of weight 0 have no say in that."""

    _direction = "down"

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None,
    ) -> None:
        """Take in a batch of labels and scores."""
        if sample_weight is not None and np.ndim(sample_weight):
            weight = as_array(sample_weight, self.dtype, "sample_weight")
            present = jnp.any(weight != 0, axis=tuple(range(1, weight.ndim)))
            y_true = as_array(y_true, name="y_true")
            if y_true.shape[:1] == present.shape and present.size:
                y_true = fill_absent(y_true, present)
        super().update_state(y_true, y_pred, sample_weight)


class Hinge(_BinaryHinge):
    """Mean of `max(0, 1 - y_true * y_pred)` for labels -1 and 1 (labels all 0 or 1 are read so).

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.Hinge()([[1.0, -1.0]], [[0.5, 1.0]]))
    1.25
    """

    def __init__(self, name: str | None = "hinge", dtype: Any = None):
        super().__init__(functions.hinge, name, dtype)


class SquaredHinge(_BinaryHinge):
    """Mean of `max(0, 1 - y_true * y_pred) ** 2` for labels -1 and 1 (labels all 0 or 1 are read so).

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.SquaredHinge()([[1.0, -1.0]], [[0.5, 1.0]]))
    2.125
    """

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None):
        super().__init__(functions.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """Mean of `max(0, 1 + best score of a wrong class - score of the right class)`.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.CategoricalHinge()([[1, 0]], [[0.5, 0.25]]))
    0.75
    """

    _direction = "down"

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None):
        super().__init__(functions.categorical_hinge, name, dtype)
