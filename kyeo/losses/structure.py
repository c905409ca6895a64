"""Losses between structures: overlapping regions (Dice, Tversky), pairs (Circle), sequences (CTC)."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.scope import current
from kyeo.losses.loss import LossFunctionWrapper
from kyeo.ops import losses as functions
from kyeo.ops.losses.overlap import circle_of

__all__ = ["CTC", "Circle", "Dice", "Tversky"]


class _Overlap(LossFunctionWrapper):
    """Base of the losses that sum over regions, of one row or of the whole batch."""

    axis: Any

    def _fill(self, tree: Any, present: jax.Array) -> Any:
        """Padded rows become empty: where regions reach over the batch, zeros add nothing to any sum."""
        def empty(x: jax.Array) -> jax.Array:
            return jnp.where(present.reshape((-1,) + (1,) * (x.ndim - 1)), x, 0)

        return jax.tree.map(lambda x: empty(x) if x.shape[:1] == present.shape else x, tree)

    def _over_batch(self, rank: int) -> bool:
        axes = self.axis if isinstance(self.axis, (list, tuple)) else [self.axis]
        return any(axis is None or axis % rank == 0 for axis in axes)

    def _present_rows(
        self, y_true: Any, y_pred: Any, values: jax.Array, present: jax.Array,
    ) -> jax.Array | None:
        if self._over_batch(y_pred.ndim):
            return present if values.ndim == 0 else None  # a scalar may still meet one weight for each row
        return super()._present_rows(y_true, y_pred, values, present)


class Dice(_Overlap):
    """1 minus twice the overlap of labels and predictions over the sum of both areas.

    Args:
        reduction, name, dtype: as in `Loss`.
        axis: axes an overlap is taken over; None takes everything, the batch too, as one region.

    Milletari et al., "V-Net", 2016.

    >>> import kyeo
    >>> round(float(kyeo.losses.Dice()([[1.0, 0.0]], [[0.5, 0.5]])), 3)
    0.5
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "dice", axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(functions.dice, reduction, name, dtype, axis=axis)


class Tversky(_Overlap):
    """1 minus the overlap over itself plus weighted misses and excesses.

    Args:
        alpha: weight of what is labelled but not predicted.
        beta: weight of what is predicted but not labelled.
        reduction, name, dtype: as in `Loss`.
        axis: axes an overlap is taken over; None takes everything, the batch too, as one region.

    Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional deep networks",
    2017.

    >>> import kyeo
    >>> round(float(kyeo.losses.Tversky()([[1.0, 0.0]], [[0.5, 0.5]])), 3)
    0.5
    """

    def __init__(
        self, alpha: float = 0.5, beta: float = 0.5, reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky", axis: Any = None, dtype: Any = None,
    ):
        super().__init__(functions.tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


class Circle(LossFunctionWrapper):
    """Pulls embeddings of one class together and pushes those of others away, hardest pairs first.

    Labels are class numbers, predictions embeddings of length 1. Rows whose loss is 0 do not count in a mean.

    Args:
        gamma: how steep.
        margin: how far apart classes should be.
        remove_diagonal: leave out the pair of each embedding with itself.
        reduction, name, dtype: as in `Loss`.

    Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", 2020.

    >>> import kyeo
    >>> loss = kyeo.losses.Circle()
    >>> round(float(loss([0, 0, 1], [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])), 2)
    3.2
    """

    def __init__(
        self, gamma: float = 80.0, margin: float = 0.4, remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size", name: str | None = "circle", dtype: Any = None,
    ):
        super().__init__(functions.circle, reduction, name, dtype, gamma=gamma, margin=margin,
                         remove_diagonal=remove_diagonal)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The value of each row; padded rows make no pairs."""
        rows = current().row_mask
        present = None if rows is None else jnp.asarray(rows) > 0
        options = {name: getattr(self, name) for name in self.options}
        return circle_of(y_true, y_pred, None, None, present=present, **options)


class CTC(LossFunctionWrapper):
    """Minus the log-probability of a label sequence, summed over all ways to place it in time.

    Labels are class numbers (n, longest label) filled up with 0, the blank; predictions are logits
    (n, time, classes).

    Args:
        reduction, name, dtype: as in `Loss`.

    Graves et al., "Connectionist Temporal Classification", 2006.

    >>> import kyeo
    >>> round(float(kyeo.losses.CTC()([[1]], [[[0.0, 0.0], [0.0, 0.0]]])), 3)
    0.288
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "ctc",
                 dtype: Any = None):
        super().__init__(functions.ctc, reduction, name, dtype)
