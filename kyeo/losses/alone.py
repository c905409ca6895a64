"""A loss called by itself, outside of any compiled step: one program instead of one for each of its operations."""

import copy
from collections.abc import Callable
from typing import Any

import jax

from kyeo.core.masks import get_mask, set_mask
from kyeo.core.naming import is_kyeos
from kyeo.core.settings import settings
from kyeo.ops.losses.alone import Programs, as_argument, by_itself, plain

__all__ = ["run_alone"]

_programs = Programs()


def run_alone(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> jax.Array | None:
    """The value of a built-in loss, by a program that losses with the same arguments share; None where there is none:
    inside a step, for structures of arrays, where something is wrong (the loss itself says what)."""
    if y_true is None or y_pred is None or not by_itself():
        return None
    try:
        key = _key_of(loss)
        arrays = [as_argument(value) for value in (y_true, y_pred, sample_weight)]
        # of a copy: attributes that are set later make another key
        return _programs.of(key, _value_of(copy.copy(loss)))(*arrays, get_mask(y_pred))
    except Exception:
        return None


def _value_of(loss: Any) -> Callable[..., Any]:
    def value(y_true: Any, y_pred: Any, sample_weight: Any, mask: Any) -> Any:
        set_mask(y_pred, mask)
        return loss(y_true, y_pred, sample_weight)

    return value


def _key_of(loss: Any) -> Any:
    """All that a trace of the loss can read; raises for a loss, or a function in it, of the user's."""
    held = dict(vars(loss))
    functions = type(loss), held.pop("fn")
    held.pop("name")  # it is in no number, and what goes wrong is said by the loss itself
    held.pop("_given")
    if not all(map(is_kyeos, functions)):
        raise TypeError
    return *functions, tuple((name, *plain(value)) for name, value in held.items()), settings.floatx, settings.epsilon
