"""The mask that belongs to a tensor (which time steps are real), carried beside it.

Arrays take no attributes, so masks stand in a table by identity, each gone with its tensor.
"""

from typing import Any

from kyeo.core.beside import Beside

__all__ = ["get_mask", "set_mask"]

_masks = Beside()


def set_mask(tensor: Any, mask: Any) -> None:
    """Remember `mask` as that of `tensor`; None forgets it."""
    if mask is None:
        _masks.drop(tensor)
    else:
        _masks.put(tensor, mask)
    node = getattr(tensor, "node", None)
    if node is not None:  # a symbolic tensor, which may be made again
        node.masks[tensor.index] = mask


def get_mask(tensor: Any) -> Any:
    """The mask of `tensor`, or None."""
    return _masks.get(tensor)
