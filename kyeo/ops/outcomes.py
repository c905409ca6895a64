"""What the functions of a branch or a loop give, noted while they are traced: it says why they do not fit together."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.errors import is_told, problem
from kyeo.ops.rows import differ

__all__ = ["Outcomes", "check_steps", "of_shape", "one_value", "pair"]

_SAME = "the same structure, shapes and dtypes"


class _Text(str):
    __slots__ = ()
    __repr__ = str.__str__  # without quotation marks inside a tuple


def _kind(leaf: Any) -> tuple[Any, str]:
    return jnp.shape(leaf), str(getattr(leaf, "dtype", None) or jnp.result_type(leaf))


def _told(tree: Any) -> str:
    """A structure of arrays in words: "(float32 of shape (3,), int32 of shape ())"."""
    def text(leaf: Any) -> _Text:
        shape, dtype = _kind(leaf)
        return _Text(f"{dtype} of shape {tuple(size if isinstance(size, int) else None for size in shape)}")

    try:
        return str(jax.tree.map(text, tree))
    except TypeError:  # no arrays
        return repr(tree)


def _alike(one: Any, other: Any, dtypes: bool = True) -> bool:
    def equal(a: Any, b: Any) -> bool:
        (shape, dtype), (other_shape, other_dtype) = _kind(a), _kind(b)
        if len(shape) != len(other_shape) or any(map(differ, shape, other_shape)):
            return False
        return dtype == other_dtype or not dtypes

    structure: Any = jax.tree.structure(one)
    return structure == jax.tree.structure(other) and all(map(equal, jax.tree.leaves(one), jax.tree.leaves(other)))


class Outcomes:
    """Notes of what functions give.

    Args:
        where: the op, for messages.

    >>> notes = Outcomes("ops.cond")
    >>> with notes.alike():
    ...     jax.lax.cond(True, notes.noted("a", lambda: 1.0), notes.noted("b", lambda: (1.0, 2.0)))
    Traceback (most recent call last):
    TypeError: The functions give different things.
      Received: a gives float32 of shape (), b gives (float32 of shape (), float32 of shape ())
      Expected: the same structure, shapes and dtypes
      Where:    ops.cond
    """

    def __init__(self, where: str):
        self.where = where
        self._notes: dict[str, Any] = {}

    def noted(self, name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        """`fn`, whose results are noted; raises where it does not take as many arguments as it is given."""
        def call(*args: Any) -> Any:
            self._check_arguments(name, fn, args)
            out = fn(*args)
            self._notes[name] = out
            return out

        return call

    def _check_arguments(self, name: str, fn: Callable[..., Any], args: Any) -> None:
        try:
            signature = inspect.signature(fn)
        except (TypeError, ValueError):  # some functions of C say nothing
            return
        try:
            signature.bind(*args)
        except TypeError:
            raise problem(f"`{name}` does not take what it is given here.", received=f"a function of {signature}",
                          expected=f"a function of {len(args)} argument{'s' * (len(args) != 1)}", where=self.where,
                          kind=TypeError) from None

    @contextlib.contextmanager
    def alike(self) -> Iterator[None]:
        """Around branches: an error is that they differ, if they do."""
        try:
            yield
        except (TypeError, ValueError) as error:
            found = list(self._notes.values())
            if is_told(error) or all(_alike(found[0], other) for other in found[1:]):
                raise
            received = ", ".join(f"{name} gives {_told(value)}" for name, value in self._notes.items())
            raise problem("The functions give different things.", received=received, expected=_SAME, kind=TypeError,
                          where=self.where) from None

    @contextlib.contextmanager
    def kept(self, name: str, first: Any) -> Iterator[None]:
        """Around a loop that carries `first`: an error is that what `name` gives is of another kind, if it is."""
        try:
            yield
        except (TypeError, ValueError) as error:
            if is_told(error) or name not in self._notes or _alike(first, self._notes[name]):
                raise
            raise problem(f"`{name}` gives back something else than it was given.", kind=TypeError, where=self.where,
                          received=f"{_told(first)} goes in, {_told(self._notes[name])} comes out", expected=_SAME,
                          fix="cast or reshape what the loop begins with, or what it gives back") from None

    def note(self, name: str, value: Any) -> Any:
        """Note what a function gives, in another form than it gave it."""
        self._notes[name] = value
        return value


def of_shape(where: str, name: str, value: Any, like: Any) -> Any:
    """Arrays of the structure and shapes of others; raises for anything else."""
    if not _alike(value, like, dtypes=False):
        raise problem(f"`{name}` gives something of another form than it is given.", where=where, kind=TypeError,
                      received=f"{_told(like)} goes in, {_told(value)} comes out", expected="the same shapes")
    return value


def pair(where: str, name: str, value: Any, expected: str) -> Any:
    """Two values; raises for anything else."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise problem(f"`{name}` does not give two values.", received=_told(value), expected=expected, where=where,
                      kind=TypeError)
    return value


def one_value(where: str, name: str, value: Any, kind: str = "a boolean") -> Any:
    """A single number; raises for anything else."""
    if jax.tree.structure(value).num_leaves != 1 or jnp.shape(jax.tree.leaves(value)[0]) != ():
        fix = "kyeo.ops.all or kyeo.ops.any make one of many" if kind == "a boolean" else None
        raise problem(f"`{name}` is not one value.", received=_told(value), expected=f"{kind}, of shape ()",
                      where=where, fix=fix, kind=TypeError)
    return value


def check_steps(where: str, xs: Any, length: int | None = None, axis: int = 0) -> None:
    """Refuse arrays that do not have an axis, the first or another one, of the same size, `length` if it is given."""
    shapes = [jnp.shape(x) for x in jax.tree.leaves(xs)]
    if not shapes and length is None:
        raise problem("There is nothing to go through.", received=xs, expected="arrays, or `length`", where=where)
    sizes = [shape[axis] for shape in shapes if -len(shape) <= axis < len(shape)]
    asked = sizes[:1] if length is None else [length]
    if len(sizes) < len(shapes) or any(differ(size, asked[0]) for size in sizes):
        which = "a first axis" if axis == 0 else f"an axis {axis}"
        wanted = f"{which} of the same size" if length is None else f"{which} of size {length}, the `length`"
        raise problem("These arrays cannot be gone through together.", received=_told(xs), expected=wanted, where=where)
