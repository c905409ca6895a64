"""A loss called by itself, outside of any compiled step: one program instead of one for each of its operations."""

import copy
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kyeo.core.masks import get_mask, set_mask
from kyeo.core.naming import is_kyeos
from kyeo.core.scope import current
from kyeo.core.settings import settings
from kyeo.core.variable import Variable
from kyeo.ops.losses.pair import as_array

__all__ = ["run_alone"]

_PLAIN = (type(None), bool, int, float, str)
_MOST = 256  # programs kept
_programs: dict[Any, Callable[..., Any]] = {}


def run_alone(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> jax.Array | None:
    """The value of a built-in loss, by a program that losses with the same arguments share; None where there is none:
    inside a step, for structures of arrays, where something is wrong (the loss itself says what)."""
    now, given = current(), (y_true, y_pred, sample_weight)
    if now.overlay is not None or now.row_mask is not None or settings.run_eagerly or not all(map(_is_known, given)):
        return None
    key = _key_of(loss)
    if key is None or y_true is None or y_pred is None:
        return None
    if key not in _programs:
        if len(_programs) >= _MOST:
            _programs.clear()
        _programs[key] = _program(copy.copy(loss))  # a copy: attributes that are set later make another key
    try:
        arrays = [value if value is None or isinstance(value, np.ndarray) else as_array(value) for value in given]
        return _programs[key](*arrays, get_mask(y_pred))
    except Exception:
        return None


def _program(loss: Any) -> Callable[..., Any]:
    def value(y_true: Any, y_pred: Any, sample_weight: Any, mask: Any) -> Any:
        set_mask(y_pred, mask)
        return loss(y_true, y_pred, sample_weight)

    return jax.jit(value)


def _is_known(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(type(leaf) in (bool, int, float) for leaf in jax.tree.leaves(value))
    if isinstance(value, np.ndarray):  # not a masked array, whose mask the program would not see
        return type(value) is np.ndarray
    return value is None or (isinstance(value, (jax.Array, Variable, int, float))
                             and not isinstance(value, jax.core.Tracer))


def _key_of(loss: Any) -> Any:
    """All that a trace of the loss can read; None for a loss, or a function in it, of the user's."""
    held = dict(vars(loss))
    functions = type(loss), held.pop("fn", None)
    held.pop("name")  # it is in no number, and what goes wrong is said by the loss itself
    options = [held.pop(name) for name in ("_given", "options") if name in held]
    if not all(part is not None and is_kyeos(part) for part in functions):
        return None
    if len(options) < 2 or not all(type(value) in _PLAIN for value in held.values()):
        return None
    plain = tuple((name, type(value), repr(value)) for name, value in held.items())
    return *functions, options[1], plain, settings.floatx, settings.epsilon
