"""Bring labels, weights, losses and metrics into the order of the model's outputs."""

from collections.abc import Sequence
from typing import Any

import jax

from kyeo.core.errors import problem

__all__ = ["align", "output_names_of", "spread"]


def _is_leaf(value: Any) -> bool:
    return value is None


def output_names_of(y_pred: Any, known: Sequence[str]) -> list[str | None]:
    """A name for each output: keys of a dict, else the model's own names, else None."""
    leaves = jax.tree.leaves(y_pred)
    if isinstance(y_pred, dict) and len(y_pred) == len(leaves):
        return sorted(y_pred)
    return list(known) if len(known) == len(leaves) else [None] * len(leaves)


def align(tree: Any, names: Sequence[str | None], what: str, missing_ok: bool = False) -> list[Any]:
    """The arrays of `tree` (one, a list, or a dict by output name) in the order of the outputs.

    Args:
        tree: labels or sample weights as the user gave them.
        names: names of the outputs.
        what: its name in messages.
        missing_ok: whether an output may have none.
    """
    count = len(names)
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


def spread(spec: Any, names: Sequence[str | None], what: str, many: bool) -> list[Any]:
    """What `compile` was told (a loss, or metrics) as one entry for each output.

    Args:
        spec: one entry, a list in the order of the outputs, or a dict by output name.
        names: names of the outputs.
        what: "loss", "metrics", ... for messages.
        many: whether an entry is itself a list (metrics) or a single thing (losses).

    >>> spread(["mse", {"r": ["mae"]}], [None, None], "loss", many=False)
    ['mse', 'mae']
    """
    count = len(names)
    if spec is None:
        return [None] * count
    by_place = isinstance(spec, (list, tuple)) or (isinstance(spec, dict) and not set(spec) <= set(names))
    if not many and by_place and any(map(_is_nested, spec.values() if isinstance(spec, dict) else spec)):
        flat = jax.tree.leaves(spec, is_leaf=lambda one: not _is_nested(one))  # as deep as the outputs are
        if len(flat) == count:
            return flat
    if isinstance(spec, dict):
        if count == 1 and not set(spec) <= set(names):
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
