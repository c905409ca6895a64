"""CTC: the loss for sequences of labels without a time for each label."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.errors import problem
from kyeo.ops.ctc import ctc_loss
from kyeo.ops.losses.pair import as_array, filed, takes_classes

__all__ = ["ctc"]


@takes_classes
@filed
def ctc(y_true: Any, y_pred: Any) -> jax.Array:
    """Minus the log-probability of a label sequence, summed over all ways to place it in time.

    Args:
        y_true: class numbers, (n, longest label); 0 is the blank, and fills up shorter sequences at the end.
        y_pred: logits, (n, time, classes).

    Graves et al., "Connectionist Temporal Classification", 2006.

    >>> import kyeo
    >>> loss = kyeo.losses.ctc([[1, 2]], [[[0.0, 9.0, 0.0], [0.0, 0.0, 9.0]]])
    >>> [round(float(v), 4) for v in loss]
    [0.0005]
    """
    labels, logits = as_array(y_true, "int32", "y_true"), as_array(y_pred, name="y_pred")
    if labels.ndim != 2 or logits.ndim != 3 or labels.shape[0] != logits.shape[0]:
        raise problem("CTC compares label sequences with scores over time.", where="ctc",
                      received=f"y_true of shape {labels.shape}, y_pred of shape {logits.shape}",
                      expected="y_true of shape (n, longest label), y_pred of shape (n, time, classes)")
    lengths = jnp.sum(labels != 0, axis=1), jnp.full(labels.shape[0], logits.shape[1])
    return ctc_loss(labels, logits, *lengths)
