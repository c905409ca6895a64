"""A metric called by itself, outside of any compiled step: an update is one program, and so is a result."""

import contextlib
import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from kyeo.core.masks import get_mask, set_mask
from kyeo.core.naming import is_kyeos
from kyeo.core.plain import plainly
from kyeo.core.settings import settings
from kyeo.core.variable import Variable, pure
from kyeo.ops.losses.alone import Programs, as_argument, by_itself, plain

__all__ = ["alone"]

_programs = Programs()
_traced: ContextVar[Any] = ContextVar("kyeo_metric")  # so that no program keeps a metric and its state alive


def alone(method: Callable[..., Any]) -> Callable[..., Any]:
    """`update_state` or `result` of a class of Kyeo's, by a program that metrics with the same arguments share.

    A metric of the user's runs as it is written, and so does all that a program would see otherwise. Where something is
    wrong the metric itself says what.
    """
    @plainly
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if by_itself() and is_kyeos(type(self)):
            with contextlib.suppress(Exception):  # the method says what is wrong
                return _run(self, method, args, kwargs)
        return method(self, *args, **kwargs)

    return call


def _run(metric: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    names, given = tuple(kwargs), (*args, *kwargs.values())
    key = _key_of(metric, method, names)
    arrays, masks = [as_argument(value) for value in given], [get_mask(value) for value in given]
    if arrays and key not in _programs and (metric._makes_late or not metric._variables):
        metric.build_from(*arrays[:len(args)], **dict(zip(names, arrays[len(args):])))
        key = _key_of(metric, method, names)
    variables, token = metric._variables, _traced.set(metric)
    try:
        result, new = _programs.of(key, _as_function(method, names))([v.value for v in variables], arrays, masks)
    finally:
        _traced.reset(token)
    for variable, value in zip(variables, new):
        variable.assign(value)
    return result


def _as_function(method: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """A function of the variables' values; it gives the new ones back if it takes in a batch."""
    def function(values: list[Any], arrays: list[Any], masks: list[Any]) -> tuple[Any, list[Any]]:
        for array, mask in zip(arrays, masks):
            if mask is not None:
                set_mask(array, mask)
        metric, places = _traced.get(), len(arrays) - len(names)
        run = pure(functools.partial(method, metric), metric._variables)
        result, new = run(values, *arrays[:places], **dict(zip(names, arrays[places:])))
        return result, new if arrays else []

    return function


def _key_of(metric: Any, method: Callable[..., Any], names: tuple[str, ...]) -> Any:
    """All that a trace can read; raises for a metric that holds a function of the user's, or another metric."""
    held = [type(metric), method, names, settings.floatx, settings.epsilon]
    held += [(variable.name, variable.shape, variable.dtype) for variable in metric._variables]
    for name, value in vars(metric).items():
        if name == "fn":
            if not is_kyeos(value):
                raise TypeError
            held.append(value)
        elif name not in ("name", "_given", "_variables") and not isinstance(value, Variable):
            held.append((name, *plain(value)))
    return tuple(held)
