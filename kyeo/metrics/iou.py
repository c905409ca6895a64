"""Intersection over union of predicted and true classes, for segmentation."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.dtypes import is_float, widened
from kyeo.core.errors import positive_int, problem
from kyeo.core.settings import settings
from kyeo.metrics.metric import Metric
from kyeo.ops.kernels import as_one
from kyeo.ops.losses.pair import as_array, expand_to, match

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


class IoU(Metric, one_program=("update_state",)):
    """Intersection over union, averaged over the classes asked for that occur.

    Args:
        num_classes: how many classes there are. Labels outside of 0 ... num_classes - 1 are left out.
        target_class_ids: the classes to average over.
        name: as in `Metric`.
        dtype: number type, "int32" by default. Counts are floats, of float32 at least; those of a batch without
            weights are exact.
        ignore_class: a label to leave out.
        sparse_y_true: whether labels are class numbers (else one-hot along `axis`).
        sparse_y_pred: whether predictions are class numbers (else scores along `axis`).
        axis: the class axis of what is not sparse.

    >>> import kyeo
    >>> metric = kyeo.metrics.IoU(num_classes=2, target_class_ids=[0])
    >>> round(float(metric([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    _direction = "up"

    def __init__(
        self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype: Any = None,
        ignore_class: int | None = None, sparse_y_true: bool = True, sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(name=name, dtype=dtype or "int32")
        self.num_classes = positive_int(self, num_classes=num_classes)
        self.target_class_ids = list(target_class_ids)
        if not all(0 <= target < num_classes for target in self.target_class_ids):
            raise problem("`target_class_ids` are not classes.", where=self,
                          received=f"target_class_ids={target_class_ids}",
                          expected=f"numbers from 0 to {num_classes - 1}")
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        # In int32 a class would be less than nothing after 2**31 pixels, and weights below 1 would be 0.
        kind = widened(self.dtype) if is_float(self.dtype) else "float32"
        self.total_cm = self.add_variable((num_classes, num_classes), "zeros", kind, name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of labels and predictions, of whatever shape they share."""
        true, pred = as_array(y_true, name="y_true"), as_array(y_pred, name="y_pred")
        true = true if self.sparse_y_true else jnp.argmax(true, axis=self.axis)
        pred = pred if self.sparse_y_pred else jnp.argmax(pred, axis=self.axis)
        true, pred = match(true.astype("int32"), pred.astype("int32"), type(self).__name__, least_rank=0, exact=True)
        weight = jnp.ones((), "int32")  # one by one floats would count to 2**24
        if sample_weight is not None:
            weight = as_array(sample_weight, self.total_cm.dtype, "sample_weight")
            if weight.ndim == true.ndim + 1 and weight.shape[-1] == 1:
                weight = weight[..., 0]
        found = _matrix(true, pred, expand_to(weight, true), self.num_classes, self.ignore_class)
        self.total_cm.assign_add(found.astype(self.total_cm.dtype))

    def result(self) -> jax.Array:
        """The mean so far."""
        return _mean_share(self.total_cm.value, tuple(self.target_class_ids), settings.epsilon)


@as_one(3, 4)
def _matrix(true: jax.Array, pred: jax.Array, weight: jax.Array, classes: int, ignored: int | None) -> jax.Array:
    """The weight of each pair of a true and a predicted class."""
    counted = (true >= 0) & (true < classes) & (pred >= 0) & (pred < classes)
    if ignored is not None:
        counted &= true != ignored
    cell = jnp.where(counted, true * classes + pred, 0).reshape(-1)
    weight = jnp.where(counted, jnp.broadcast_to(weight, true.shape), 0).reshape(-1)
    return jax.ops.segment_sum(weight, cell, classes**2).reshape(classes, classes)


@as_one(1, 2)
def _mean_share(matrix: jax.Array, targets: tuple[int, ...], epsilon: float) -> jax.Array:
    """The mean over the classes that occur."""
    matrix, wanted = matrix.astype("float32"), jnp.asarray(targets)
    both = jnp.diagonal(matrix)[wanted]
    either = (jnp.sum(matrix, 0) + jnp.sum(matrix, 1) - jnp.diagonal(matrix))[wanted]
    occurs = either > 1e-9
    share = jnp.where(occurs, both / (either + epsilon), 0.0)
    return jnp.sum(share) / (jnp.sum(occurs) + epsilon)


class BinaryIoU(IoU):
    """Intersection over union of two classes, of predictions cut at a threshold.

    Args:
        target_class_ids: the classes to average over: 0, 1 or both.
        threshold: predictions of at least this are class 1.
        name, dtype: as in `IoU`.

    >>> import kyeo
    >>> round(float(kyeo.metrics.BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
    0.3333
    """

    def __init__(self, target_class_ids: Sequence[int] = (0, 1), threshold: float = 0.5,
                 name: str | None = None, dtype: Any = None):
        super().__init__(2, target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch of 0/1 labels and scores."""
        called = as_array(y_pred, "float32", "y_pred") >= self.threshold
        super().update_state(y_true, called, sample_weight)


class MeanIoU(IoU):
    """Intersection over union, averaged over all classes that occur.

    Args:
        num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis: as in `IoU`.

    >>> import kyeo
    >>> round(float(kyeo.metrics.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
        self, num_classes: int, name: str | None = None, dtype: Any = None, ignore_class: int | None = None,
        sparse_y_true: bool = True, sparse_y_pred: bool = True, axis: int = -1,
    ):
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true,
                         sparse_y_pred, axis)


class OneHotIoU(IoU):
    """Intersection over union of one-hot labels and class scores.

    Args:
        num_classes, target_class_ids, name, dtype, ignore_class, sparse_y_pred, axis: as in `IoU`.

    >>> import kyeo
    >>> metric = kyeo.metrics.OneHotIoU(num_classes=2, target_class_ids=[0])
    >>> round(float(metric([[1, 0], [0, 1]], [[0.9, 0.1], [0.6, 0.4]])), 4)
    0.5
    """

    def __init__(
        self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype: Any = None,
        ignore_class: int | None = None, sparse_y_pred: bool = False, axis: int = -1,
    ):
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(MeanIoU):
    """Intersection over union of one-hot labels and class scores, averaged over all classes that occur.

    Args:
        num_classes, name, dtype, ignore_class, sparse_y_pred, axis: as in `IoU`.

    >>> import kyeo
    >>> metric = kyeo.metrics.OneHotMeanIoU(num_classes=2)
    >>> round(float(metric([[1, 0], [0, 1]], [[0.9, 0.1], [0.6, 0.4]])), 4)
    0.25
    """

    def __init__(
        self, num_classes: int, name: str | None = None, dtype: Any = None, ignore_class: int | None = None,
        sparse_y_pred: bool = False, axis: int = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
