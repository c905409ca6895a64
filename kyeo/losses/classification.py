"""Losses between classes and their predicted scores."""

from typing import Any

from kyeo.core.errors import number
from kyeo.losses.loss import LossFunctionWrapper
from kyeo.ops import losses as functions

__all__ = [
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy", "CategoricalGeneralizedCrossEntropy", "CategoricalHinge",
    "Hinge", "KLDivergence", "SparseCategoricalCrossentropy",
    "SquaredHinge",
]


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
        reduction: str | None = "sum_over_batch_size", name: str | None = "binary_crossentropy",
        dtype: Any = None,
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

    def __init__(
        self, from_logits: bool = False, ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size", axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy", dtype: Any = None,
    ):
        super().__init__(functions.sparse_categorical_crossentropy, reduction, name, dtype,
                         from_logits=from_logits, ignore_class=ignore_class, axis=axis)


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """Binary cross-entropy that pays less attention to what is already predicted well.

    Args:
        apply_class_balancing: weigh ones by `alpha` and zeros by `1 - alpha`.
        alpha: the weight of ones.
        gamma: each term is multiplied by (1 - probability of the true label) to this power.
        from_logits: whether predictions are logits (no sigmoid on the last layer).
        label_smoothing: share by which labels move towards 0.5.
        axis: the axis averaged over.
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.BinaryFocalCrossentropy()([[0.0], [1.0]], [[0.5], [0.5]])), 3)
    0.173
    """

    def __init__(
        self, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
        from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(functions.binary_focal_crossentropy, reduction, name, dtype, alpha=alpha,
                         gamma=gamma, apply_class_balancing=apply_class_balancing, from_logits=from_logits,
                         label_smoothing=label_smoothing, axis=axis)


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """Categorical cross-entropy that pays less attention to what is already predicted well.

    Args:
        alpha: factor of all terms.
        gamma: each term is multiplied by (1 - probability of its class) to this power.
        from_logits: whether predictions are logits (no softmax on the last layer).
        label_smoothing: share by which labels move towards equal probabilities.
        axis: the class axis.
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.CategoricalFocalCrossentropy()([[0, 1]], [[0.5, 0.5]])), 3)
    0.043
    """

    def __init__(
        self, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False,
        label_smoothing: float = 0.0, axis: int = -1, reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy", dtype: Any = None,
    ):
        super().__init__(functions.categorical_focal_crossentropy, reduction, name, dtype, alpha=alpha,
                         gamma=gamma, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """`(1 - p ** q) / q` for the probability p of the true class; bears wrong labels.

    Args:
        q: from 0 (cross-entropy) to 1 (absolute error), both left out.
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> float(kyeo.losses.CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]]))
    1.0
    """

    def __init__(
        self, q: float = 0.5, reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy", dtype: Any = None,
    ):
        number(self, q=q, check=lambda value: 0 < value < 1, expected="a number between 0 and 1")
        super().__init__(functions.categorical_generalized_cross_entropy, reduction, name, dtype, q=q)


class KLDivergence(LossFunctionWrapper):
    """Distance of the predicted from the true distribution: sum of `p * log(p / q)`.

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 3)
    0.144
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "kl_divergence",
                 dtype: Any = None):
        super().__init__(functions.kl_divergence, reduction, name, dtype)


class Hinge(LossFunctionWrapper):
    """`max(0, 1 - y_true * y_pred)` for labels -1 and 1 (labels all 0 or 1 are read so).

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.Hinge()([[1.0, -1.0]], [[0.5, 1.0]])), 3)
    1.25
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "hinge",
                 dtype: Any = None):
        super().__init__(functions.hinge, reduction, name, dtype)


class SquaredHinge(LossFunctionWrapper):
    """The square of the hinge loss.

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.SquaredHinge()([[1.0, -1.0]], [[0.5, 1.0]])), 3)
    2.125
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "squared_hinge",
                 dtype: Any = None):
        super().__init__(functions.squared_hinge, reduction, name, dtype)


class CategoricalHinge(LossFunctionWrapper):
    """`max(0, 1 + best score of a wrong class - score of the right class)`.

    Args:
        reduction, name, dtype: as in `Loss`.

    >>> import kyeo
    >>> round(float(kyeo.losses.CategoricalHinge()([[1, 0]], [[0.5, 0.25]])), 3)
    0.75
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "categorical_hinge",
                 dtype: Any = None):
        super().__init__(functions.categorical_hinge, reduction, name, dtype)
