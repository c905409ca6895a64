"""One template for every complaint, and the checks that constructors share.

A message says what is wrong in terms of the user's call, what came, what was expected, where, and how to
mend it. Checks return the value in its normal form, so a constructor spends one line on each argument.
"""

import difflib
import numbers
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

__all__ = [
    "NotMaskable", "boolean", "describe", "did_you_mean", "fraction", "given_in", "int_tuple", "is_told", "meant",
    "no_more", "number", "one_of", "positive_int", "problem", "retold", "where_is",
]


class NotMaskable(ValueError):
    """Rows of padding cannot be left out of this computation, so the batch must come unpadded."""


class _PlainKeyError(KeyError):
    """A KeyError whose message is shown as it is, not as a `repr` with `\\n` in it."""

    __module__, __qualname__ = "builtins", "KeyError"

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:  # from a process that reads data, say
        return _plain_key_error, self.args


_PlainKeyError.__name__ = "KeyError"


def _plain_key_error(*args: Any) -> KeyError:
    return _PlainKeyError(*args)


def _remade(kind: type[Exception], args: tuple[Any, ...]) -> Exception:
    return _SHOWN_AS[kind](*args)


def _caught_as_value_error(kind: type[Exception]) -> type[Exception]:
    """An exception shown as a `kind`; programs that wait for Keras's ValueError catch it too."""
    return type(kind.__name__, (kind, ValueError), {
        "__module__": "builtins", "__reduce__": lambda self: (_remade, (kind, self.args), self.__dict__)})


_SHOWN_AS: dict[type[Exception], type[Exception]] = {
    KeyError: _PlainKeyError,
    **{kind: _caught_as_value_error(kind)
       for kind in (TypeError, IndexError, OverflowError, NotImplementedError, FileNotFoundError)},
}


def describe(value: Any) -> str:
    """A short text for a value: arrays by type, dtype and shape, everything else by a clipped repr."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        name = type(value).__name__
        name = "array" if name == "ArrayImpl" or "Tracer" in name else name
        shape = tuple(size if isinstance(size, int) else None for size in value.shape)  # unknown ones have odd names
        return f"{name} of dtype {value.dtype} and shape {shape}"
    if isinstance(value, (tuple, list)) and any(hasattr(v, "shape") for v in value):
        ends = "()" if isinstance(value, tuple) else "[]"
        text = ends[0] + ", ".join(map(describe, value)) + ends[1]
    else:
        text = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    return text if len(text) <= 200 else text[:197] + "..."


def where_is(owner: Any) -> str:
    """How a message names the thing at fault: a layer by name and class, anything else by its class."""
    if owner is None or isinstance(owner, str):
        return owner or ""
    cls = owner if isinstance(owner, type) else type(owner)
    name = getattr(owner, "name", None) if not isinstance(owner, type) else None
    return f'{cls.__name__} "{name}"' if isinstance(name, str) else cls.__name__


def problem(
    what: str, *, received: Any = None, expected: str | None = None, where: Any = None, fix: str | None = None,
    kind: type[Exception] = ValueError,
) -> Exception:
    """Build (not raise) the exception for a mistake.

    Args:
        what: the mistake, in the words of the user's call.
        received: the offending value, or a text that begins with its name ("units=-3").
        expected: what would have been right.
        where: the layer, loss, ... at fault, or a text.
        fix: one line on how to mend it.
        kind: the class of the exception.

    >>> print(problem("`units` must be positive.", received="units=-3", expected="an int > 0", where="Dense"))
    `units` must be positive.
      Received: units=-3
      Expected: an int > 0
      Where:    Dense
    """
    rows = [
        ("Received", received if isinstance(received, str) or received is None else describe(received)),
        ("Expected", expected), ("Where", where_is(where)), ("Fix", fix),
    ]
    error = _SHOWN_AS.get(kind, kind)("\n".join([what] + [f"  {name + ':':<10}{text}" for name, text in rows if text]))
    error._told = {  # type: ignore[attr-defined]
        "what": what, "received": received, "expected": expected, "where": where, "fix": fix, "kind": kind}
    return error


def is_told(error: BaseException) -> bool:
    """Whether the exception was built by `problem`."""
    return hasattr(error, "_told")


def retold(error: Exception, where: Any, fix: str | None = None) -> Exception:
    """The exception with the place named that holds the one at fault, and a mend where it had none.

    A place that is an object with a name (a layer) is left as it is.

    >>> print(retold(problem("Shapes differ.", received="(2,)", where="ops.add"), 'Dense "head"'))
    Shapes differ.
      Received: (2,)
      Where:    Dense "head", ops.add
    """
    parts = error._told  # type: ignore[attr-defined]
    inner = parts["where"]
    if not isinstance(inner, str | None) or "\"" in (inner or ""):
        return error
    outer = where_is(where)
    names = [outer] + ([inner] if inner and inner not in outer else [])
    return problem(**{**parts, "where": ", ".join(names), "fix": parts["fix"] or fix}).with_traceback(
        error.__traceback__)


def given_in(error: Exception, argument: str) -> Exception:
    """The exception of `problem` with the argument named in which the value at fault came.

    >>> print(given_in(problem("Shapes differ.", received="(2,)", where="fit"), "`validation_data`"))
    Shapes differ.
      Received: (2,)
      Where:    fit, in `validation_data`
    """
    parts = error._told  # type: ignore[attr-defined]
    if argument in str(error):
        return error
    place = ", in ".join(part for part in (where_is(parts["where"]), argument) if part)
    return problem(**{**parts, "where": place}).with_traceback(error.__traceback__)


def did_you_mean(name: Any, names: Iterable[Any], quote: str = "'") -> str | None:
    """A line that names up to three of `names` that look like `name`, in whatever case; None where none does.

    >>> did_you_mean("smae", ["valid", "same"]), did_you_mean("lstm", ["LSTM", "GRU"])
    ("did you mean 'same'?", "did you mean 'LSTM'?")
    """
    if not isinstance(name, str):
        return None
    names = [n for n in names if isinstance(n, str)]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if not close:
        by_letters = {n.lower(): n for n in names}
        close = [by_letters[n] for n in difflib.get_close_matches(name.lower(), by_letters, n=3, cutoff=0.6)]
    return "did you mean " + " or ".join(f"{quote}{c}{quote}" for c in close) + "?" if close else None


# Parameters as Keras 1 and 2 named them, or as other parameters of that meaning are named.
_OLD_NAMES = {
    "output_dim": "units", "nb_filter": "filters", "border_mode": "padding", "subsample": "strides",
    "init": "kernel_initializer", "W_regularizer": "kernel_regularizer", "b_regularizer": "bias_regularizer",
    "bias": "use_bias", "dim_ordering": "data_format", "inner_activation": "recurrent_activation", "p": "rate",
    "input": "inputs", "output": "outputs", "nb_epoch": "epochs", "samples_per_epoch": "steps_per_epoch",
    "nb_classes": "num_classes", "lr": "learning_rate", "batch_input_shape": "batch_shape",
    "epsilon": "min_delta", "metric": "monitor",
}
_OLD_WAYS = {
    "period": 'save_freq="epoch", or a number of batches',
    "weights": "call `layer.set_weights(...)` once the layer is built, or give an initializer",
    "workers": "give it to the data set: PyDataset(workers=...)",
    "use_multiprocessing": "give it to the data set: PyDataset(use_multiprocessing=...)",
    "max_queue_size": "give it to the data set: PyDataset(max_queue_size=...)",
    "lr": 'give it to the optimizer: kyeo.optimizers.Adam(learning_rate=...)',
    "learning_rate": 'give it to the optimizer: kyeo.optimizers.Adam(learning_rate=...)',
    "show_accuracy": 'compile(..., metrics=["accuracy"])',
}


def meant(name: str, names: Iterable[str]) -> str | None:
    """What a parameter that does not exist was called later, what does its work, or what it looks like.

    >>> meant("nb_epoch", ["x", "epochs"])
    'it is called `epochs` now'
    >>> meant("epsilon", ["monitor", "min_delta"])
    'it is called `min_delta` now'
    """
    names = list(names)
    new = _OLD_NAMES.get(name)
    if new is not None and (new in names or not names):
        return f"it is called `{new}` now"
    return did_you_mean(name, names, "`") or _OLD_WAYS.get(name)


def _bad(owner: Any, name: str, value: Any, expected: str, kind: type[Exception] = ValueError,
         fix: str | None = None) -> Exception:
    return problem(f"`{name}` is not valid.", received=f"{name}={describe(value)}", expected=expected,
                   where=owner, kind=kind, fix=fix)


def _single(named: dict[str, Any]) -> tuple[str, Any]:
    ((name, value),) = named.items()
    return name, value


def _is_int(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))


_FOR_DATA = {"fit": "data for validation are given as validation_data=(x, y)", "predict": "it takes x alone"}


def positive_int(owner: Any, *, optional: bool = False, minimum: int = 1, **named: Any) -> Any:
    """`positive_int(self, units=units)`: an int of at least `minimum` (a whole float is taken as one)."""
    name, value = _single(named)
    if value is None and optional:
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    if not _is_int(value):
        fix = _FOR_DATA.get(owner) if getattr(value, "ndim", 0) > 0 and isinstance(owner, str) else None
        raise _bad(owner, name, value, f"an int of at least {minimum}", TypeError, fix)
    if value < minimum:
        raise _bad(owner, name, value, f"an int of at least {minimum}")
    return int(value)


def int_tuple(owner: Any, rank: int, *, minimum: int = 1, **named: Any) -> tuple[int, ...]:
    """`int_tuple(self, 2, strides=strides)`: one int for every axis, or a sequence of `rank` ints."""
    name, value = _single(named)
    expected = f"an int or {rank} ints, each at least {minimum}"
    values = (value,) * rank if _is_int(value) else value
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise _bad(owner, name, value, expected, TypeError)
    values = tuple(values)
    if len(values) != rank or not all(_is_int(v) and v >= minimum for v in values):
        raise _bad(owner, name, value, expected)
    return tuple(int(v) for v in values)


def one_of(owner: Any, allowed: Iterable[Any], **named: Any) -> Any:
    """`one_of(self, ("valid", "same"), padding=padding)`: a member of `allowed`, strings in any case."""
    name, value = _single(named)
    allowed = tuple(allowed)
    found = value.lower() if isinstance(value, str) else value
    if not any(found is a or (type(found) is type(a) and found == a) for a in allowed):
        raise _bad(owner, name, value, "one of " + ", ".join(repr(a) for a in allowed),
                   fix=did_you_mean(found, allowed))
    return found


def number(
    owner: Any, *, low: float | None = None, high: float | None = None, optional: bool = False,
    check: Callable[[float], bool] | None = None, expected: str | None = None, **named: Any,
) -> Any:
    """`number(self, low=0, momentum=momentum)`: a real number within the closed bounds."""
    name, value = _single(named)
    if value is None and optional:
        return None
    bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
    expected = expected or "a number" + ((" " + " and ".join(bounds)) if bounds else "")
    if not isinstance(value, (numbers.Real, np.number)) or isinstance(value, bool):
        raise _bad(owner, name, value, expected, TypeError)
    real = float(value)
    if (low is not None and not real >= low) or (high is not None and not real <= high):
        raise _bad(owner, name, value, expected)
    if check is not None and not check(real):
        raise _bad(owner, name, value, expected)
    return value


def fraction(owner: Any, **named: Any) -> Any:
    """`fraction(self, rate=rate)`: a number from 0 to 1."""
    return number(owner, low=0, high=1, **named)


def boolean(owner: Any, **named: Any) -> bool:
    """`boolean(self, use_bias=use_bias)`: True or False, not something that merely looks like it."""
    name, value = _single(named)
    if not isinstance(value, (bool, np.bool_)):
        raise _bad(owner, name, value, "True or False", TypeError)
    return bool(value)


def no_more(owner: Any, kwargs: dict[str, Any]) -> None:
    """`no_more(self, kwargs)`: complain of arguments that nobody knows."""
    if kwargs:
        raise problem("There is no such argument.", received=", ".join(f"{k}={describe(v)}" for k, v in kwargs.items()),
                      where=owner, kind=TypeError)
