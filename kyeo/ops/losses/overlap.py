"""Losses that compare whole sets: Dice and Tversky (overlap of regions), and circle (pairs of a batch)."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.errors import problem
from kyeo.core.masks import set_mask
from kyeo.core.settings import settings
from kyeo.ops.kernels.extreme import maximum
from kyeo.ops.losses.pair import as_array, match, per_sample, takes_classes

__all__ = ["circle", "dice", "tversky"]


@per_sample
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> jax.Array:
    """1 minus twice the overlap over the sum of both areas.

    Args:
        y_true: labels from 0 to 1, such as a mask of pixels.
        y_pred: predictions of the same shape.
        axis: axes an overlap is taken over; None takes everything, the batch too, as one region.

    Milletari et al., "V-Net", 2016.

    >>> import kyeo
    >>> round(float(kyeo.losses.dice([[1.0, 0.0]], [[0.5, 0.5]])), 3)
    0.5
    """
    true, pred = match(y_true, y_pred, "dice")
    overlap = jnp.sum(true * pred, axis=axis)
    return 1 - 2.0 * overlap / (jnp.sum(true, axis=axis) + jnp.sum(pred, axis=axis) + settings.epsilon)


@per_sample
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> jax.Array:
    """1 minus the overlap over itself plus `alpha` times the missed and `beta` times the excess.

    Args:
        y_true: labels from 0 to 1, such as a mask of pixels.
        y_pred: predictions of the same shape.
        alpha: weight of what is labelled but not predicted.
        beta: weight of what is predicted but not labelled.
        axis: axes an overlap is taken over; None takes everything, the batch too, as one region.

    Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional deep networks",
    2017.

    >>> import kyeo
    >>> round(float(kyeo.losses.tversky([[1.0, 0.0]], [[0.5, 0.5]])), 3)
    0.5
    """
    true, pred = match(y_true, y_pred, "tversky")
    overlap = jnp.sum(true * pred, axis=axis)
    missed = jnp.sum((1 - pred) * true, axis=axis)
    excess = jnp.sum(pred * (1 - true), axis=axis)
    return 1 - overlap / (overlap + missed * alpha + excess * beta + settings.epsilon)


@takes_classes
@per_sample
def circle(
    y_true: Any, y_pred: Any, ref_labels: Any = None, ref_embeddings: Any = None,
    remove_diagonal: bool = True, gamma: float = 80, margin: float = 0.4,
) -> jax.Array:
    """Pulls embeddings of one class together and pushes those of others away, hardest pairs first.

    Args:
        y_true: class numbers, (n,) or (n, 1).
        y_pred: embeddings of length 1, (n, size).
        ref_labels: class numbers of the embeddings to compare with; those of the batch by default.
        ref_embeddings: embeddings to compare with; the batch itself by default.
        remove_diagonal: leave out the pair of each embedding with itself.
        gamma: how steep.
        margin: how far apart classes should be.

    Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", 2020.

    >>> import kyeo
    >>> loss = kyeo.losses.circle([0, 0, 1], [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> [round(float(v), 2) for v in loss]
    [0.0, 6.4, 0.0]
    """
    return circle_of(y_true, y_pred, ref_labels, ref_embeddings, remove_diagonal, gamma, margin)


def circle_of(
    y_true: Any, y_pred: Any, ref_labels: Any, ref_embeddings: Any, remove_diagonal: bool, gamma: float,
    margin: float, present: Any = None,
) -> jax.Array:
    """`circle`, with the pairs left out whose second row is not present."""
    embeddings = as_array(y_pred, name="y_pred")
    labels = as_array(y_true, "int32", "y_true").reshape(-1)
    others = embeddings if ref_embeddings is None else as_array(ref_embeddings, embeddings.dtype, "ref_embeddings")
    other_labels = labels if ref_labels is None else as_array(ref_labels, "int32", "ref_labels").reshape(-1)
    if embeddings.ndim != 2 or (*labels.shape, *other_labels.shape) != (embeddings.shape[0], others.shape[0]):
        raise problem("`circle` compares embeddings by their class numbers.", where="circle",
                      received=f"{labels.shape[0]} labels, y_pred of shape {embeddings.shape}",
                      expected="class numbers of shape (n,) and embeddings of shape (n, size)")
    distance = maximum(1 - embeddings @ others.T, 0.0)
    same = labels[:, None] == other_labels[None]
    allowed = jnp.ones_like(same) if present is None else jnp.broadcast_to(present, same.shape)
    apart = ~jnp.eye(same.shape[0], same.shape[1], dtype=bool) if remove_diagonal else jnp.ones_like(same)

    def pooled(pairs: jax.Array, optimum: float, threshold: float, sign: int) -> jax.Array:
        weight = maximum(sign * (optimum - distance) * pairs, 0.0)
        terms = sign * gamma * weight * (threshold - distance)
        return jax.nn.logsumexp(jnp.where(pairs, terms, -jnp.inf), axis=1)

    # a positive pair may be as far as `margin`, a negative one should be farther than 1 - margin
    values = jax.nn.softplus(pooled(same & apart & allowed, -margin, margin, -1)
                             + pooled(~same & allowed, 1 + margin, 1 - margin, 1))
    set_mask(values, values > 0)
    return values
