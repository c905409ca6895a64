"""Small helpers for labels and rows of numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import are_whole
from kyeo.core.errors import positive_int, problem
from kyeo.core.parameters import checked

__all__ = ["normalize", "to_categorical"]


@checked
def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Class numbers as one-hot rows.

    Args:
        x: integers 0..num_classes-1 of any shape, or their digits as text; a last axis of size one is dropped.
        num_classes: how many classes; None: the largest label plus one.

    Returns:
        An array with one axis more, of `num_classes` zeros and a one: JAX's for a JAX array, else NumPy's.

    >>> import kyeo
    >>> kyeo.utils.to_categorical([0, 2]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    labels = x if isinstance(x, jax.Array) else _class_numbers(np.asarray(x))
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        if not labels.size:
            raise problem("Without labels the number of classes is not known.", received=f"x={x}",
                          expected="one label or more", where="to_categorical", fix="to_categorical(x, num_classes)")
        num_classes = int(labels.max()) + 1
    num_classes = positive_int("to_categorical", num_classes=num_classes)
    if isinstance(labels, jax.Array):
        return jax.nn.one_hot(labels.astype("int32") if labels.dtype.itemsize < 4 else labels, num_classes)
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise problem("Labels are out of range.", where="to_categorical", expected=f"0..{num_classes - 1}",
                      received=f"labels run {labels.min()}..{labels.max()} for {num_classes} classes")
    one_hot = np.zeros((labels.size, num_classes))
    one_hot[np.arange(labels.size), labels.ravel()] = 1
    return one_hot.reshape(*labels.shape, num_classes)


def _class_numbers(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind in "US" and np.char.isdecimal(labels.astype(str)).all():
        labels = labels.astype("int64")  # "3" is 3
    if not are_whole(labels):
        raise problem("Labels are not whole numbers.", received=labels, expected="integers from 0", kind=TypeError,
                      where="to_categorical",
                      fix="turn names into numbers first: `names, numbers = np.unique(labels, return_inverse=True)`")
    return labels.astype("int64")


@checked
def normalize(x: Any, axis: int = -1, order: float = 2) -> Any:
    """Divide by the norm along an axis; what is all zeros stays so.

    Args:
        x: an array.
        axis: the axis that becomes one long.
        order: of the norm, `float("inf")` too.

    >>> import kyeo, numpy as np
    >>> kyeo.utils.normalize(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    module: Any = jnp if isinstance(x, jax.Array) else np
    x = module.asarray(x)
    norm = module.linalg.norm(x, order, axis, keepdims=True)
    return x / module.where(norm == 0, 1, norm)
