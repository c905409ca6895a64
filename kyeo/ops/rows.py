"""How a row of a table becomes an op: a name, a function on arrays, a sentence and an example."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.dtypes import array_dtype, is_float, widened
from kyeo.core.errors import problem
from kyeo.core.op import op
from kyeo.ops.kernels.derivative import as_one

__all__ = [
    "Binary", "Bits", "Function", "Reduction", "Unary", "binary", "bits", "differ", "dtype_or_own", "in_float32",
    "named_op", "operands", "reduction", "sized_by_values", "tuple_axis", "unary",
]

Function = Callable[..., Any]


class Unary(Protocol):
    """An op of one array."""

    def __call__(self, x: Any) -> jax.Array: ...


class Binary(Protocol):
    """An op of two arrays that broadcast."""

    def __call__(self, x1: Any, x2: Any) -> jax.Array: ...


class Bits(Protocol):
    """An op of two arrays of integers; Keras calls its operands x and y."""

    def __call__(self, x: Any, y: Any) -> jax.Array: ...


class Reduction(Protocol):
    """An op that takes axes away."""

    def __call__(self, x: Any, axis: Any = None, keepdims: bool = False) -> jax.Array: ...


def tuple_axis(axis: Any) -> Any:
    """A list of axes as the tuple that jax.numpy wants."""
    if any(isinstance(a, str) for a in (axis if isinstance(axis, (list, tuple)) else [axis])):
        raise problem("`axis` is not valid.", received=f"axis={axis!r}", expected="an int, several ints, or None",
                      kind=TypeError)
    return tuple(axis) if isinstance(axis, list) else axis


def dtype_or_own(dtype: Any) -> Any:
    """A dtype by its name; None, which keeps that of the input, as it is.

    >>> dtype_or_own("int64"), dtype_or_own(None)
    ('int32', None)
    """
    return None if dtype is None else array_dtype(dtype)


def in_float32(fn: Function) -> Function:
    """`fn(x, ...)`, of half precision worked out in float32 and rounded once: 65504 is soon reached."""
    @functools.wraps(fn)
    def wide(x: jax.Array, *args: Any, **kwargs: Any) -> jax.Array:
        out: jax.Array = fn(x.astype(widened(x.dtype)), *args, **kwargs)
        return out.astype(x.dtype) if is_float(x.dtype) else out

    return wide


def differ(size: Any, other: Any) -> bool:
    """Whether two sizes are surely not the same: one that is open may be any.

    >>> differ(2, 3), differ(2, jax.export.symbolic_shape("n")[0])
    (True, False)
    """
    return isinstance(size, int) and isinstance(other, int) and size != other


@contextlib.contextmanager
def sized_by_values(name: str, fix: str = "keep all elements: kyeo.ops.where(condition, x, 0)") -> Iterator[None]:
    """Around what gives more or less by the values it meets: says so where they are not known, as in `jax.jit`."""
    try:
        yield
    except jax.errors.ConcretizationTypeError:
        raise problem(f"How much `ops.{name}` gives depends on values, which are only known when the step runs.",
                      where=f"ops.{name}", fix=fix, kind=TypeError) from None


_OF_REDUCTION = {"x": "array of any shape.", "axis": "the axis, or axes, to take away; None for all of them.",
                 "keepdims": "whether a size of 1 stays in their place."}


def named_op(fn: Function, name: str, text: str, call: str, result: str, shown: str = "{}.tolist()",
             about: dict[str, str] | None = None) -> Any:
    """Give a row's function its name, module and docstring, and file it as an op.

    Args:
        fn: the function.
        name, text: of the op.
        call, result: the docstring's example.
        shown: how the example looks at what the call gives.
        about: a sentence on each parameter.
    """
    told = "".join(f"        {parameter}: {words}\n" for parameter, words in (about or {}).items())
    fn.__name__ = fn.__qualname__ = name
    fn.__module__ = sys._getframe(2).f_globals["__name__"]  # the module that holds the table
    fn.__doc__ = (f"{text}\n\n" + (f"    Args:\n{told}\n" if told else "") + "    >>> import kyeo\n"
                  f"    >>> {shown.format(f'kyeo.ops.{name}({call})')}\n    {result}\n")
    return op(fn)


def unary(name: str, fn: Function, text: str, x: str, result: str) -> Unary:
    """A row `fn(x)`; `x` and `result` are the texts of its docstring's example."""
    whole = as_one()(fn)

    def row(x: Any) -> jax.Array:
        return whole(to_array(x))

    return named_op(row, name, text, x, result, about={"x": "array of any shape, or a number."})


def binary(name: str, fn: Function, text: str, args: str, result: str, beside: Function | None = None) -> Binary:
    """A row `fn(x1, x2)`; `beside` says what becomes of an array of integers and a Python int that is none of them."""

    def row(x1: Any, x2: Any) -> jax.Array:
        if beside is not None:
            if type(x2) is int:
                x1, x2 = _met(to_array(x1), x2, beside)
            elif type(x1) is int:
                x2, x1 = _met(to_array(x2), x1, beside)
        return fn(*operands(x1, x2))

    return named_op(row, name, text, args, result, about={"x1, x2": "arrays or numbers."})


def operands(*values: Any) -> tuple[Any, ...]:
    """All as arrays, but Python's numbers as they are beside an array of floats: JAX takes them so, weakly typed.

    To make an array of one takes longer than the op itself (42 us; `x * 2.0` of 32 x 64 numbers 76 -> 43).

    >>> operands(jnp.ones(3), 2, [1.0])[1], operands([1, 2], 2)[1].weak_type
    (2, True)
    """
    numbers = [type(one) is float or (type(one) is int and -2**31 <= one < 2**31) for one in values]
    if True in numbers and any(isinstance(one, jax.Array) and is_float(one.dtype) for one in values):
        return tuple(one if is_number else to_array(one) for one, is_number in zip(values, numbers))
    return tuple(map(to_array, values))


def _met(x: jax.Array, number: int, beside: Function) -> Any:
    if not jnp.issubdtype(x.dtype, jnp.integer) or x.weak_type or x.dtype.itemsize == 8:
        return x, number
    limits = jnp.iinfo(x.dtype)
    return (x, number) if limits.min <= number <= limits.max else beside(x, number, limits)


def bits(name: str, fn: Function, text: str, args: str, result: str) -> Bits:
    """A row `fn(x, y)` on the bits of integers."""

    def row(x: Any, y: Any) -> jax.Array:
        return fn(to_array(x), to_array(y))

    return named_op(row, name, text, args, result, about={"x, y": "arrays of integers, of shapes that broadcast."})


def reduction(name: str, fn: Function, text: str, args: str, result: str) -> Reduction:
    """A row `fn(x, axis, keepdims)`: `axis` is an int, several ints, or None for all axes; `keepdims` leaves
    a size of 1 in their place."""
    # By place: what is fixed by its name costs 7 us a call.
    run = as_one(1, 2)(lambda x, axis, keepdims: fn(x, axis=axis, keepdims=keepdims))

    def row(x: Any, axis: Any = None, keepdims: bool = False) -> jax.Array:
        return run(to_array(x), tuple_axis(axis), keepdims)

    return named_op(row, name, text, args, result, about=_OF_REDUCTION)
