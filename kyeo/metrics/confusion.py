"""Counts of right and wrong positives and negatives, and Precision and Recall made of them.

One function does the counting (`confusion_counts`); each metric keeps the counts it needs.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.dtypes import widened
from kyeo.core.errors import one_of, problem
from kyeo.core.settings import settings
from kyeo.metrics.metric import Metric
from kyeo.metrics.reduction import divide
from kyeo.ops.kernels import as_one
from kyeo.ops.losses.pair import as_array, drop_class_axis, expand_to, match

__all__ = [
    "FalseNegatives", "FalsePositives", "Precision", "Recall", "TrueNegatives", "TruePositives",
]

_NEVER = -1e10  # a score that no threshold reaches


class Counts(NamedTuple):
    """Weighted counts, one for each threshold (and each label when they are counted apart)."""

    true_positives: jax.Array
    false_positives: jax.Array
    true_negatives: jax.Array
    false_negatives: jax.Array


def check_thresholds(owner: Any, thresholds: Any, default: float) -> list[float]:
    """Thresholds as a list of numbers from 0 to 1; the default where none are given."""
    if thresholds is None:
        return [default]
    values = list(thresholds) if isinstance(thresholds, (Sequence, np.ndarray)) else [thresholds]
    if not values or any(value is None or not 0 <= value <= 1 for value in values):
        raise problem("`thresholds` is not valid.", received=f"thresholds={thresholds!r}", where=owner,
                      expected="a number from 0 to 1, or several")
    return values


def are_even(thresholds: Sequence[float]) -> bool:
    """Whether the thresholds run from 0 to 1 in equal steps, so that a score's bucket can be computed."""
    even = np.arange(len(thresholds), dtype="float32") / max(1, len(thresholds) - 1)
    return len(thresholds) > 2 and np.allclose(thresholds, even, atol=settings.epsilon)


def keep_top(scores: jax.Array, k: int) -> jax.Array:
    """Scores with all but the k largest of each row put out of reach."""
    _, best = jax.lax.top_k(scores, k)
    kept = jnp.any(best[..., None] == jnp.arange(scores.shape[-1]), axis=-2)
    return jnp.where(kept, scores, _NEVER)


def _check_column(class_id: int, pred: Any, name: str) -> None:
    """JAX would take the nearest column for one that is not there, or rows for columns."""
    if pred.ndim < 2 or not -pred.shape[-1] <= class_id < pred.shape[-1]:
        raise problem("`class_id` is not a column of the predictions.", where=name,
                      received=f"class_id={class_id}, y_pred of shape {pred.shape}",
                      expected="predictions of shape (rows, classes) and a class among them")


def confusion_counts(
    y_true: Any, y_pred: Any, thresholds: Sequence[float], sample_weight: Any = None, *,
    top_k: int | None = None, class_id: int | None = None, by_label: bool = False, label_weights: Any = None,
    name: str = "confusion",
) -> Counts:
    """Count (with weights) hits and misses at every threshold.

    Args:
        y_true: labels, 0 or 1.
        y_pred: scores of the same shape; above a threshold means positive.
        thresholds: numbers from 0 to 1.
        sample_weight: one weight for each row, or for each element. Rows of weight 0 are left out.
        top_k: only the k largest scores of a row can be positive.
        class_id: count this column only.
        by_label: count each column apart; shapes become (thresholds, columns).
        label_weights: one weight for each column.
        name: of the metric, for messages.
    """
    pred = as_array(y_pred, widened(settings.floatx), "y_pred")
    true, pred = match(y_true, pred, name)
    weight = None if sample_weight is None else as_array(sample_weight, pred.dtype, "sample_weight")
    if weight is not None and weight.ndim == pred.ndim + 1 and weight.shape[-1] == 1:
        weight = weight[..., 0]
    if top_k is not None:
        pred = keep_top(pred, top_k)
    if class_id is not None:
        _check_column(class_id, pred, name)
        true, pred = true[..., class_id, None], pred[..., class_id, None]
    weight = jnp.ones_like(pred) if weight is None else jnp.broadcast_to(expand_to(weight, pred), pred.shape)
    if label_weights is not None:
        weight = weight * jnp.asarray(label_weights, pred.dtype)
    columns = (-1, pred.shape[-1]) if by_label else (-1, 1)
    true, pred, weight = (x.reshape(columns) for x in (true.astype(bool), pred, weight))
    positive, negative = jnp.where(true, weight, 0), jnp.where(true, 0, weight)
    count = _count_by_bucket if are_even(np.clip(thresholds, 0, 1).tolist()) else _count_by_comparing
    hits, alarms = count(pred, positive, negative, tuple(map(float, thresholds)))
    result = Counts(hits, alarms, jnp.sum(negative, 0) - alarms, jnp.sum(positive, 0) - hits)
    return result if by_label else Counts(*(x[:, 0] for x in result))


@as_one(3)
def _count_by_comparing(
    scores: jax.Array, positive: jax.Array, negative: jax.Array, thresholds: tuple[float, ...],
) -> tuple[jax.Array, jax.Array]:
    above = scores[None] > jnp.asarray(thresholds, scores.dtype).reshape(-1, 1, 1)
    return jnp.sum(jnp.where(above, positive, 0), 1), jnp.sum(jnp.where(above, negative, 0), 1)


@as_one(3)
def _count_by_bucket(
    scores: jax.Array, positive: jax.Array, negative: jax.Array, thresholds: tuple[float, ...],
) -> tuple[jax.Array, jax.Array]:
    """For evenly spaced thresholds: put each score into its bucket, then add up from the top bucket down."""
    size, columns = len(thresholds), scores.shape[1]
    bucket = jnp.ceil(jnp.clip(scores, 0.0, 1.0) * (size - 1)) - 1
    if thresholds[0] < 0:  # the first threshold lies below 0, so a score of 0 is above it
        bucket = jnp.maximum(bucket, 0)
    bucket = jnp.where(jnp.isnan(bucket), -1, bucket).astype("int32")
    place = jnp.where(bucket < 0, size * columns, bucket * columns + jnp.arange(columns)).reshape(-1)

    def add_up(weights: jax.Array) -> jax.Array:
        sums = jax.ops.segment_sum(weights.reshape(-1), place, size * columns).reshape(size, columns)
        return jnp.cumsum(sums[::-1], axis=0)[::-1]

    return add_up(positive), add_up(negative)


class _Counter(Metric):
    """Base of the four metrics that are one count."""

    _argument_names = {"thresholds": "init_thresholds"}
    _counted = ""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = check_thresholds(self, thresholds, 0.5)
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of 0/1 labels and scores of the same shape."""
        counts = confusion_counts(y_true, y_pred, self.thresholds, sample_weight, name=type(self).__name__)
        self.accumulator.assign_add(getattr(counts, self._counted))

    def result(self) -> jax.Array:
        """The count so far, one for each threshold."""
        return _single(self.accumulator.value)


def _single(values: jax.Array) -> jax.Array:
    return values[0] if values.shape[0] == 1 else values


class FalsePositives(_Counter):
    """How many negatives were called positive.

    Args:
        thresholds: scores above count as positive; 0.5 by default. Several give several counts.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1]))
    2.0
    """

    _counted = "false_positives"


class FalseNegatives(_Counter):
    """How many positives were missed.

    Args:
        thresholds: scores above count as positive; 0.5 by default. Several give several counts.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0]))
    2.0
    """

    _counted = "false_negatives"


class TrueNegatives(_Counter):
    """How many negatives were called negative.

    Args:
        thresholds: scores above count as positive; 0.5 by default. Several give several counts.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0]))
    2.0
    """

    _counted = "true_negatives"


class TruePositives(_Counter):
    """How many positives were found.

    Args:
        thresholds: scores above count as positive; 0.5 by default. Several give several counts.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> float(kyeo.metrics.TruePositives()([0, 1, 1, 1], [1, 0, 1, 1]))
    2.0
    """

    _counted = "true_positives"


class _Ratio(Metric):
    """Base of Precision and Recall: true positives among the called, or among the real, positives."""

    _direction = "up"
    _argument_names = {"thresholds": "init_thresholds"}
    _kept_from_config = ("average",)
    _missed = ""  # the count that joins the true positives below the line

    def __init__(
        self, thresholds: Any = None, top_k: int | None = None, class_id: int | None = None,
        name: str | None = None, dtype: Any = None, average: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self.thresholds = check_thresholds(self, thresholds, 0.5 if top_k is None else _NEVER)
        self.average = one_of(self, (None, "micro", "macro", "weighted"), average=average)
        if average is None:
            self._add_counts(len(self.thresholds), "true_positives", self._missed)
        elif top_k is not None or class_id is not None or len(self.thresholds) > 1:
            raise problem("`average` cannot be joined with `top_k`, `class_id` or several `thresholds`.",
                          received=f"average={average!r}, thresholds={thresholds}, top_k={top_k}, "
                                   f"class_id={class_id}", expected="average alone", where=self)

    def _add_counts(self, size: int, *names: str) -> None:
        for name in names:
            setattr(self, name, self.add_variable((size,), "zeros", name=name))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and scores."""
        name = type(self).__name__
        if self.average is None:
            counts = confusion_counts(y_true, y_pred, self.thresholds, sample_weight, top_k=self.top_k,
                                      class_id=self.class_id, name=name)
        else:
            counts = class_counts(y_true, y_pred, sample_weight, self.thresholds[0], name)
            if not self.variables:
                self._add_counts(counts.true_positives.shape[0], "true_positives", "false_positives",
                                 "false_negatives")
        for variable in self.variables:
            variable.assign_add(getattr(counts, variable.name))

    def result(self) -> jax.Array:
        """The ratio so far, 0 where nothing is below the line."""
        counts = {variable.name: variable.value for variable in self.variables}
        if not counts:
            return jnp.zeros((), self.dtype)
        hits = counts["true_positives"]
        if self.average is None:
            return _single(divide(hits, hits + counts[self._missed]))
        if self.average == "micro":
            return divide(jnp.sum(hits), jnp.sum(hits + counts[self._missed]))
        ratios = divide(hits, hits + counts[self._missed])
        real = hits + counts["false_negatives"]
        seen = (real + counts["false_positives"] > 0).astype(ratios.dtype)
        weights = seen if self.average == "macro" else real
        return divide(jnp.sum(ratios * weights), jnp.sum(weights))


def class_counts(y_true: Any, y_pred: Any, sample_weight: Any, threshold: float, name: str) -> Counts:
    """Count by class what the most probable class says. Labels may be class numbers or one-hot.

    One score for each row (n, 1) is a two-class problem cut at the threshold.
    """
    true, pred = as_array(y_true, name="y_true"), as_array(y_pred, name="y_pred")
    if pred.ndim < 2 or pred.shape[-1] == 1:
        true, pred = match(true, pred, name)
        classes, true, pred = 2, true.reshape(-1), pred.reshape(-1) > threshold
    else:
        classes = pred.shape[-1]
        one_hot = true.shape == pred.shape
        true, pred = match(true, pred, name) if one_hot else drop_class_axis(true, pred, name)
        true = jnp.argmax(true, -1) if one_hot else true
        pred = jnp.argmax(pred, -1)
    kind = widened(settings.floatx)
    weight = jnp.ones(pred.shape, kind) if sample_weight is None else as_array(sample_weight, kind, "sample_weight")
    if weight.ndim == pred.ndim + 1 and weight.shape[-1] == 1:
        weight = weight[..., 0]
    weight = jnp.broadcast_to(expand_to(weight, pred), pred.shape).reshape(-1, 1)
    real = true.reshape(-1, 1).astype("int32") == jnp.arange(classes)
    called = pred.reshape(-1, 1).astype("int32") == jnp.arange(classes)
    cells = (real & called, ~real & called, ~real & ~called, real & ~called)
    return Counts(*(jnp.sum(jnp.where(cell, weight, 0), 0) for cell in cells))


class Precision(_Ratio):
    """Share of real positives among what was called positive.

    With labels and outputs of several columns every column counts as a yes/no question cut at the
    threshold, and all are counted together. For the usual multi-class numbers, of the most probable class,
    give `average`.

    Args:
        thresholds: scores above count as positive; 0.5 by default. Several give several results.
        top_k: only the k largest scores of a row can be positive.
        class_id: count this column only.
        name, dtype: as in `Metric`.
        average: None, or (not in Keras) "micro", "macro", "weighted": compare the most probable class with
            labels that are class numbers or one-hot, as scikit-learn does. "macro" is the mean over the
            classes that occur, "weighted" weighs them by how often they are the label.

    >>> import kyeo
    >>> round(float(kyeo.metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
    0.6667
    >>> float(kyeo.metrics.Precision(average="macro")([0, 1], [[0.9, 0.1], [0.6, 0.4]]))
    0.25
    """

    _missed = "false_positives"


class Recall(_Ratio):
    """Share of the real positives that were called positive.

    Args:
        thresholds, top_k, class_id, average: as in `Precision`.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> round(float(kyeo.metrics.Recall()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
    0.6667
    """

    _missed = "false_negatives"
