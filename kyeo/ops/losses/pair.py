"""What every loss and metric does before its formula: make labels and predictions a matching pair of arrays.

Shapes never broadcast here. A loss over (32, 1) against (32, 3) is a mistake that would train on the wrong
numbers without a word, so it raises and says how to mend it.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import as_floats, check_32_bits, refuse_masked
from kyeo.core.dtypes import widened
from kyeo.core.errors import NotMaskable, problem
from kyeo.core.masks import get_mask, set_mask
from kyeo.core.naming import snake_case
from kyeo.core.op import OPS, op
from kyeo.core.settings import settings
from kyeo.core.variable import unwrap
from kyeo.ops.kernels.origins import carry_origin

__all__ = [
    "NotMaskable", "align_ranks", "as_array", "drop_class_axis", "expand_to", "filed", "fill_absent",
    "match", "merge_mask", "named_function", "per_sample", "rounded_once", "takes_classes",
]

F = TypeVar("F", bound=Callable[..., Any])


def rounded_once(fn: F) -> F:
    """Decorator: of predictions in half precision `(y_true, y_pred, ...)` is worked out in float32, then rounded.

    In half precision 1 - epsilon is 1, so probabilities are not kept off 1, and the square of 300 is infinite.
    """
    @functools.wraps(fn)
    def rounded(y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> jax.Array:
        pred = as_array(y_pred, name="y_pred")
        wide = widened(pred.dtype)
        if pred.dtype == wide:
            return fn(y_true, pred, *args, **kwargs)
        values = fn(y_true, pred.astype(wide), *args, **kwargs)
        result = values.astype(pred.dtype)
        set_mask(result, get_mask(values))
        return result

    return cast(F, rounded)


def per_sample(fn: F) -> F:
    """Decorator: a function `(y_true, y_pred, ...)` that is an op, of numbers of the predictions' type."""
    return filed(rounded_once(fn))


def filed(fn: F) -> F:
    """Decorator: a function `(y_true, y_pred, ...)` that is an op.

    It is filed among the ops as "losses.<name>", since `ops` has other functions of the same names.
    """
    public = fn.__name__
    fn.__name__ = f"losses.{public}"
    call = op(fn)
    call.__name__ = fn.__name__ = public
    return cast(F, call)


def takes_classes(fn: F) -> F:
    """Decorator: the labels of this function are class numbers, which must stay exact whatever the dtype."""
    vars(fn)["takes_classes"] = True
    return fn


def named_function(fn: Any, owner: Any) -> Callable[..., Any]:
    """The function a config means by its name; functions are given back as they are."""
    name = snake_case(fn.__name__) if isinstance(fn, type) else fn
    found = OPS.get(f"losses.{name}") if isinstance(name, str) else fn
    if not callable(found):
        raise problem("`fn` is not a function of labels and predictions.", received=f"fn={fn!r}", where=owner,
                      expected="a function (y_true, y_pred) giving one value for each sample", kind=TypeError)
    return found


def as_array(value: Any, dtype: Any = None, name: str = "value") -> jax.Array:
    """The numbers of an array, variable, list or scalar as one JAX array."""
    value = unwrap(value)
    refuse_masked(value, name)
    try:
        if not isinstance(value, jax.Array) and type(value) is not np.ndarray:
            value = np.asarray(value)
            # Python floats have no type of their own; they follow floatx through JAX's default
            value = value.astype("float32") if value.dtype == np.float64 else value
        array = jnp.asarray(value, dtype=dtype)
    except (TypeError, ValueError):
        raise problem(f"`{name}` cannot be read as an array of numbers.", received=value, kind=TypeError,
                      expected="an array, or nested lists of numbers with equal lengths") from None
    if isinstance(value, np.ndarray) and not jnp.issubdtype(array.dtype, jnp.inexact):
        check_32_bits(value, name)
    return array


def align_ranks(first: jax.Array, second: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Let two arrays that differ by one last axis of size 1 have the same rank.

    The longer one loses its axis, except next to a vector, which gains one.
    """
    for long, short, swapped in ((first, second, False), (second, first, True)):
        if long.ndim == short.ndim + 1 and long.shape[-1] == 1:
            if short.ndim == 1:
                short = short[..., None]
            else:
                long = carry_origin(lambda x: x[..., 0], long)
            return (short, long) if swapped else (long, short)
    return first, second


def match(y_true: Any, y_pred: Any, name: str, least_rank: int = 1, exact: bool = False) -> tuple[jax.Array, jax.Array]:
    """Labels (in the type of the predictions) and predictions, of one shape; raises where they do not fit.

    Whole numbers become floats unless they are to be compared `exact`ly: an epsilon among whole numbers is 0, the
    difference of two bytes wraps around, and labels would lose their fractions.
    """
    pred = as_array(y_pred, name="y_pred")
    pred = pred if exact else as_floats(pred, settings.floatx)
    true = as_array(y_true, pred.dtype, name="y_true")
    true, pred = align_ranks(true, pred)
    if true.shape != pred.shape or pred.ndim < least_rank:
        raise _mismatch(name, true.shape, pred.shape, _advice(true.shape, pred.shape, name),
                        "equal shapes, or shapes that differ by one last axis of size 1")
    return true, pred


def drop_class_axis(y_true: Any, y_pred: Any, name: str, axis: int = -1) -> tuple[jax.Array, jax.Array]:
    """Class numbers without, and scores with, a class axis: (n,) or (n, 1) against (n, classes)."""
    pred = as_array(y_pred, name="y_pred")
    true = as_array(y_true, name="y_true")
    if pred.ndim < 1:
        raise _mismatch(name, true.shape, pred.shape, None, "predictions with an axis of classes")
    if true.ndim == pred.ndim and true.shape[axis] == 1:
        true = jnp.squeeze(true, axis)
    rest = list(pred.shape)
    rest.pop(axis)
    if true.shape != tuple(rest):
        one_hot = true.shape == pred.shape
        advice = _advice(true.shape, pred.shape, name)
        if one_hot:
            dense = name.replace("sparse_", "")  # some have no form for one-hot labels
            use = f"use {_name(dense)}, or " if dense != name else ""
            advice = f"the labels look one-hot: {use}give class numbers"
        raise _mismatch(name, true.shape, pred.shape, advice,
                        f"class numbers of shape {_shape(rest)}, or with a last axis of size 1")
    return true, pred


def _shape(shape: Any) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _mismatch(name: str, true: Any, pred: Any, fix: str | None, expected: str) -> Exception:
    received = f"y_true of shape {_shape(true)}, y_pred of shape {_shape(pred)}"
    return problem("The labels and the predictions do not have shapes that fit each other.", where=name,
                   received=received, expected=expected, fix=fix)


def _name(name: str) -> str:
    """How a loss or metric is asked for."""
    return f'"{name}"' if name.islower() else name


def _advice(true: tuple[int, ...], pred: tuple[int, ...], name: str) -> str:
    """The likely mistake behind two shapes."""
    if not true or not pred:
        return "give one label for each prediction"
    if true[0] != pred[0]:
        return f"there are {true[0]} rows of labels and {pred[0]} rows of predictions: give as many of each"
    if len(pred) > 2 and len(true) < len(pred) - 1:
        return ("did you forget Flatten()? The output still has its spatial or time axes; put Flatten or a global "
                "pooling layer before the last layers")
    if pred[-1] != 1 and (len(true) < len(pred) or true[-1] == 1):
        if not name.islower():  # a metric
            return f"if the labels are class numbers, make them one-hot: kyeo.utils.to_categorical(y, {pred[-1]})"
        sparse = f"sparse_{name}" if name.startswith("categorical_") else "sparse_categorical_crossentropy"
        return (f"if the labels are class numbers, use {_name(sparse)}; if there is one value to predict, give the "
                "last layer 1 unit")
    if true[-1] != 1 and (len(pred) < len(true) or pred[-1] == 1):
        return f"the labels have {true[-1]} values for each row: give the last layer {true[-1]} units"
    return f"make the last layer's output like the labels: {_shape(true[1:])} for each row"


def expand_to(small: jax.Array, big: jax.Array, name: str = "sample_weight") -> jax.Array:
    """`small` with axes of size 1 added at its end, so that it counts along the first axes of `big`."""
    given = small.shape
    small = small.reshape(given + (1,) * max(0, big.ndim - small.ndim))
    fits = small.ndim == big.ndim and all(s in (1, b) for s, b in zip(small.shape, big.shape))
    if not fits and big.ndim:
        raise problem(f"`{name}` does not fit the values it weighs.",
                      received=f"{name} of shape {_shape(given)}",
                      expected=f"one weight for each row, or a shape that begins like {_shape(big.shape)}",
                      fix="give one number for each sample: shape " + _shape(big.shape[:1]) + (
                          "; a loss of your own must give one value for each" if small.ndim == big.ndim == 1 else ""))
    return small


def merge_mask(weight: jax.Array | None, mask: jax.Array | None) -> jax.Array | None:
    """Weights that are zero where the mask is; both may be absent."""
    if mask is None or weight is None:
        return weight if mask is None else mask
    mask, weight = align_ranks(mask, weight)
    if mask.ndim < weight.ndim:
        mask = expand_to(mask, weight, "mask")
    else:
        weight = expand_to(weight, mask)
    return weight * mask


def fill_absent(x: jax.Array, present: jax.Array, first: int | None = None) -> jax.Array:
    """`x` with every row that is not present replaced by the first present one, without a gradient to it.

    So rows that do not count can neither hold a NaN nor sway what looks at the whole batch.
    """
    def filled(x: jax.Array) -> jax.Array:
        row = jax.lax.stop_gradient(x[jnp.argmax(present) if first is None else first])
        return jnp.where(present.reshape((-1,) + (1,) * (x.ndim - 1)), x, row)

    return carry_origin(filled, x)
