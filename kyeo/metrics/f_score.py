"""F scores: precision and recall in one number."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.dtypes import widened
from kyeo.core.errors import number, one_of, problem
from kyeo.core.settings import settings
from kyeo.metrics.metric import Metric
from kyeo.ops.kernels import largest
from kyeo.ops.losses.pair import as_array, expand_to, match

__all__ = ["F1Score", "FBetaScore"]

_COUNTS = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")


class FBetaScore(Metric):
    """Weighted harmonic mean of precision and recall.

    Args:
        average: None for a score for each class, "micro" for all classes counted together, "macro" for the
            mean of the classes, "weighted" for the mean weighted by how often each is the label.
        beta: recall counts `beta` times as much as precision.
        threshold: scores above it are positive; None takes the largest score of a row.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> metric = kyeo.metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> [round(float(v), 3) for v in metric([[1, 1], [1, 0]], [[0.2, 0.6], [0.9, 0.2]])]
    [0.556, 1.0]
    """

    _direction = "up"

    def __init__(
        self, average: str | None = None, beta: float = 1.0, threshold: float | None = None,
        name: str | None = "fbeta_score", dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.average = one_of(self, (None, "micro", "macro", "weighted"), average=average)
        self.axis = None if average == "micro" else 0  # what is summed over: all, or the samples
        self.beta = number(self, beta=beta, check=lambda b: b > 0, expected="a number above 0")
        self.threshold = number(self, optional=True, threshold=threshold, check=lambda t: 0 < t <= 1,
                                expected="a number above 0, at most 1")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of one-hot (or multi-label) labels and scores of shape (n, classes)."""
        true, pred = match(y_true, as_array(y_pred, widened(self.dtype), "y_pred"), type(self).__name__)
        if pred.ndim != 2:
            raise problem("Labels and predictions must have a row for each sample.", received=pred,
                          expected="shape (n, classes); one-hot labels", where=self)
        if not self.variables:
            shape = () if self.average == "micro" else (pred.shape[-1],)
            for name in _COUNTS:
                setattr(self, name, self.add_variable(shape, "zeros", widened(self.dtype), name=name))
        if self.threshold is None:
            called = (pred >= largest(pred, axis=-1, keepdims=True)) & (jnp.abs(pred) > 1e-9)
        else:
            called = pred > self.threshold
        called = called.astype(pred.dtype)
        weight = jnp.ones((), pred.dtype)
        if sample_weight is not None:
            weight = as_array(sample_weight, pred.dtype, "sample_weight")
        weight = expand_to(weight, pred)
        cells = (called * true, called * (1 - true), (1 - called) * true, true)
        for name, cell in zip(_COUNTS, cells):
            counted = jnp.where(weight == 0, 0, cell * weight)
            getattr(self, name).assign_add(jnp.sum(counted, axis=self.axis))

    def result(self) -> jax.Array:
        """The score so far, one for each class where `average` is None."""
        if not self.variables:
            return jnp.zeros((), self.dtype)
        hits, alarms, missed, real = (getattr(self, name).value for name in _COUNTS)
        precision = hits / (hits + alarms + settings.epsilon)
        recall = hits / (hits + missed + settings.epsilon)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + settings.epsilon)
        if self.average == "weighted":
            score = score * real / (jnp.sum(real) + settings.epsilon)
        joined = {"weighted": jnp.sum, "macro": jnp.mean}.get(str(self.average), jnp.asarray)  # "micro" is one number
        return joined(score).astype(self.dtype)


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall.

    Args:
        average, threshold: as in `FBetaScore`.
        name, dtype: as in `Metric`.

    >>> import kyeo
    >>> metric = kyeo.metrics.F1Score(threshold=0.5)
    >>> [round(float(v), 3) for v in metric([[1, 1], [1, 0]], [[0.2, 0.6], [0.9, 0.2]])]
    [0.667, 1.0]
    """

    def __init__(self, average: str | None = None, threshold: float | None = None,
                 name: str | None = "f1_score", dtype: Any = None):
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)
