"""Errors told plainly: JAX's and NumPy's words put into ours, tracebacks with the user's lines only.

`KYEO_FULL_TRACEBACK=1` in the environment leaves every frame in its place.
"""

import contextlib
import functools
import inspect
import os
import pathlib
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax

from kyeo.core.errors import describe, is_told, meant, problem
from kyeo.core.settings import settings

__all__ = ["Words", "in_plain_words", "is_ours", "plainly", "warn"]

P = ParamSpec("P")
R = TypeVar("R")

_UNKNOWN = "_DimExpr"  # JAX's class of a size that is not known, which the user's own code may meet
_JAX_NOTE = "JAX has removed its internal frames"
_KYEO = str(pathlib.Path(__file__).parents[1]) + os.sep
_LIBRARIES = {"kyeo", "jax", "jaxlib", "numpy", "scipy", "opt_einsum", "ml_dtypes"}
_HIDDEN = (_KYEO, str(pathlib.Path(jax.__file__).parent) + os.sep, contextlib.__file__)


class Words(NamedTuple):
    """What a complaint of JAX or NumPy means, and how to mend it."""

    text: str
    fix: str | None = None


# JAX's exceptions for values that are not known yet, the most special first.
_CLASSES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Words], ...] = (
    (jax.errors.TracerBoolConversionError, Words(
        "no `if`, `while`, `and`, `or` or `not` on values that are only known when the step runs",
        "choose with kyeo.ops.where(condition, a, b), or kyeo.ops.cond")),
    (jax.errors.TracerArrayConversionError, Words(
        "no NumPy functions on values that are only known when the step runs", "use the function of kyeo.ops instead")),
    (jax.errors.NonConcreteBooleanIndexError, Words(
        "no choice of elements by a mask, as the size of the result is not known",
        "keep all elements and put 0 for those left out: kyeo.ops.where(mask, x, 0)")),
    (jax.errors.UnexpectedTracerError, Words(
        "no value of a running step that was kept and used after it",
        "return the value, or keep it in a variable: add_weight(...) and assign(...)")),
    ((jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError), Words(
        "no int(), float(), len() or range() of values that are only known when the step runs",
        "take sizes from x.shape, and compute values with kyeo.ops")),
)
_SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"{_UNKNOWN}|^Symbolic dimension"),
     "sizes that are known where they are counted with, as by range(): the shape has None there"),
    (re.compile(r"\w*Tracer\w* has no attribute '?(\w+)"), r"nothing named \1 of a tensor whose values are only known "
     "when the step runs: the functions of kyeo.ops compute with it"),
    (re.compile(r"arrays are immutable|does not support item assignment"), "no assignment into a tensor, as in "
     "x[i] = v: x = x.at[i].set(v), kyeo.ops.where(...) or kyeo.ops.scatter_update(...) make a new one"),
    (re.compile(r"slice indices must have static"), "no slice x[a:b] whose ends are values that are only known when "
     "the step runs: kyeo.ops.slice(x, start, sizes) takes such a start, kyeo.ops.where(...) leaves elements out"),
    (re.compile(r"Error interpreting argument to .* type <class '([\w.]*)'>"), r"tensors, not a value of type \1"),
    (re.compile(r"dot_general requires contracting dimensions to have the same shape, got \((\d+),\) and \((\d+),\)"),
     r"a matrix product sums over two axes of equal size, and these have \1 and \2"),
    (re.compile(r"dot_general requires.*, got (\(.*\)) and (\(.*\))"), r"sizes \1 and \2 do not fit in a product"),
    (re.compile(r"\w+ got incompatible shapes for broadcasting: (.*)\."),
     r"shapes \1 cannot be combined element by element"),
    (re.compile(r"Incompatible types for broadcasting: input type=\w+(\[.*?\]) and requested type=\w+(\[.*?\])"),
     r"sizes \1 cannot be repeated to become \2"),
    (re.compile(r"\w+ shape must have every element be nonnegative, got (\(.*\))"), r"sizes of 0 or more, not \1"),
    (re.compile(r"[Ii]ncompatible shapes for broadcasting: (?:shapes=\[)?(.*?)\]?\.?$"),
     r"shapes \1 cannot be combined element by element"),
    (re.compile(r"every element be nonnegative, got (.*?)\.?$"), r"sizes of at least 0, not \1"),
    (re.compile(r"(?:division|modulo) by zero"), "no size of 0 where something is divided by it"),
)
_NAMES = re.compile(r"\b(?:jax\.numpy|jnp|jax\.lax|lax)\.(?=\w)")  # what JAX calls its functions


def in_plain_words(error: BaseException) -> Words | None:
    """What an exception of JAX or NumPy means; None where it is someone else's and speaks for itself."""
    if is_told(error):
        return None
    for cls, words in _CLASSES:
        if isinstance(error, cls):
            return words
    line = str(error).strip().split("\n")[0]
    by_jax = any(_JAX_NOTE in note for note in getattr(error, "__notes__", ()))
    if not by_jax and not _raised_by_arrays(error) and _UNKNOWN not in line:
        return None
    for pattern, text in _SENTENCES:
        if pattern.search(line):
            return Words(pattern.search(line).expand(text))  # type: ignore[union-attr]
    line = _NAMES.sub("", line)
    return Words(re.sub(r"(?:Jit|Dynamic\w*)?Trace(?:d|r)?<(?:~)?([\w]+\[[^\]]*\])[^>]*>\S*", r"an array \1", line))


def _raised_by_arrays(error: BaseException) -> bool:
    frames = [entry.tb_frame for entry in _entries(error.__traceback__)]
    return bool(frames) and str(frames[-1].f_globals.get("__name__")).split(".")[0] in ("jax", "jaxlib", "numpy")


def is_ours(error: BaseException) -> bool:
    """Whether nothing of the user's own was running, below the frame that caught it, when an exception was raised."""
    names = [str(entry.tb_frame.f_globals.get("__name__")).split(".")[0] for entry in _entries(error.__traceback__)]
    return all(name in _LIBRARIES or name in sys.stdlib_module_names for name in names)


def _entries(traceback: types.TracebackType | None) -> Iterator[types.TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def plainly(fn: Callable[P, R]) -> Callable[P, R]:
    """Decorator of what users call: an exception leaves with the lines of the user's program only."""

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return fn(*args, **kwargs)
        except Exception as error:
            better = _misfit(fn, error, kwargs)
            if better is not None:
                raise better from None
            _shorten(error)
            raise

    return call


def _misfit(fn: Callable[..., Any], error: Exception, kwargs: dict[str, Any]) -> Exception | None:
    """The complaint about a keyword that the function does not take, or about too few or too many arguments, if that
    is why nothing of it has run."""
    if not isinstance(error, TypeError) or is_told(error) or len(list(_entries(error.__traceback__))) > 2:
        return None  # something has run: more than `call` and a decorator below it
    names = [name for name in inspect.signature(fn).parameters if name != "self"]
    unknown = next((name for name in kwargs if name not in names), None)
    said = re.search(r"(missing) \d+ required \w+ arguments?: (.*)|takes .* but (\d+) w\w+ given", str(error))
    if unknown is None and said is not None:
        received = f"nothing for {said[2]}" if said[1] else f"{int(said[3]) - 1} arguments by place"
        return problem(f"`{fn.__name__}` cannot be called so.", received=received, kind=TypeError,
                       expected=f"{fn.__name__}({', '.join(names)})")
    if unknown is None:
        return None
    return problem(f"`{fn.__name__}` has no argument `{unknown}`.", received=f"{unknown}={describe(kwargs[unknown])}",
                   expected="one of " + ", ".join(names), fix=meant(unknown, names), kind=TypeError)


def _shorten(error: BaseException) -> None:
    """Take JAX's note and, where the message or the last line says it all, the frames of Kyeo and JAX away."""
    notes = getattr(error, "__notes__", None)
    if notes:
        notes[:] = [note for note in notes if _JAX_NOTE not in note]
    entries = list(_entries(error.__traceback__))
    of_user = [entry for entry in entries if not entry.tb_frame.f_code.co_filename.startswith(_HIDDEN)]
    speaks = is_told(error) or (of_user and of_user[-1] is entries[-1])  # else it may be a mistake of Kyeo's own
    if not speaks or os.environ.get("KYEO_FULL_TRACEBACK") or not settings.traceback_filtering:
        return
    shortened: types.TracebackType | None = None
    for entry in reversed(of_user):
        shortened = types.TracebackType(shortened, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    error.__traceback__ = shortened


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """A warning at the user's line, wherever in Kyeo it is noticed."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HIDDEN):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
