"""Bring labels, weights, losses and metrics into the order of the model's outputs."""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import jax

from kyeo.core.errors import problem

__all__ = ["align", "entries_for_parts", "loss_name_of", "nesting_of", "order_of", "output_names_of",
           "part_at", "spread", "ways_of"]


def _is_leaf(value: Any) -> bool:
    return value is None


def output_names_of(y_pred: Any, known: Sequence[str]) -> list[str | None]:
    """A name for each output: keys of a dict, else the model's own names, else None."""
    leaves = jax.tree.leaves(y_pred)
    if isinstance(y_pred, dict) and nesting_of(y_pred) is None:
        return sorted(y_pred)
    return list(known) if len(known) == len(leaves) else [None] * len(leaves)


def nesting_of(y_pred: Any) -> Any:
    """The outputs as numbers, where they are lists or dicts in others; else None.

    >>> nesting_of({"a": [7.0, 8.0], "b": 9.0}), nesting_of([7.0, 8.0])
    ({'a': [0, 1], 'b': 2}, None)
    """
    leaves, structure = jax.tree.flatten(y_pred)
    parts = y_pred.values() if isinstance(y_pred, dict) else y_pred if isinstance(y_pred, (list, tuple)) else ()
    nested = any(isinstance(part, (dict, list, tuple)) for part in parts)
    return jax.tree.unflatten(structure, range(len(leaves))) if nested else None


def ways_of(nesting: Any, names: Sequence[str | None]) -> list[tuple[Any, ...]]:
    """The keys and places that lead to each output; where outputs are not nested, their names.

    >>> ways_of({"a": [0, 1], "b": 2}, ["x", "y", "z"])
    [('a', 0), ('a', 1), ('b',)]
    """
    if nesting is None:
        return [(name,) for name in names]
    found = jax.tree_util.tree_flatten_with_path(nesting)[0]
    return [tuple(getattr(step, "key", getattr(step, "idx", step)) for step in way) for way, _ in found]


def loss_name_of(way: tuple[Any, ...], name: str) -> str:
    """What the loss of a nested output is called: by the way that leads to it, and at its end by the key of a dict or,
    in a list, by the name of the output.

    >>> loss_name_of(("a", 0), "x"), loss_name_of(("a", "b"), "x")
    ('a/x', 'a/b')
    """
    return "/".join(map(str, (*way[:-1], name if isinstance(way[-1], int) else way[-1])))


def order_of(way: tuple[Any, ...], spec: Any) -> list[int]:
    """Where a way lies in what `compile` was told, for sorting.

    >>> order_of(("b", 1), {"c": "mse", "b": ["mae", "mse"]})
    [1, 1]
    """
    found = []
    for step in way:
        if not _is_nested(spec):
            break
        keys = list(spec) if isinstance(spec, dict) else range(len(spec))
        found.append(keys.index(step) if step in keys else len(keys))
        spec = spec[step] if step in keys else None
    return found


def entries_for_parts(spec: Any, nesting: Any, way: tuple[Any, ...] = ()) -> tuple[dict[tuple[Any, ...], Any], Any]:
    """The entries that were given for parts of nested outputs which are several tensors, by the way that leads there;
    and `spec` without them.

    >>> entries_for_parts({"a": "own", "b": ["mse", "mae"]}, {"a": {"u": 0, "v": 1}, "b": [2, 3]})
    ({('a',): 'own'}, {'a': None, 'b': ['mse', 'mae']})
    """
    if not isinstance(nesting, (dict, list, tuple)) or spec is None:
        return {}, spec
    if not _is_nested(spec):
        return ({way: spec}, None) if way else ({}, spec)  # one for all outputs is one for each
    if isinstance(spec, dict):
        keys = [key for key in spec if isinstance(nesting, dict) and key in nesting]
    else:
        each = not any(map(_is_nested, spec)) and len(spec) == len(jax.tree.leaves(nesting))
        fits = isinstance(nesting, (list, tuple)) and len(spec) == len(nesting) and not each
        keys = list(range(len(spec))) if fits else []
    found, rest = {}, dict(spec) if isinstance(spec, dict) else list(spec)
    for key in keys:
        inside, rest[key] = entries_for_parts(spec[key], nesting[key], (*way, key))
        found.update(inside)
    return found, rest


def part_at(tree: Any, way: tuple[Any, ...]) -> Any:
    """What lies at the end of a way of keys and places."""
    return functools.reduce(operator.getitem, way, tree)


def _within(spec: Any, nesting: Any) -> list[Any] | None:
    """The entries of something that is nested as the outputs are, in their order; None where it is not."""
    if not isinstance(nesting, (dict, list, tuple)):
        return [spec]
    if isinstance(nesting, dict) and isinstance(spec, dict) and set(spec) <= set(nesting):
        pairs = [(spec.get(key), nesting[key]) for key in sorted(nesting)]
    elif not isinstance(nesting, dict) and isinstance(spec, (list, tuple)) and len(spec) == len(nesting):
        pairs = list(zip(spec, nesting))
    elif spec is None:
        pairs = [(None, inner) for inner in (nesting.values() if isinstance(nesting, dict) else nesting)]
    else:
        return None
    parts = [_within(*pair) for pair in pairs]
    return None if None in parts else [entry for part in parts if part is not None for entry in part]


def align(tree: Any, names: Sequence[str | None], what: str, missing_ok: bool = False,
          nesting: Any = None) -> list[Any]:
    """The arrays of `tree` (one, a list, or a dict by output name) in the order of the outputs.

    Args:
        tree: labels or sample weights as the user gave them.
        names: names of the outputs.
        what: its name in messages.
        missing_ok: whether an output may have none.
        nesting: what `nesting_of` says of the outputs.
    """
    count = len(names)
    if tree is None and missing_ok:
        return [None] * count
    inside = _within(tree, nesting) if nesting is not None else None
    if inside is not None and not any(isinstance(one, (dict, list, tuple)) for one in inside):
        return inside
    if isinstance(tree, dict):
        unknown = [k for k in tree if k not in names]
        if not unknown and (missing_ok or len(tree) == count):
            return [tree.get(n) for n in names]
        named = count > 1 and None not in names and unknown
        if named or (set(tree) != set(names) and len(jax.tree.leaves(tree)) != count):
            raise problem(f"`{what}` does not match the outputs of the model.", received=f"keys {sorted(tree)}",
                          expected=f"keys {list(names)}")
    leaves = jax.tree.leaves(tree, is_leaf=_is_leaf)
    if len(leaves) == count:
        return leaves
    if what == "sample_weight" and len(leaves) == 1:
        return leaves * count
    raise problem(f"`{what}` does not match the outputs of the model.", received=f"{len(leaves)} arrays",
                  expected=f"{count}, for the outputs {list(names)}")


def _is_nested(spec: Any) -> bool:
    """Whether something is a list or dict of entries, and not an entry described by a dict."""
    return isinstance(spec, (list, tuple)) or (isinstance(spec, dict) and "class_name" not in spec)


def _are_several(spec: Any) -> bool:
    """Whether something is a list of entries, such as the losses of one output."""
    return isinstance(spec, (list, tuple)) and not any(map(_is_nested, spec))


def spread(spec: Any, names: Sequence[str | None], what: str, many: bool, nesting: Any = None) -> list[Any]:
    """What `compile` was told (a loss, or metrics) as one entry for each output.

    Args:
        spec: one entry, a list in the order of the outputs, or a dict by output name.
        names: names of the outputs.
        what: "loss", "metrics", ... for messages.
        many: whether an entry is itself a list (metrics) or a single thing (losses).
        nesting: what `nesting_of` says of the outputs.

    >>> spread(["mse", {"r": ["mae"]}], [None, None], "loss", many=False)
    ['mse', 'mae']
    """
    count = len(names)
    if spec is None or (many and isinstance(spec, (list, tuple)) and not spec):  # metrics=[]
        return [None] * count
    inside = _within(spec, nesting) if nesting is not None else None
    if inside is not None and (many or not any(_is_nested(one) and not _are_several(one) for one in inside)):
        return inside
    by_place = isinstance(spec, (list, tuple)) or (isinstance(spec, dict) and not set(spec) <= set(names))
    if not many and by_place and any(map(_is_nested, spec.values() if isinstance(spec, dict) else spec)):
        flat = jax.tree.leaves(spec, is_leaf=lambda one: not _is_nested(one))  # as deep as the outputs are
        if len(flat) == count:
            return flat
    if isinstance(spec, dict):
        misnamed = what == "loss" and (None not in names or len(spec) > 1)  # other words take any, as Keras
        if count == 1 and not set(spec) <= set(names) and not misnamed:
            return [list(spec.values()) if many else next(iter(spec.values()))]
        unknown = [k for k in spec if k not in names]
        if unknown:
            raise problem(f"`{what}` names an output that the model does not have.", received=f"{unknown[0]!r}",
                          expected=f"names among {list(names)}")
        return [spec.get(n) for n in names]
    if many and count == 1:
        return [jax.tree.leaves(spec, is_leaf=lambda v: not isinstance(v, (list, tuple, dict)))]
    if isinstance(spec, (list, tuple)):
        if count == 1 or len(spec) != count:
            if count == 1 and len(spec) == 1:
                return [spec[0]]
            raise problem(f"`{what}` does not match the outputs of the model.", received=f"{len(spec)} entries",
                          expected=f"{count}, for the outputs {list(names)}")
        return list(spec)
    if many:
        raise problem(f"`{what}` must be a list or a dict for a model of several outputs.", received=spec,
                      expected=f"one entry for each of {list(names)}")
    return [spec] * count
