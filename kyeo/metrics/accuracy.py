"""Accuracies: how often predictions hit."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.errors import boolean, positive_int
from kyeo.core.settings import settings
from kyeo.metrics.reduction import MeanMetricWrapper
from kyeo.ops.losses.pair import drop_class_axis, filed, match

__all__ = [
    "Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy", "TopKCategoricalAccuracy", "binary_accuracy", "categorical_accuracy",
    "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy", "top_k_categorical_accuracy",
]


def accuracy(y_true: Any, y_pred: Any) -> jax.Array:
    """1 where label and prediction are equal, else 0."""
    true, pred = match(y_true, y_pred, "Accuracy", least_rank=0, exact=True)
    return (true == pred).astype(settings.floatx)


@filed
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> jax.Array:
    """1 where a prediction is on its 0/1 label's side of the threshold, else 0.

    Args:
        y_true: labels, 0 or 1.
        y_pred: predictions of the same shape.
        threshold: predictions above it count as 1.

    >>> import kyeo
    >>> kyeo.metrics.binary_accuracy([0, 1], [0.2, 0.4]).tolist()
    [1.0, 0.0]
    """
    true, pred = match(y_true, y_pred, "binary_accuracy", least_rank=0)
    return (true == (pred > threshold).astype(true.dtype)).astype(settings.floatx)


@filed
def categorical_accuracy(y_true: Any, y_pred: Any) -> jax.Array:
    """1 where the largest prediction is at the one-hot label, else 0.

    Args:
        y_true: one-hot labels.
        y_pred: class scores of the same shape.

    >>> import kyeo
    >>> kyeo.metrics.categorical_accuracy([[0, 1], [1, 0]], [[0.1, 0.9], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    true, pred = match(y_true, y_pred, "categorical_accuracy")
    return (jnp.argmax(true, -1) == jnp.argmax(pred, -1)).astype(settings.floatx)


@filed
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> jax.Array:
    """1 where the largest prediction is at the class number, else 0.

    Args:
        y_true: class numbers, (n,) or (n, 1).
        y_pred: class scores, (n, classes).

    >>> import kyeo
    >>> kyeo.metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    true, pred = drop_class_axis(y_true, y_pred, "sparse_categorical_accuracy")
    return _equal(true, jnp.argmax(pred, -1)).astype(settings.floatx)


def _equal(*classes: jax.Array) -> jax.Array:
    """Whether class numbers are equal; in the type of one of them 256 might be 0 (uint8), or 2049 be 2048 (float16)."""
    one, other = (x.astype("int32" if jnp.issubdtype(x.dtype, jnp.integer) else "float32") for x in classes)
    return one == other


def _within_top(classes: jax.Array, scores: jax.Array, k: int) -> jax.Array:
    """Whether fewer than k scores are above that of the class."""
    own = jnp.take_along_axis(scores, classes.astype("int32")[..., None], axis=-1)
    own = jnp.where(jnp.isnan(own), -jnp.inf, own)  # a NaN is not a large score
    return (jnp.sum(scores > own, axis=-1) < k).astype(settings.floatx)


@filed
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> jax.Array:
    """1 where the one-hot label is among the k largest predictions, else 0.

    Args:
        y_true: one-hot labels.
        y_pred: class scores of the same shape.
        k: how many predictions count.

    >>> import kyeo
    >>> kyeo.metrics.top_k_categorical_accuracy([[0, 1, 0]], [[0.5, 0.3, 0.2]], k=2).tolist()
    [1.0]
    """
    true, pred = match(y_true, y_pred, "top_k_categorical_accuracy")
    return _within_top(jnp.argmax(true, -1), pred, k)


@filed
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False,
) -> jax.Array:
    """1 where the class number is among the k largest predictions, else 0.

    Args:
        y_true: class numbers, (n,) or (n, 1).
        y_pred: class scores, (n, classes).
        k: how many predictions count.
        from_sorted_ids: whether `y_pred` holds class numbers, best first, instead of scores.

    >>> import kyeo
    >>> kyeo.metrics.sparse_top_k_categorical_accuracy([1], [[0.5, 0.3, 0.2]], k=2).tolist()
    [1.0]
    """
    true, pred = drop_class_axis(y_true, y_pred, "sparse_top_k_categorical_accuracy")
    if from_sorted_ids:
        return jnp.any(_equal(true[..., None], pred[..., :k]), axis=-1).astype(settings.floatx)
    return _within_top(true, pred, k)


class Accuracy(MeanMetricWrapper):
    """How often predictions equal labels, element by element, exactly.

    In `compile`, next to the float output of a classifier, it becomes the accuracy that fits labels and
    output (and says so once), as exact equality would be 0 there.

    Args:
        name, dtype: as in `Metric`.
        exact: keep to exact equality in `compile` too.

    >>> import kyeo
    >>> float(kyeo.metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    _direction = "up"
    _kept_from_config = ("exact",)

    def __init__(self, name: str | None = "accuracy", dtype: Any = None, exact: bool = False):
        super().__init__(accuracy, name, dtype)
        self.exact = boolean(self, exact=exact)


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions are on the right side of the threshold.

    Args:
        name, dtype: as in `Metric`.
        threshold: predictions above it count as 1.

    >>> import kyeo
    >>> float(kyeo.metrics.BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1.0], [0.0], [0.6]]))
    0.75
    """

    _direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is at the one-hot label.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.CategoricalAccuracy()([[0, 1], [1, 0]], [[0.1, 0.9], [0.4, 0.6]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None):
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is at the class number.

    Args:
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.SparseCategoricalAccuracy()([1, 0], [[0.1, 0.9], [0.4, 0.6]]))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the one-hot label is among the k largest predictions.

    Args:
        k: how many predictions count.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.TopKCategoricalAccuracy(k=2)([[0, 1, 0]], [[0.5, 0.3, 0.2]]))
    1.0
    """

    _direction = "up"

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=positive_int(self, k=k))


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class number is among the k largest predictions.

    Args:
        k: how many predictions count.
        name, dtype: as in `Metric`.
        from_sorted_ids: whether predictions are class numbers, best first, instead of scores.

    >>> import kyeo
    >>> float(kyeo.metrics.SparseTopKCategoricalAccuracy(k=2)([1, 2], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]))
    0.5
    """

    _direction = "up"
    _kept_from_config = ("from_sorted_ids",)

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: Any = None,
                 from_sorted_ids: bool = False):
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=positive_int(self, k=k),
                         from_sorted_ids=boolean(self, from_sorted_ids=from_sorted_ids))
