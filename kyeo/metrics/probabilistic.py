"""Cross-entropies and other costs of predicted probabilities, as metrics."""

from typing import Any

from kyeo.metrics.reduction import MeanMetricWrapper
from kyeo.ops import losses as functions

__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "KLDivergence", "Poisson",
    "SparseCategoricalCrossentropy",
]


class KLDivergence(MeanMetricWrapper):
    """Mean distance of the predicted from the true distributions.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> round(float(kyeo.metrics.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 3)
    0.144
    """

    _direction = "down"

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None):
        super().__init__(functions.kl_divergence, name, dtype)


class Poisson(MeanMetricWrapper):
    """Mean of `y_pred - y_true * log(y_pred)`, for counts and predicted rates.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> round(float(kyeo.metrics.Poisson()([[1.0]], [[2.0]])), 3)
    1.307
    """

    _direction = "down"

    def __init__(self, name: str | None = "poisson", dtype: Any = None):
        super().__init__(functions.poisson, name, dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy between 0/1 labels and predicted probabilities.

    Args:
        name, dtype: as in `Metric`.
        from_logits: whether predictions are logits.
        label_smoothing: share by which labels move towards 0.5.

    >>> import kyeo
    >>> round(float(kyeo.metrics.BinaryCrossentropy()([[0.0], [1.0]], [[0.5], [0.5]])), 3)
    0.693
    """

    _direction = "down"

    def __init__(self, name: str | None = "binary_crossentropy", dtype: Any = None, from_logits: bool = False,
                 label_smoothing: float = 0):
        super().__init__(functions.binary_crossentropy, name, dtype, from_logits=from_logits,
                         label_smoothing=label_smoothing)


class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy between one-hot labels and predicted class probabilities.

    Args:
        name, dtype: as in `Metric`.
        from_logits: whether predictions are logits.
        label_smoothing: share by which labels move towards equal probabilities.
        axis: the class axis.

    >>> import kyeo
    >>> round(float(kyeo.metrics.CategoricalCrossentropy()([[0, 1]], [[0.5, 0.5]])), 3)
    0.693
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "categorical_crossentropy", dtype: Any = None, from_logits: bool = False,
        label_smoothing: float = 0, axis: int = -1,
    ):
        super().__init__(functions.categorical_crossentropy, name, dtype, from_logits=from_logits,
                         label_smoothing=label_smoothing, axis=axis)


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy between class numbers and predicted class probabilities.

    Args:
        name, dtype: as in `Metric`.
        from_logits: whether predictions are logits.
        ignore_class: label of elements that are left out.
        axis: the class axis.

    >>> import kyeo
    >>> round(float(kyeo.metrics.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 3)
    0.693
    """

    _direction = "down"

    def __init__(
        self, name: str | None = "sparse_categorical_crossentropy", dtype: Any = None,
        from_logits: bool = False, ignore_class: int | None = None, axis: int = -1,
    ):
        super().__init__(functions.sparse_categorical_crossentropy, name, dtype, from_logits=from_logits,
                         ignore_class=ignore_class, axis=axis)
