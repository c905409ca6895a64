"""What an array in a traced function was made of, for those that can do better from there.

A max-pool of a relu is the relu of a max-pool (`rectify.py`); the logarithm of a softmax is simpler, and right to more
digits, than a softmax and its logarithm (`ops/losses/crossentropy.py`). What nobody uses then is not computed.
"""

import weakref
from collections.abc import Callable
from typing import Any

import jax

__all__ = ["carry_origin", "note_origin", "origin"]

# By identity, each gone with its array: the array, the name of what made it, and from what.
_made: dict[int, tuple[weakref.ref[Any], Any, jax.Array]] = {}


def note_origin(y: jax.Array, how: Any, x: jax.Array) -> jax.Array:
    """Remember that `y` is the function known as `how` of `x`, while both are traced; gives `y`.

    >>> import jax.numpy as jnp
    >>> def twice(x):
    ...     y = note_origin(jnp.exp(x), "exp", x)
    ...     return origin(y, "exp") is x, origin(y, "sin"), origin(x, "exp")
    >>> seen = []
    >>> shape = jax.eval_shape(lambda x: seen.append(twice(x)), jnp.ones(3))
    >>> seen
    [(True, None, None)]
    """
    if isinstance(x, jax.core.Tracer) and isinstance(y, jax.core.Tracer):
        key = id(y)
        _made[key] = weakref.ref(y, lambda _: _made.pop(key, None)), how, x
    return y


def origin(y: jax.Array, how: Any) -> jax.Array | None:
    """What the function known as `how` made `y` of; None where it did not."""
    entry = _made.get(id(y))
    return entry[2] if entry is not None and entry[0]() is y and entry[1] == how else None


def carry_origin(change: Callable[[jax.Array], jax.Array], y: jax.Array) -> jax.Array:
    """`change(y)`, for a change that may as well be made before `y` is: one that puts other rows in place of some."""
    changed, entry = change(y), _made.get(id(y))
    if changed is not y and entry is not None and entry[0]() is y:
        note_origin(changed, entry[1], change(entry[2]))
    return changed
