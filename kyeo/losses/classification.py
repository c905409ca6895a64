"""Losses between classes and their predicted probabilities."""

from typing import Any

from kyeo.losses.loss import LossFunctionWrapper
from kyeo.ops import losses as functions

__all__ = ["BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy"]


class BinaryCrossentropy(LossFunctionWrapper):
    """Cross-entropy between 0/1 labels and predicted probabilities; one or several labels a sample.

    Args:
        from_logits: whether predictions are logits (no sigmoid on the last layer).
        label_smoothing: share by which labels move towards 0.5.
        axis: the axis averaged over.
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.BinaryCrossentropy()([[0.0], [1.0]], [[0.5], [0.5]])), 3)
    0.693
    """

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str | None = "binary_crossentropy", dtype: Any = None,
    ):
        super().__init__(functions.binary_crossentropy, reduction, name, dtype, from_logits=from_logits,
                         label_smoothing=label_smoothing, axis=axis)


class CategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy between one-hot labels and predicted class probabilities.

    Args:
        from_logits: whether predictions are logits (no softmax on the last layer).
        label_smoothing: share by which labels move towards equal probabilities.
        axis: the class axis.
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.CategoricalCrossentropy()([[0, 1]], [[0.5, 0.5]])), 3)
    0.693
    """

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(functions.categorical_crossentropy, reduction, name, dtype, from_logits=from_logits,
                         label_smoothing=label_smoothing, axis=axis)


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy between class numbers and predicted class probabilities.

    Args:
        from_logits: whether predictions are logits (no softmax on the last layer).
        ignore_class: label of elements that count nothing.
        reduction, name, dtype: as in `Loss`.
        axis: the class axis.

    >>> import kyeo
    >>> round(float(kyeo.losses.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 3)
    0.693
    """

    keeps_integer_labels = True

    def __init__(
        self, from_logits: bool = False, ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size", axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy", dtype: Any = None,
    ):
        super().__init__(functions.sparse_categorical_crossentropy, reduction, name, dtype, from_logits=from_logits,
                         ignore_class=ignore_class, axis=axis)
