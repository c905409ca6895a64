"""What an object holds: the variables, layers, seed generators and metrics among its attributes."""

from collections.abc import Iterator
from typing import Any

__all__ = ["CONTAINERS", "MetricOwner", "Structure", "VariableOwner", "in_order", "owned"]

CONTAINERS = (list, tuple, dict, set, frozenset)
_PLAIN = frozenset({type(None), bool, int, float, str})
_NOT_OWNED = frozenset({"_given"})  # arguments may hold layers that the object did not keep


class Structure:
    """`version` grows whenever some layer may have got other variables; lists of them are cached by it."""

    version = 0


class VariableOwner:
    """Base of the things that own variables and are found by walking attributes (layers, seed generators)."""


class MetricOwner:
    """Base of metrics: they own variables that are no part of the layer that holds the metric."""


def owned(owner: Any, kind: type | tuple[type, ...]) -> Iterator[Any]:
    """The objects of a kind held by the attributes of `owner`, in the order they were set, each once.

    Lists, tuples, dicts and sets are looked into, sets in the order of names; other objects are not.
    """
    seen: set[int] = set()
    hidden = getattr(owner, "_not_owned", _NOT_OWNED)
    attributes = [value for name, value in list(vars(owner).items()) if name not in hidden]  # a thread may add one
    queue: list[Any] = attributes[::-1]
    while queue:
        value = queue.pop()
        if type(value) in _PLAIN:
            continue
        wanted = isinstance(value, kind)
        if id(value) in seen or not (wanted or isinstance(value, CONTAINERS)):
            continue
        seen.add(id(value))  # a container too: it may hold itself
        if wanted:
            yield value
        else:
            queue.extend(reversed(in_order(value)))


def in_order(container: Any) -> list[Any]:
    """What a list, tuple, dict or set holds; of a set its objects, in an order that is the same in every process.

    >>> in_order({"a": 1}), in_order((1, 2))
    ([1], [1, 2])
    """
    if isinstance(container, (set, frozenset)):
        objects = (one for one in container if type(one) not in _PLAIN)
        return sorted(objects, key=lambda one: str(getattr(one, "name", "")))
    return list(container.values() if isinstance(container, dict) else container)
