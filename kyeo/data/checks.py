"""Checks of labels on the host, before a step: an index out of range would train silently on JAX.

One pass for minimum and maximum; call it once per array, or per batch for iterators.
"""

from typing import Any

import numpy as np

from kyeo.core.arrays import are_whole
from kyeo.core.errors import problem
from kyeo.core.plain import warn

__all__ = ["check_binary_labels", "check_labels", "warn_of_other_labels"]


def check_labels(y: Any, num_classes: int, where: Any = None, ignore_class: int | None = None) -> None:
    """Raise ValueError unless all integer labels lie in 0..num_classes-1 (or are `ignore_class`).

    Args:
        y: integer labels of any shape; floats are taken as integers when whole.
        num_classes: size of the last axis of the predictions.
        where: the output or loss, for the message.
        ignore_class: a label that counts for nothing.

    >>> check_labels(np.array([1, 10, 3]), 10)
    Traceback (most recent call last):
    ...
    ValueError: Labels are out of range.
      Received: labels run 1..10 for 10 classes
      Expected: 0..9
      Fix:      subtract 1?
    """
    labels = np.asarray(y)
    if ignore_class is not None:
        labels = labels[labels != ignore_class]
    if not labels.size:
        return
    low, high = labels.min(), labels.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise problem("Labels are not numbers.", received=f"NaN or infinity among {labels.size} labels",
                      expected=f"integers 0..{num_classes - 1}", where=where)
    if low >= 0 and high < num_classes:
        if not are_whole(labels):
            raise problem("Labels are not whole numbers.", received=f"labels run {low:g}..{high:g}, with fractions",
                          expected=f"integers 0..{num_classes - 1}", where=where,
                          fix="for values to predict take a loss such as \"mse\" and a last layer of 1 unit")
        return
    low, high = (int(v) if v == int(v) else float(v) for v in (low, high))
    raise problem("Labels are out of range.", received=f"labels run {low}..{high} for {num_classes} classes",
                  expected=f"0..{num_classes - 1}", where=where, fix=_class_hint(low, high, num_classes))


def _class_hint(low: float, high: float, num_classes: int) -> str:
    if low >= 1 and high - 1 < num_classes:
        return "subtract 1?"
    if low == -1 and high < num_classes:
        return "is -1 a label to leave out? Pass ignore_class=-1 to the loss"
    if low < 0:
        return "labels must not be negative"
    return f"make the last layer {int(high) + 1} units wide, or map the labels to 0..{num_classes - 1}"


_BINARY_FIXES: dict[tuple[float, float], str] = {
    (1, 2): "use y - 1", (-1, 1): "use (y + 1) / 2", (0, 255): "use y / 255",
}


def check_binary_labels(y: Any, where: Any = None) -> None:
    """Raise ValueError unless all labels lie between 0 and 1 (soft labels are fine).

    >>> check_binary_labels(np.array([-1, 1, 1]))
    Traceback (most recent call last):
    ...
    ValueError: Binary labels must lie between 0 and 1.
      Received: labels run -1..1
      Expected: 0 or 1
      Fix:      use (y + 1) / 2
    """
    labels = np.asarray(y)
    if not labels.size or labels.dtype == bool:
        return
    low, high = float(labels.min()), float(labels.max())
    if low >= 0 and high <= 1:
        return
    if not (np.isfinite(low) and np.isfinite(high)):
        raise problem("Binary labels must lie between 0 and 1.", received="NaN or infinity among the labels",
                      expected="0 or 1", where=where,
                      fix="drop those rows, or give them sample_weight 0 and label 0")
    fix = _BINARY_FIXES.get((low, high), "map two classes to 0 and 1; for more use a categorical loss")
    raise problem("Binary labels must lie between 0 and 1.", received=f"labels run {low:g}..{high:g}",
                  expected="0 or 1", where=where, fix=fix)


def warn_of_other_labels(y: Any) -> None:
    """Warn if labels that a binary accuracy compares with 0 and 1 are something else."""
    labels = np.asarray(y)
    if labels.dtype.kind not in "iuf" or not labels.size or (labels.min() >= 0 and labels.max() <= 1):
        return
    warn(f"The labels run {labels.min():g}..{labels.max():g}, and the accuracy of one output a row asks which of 0 and "
         '1 is right, so it means nothing here. For numbers to predict ask for metrics=["mae"]; map the labels of two '
         "classes to 0 and 1.")
