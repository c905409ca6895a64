"""CTC: the loss for sequences of labels without a time for each label."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.errors import problem
from kyeo.ops.losses.pair import as_array, per_sample, takes_classes

__all__ = ["ctc"]

_NEVER = -1e5  # log-probability of what cannot be; finite, so that gradients stay numbers


@takes_classes
@per_sample
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
    log_probs = jax.nn.log_softmax(logits.astype(jnp.promote_types(logits.dtype, "float32")))
    rows, longest = labels.shape
    # states: blank, first label, blank, second label, ..., blank
    states = jnp.zeros((rows, 2 * longest + 1), "int32").at[:, 1::2].set(labels)
    # a label may follow another one directly, unless both are the same
    skip = jnp.pad((states[:, 2:] != states[:, :-2]) & (states[:, 2:] != 0), ((0, 0), (2, 0)))
    scores = jnp.take_along_axis(log_probs, states[:, None, :], axis=2)

    def step(reached: jax.Array, score: jax.Array) -> tuple[jax.Array, None]:
        one_back = jnp.pad(reached, ((0, 0), (1, 0)), constant_values=_NEVER)[:, :-1]
        two_back = jnp.pad(reached, ((0, 0), (2, 0)), constant_values=_NEVER)[:, :-2]
        two_back = jnp.where(skip, two_back, _NEVER)
        return jnp.logaddexp(jnp.logaddexp(reached, one_back), two_back) + score, None

    start = jnp.full(states.shape, _NEVER, log_probs.dtype).at[:, :2].set(scores[:, 0, :2])
    reached, _ = jax.lax.scan(step, start, jnp.swapaxes(scores[:, 1:], 0, 1))
    last = 2 * jnp.sum(labels != 0, axis=1, keepdims=True)
    end = jnp.take_along_axis(reached, jnp.concatenate([last, jnp.maximum(last - 1, 0)], 1), axis=1)
    return -jnp.where(last[:, 0] == 0, end[:, 0], jnp.logaddexp(end[:, 0], end[:, 1]))
