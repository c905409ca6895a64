"""Nested structures of lists, tuples, dicts and what is in them, as `keras.tree` has them. None is a leaf here.

>>> import kyeo
>>> kyeo.tree.flatten({"b": [1, None], "a": (2,)})
[2, 1, None]
"""

import collections
from collections.abc import Callable, Sequence
from typing import Any

from kyeo.core.errors import describe, problem
from kyeo.core.parameters import checked
from kyeo.core.plain import warn

__all__ = [
    "MAP_TO_NONE", "assert_same_paths", "assert_same_structure", "flatten", "flatten_with_path", "is_nested",
    "lists_to_tuples", "map_shape_structure", "map_structure", "map_structure_up_to", "pack_sequence_as", "traverse",
]

_NESTED = (list, tuple, dict, collections.deque)


class MAP_TO_NONE:
    """What a function given to `traverse` returns to put None at a place; None itself means: go on inside."""


def _is_leaf(value: Any) -> bool:
    return not isinstance(value, _NESTED)


def _children(value: Any) -> tuple[list[Any], list[Any]]:
    """Keys and values one level down; keys of plain dicts in order."""
    if not isinstance(value, dict):
        return list(range(len(value))), list(value)
    keys = list(value)
    if not isinstance(value, collections.OrderedDict):
        try:
            keys = sorted(keys)
        except TypeError:  # keys of several kinds
            keys = sorted(keys, key=lambda key: (type(key).__qualname__, str(key)))
    return keys, [value[key] for key in keys]


def _like(value: Any, keys: list[Any], children: list[Any]) -> Any:
    """A container as `value` is, of other children; a dict keeps its order."""
    if isinstance(value, dict):
        new = dict(zip(keys, children))
        ordered = {key: new[key] for key in value}
        if isinstance(value, collections.defaultdict):
            return collections.defaultdict(value.default_factory, ordered)
        return type(value)(ordered)
    if isinstance(value, collections.deque):
        return collections.deque(children, value.maxlen)
    return type(value)(*children) if hasattr(value, "_fields") else type(value)(children)


def _unlike(a: Any, b: Any) -> Exception:
    return problem("The structures differ.", received=f"{describe(a)} and {describe(b)}", where="kyeo.tree",
                   expected="containers of one kind with the same keys or number of elements")


def _in_step(first: Any, other: Any) -> list[Any]:
    """The children of `other`, which must be a container like `first`."""
    same_kind = type(first) is type(other) or (isinstance(first, dict) and isinstance(other, dict))
    if not same_kind or _children(first)[0] != _keys_like(first, other):
        raise _unlike(first, other)
    return [other[key] for key in _children(first)[0]]


def _keys_like(first: Any, other: Any) -> list[Any]:
    keys = _children(first)[0]
    return keys if isinstance(other, dict) and set(keys) == set(other) else _children(other)[0]


@checked
def is_nested(structure: Any) -> bool:
    """Whether it is a container.

    >>> import kyeo
    >>> kyeo.tree.is_nested([1]), kyeo.tree.is_nested(1)
    (True, False)
    """
    return not _is_leaf(structure)


@checked
def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Every leaf with the keys and indices that lead to it.

    >>> import kyeo
    >>> kyeo.tree.flatten_with_path({"a": [1, 2]})
    [(('a', 0), 1), (('a', 1), 2)]
    """
    if _is_leaf(structure):
        return [((), structure)]
    pairs = zip(*_children(structure))
    return [((key, *path), leaf) for key, child in pairs for path, leaf in flatten_with_path(child)]


@checked
def flatten(structure: Any) -> list[Any]:
    """The leaves as a list; dicts in the order of their keys.

    >>> import kyeo
    >>> kyeo.tree.flatten([1, (2, 3)])
    [1, 2, 3]
    """
    return [leaf for _, leaf in flatten_with_path(structure)]


@checked
def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """`func` of the leaves at every place of structures that are alike.

    Args:
        func: takes a leaf of each structure.
        structures: one or more.
        none_is_leaf: False leaves None as it is.

    >>> import kyeo
    >>> kyeo.tree.map_structure(lambda a, b: a + b, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    if not callable(func) or not structures:
        raise problem("`map_structure` needs a function and structures.", received=f"{describe(func)}, {structures}",
                      where="tree.map_structure", expected="a function and at least one structure",
                      kind=ValueError if callable(func) else TypeError)
    first, rest = structures[0], structures[1:]
    if _is_leaf(first):
        for other in rest:
            if not _is_leaf(other) or (not none_is_leaf and (first is None) != (other is None)):
                raise _unlike(first, other)
        return None if first is None and not none_is_leaf else func(*structures)
    columns = [_children(first)[1], *(_in_step(first, other) for other in rest)]
    mapped = [map_structure(func, *row, none_is_leaf=none_is_leaf) for row in zip(*columns)]
    return _like(first, _children(first)[0], mapped)


@checked
def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """`func` of what stands in the structures at the places of the leaves of a shallower one.

    >>> import kyeo
    >>> kyeo.tree.map_structure_up_to([0, 0], len, [[1, 2], [3]])
    [2, 1]
    """
    if not structures:
        raise problem("`map_structure_up_to` needs structures.", received="none", where="tree.map_structure_up_to",
                      expected="at least one structure")
    if _is_leaf(shallow_structure):
        return func(*structures)
    columns = [_children(shallow_structure)[1], *(_in_step(shallow_structure, other) for other in structures)]
    mapped = [map_structure_up_to(shallow, func, *row) for shallow, *row in zip(*columns)]
    return _like(shallow_structure, _children(shallow_structure)[0], mapped)


@checked
def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raise ValueError unless two structures have the same containers; `check_types` has no effect.

    >>> import kyeo
    >>> kyeo.tree.assert_same_structure([1, (2,)], [3, (4,)])
    """
    if check_types is not None:
        warn("`check_types` has no effect. `assert_same_paths` takes lists and tuples for the same.",
             DeprecationWarning)
    map_structure(lambda *_: None, a, b)


@checked
def assert_same_paths(a: Any, b: Any) -> None:
    """Raise ValueError unless the same keys and indices lead to the leaves of both; lists and tuples are alike.

    >>> import kyeo
    >>> kyeo.tree.assert_same_paths([1, (2,)], (3, [4]))
    """
    first, second = ({path for path, _ in flatten_with_path(tree)} for tree in (a, b))
    if first != second:
        raise problem("The structures have different paths.", where="tree.assert_same_paths",
                      received=f"only in the first: {sorted(first - second, key=str)}, "
                               f"only in the second: {sorted(second - first, key=str)}", expected="the same paths")


@checked
def pack_sequence_as(structure: Any, flat_sequence: Sequence[Any]) -> Any:
    """A structure with other leaves, in the order of `flatten`.

    >>> import kyeo
    >>> kyeo.tree.pack_sequence_as([0, (0,)], [1, 2])
    [1, (2,)]
    """
    leaves, count = list(flat_sequence), len(flatten(structure))
    if len(leaves) != count:
        raise problem("The number of leaves does not fit.", received=f"{len(leaves)} leaves",
                      expected=f"{count} leaves", where="tree.pack_sequence_as")
    remaining = iter(leaves)

    def packed(tree: Any) -> Any:
        if _is_leaf(tree):
            return next(remaining)
        keys, children = _children(tree)
        return _like(tree, keys, [packed(child) for child in children])

    return packed(structure)


@checked
def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """`func` of every container and leaf; what it gives stands in their place.

    Args:
        func: gives None to go on (or to keep what is there), `MAP_TO_NONE` for None, else the replacement.
        structure: the structure.
        top_down: containers before what is in them, and not into what was replaced; else after it.

    >>> import kyeo
    >>> kyeo.tree.traverse(lambda v: tuple(v) if isinstance(v, list) else None, [1, [2]], top_down=False)
    (1, (2,))
    """
    def inside(tree: Any) -> Any:
        if _is_leaf(tree):
            return tree
        keys, children = _children(tree)
        return _like(tree, keys, [traverse(func, child, top_down) for child in children])

    current = structure if top_down else inside(structure)
    found = func(current)
    if found is None:
        return inside(structure) if top_down else current
    return None if found is MAP_TO_NONE else found


@checked
def lists_to_tuples(structure: Any) -> Any:
    """Every list as a tuple.

    >>> import kyeo
    >>> kyeo.tree.lists_to_tuples([1, [2]])
    (1, (2,))
    """
    return traverse(lambda tree: tuple(tree) if isinstance(tree, list) else None, structure, top_down=False)


@checked
def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """`func` of every shape: tuples and lists of ints and None are leaves.

    >>> import kyeo
    >>> kyeo.tree.map_shape_structure(len, {"a": (None, 3), "b": [(2,)]})
    {'a': 2, 'b': [1]}
    """
    def is_shape(value: Any) -> bool:
        return isinstance(value, (list, tuple)) and all(e is None or isinstance(e, int) for e in value)

    if is_shape(structure) or _is_leaf(structure):
        return func(structure)
    keys, children = _children(structure)
    return _like(structure, keys, [map_shape_structure(func, child) for child in children])
