"""A model called on an array outside of everything: compiled, from the second call with an array of a shape on.

Layer by layer such a call costs a millisecond and more. Only a model of built-in layers whose first call left no trace
(no loss, no mask) is called like that.
"""

from typing import Any

import jax
import numpy as np

from kyeo.core.masks import get_mask
from kyeo.core.scope import Scope, current
from kyeo.core.variable import Structure

__all__ = ["CompiledCall"]

_NOBODY = Scope()
_MOST_SHAPES = 32


class CompiledCall:
    """What is known about calls of one model."""

    def __init__(self) -> None:
        self._version, self._plain = -1, False
        self._seen: set[Any] = set()

    def run(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The outputs; None where the call has to go through the layers."""
        kind = self._kind_of(args, kwargs)
        if kind not in self._seen or self._version != Structure.version or model.run_eagerly:
            return None
        return model.runner("predict").predict((args[0], None, None))

    def remember(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        """A call went through the layers; the next one like it need not, if this one left no trace."""
        kind = self._kind_of(args, kwargs)
        if kind is None:
            return
        if self._version != Structure.version:
            self._seen.clear()
            self._version, self._plain = Structure.version, model.pads_predictions
        if len(self._seen) >= _MOST_SHAPES:
            self._seen.clear()
        traces = model.__dict__.get("_kept_losses") or any(get_mask(a) is not None for a in jax.tree.leaves(outputs))
        if self._plain and not traces:
            self._seen.add(kind)

    def _kind_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Shape and dtype of the only argument; None for calls that are never compiled."""
        if len(args) != 1 or kwargs.get("training") or kwargs.keys() - {"training"} or current() != _NOBODY:
            return None
        x = args[0]
        if not isinstance(x, (np.ndarray, jax.Array)) or isinstance(x, jax.core.Tracer) or x.dtype.kind in "OUS":
            return None
        return None if get_mask(x) is not None else (x.shape, x.dtype)
