"""Metrics over all thresholds at once: AUC, and the best of one rate where another is good enough."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.dtypes import widened
from kyeo.core.errors import boolean, fraction, one_of, positive_int, problem
from kyeo.core.settings import settings
from kyeo.metrics.confusion import Counts, confusion_counts
from kyeo.metrics.metric import Metric
from kyeo.metrics.reduction import divide
from kyeo.ops.losses.pair import as_array

__all__ = [
    "AUC", "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity",
]

_JOIN: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "interpolation": lambda a, b: (a + b) / 2, "minoring": jnp.minimum, "majoring": jnp.maximum,
}


class _AllCounts(Metric):
    """Base of metrics that keep all four counts at many thresholds."""

    def _add_counts(self, shape: tuple[int, ...]) -> None:
        for name in Counts._fields:
            setattr(self, name, self.add_variable(shape, "zeros", name=name))

    def _take_in(self, *args: Any, **kwargs: Any) -> None:
        for name, count in confusion_counts(*args, name=type(self).__name__, **kwargs)._asdict().items():
            getattr(self, name).assign_add(count)

    def _counts(self) -> Counts:
        return Counts(*(getattr(self, name).value for name in Counts._fields))


class _BestWhere(_AllCounts):
    """Base of "A at B": the largest A at any threshold where B is at least the value asked for."""

    _direction = "up"
    _best = _good_enough = ""

    def __init__(self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any):
        super().__init__(name=name, dtype=dtype)
        self.value = value
        self.num_thresholds = positive_int(self, num_thresholds=num_thresholds)
        self.class_id = class_id
        last = self.num_thresholds - 1
        self.thresholds = [i / last for i in range(last + 1)] if last else [0.5]
        self._add_counts((len(self.thresholds),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of 0/1 labels and scores of the same shape."""
        self._take_in(y_true, y_pred, self.thresholds, sample_weight, class_id=self.class_id)

    def result(self) -> jax.Array:
        """The best value so far, 0 where no threshold is good enough."""
        counts = self._counts()
        feasible = _RATES[self._good_enough](counts) >= self.value
        return jnp.max(jnp.where(feasible, _RATES[self._best](counts), 0), initial=0)


def _recall(c: Counts) -> jax.Array:
    return divide(c.true_positives, c.true_positives + c.false_negatives)


def _precision(c: Counts) -> jax.Array:
    return divide(c.true_positives, c.true_positives + c.false_positives)


def _specificity(c: Counts) -> jax.Array:
    return divide(c.true_negatives, c.true_negatives + c.false_positives)


_RATES = {"recall": _recall, "precision": _precision, "specificity": _specificity}


class SensitivityAtSpecificity(_BestWhere):
    """The best sensitivity (recall) at thresholds where the specificity is high enough.

    Args:
        specificity: the least share of negatives called negative, 0 to 1.
        num_thresholds: how many thresholds are tried.
        class_id: count this column only.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> metric = kyeo.metrics.SensitivityAtSpecificity(0.5)
    >>> float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    _best, _good_enough = "recall", "specificity"

    def __init__(self, specificity: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: Any = None):
        self.specificity = fraction(self, specificity=specificity)
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_BestWhere):
    """The best specificity at thresholds where the sensitivity (recall) is high enough.

    Args:
        sensitivity: the least share of positives found, 0 to 1.
        num_thresholds: how many thresholds are tried.
        class_id: count this column only.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> metric = kyeo.metrics.SpecificityAtSensitivity(0.5)
    >>> round(float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.6667
    """

    _best, _good_enough = "specificity", "recall"

    def __init__(self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: Any = None):
        self.sensitivity = fraction(self, sensitivity=sensitivity)
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_BestWhere):
    """The best precision at thresholds where the recall is high enough.

    Args:
        recall: the least share of positives found, 0 to 1.
        num_thresholds: how many thresholds are tried.
        class_id: count this column only.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> metric = kyeo.metrics.PrecisionAtRecall(0.5)
    >>> float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    _best, _good_enough = "precision", "recall"

    def __init__(self, recall: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: Any = None):
        self.recall = fraction(self, recall=recall)
        super().__init__(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_BestWhere):
    """The best recall at thresholds where the precision is high enough.

    Args:
        precision: the least share of real positives among the called ones, 0 to 1.
        num_thresholds: how many thresholds are tried.
        class_id: count this column only.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> metric = kyeo.metrics.RecallAtPrecision(0.8)
    >>> float(metric([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.5
    """

    _best, _good_enough = "recall", "precision"

    def __init__(self, precision: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: Any = None):
        self.precision = fraction(self, precision=precision)
        super().__init__(precision, num_thresholds, class_id, name, dtype)


class AUC(_AllCounts):
    """Area under the ROC, precision-recall or precision-recall-gain curve, from counts at fixed thresholds.

    Args:
        num_thresholds: how many thresholds the curve is made of.
        curve: "ROC", "PR" or "PRGAIN".
        summation_method: "interpolation" (the mean of both ends of a step), "minoring" or "majoring" (the
            smaller or the larger one).
        name, dtype: as in `Metric`.
        thresholds: thresholds between 0 and 1 to use instead of evenly spaced ones.
        multi_label: make a curve for each column and average the areas.
        num_labels: how many columns there are; found at the first batch otherwise.
        label_weights: a weight for each column.
        from_logits: whether predictions are logits; they then go through a sigmoid.

    >>> import kyeo
    >>> float(kyeo.metrics.AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.75
    """

    _direction = "up"
    _argument_names = {"thresholds": "init_thresholds"}
    _kept_from_config = ("thresholds",)

    def __init__(
        self, num_thresholds: int | None = 200, curve: str = "ROC", summation_method: str = "interpolation",
        name: str | None = None, dtype: Any = None, thresholds: Any = None, multi_label: bool = False,
        num_labels: int | None = None, label_weights: Any = None, from_logits: bool = False,
    ):
        super().__init__(name=name, dtype=dtype)
        self.curve = one_of(self, ("roc", "pr", "prgain"), curve=curve).upper()
        self.summation_method = one_of(self, _JOIN, summation_method=summation_method)
        self.init_thresholds: list[float] | None = None
        if thresholds is None:
            self.num_thresholds = positive_int(self, minimum=2, num_thresholds=num_thresholds)
            last = self.num_thresholds - 1
            inner = [i / last for i in range(1, last)]
        else:
            inner = self.init_thresholds = sorted(float(t) for t in thresholds)
            self.num_thresholds = len(inner) + 2
        self.thresholds = [-settings.epsilon, *inner, 1.0 + settings.epsilon]
        self.multi_label = boolean(self, multi_label=multi_label)
        self.num_labels, self.label_weights, self.from_logits = num_labels, label_weights, from_logits
        if num_labels and not multi_label:
            raise problem("`num_labels` is for `multi_label=True` only.", received=f"num_labels={num_labels}",
                          where=self)
        if num_labels or not multi_label:
            self._add_counts((self.num_thresholds, num_labels) if num_labels else (self.num_thresholds,))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of 0/1 labels and scores of the same shape."""
        y_pred = as_array(y_pred, widened(self.dtype), "y_pred")
        if self.multi_label and y_pred.ndim != 2:
            raise problem("With `multi_label=True` predictions have a row for each sample.", received=y_pred,
                          expected="shape (n, labels)", where=self)
        if not self.variables:
            self._add_counts((self.num_thresholds, y_pred.shape[1]))
        if self.from_logits:
            y_pred = jax.nn.sigmoid(y_pred)
        self._take_in(y_true, y_pred, self.thresholds, sample_weight, by_label=self.multi_label,
                      label_weights=None if self.multi_label else self.label_weights)

    def result(self) -> jax.Array:
        """The area so far."""
        if not self.variables:
            return jnp.zeros((), self.dtype)
        counts = self._counts()
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = self.interpolate_pr_auc()
        else:
            x, y = _CURVES[self.curve](counts)
            areas = jnp.sum((x[:-1] - x[1:]) * _JOIN[self.summation_method](y[:-1], y[1:]), axis=0)
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return jnp.mean(areas)
        weights = jnp.asarray(np.asarray(self.label_weights, self.dtype))
        return divide(jnp.sum(areas * weights), jnp.sum(weights))

    def interpolate_pr_auc(self) -> jax.Array:
        """The area under the precision-recall curve, with the true positives between thresholds interpolated.

        >>> import kyeo
        >>> metric = kyeo.metrics.AUC(num_thresholds=3)
        >>> metric.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        >>> round(float(metric.interpolate_pr_auc()), 3)
        0.821
        """
        return _pr_area(self._counts())


def _roc(c: Counts) -> tuple[jax.Array, jax.Array]:
    return divide(c.false_positives, c.false_positives + c.true_negatives), _recall(c)


def _pr(c: Counts) -> tuple[jax.Array, jax.Array]:
    return _recall(c), _precision(c)


def _pr_gain(c: Counts) -> tuple[jax.Array, jax.Array]:
    """Flach and Kull, "Precision-Recall-Gain Curves", 2015."""
    odds = divide(c.true_positives + c.false_negatives, c.true_negatives + c.false_positives)
    recall_gain = 1.0 - odds * divide(c.false_negatives, c.true_positives)
    precision_gain = 1.0 - odds * divide(c.false_positives, c.true_positives)
    none = c.true_positives == 0
    return jnp.maximum(jnp.where(none, 0.0, recall_gain), 0.0), jnp.where(none, 1.0, precision_gain)


_CURVES = {"ROC": _roc, "PR": _pr, "PRGAIN": _pr_gain}


def _pr_area(c: Counts) -> jax.Array:
    """The area between two thresholds if true positives grow evenly with all positives between them.

    Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves", 2006.
    """
    hits, called = c.true_positives, c.true_positives + c.false_positives
    gained = hits[:-1] - hits[1:]
    slope = divide(gained, jnp.maximum(called[:-1] - called[1:], 0))
    intercept = hits[1:] - slope * called[1:]
    both = (called[:-1] > 0) & (called[1:] > 0)
    ratio = jnp.where(both, divide(called[:-1], jnp.maximum(called[1:], 0)), 1.0)
    real = jnp.maximum(hits[1:] + c.false_negatives[1:], 0)
    return jnp.sum(divide(slope * (gained + intercept * jnp.log(ratio)), real), axis=0)
