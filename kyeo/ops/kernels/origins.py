"""What an array in a traced function was made of, for those that can do better from there.

A max-pool of a relu is the relu of a max-pool (`rectify.py`); the logarithm of a softmax is simpler, and right to more
digits, than a softmax and its logarithm (`ops/losses/crossentropy.py`). What nobody uses then is not computed.
"""

from collections.abc import Callable
from typing import Any

import jax

from kyeo.core.beside import Beside

__all__ = ["carry_origin", "note_origin", "origin"]

_made = Beside()  # the name of what made an array, and from what


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
        _made.put(y, (how, x))
    return y


def origin(y: jax.Array, how: Any) -> jax.Array | None:
    """What the function known as `how` made `y` of; None where it did not."""
    made = _made.get(y)
    return made[1] if made is not None and made[0] == how else None


def carry_origin(change: Callable[[jax.Array], jax.Array], y: jax.Array) -> jax.Array:
    """`change(y)`, for a change that may as well be made before `y` is: one that puts other rows in place of some."""
    changed, made = change(y), _made.get(y)
    if changed is not y and made is not None:
        note_origin(changed, made[0], change(made[1]))
    return changed
