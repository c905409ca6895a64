"""A model called on an array outside of everything: compiled where nobody can tell.

Layer by layer such a call costs a millisecond and more, and at first a compilation for each operation (measured on a
small CNN: 46 of them, 1.9 s instead of 0.25). Only a built model of built-in layers whose call leaves no trace (no
loss, no mask) is called like that. Where an attribute of a layer was set since (another activation), it is compiled
anew; `predict`, as in Keras, goes on with what it compiled until then or until `compile`.
"""

from typing import Any

import jax
import numpy as np

from kyeo.core.arrays import holds_numbers
from kyeo.core.masks import get_mask
from kyeo.core.owned import Structure
from kyeo.core.scope import Scope, current, scope

__all__ = ["CompiledCall", "changes_of"]

_NOBODY = Scope()
_MOST_SHAPES = 32


class CompiledCall:
    """What is known about calls of one model."""

    def __init__(self) -> None:
        self._version, self._plain = -1, False
        self._layers: list[Any] = []  # of the model
        self._compiled: dict[Any, bool] = {}  # for calls of a kind, whether they are

    def run(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The outputs; None where the call has to go through the layers."""
        kind = self._kind_of(args, kwargs)
        if kind is None or model.run_eagerly:
            return None
        if self._version != Structure.version:
            self._compiled.clear()
            self._layers = model._flatten_layers(include_self=False)
            self._version, self._plain = Structure.version, model.built and model.pads_predictions
        if not self._plain:
            return None
        runner = model.runner("predict")
        if runner.changes != changes_of(self._layers):
            self._compiled.clear()
            model.renew_predictions()
            runner = model.runner("predict")
        if self._compiled.get(kind) and (outputs := runner.outputs_again(args[0])) is not None:
            return outputs
        compiled = self._may_compile(kind, model, args[0])
        outputs = runner.predict((args[0], None, None)) if compiled else None
        runner.changes = changes_of(self._layers)  # what was set while it was traced is no news
        return outputs

    def _may_compile(self, kind: Any, model: Any, x: Any) -> bool:
        if kind not in self._compiled:
            if len(self._compiled) >= _MOST_SHAPES:
                self._compiled.clear()
            try:
                self._compiled[kind] = not _leaves_traces(model, x)
            except Exception:
                return False  # the layers will say what is wrong
        return self._compiled[kind]

    def _kind_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Shape and dtype of the only argument; None for calls that are never compiled."""
        if len(args) != 1 or kwargs.get("training") or kwargs.keys() - {"training"} or current() != _NOBODY:
            return None
        x = args[0]
        if not isinstance(x, (np.ndarray, jax.Array)) or isinstance(x, jax.core.Tracer) or not holds_numbers(x):
            return None
        return None if get_mask(x) is not None else (x.shape, x.dtype)


def changes_of(layers: list[Any]) -> int:
    """How often an attribute of these layers was set after they were built."""
    return sum(layer.__dict__.get("_changes", 0) for layer in layers)


def _leaves_traces(model: Any, x: Any) -> bool:
    """Whether a call adds losses, or its outputs carry masks."""
    found = []

    def look(x: Any) -> Any:
        with scope(overlay={}, losses=[]) as inside:
            outputs = model(x)
            found.append(bool(inside.losses) or any(get_mask(leaf) is not None for leaf in jax.tree.leaves(outputs)))
            return outputs

    jax.eval_shape(look, x)
    return found[0]
