"""The same loss on logits: for a model whose last layer is a softmax or sigmoid before a cross-entropy.

log(softmax(x)) computed at once is faster and never overflows. Values are those of the loss on probabilities,
its clipping to [epsilon, 1 - epsilon] included, to the rounding of the number type. The difference: near a
probability of 1 the loss on probabilities knows only steps of 6e-8 (float32), the one on logits knows more.
Gradients are 0 where the probability is beyond the clipping, in both.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.settings import settings
from kyeo.losses.loss import Loss, LossFunctionWrapper
from kyeo.ops import losses as functions
from kyeo.ops.losses.crossentropy import pick_class, smooth_binary, smooth_classes
from kyeo.ops.losses.pair import match, rounded_once, takes_classes

__all__ = ["from_logits_version"]


def _clip(log_probs: jax.Array, low: float | None = None) -> jax.Array:
    """Log-probabilities clipped as the logarithm of clipped probabilities is, in the same number type."""
    kind = np.dtype(log_probs.dtype).type
    high = kind(1.0 - settings.epsilon)
    return jnp.clip(log_probs, jnp.log(kind(settings.epsilon) if low is None else kind(1.0) - high), jnp.log(high))


@rounded_once
def _binary(y_true: Any, logits: Any, label_smoothing: float, axis: int) -> jax.Array:
    true, logits = match(y_true, logits, "binary_crossentropy")
    true = smooth_binary(true, label_smoothing)
    positive = _clip(jax.nn.log_sigmoid(logits))
    # 1 - p is rounded after p was clipped, so its lower end is not epsilon but 1 - (1 - epsilon)
    negative = _clip(jax.nn.log_sigmoid(-logits), low=0.0)
    return jnp.mean(-(true * positive + (1.0 - true) * negative), axis=axis)


@rounded_once
def _categorical(y_true: Any, logits: Any, label_smoothing: float, axis: int) -> jax.Array:
    true, logits = match(y_true, logits, "categorical_crossentropy")
    log_probs = _clip(jax.nn.log_softmax(logits, axis=axis))
    return -jnp.sum(smooth_classes(true, label_smoothing, axis) * log_probs, axis=axis)


@takes_classes
@rounded_once
def _sparse(y_true: Any, logits: Any, ignore_class: int | None, axis: int) -> jax.Array:
    return pick_class(y_true, logits, lambda x: _clip(jax.nn.log_softmax(x, axis=axis)), ignore_class, axis)


# The loss on probabilities, the last layer it follows, and the function on logits. The focal losses turn logits
# into probabilities themselves.
_ROWS: list[tuple[Callable[..., Any], str, Callable[..., Any]]] = [
    (functions.binary_crossentropy, "sigmoid", _binary),
    (functions.categorical_crossentropy, "softmax", _categorical),
    (functions.sparse_categorical_crossentropy, "softmax", _sparse),
    (functions.binary_focal_crossentropy, "sigmoid",
     functools.partial(functions.binary_focal_crossentropy, from_logits=True)),
    (functions.categorical_focal_crossentropy, "softmax",
     functools.partial(functions.categorical_focal_crossentropy, from_logits=True)),
]


def from_logits_version(loss: Loss, activation: str | None) -> Loss | None:
    """The loss to apply to the last layer's logits in place of `loss` on its output; None where there is none.

    Args:
        loss: a loss on probabilities.
        activation: that of the last layer: "softmax" (over the last axis) or "sigmoid". The mask of the output,
            if it has one, must be set on the logits.

    >>> import kyeo
    >>> from kyeo.losses.fused import from_logits_version
    >>> fused = from_logits_version(kyeo.losses.SparseCategoricalCrossentropy(), "softmax")
    >>> round(float(fused([1], [[0.0, 0.0]])), 4)
    0.6931
    """
    if not isinstance(loss, LossFunctionWrapper) or type(loss).call is not LossFunctionWrapper.call:
        return None
    row = next((row for row in _ROWS if row[0] is loss.fn and row[1] == activation), None)
    if row is None:
        return None
    options = {name: p.default for name, p in inspect.signature(row[0]).parameters.items()}
    options |= {name: getattr(loss, name) for name in loss.options}
    for name in ("y_true", "y_pred"):
        del options[name]
    if options.pop("from_logits") or (activation == "softmax" and options["axis"] != -1):
        return None
    return LossFunctionWrapper(row[2], loss.reduction, loss.name, loss.dtype, **options)
