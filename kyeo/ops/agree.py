"""Sizes that one tensor leaves open and another knows, where axes are named alike."""

from collections.abc import Hashable, Iterable
from typing import Any

import jax.numpy as jnp
from jax import Array

from kyeo.core.scope import current

__all__ = ["agreed", "equal_sides", "spelled", "with_size"]


def agreed(labels: Iterable[Iterable[Hashable]], *arrays: Array, **sizes: int) -> tuple[Array, ...]:
    """The arrays, while only shapes are wanted with every size that is known of their labels; values stay as they are.

    Args:
        labels: a label for each axis of each array. Equal labels mean equal sizes, unless one of them is 1.
        arrays: some of them with open sizes.
        sizes: what is known of labels from elsewhere.

    >>> agreed(("ij", "jk"), jnp.ones((2, 3)), jnp.ones((3, 4)))[1].shape
    (3, 4)
    """
    if not current().symbolic:
        return arrays
    named = [tuple(one) for one in labels]
    known: dict[Hashable, int] = dict(sizes)
    for names, array in zip(named, arrays):
        for name, size in zip(names, array.shape):
            if _is_known(size) and size > 1:
                known.setdefault(name, size)
    return tuple(_sized(array, {axis: known[name] for axis, name in enumerate(names[:array.ndim]) if name in known})
                 for names, array in zip(named, arrays))


def _sized(array: Array, sizes: dict[int, Any]) -> Array:
    for axis, size in sizes.items():
        array = array if _is_known(array.shape[axis]) else with_size(array, axis, size)
    return array


def _is_known(size: Any) -> bool:
    instead = current().symbolic  # of an open size
    return isinstance(size, int) and (isinstance(instead, bool) or size != instead)


def with_size(array: Array, axis: int, size: Any) -> Array:
    """An array of another size along an axis, for where only shapes are wanted.

    >>> with_size(jnp.ones((2, 3)), 1, 5).shape
    (2, 5)
    """
    shape: list[Any] = [*array.shape]
    shape[axis] = size
    return jnp.zeros(shape, array.dtype)


def spelled(subscripts: str, *arrays: Array) -> list[list[Hashable]]:
    """The labels that Einstein's notation gives to the axes; those under an ellipsis are counted from the last.

    >>> spelled("...i,ij", jnp.ones((5, 2)), jnp.ones((2, 3)))
    [[-1, 'i'], ['i', 'j']]
    """
    found: list[list[Hashable]] = []
    for term, array in zip(subscripts.split("->")[0].replace(" ", "").split(","), arrays):
        before, dots, after = term.partition("...")
        hidden = range(len(before) + len(after) - array.ndim, 0) if dots else ()
        found.append([*before, *hidden, *after])
    return found


def equal_sides(x: Array) -> Array:
    """Square matrices on the last two axes, of which one size may be open.

    >>> equal_sides(jnp.ones((2, 3, 3))).shape
    (2, 3, 3)
    """
    sides = [size for size in x.shape[-2:] if _is_known(size)]
    return x if x.ndim < 2 or len(sides) != 1 else _sized(x, {x.ndim - 2: sides[0], x.ndim - 1: sides[0]})
