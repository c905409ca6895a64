"""What an object holds: the variables, layers, seed generators and metrics among its attributes."""

from collections.abc import Iterator
from typing import Any

__all__ = ["CONTAINERS", "NOT_OWNED", "MetricOwner", "Structure", "VariableOwner", "in_order", "owned"]

CONTAINERS = (list, tuple, dict, set, frozenset)
_PLAIN = frozenset({type(None), bool, int, float, str})
# Arguments may hold layers that the object did not keep; the others never hold any.
NOT_OWNED = frozenset({"_given", "_build_shapes", "_call_shapes", "_inbound_nodes", "_loss_values"})
# By the kind looked for, what objects of a type are: most attributes are neither wanted nor containers. (Without it the
# weights of a small network took 0.34 ms to find, of ResNet50 10; so 0.08 and 2.)
_sorts: dict[Any, dict[type, int]] = {}
_WANTED, _CONTAINER, _NEITHER, _UNKNOWN = 2, 1, 0, 3
_MOST_TYPES = 1000


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
    hidden = getattr(owner, "_not_owned", NOT_OWNED)
    sorts = _sorts.setdefault(kind, {})
    if len(sorts) > _MOST_TYPES:
        sorts.clear()
    items = list(vars(owner).items())  # a thread may add one
    queue = [value for name, value in items if sorts.get(type(value), _UNKNOWN) and name not in hidden]
    queue.reverse()
    seen: set[int] = set()
    while queue:
        value = queue.pop()
        sort = sorts.get(type(value))
        if sort is None:
            sort = _WANTED if isinstance(value, kind) else _CONTAINER if isinstance(value, CONTAINERS) else _NEITHER
            sorts[type(value)] = sort
        if sort == _NEITHER or id(value) in seen:
            continue
        seen.add(id(value))  # a container too: it may hold itself
        if sort == _WANTED:
            yield value
        elif value:
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
