"""The compiled call of a layer on images: one program for each shape, kept as long as the layer is as it was.

Called step by step, an augmentation is dozens of small programs and Python between them. Inside a compiled function
(a model's step) there is nothing to do: the layer is part of that program. A class of the user's, whose methods may do
what no program holds (NumPy, attributes of their own), is called step by step.
"""

import functools
import weakref
from collections.abc import Callable
from typing import Any

import jax

from kyeo.core.naming import is_kyeos
from kyeo.core.scope import current
from kyeo.core.settings import settings
from kyeo.core.variable import pure, variables_of

__all__ = ["call_program"]

_kept: weakref.WeakKeyDictionary[Any, tuple[Any, Any, Any]] = weakref.WeakKeyDictionary()


def call_program(layer: Any, function: Callable[..., Any], data: Any, training: bool) -> Any:
    """`function(data, training)`, compiled if the layer is Kyeo's own, and called outside of all compiled functions.

    Args:
        layer: whose variables the function reads and writes.
        function: a method of the layer.
        data: a tree of arrays.
        training: the mode, part of the program.
    """
    now = current()
    if (settings.run_eagerly or now.overlay is not None or now.row_mask is not None or now.symbolic
            or any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(data)) or not _is_ours(layer)):
        return function(data, training)
    run, variables, state = _kept.get(layer, (None, None, None))
    if run is None or state != _state_of(layer):
        # the program must not hold the layer that is the key to it
        variables, name, owner = variables_of(layer), function.__name__, weakref.ref(layer)
        run = jax.jit(pure(lambda data, training: getattr(owner(), name)(data, training), variables),
                      static_argnames="training")
        _kept[layer] = run, variables, _state_of(layer)
    out, new = run([v.value for v in variables], data, training=bool(training))
    for variable, value in zip(variables, new):
        variable.assign(value)
    return out


def _is_ours(layer: Any) -> bool:
    """Whether Kyeo wrote a layer and those inside it."""
    return is_kyeos(type(layer)) and all(map(_is_ours, layer.layers_inside()))


def _state_of(layer: Any) -> Any:
    """What tells that a layer, or one inside it, was changed since."""
    return functools.reduce(lambda state, inner: (*state, *_state_of(inner)), layer.layers_inside(),
                            (id(layer), layer.__dict__.get("_changes")))
