"""What each parameter takes, read off its annotation and its name: the check of all constructors and ops.

The annotation says the kind of value (`int`, `float | None`, `Sequence[int]`, ...). Two tables say more about names
that mean the same wherever they stand: which kind, where the annotation is `Any`, and which numbers are in range. A
class checks by itself what only it can know.
"""

import functools
import inspect
import numbers
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import jax
import numpy as np

from kyeo.core.errors import describe, is_told, meant, problem
from kyeo.core.plain import in_plain_words, is_ours, plainly

__all__ = [
    "MISTAKES", "Check", "Checks", "checked", "checks_of", "explained", "general", "is_misfit", "late_size", "misfit",
]

MISTAKES = (  # of wrong arguments
    TypeError, ValueError, IndexError, AttributeError, NotImplementedError, OverflowError, ZeroDivisionError,
    jax.errors.InconclusiveDimensionOperation)
P = ParamSpec("P")
R = TypeVar("R")


class Check(NamedTuple):
    """What one parameter takes: types that need no further look, a test for all others, and the words for both."""

    quick: frozenset[type]
    passes: Callable[[Any], bool]
    expected: str


def _is_scalar(value: Any, kinds: str) -> bool:
    """Arrays of one element, of NumPy, JAX or in a box; also symbolic ones, whose value is not known."""
    shape = getattr(value, "shape", None)
    return shape is not None and hasattr(value, "dtype") and np.dtype(value.dtype).kind in kinds and (
        all(size in (1, None) for size in shape))


def _is_int(value: Any) -> bool:
    if isinstance(value, (float, np.floating)):
        return float(value).is_integer()
    return isinstance(value, numbers.Integral) or _is_scalar(value, "iub") or hasattr(value, "__index__")


def _is_float(value: Any) -> bool:
    return (isinstance(value, numbers.Real) and value == value) or (hasattr(value, "shape") and hasattr(value, "dtype"))


def _is_bool(value: Any) -> bool:
    return isinstance(value, np.bool_) or (isinstance(value, int) and value in (0, 1)) or _is_scalar(value, "b")


def _is_sequence(value: Any, item: Callable[[Any], bool], of_anything: bool) -> bool:
    if isinstance(value, (str, bytes, Mapping)):
        return False
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return len(value.shape) == 1 or (of_anything and len(value.shape) > 1)  # an array is its rows
    return isinstance(value, Iterable) and (not isinstance(value, (list, tuple)) or all(map(item, value)))


def _is_seed(value: Any) -> bool:
    return isinstance(value, (numbers.Integral, Mapping)) or hasattr(value, "next") or hasattr(value, "dtype") or (
        isinstance(value, float) and value.is_integer())


def _of(kind: Any, passes: Callable[[Any], bool], expected: str) -> Check:
    return Check(frozenset(kind), passes, expected)


_NONE = _of([types.NoneType], lambda value: value is None, "None")
_INT = _of([int], _is_int, "an int")
_KINDS: dict[Any, Check] = {
    None: _NONE, types.NoneType: _NONE, int: _INT, float: _of([int], _is_float, "a number"),
    bool: _of([bool], _is_bool, "True or False"), str: _of([str], lambda value: isinstance(value, str), "a string"),
}


def _sequence(item: Check, of_anything: bool = False) -> Check:
    plural = {"an int": "ints", "a number": "numbers", "a string": "strings", "an int or None": "ints"}
    return _of([], lambda value: _is_sequence(value, lambda v: type(v) in item.quick or item.passes(v), of_anything),
               "a sequence of " + plural.get(item.expected, "values"))


def _any_of(checks: Sequence[Check]) -> Check:
    quick = frozenset().union(*(check.quick for check in checks))
    texts = [check.expected for check in checks]
    return Check(quick, lambda value: any(type(value) in c.quick or c.passes(value) for c in checks),
                 " or ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0])


def _by_annotation(annotation: Any) -> Check | None:
    """What an annotation takes; None where it says nothing that can be looked at."""
    if annotation is Any:
        return None
    if annotation in _KINDS:
        return _KINDS[annotation]
    if isinstance(annotation, type) and annotation not in (object, inspect.Parameter.empty):
        return _of([annotation], lambda value: isinstance(value, annotation), f"a {annotation.__name__}")
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        parts = [_by_annotation(part) for part in inside]
        return None if None in parts else _any_of(cast(list[Check], parts))
    if origin in (list, tuple, Sequence, Iterable):
        item = _by_annotation(inside[0])
        return _sequence(item or _of([], lambda value: True, "a value"), item is None)
    if origin in (dict, Mapping):
        return _of([dict], lambda value: isinstance(value, Mapping), "a dict")
    return _of([types.FunctionType], callable, "a function") if origin is Callable else None


# What names mean where the annotation is Any.
_INTS = _sequence(_INT)
_FLOATS = _any_of([_KINDS[float], _sequence(_KINDS[float])])
_PATH = _of([str], lambda value: isinstance(value, (str, os.PathLike)), "a path")
_SEVERAL = _any_of([_sequence(_of([], lambda value: True, "a value")), _NONE])
_NAMES: dict[str, Check] = {
    "axis": _any_of([_INT, _INTS, _NONE]),
    **dict.fromkeys(("thresholds", "label_weights"), _any_of([_FLOATS, _NONE])),
    "seed": _of([types.NoneType, int], _is_seed, "an int, a SeedGenerator, a key of JAX, or None"),
    "profile_batch": _any_of([_KINDS[str], _INT, _INTS]),
    **dict.fromkeys(("filepath", "directory", "log_dir", "backup_dir"), _PATH),
    "filename": _of([str], lambda value: isinstance(value, (str, bytes, os.PathLike)), "a path"),
    **dict.fromkeys(("crosses", "excluded", "layers", "devices"), _SEVERAL),
    **dict.fromkeys(("x_factor", "y_factor"), _FLOATS),
    **dict.fromkeys(("height", "width"), _any_of([_KINDS[float], _NONE])),
}
# The least and the greatest of numbers that mean the same wherever they stand.
_RANGES: dict[str, tuple[float, float]] = {
    "label_smoothing": (0, 1), "weight_decay": (0, np.inf), "stddev": (0, np.inf), "initial_learning_rate": (0, np.inf),
    "epsilon": (0, np.inf), "delta": (0, np.inf), "gamma": (0, np.inf),
    "width": (1, np.inf), "height": (1, np.inf),
}


def _in_range(check: Check, low: float, high: float) -> Check:
    """The check, narrowed to numbers between two bounds; what is no plain number is not compared."""
    bounds = f"at least {low:g}" if high == np.inf else f"from {low:g} to {high:g}"
    return Check(check.quick - {int, float}, lambda value: check.passes(value) and not (
        isinstance(value, numbers.Real) and not low <= float(value) <= high), f"{check.expected} {bounds}")


def _check_of(parameter: inspect.Parameter) -> Check | None:
    annotation = parameter.annotation
    check = _NAMES.get(parameter.name) if annotation is Any else _by_annotation(annotation)
    if check is not None and parameter.name in _RANGES:
        check = _in_range(check, *_RANGES[parameter.name])
    return check


class Checks:
    """The checks of a function's parameters, by place and by name."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.names: list[str] = []
        self.by_place: list[Check | None] = []
        self.by_name: dict[str, Check | None] = {}
        for parameter in inspect.signature(fn).parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if parameter.name == "self":
                continue
            check = _check_of(parameter)
            self.names.append(parameter.name)
            if parameter.kind is not parameter.KEYWORD_ONLY:
                self.by_place.append(check)
            self.by_name[parameter.name] = check
        self.look = any(check is not None for check in self.by_name.values())

    def run(self, where: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise for the first argument that its parameter does not take; `args` come without `self`."""
        for place, (check, value) in enumerate(zip(self.by_place, args)):
            if check is not None and type(value) not in check.quick and not check.passes(value):
                raise _wrong(self.names[place], value, check, where)
        for name, value in kwargs.items():
            check = self.by_name.get(name)
            if check is not None and type(value) not in check.quick and not check.passes(value):
                raise _wrong(name, value, check, where)


def _wrong(name: str, value: Any, check: Check, where: Any) -> Exception:
    is_number = isinstance(value, (numbers.Number, np.generic))
    kind = ValueError if is_number and ("int" in check.expected or "number" in check.expected) else TypeError
    return problem(f"`{name}` is not valid.", received=f"{name}={describe(value)}", expected=check.expected,
                   where=where, kind=kind)


@functools.cache
def checks_of(fn: Callable[..., Any]) -> Checks:
    """The checks of a function, read once."""
    return Checks(fn)


def misfit(fn: Callable[..., Any], where: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception:
    """The complaint about a call that does not fit a signature: unknown, missing or too many arguments. `args` come
    without `self`."""
    signature = inspect.signature(fn)
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    signature, names = signature.replace(parameters=parameters), [p.name for p in parameters]
    expected = "one of " + ", ".join(names) if names else "no arguments"
    unknown = [name for name in kwargs if name not in names]
    if unknown:
        return problem(f"`{unknown[0]}` is not a parameter of this.", expected=expected, where=where, kind=TypeError,
                       received=f"{unknown[0]}={describe(kwargs[unknown[0]])}",
                       fix=meant(unknown[0], names))
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        text = str(error)
    missing = re.search(r"missing a required.*argument: \'(\w+)\'", text)
    if missing:
        return problem(f"`{missing[1]}` is missing.", where=where, kind=TypeError, expected=expected,
                       received=", ".join(map(describe, args)) or "no arguments by place")
    return problem("The arguments do not fit.", received=", ".join(map(describe, args)), where=where,
                   expected=f"{text}; {expected}", kind=TypeError)


def is_misfit(error: TypeError) -> bool:
    """Whether the call itself failed, so that nothing of the function has run."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is None


# What is part of a compiled program: no value that only its run gives.
_SIZES = {"shape", "newshape", "size", "repeats", "pad_width", "indices_or_sections", "num", "k", "n", "N", "M", "axis"}


def late_size(fn: Callable[..., Any], where: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception | None:
    """The complaint about a size, count or axis that is a value of the running step, if there is one; to be asked where
    a call has failed."""
    given = {**dict(zip(inspect.signature(fn).parameters, args)), **kwargs}
    for name in given.keys() & _SIZES:
        value = given[name]
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
            shown = value if hasattr(value, "dtype") else jax.tree.map(
                lambda leaf: "?" if isinstance(leaf, jax.core.Tracer) else leaf, value)
            return problem(
                f"`{name}` is a value that is only known when the step runs.", where=where, kind=TypeError,
                received=f"{name}={describe(shown)}", expected="plain ints",
                fix="take them from x.shape, and put them together in a tuple, as (kyeo.ops.shape(x)[0], 4): "
                    "kyeo.ops.stack, concatenate and convert_to_tensor make values of them")
    return None


def explained(error: Exception, fn: Callable[..., Any], where: Any, args: tuple[Any, ...], kwargs: dict[str, Any],
              check: bool = True) -> Exception:
    """The exception to raise where a call failed with `error`: about an argument, if one is wrong, else the same."""
    if is_told(error):
        return error
    if isinstance(error, TypeError) and is_misfit(error):
        return misfit(fn, where, args, kwargs)
    try:
        if check:
            checks_of(fn).run(where, args, kwargs)
    except (TypeError, ValueError) as wrong:
        return wrong
    return late_size(fn, where, args, kwargs) or error


def general(where: str, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Exception:
    """The complaint about a call as a whole, where an array library failed with `error` and no argument is to blame."""
    received = [*map(describe, args), *(f"{name}={describe(value)}" for name, value in kwargs.items())]
    kind = TypeError if isinstance(error, (TypeError, AttributeError)) else ValueError
    words = in_plain_words(error)
    expected, fix = words or (str(error).strip().split("\n")[0], None)
    return problem(f"`{where}` cannot be called with these arguments.", received=", ".join(received), kind=kind,
                   expected=expected, fix=fix)


def checked(fn: Callable[P, R]) -> Callable[P, R]:
    """Check the arguments of a function, by its annotations, before it runs; complaints come at the user's line."""
    is_method = fn.__qualname__.endswith(".__init__")
    room = fn.__module__.split(".")[1].replace("core", "saving")  # kyeo.<room>..., names of objects are in core
    where = fn.__qualname__.removesuffix(".__init__") if is_method else f"{room}.{fn.__qualname__}"

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        checks_of(fn).run(where, args[is_method:], kwargs)
        try:
            return fn(*args, **kwargs)
        except MISTAKES as error:
            better = explained(error, fn, where, args[is_method:], kwargs)
            if better is error and (is_method or is_told(error) or not is_ours(error)):
                raise
            raise (general(where, args, kwargs, error) if better is error else better) from None

    return plainly(call)
