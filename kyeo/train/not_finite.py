"""After a training whose loss is no number any more: say so once, and what can be seen of the reason."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.errors import where_is
from kyeo.core.plain import warn
from kyeo.data.source import Source

__all__ = ["warn_of_not_finite"]


def warn_of_not_finite(model: Any, source: Source, logs: dict[str, Any]) -> None:
    """Warn if a training ended with a loss that is NaN or infinite.

    Only then are the data looked through; a training that went well pays nothing.
    """
    loss = logs.get("loss", 0.0)
    if not isinstance(loss, (int, float)) or math.isfinite(loss):
        return
    parts = list(source.whole())
    found = next(filter(None, (_strange(name, part) for name, part in parts)), None)
    rate = getattr(model.optimizer, "learning_rate", None)
    rate = f" (it is {float(np.asarray(rate)):.3g})" if rate is not None else ""
    found = found or _ids_without_vectors(model, parts) or _layer_at_fault(model, dict(parts).get("x"))
    reason = found or (("The data are finite, so it" if parts else "If the data are finite, it")
                       + f" came up in training: by a learning rate that is too high{rate}, or by a logarithm, root or "
                       "division of 0 in a loss or layer of your own. Try a smaller rate or clipnorm=1.0; "
                       "callbacks.TerminateOnNaN() stops at the step where it begins.")
    warn(f"The loss of {where_is(model)} is {loss}: its weights are of no use now. {reason}")


def _ids_without_vectors(model: Any, parts: list[tuple[str, Any]]) -> str | None:
    """Whether an Embedding may have been asked for vectors that it does not have: those are NaN."""
    sizes = {layer.input_dim: layer for layer in model._flatten_layers() if type(layer).__name__ == "Embedding"}
    arrays = jax.tree.leaves(dict(parts).get("x"))
    if len(arrays) > 1:  # which of them are ids is not known: those of integers, for the largest table
        arrays = [a for a in arrays if np.issubdtype(np.asarray(a[:1]).dtype, np.integer)]
    if not sizes or not arrays:
        return None
    size = max(sizes) if len(arrays) > 1 else min(sizes)
    low, high = min(np.min(a) for a in arrays), max(np.max(a) for a in arrays)
    if low >= 0 and high < size:
        return None
    return (f"`x` holds numbers from {low:g} to {high:g}, and {where_is(sizes[size])} has vectors for the ids 0 "
            f"to {size - 1}: ids beyond that give NaN. Raise input_dim, or map the ids into that range.")


def _strange(name: str, part: Any) -> str | None:
    """What is wrong with the numbers of one part of the data, or None."""
    paths, _ = jax.tree_util.tree_flatten_with_path(part)
    for path, array in paths:
        if not np.issubdtype(np.asarray(array[:1]).dtype, np.floating):
            continue
        rows = [at for at in range(0, len(array), 1024) if not np.isfinite(np.sum(array[at:at + 1024]))]
        bad = ~np.isfinite(np.asarray(array[rows[0]:rows[0] + 1024])) if rows else None
        if bad is not None and bad.any():
            first = rows[0] + int(np.flatnonzero(bad.reshape(len(bad), -1).any(1))[0])
            return (f"`{name}{jax.tree_util.keystr(path)}` holds values that are NaN or infinite, the first in row "
                    f"{first}: leave such rows out or "
                    "fill them in (np.nan_to_num) before `fit`.")
    return None


def _layer_at_fault(model: Any, x: Any) -> str | None:
    """The layer whose output is not finite for finite inputs, in a model like this one with fresh weights; None where
    there is none (the weights grew too large), or where no such model can be made."""
    guilty: list[Any] = []

    def watch(layer: Any) -> None:
        call = layer.call

        @functools.wraps(call)
        def watched(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            if not guilty and _finite((args, kwargs)) and not _finite(outputs):
                guilty.append(layer)
            return outputs

        layer.call = watched

    if x is None:
        return None
    try:
        fresh = type(model).from_config(model.get_config())
        for layer in fresh._flatten_layers(include_self=False):
            watch(layer)
        fresh.call(jax.tree.map(lambda a: jnp.asarray(np.asarray(a[:1024])), x))
    except Exception:  # a model that cannot be made from its config, or asks for more than `x`
        return None
    return None if not guilty else (
        f"{where_is(guilty[0])} gives NaN or infinite values for finite inputs, also with fresh weights: a logarithm, "
        "a root or a division of 0 in it?")


def _finite(values: Any) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(values)
               if isinstance(leaf, (jax.Array, np.ndarray)) and jnp.issubdtype(leaf.dtype, jnp.floating))
