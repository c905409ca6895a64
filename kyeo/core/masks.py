"""The mask that belongs to a tensor (which time steps are real), carried beside it.

Arrays take no attributes, so masks stand in a table by identity, each gone with its tensor.
"""

import weakref
from typing import Any

__all__ = ["get_mask", "set_mask"]

_masks: dict[int, tuple[weakref.ref[Any], Any]] = {}


def set_mask(tensor: Any, mask: Any) -> None:
    """Remember `mask` as that of `tensor`; None forgets it."""
    key = id(tensor)
    if mask is None:
        _masks.pop(key, None)
    else:
        masks = _masks  # held by the function: at the interpreter's end the module's name may be gone before the tensor
        masks[key] = (weakref.ref(tensor, lambda _: masks.pop(key, None)), mask)
    node = getattr(tensor, "node", None)
    if node is not None:  # a symbolic tensor, which may be made again
        node.masks[tensor.index] = mask


def get_mask(tensor: Any) -> Any:
    """The mask of `tensor`, or None."""
    entry = _masks.get(id(tensor))
    return entry[1] if entry is not None and entry[0]() is tensor else None
