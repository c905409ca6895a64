"""@op: a plain function on arrays that also takes symbolic tensors and variables.

Called with a symbolic tensor it is recorded in the graph; with variables it sees their values; else it is
called straight through. Decorating also files it in the op table, where saved graphs look up their nodes.
"""

import contextlib
import functools
import inspect
import itertools
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import jax

from kyeo.core.errors import describe, is_told, problem
from kyeo.core.parameters import MISTAKES, Checks, is_misfit, late_size, misfit
from kyeo.core.plain import Words, in_plain_words, is_ours, plainly
from kyeo.core.registry import OPS
from kyeo.core.scope import current
from kyeo.core.symbolic import SymbolicTensor, infer, record, sized_by_others
from kyeo.core.variable import Variable

__all__ = ["OPS", "inferred", "op"]  # OPS: in the registry, where files find what they name

P = ParamSpec("P")
R = TypeVar("R")


def _look(value: Any) -> int:
    """0: plain; 1: holds a variable; 2: holds a symbolic tensor."""
    if isinstance(value, SymbolicTensor):
        return 2
    if isinstance(value, Variable):
        return 1
    if isinstance(value, (list, tuple)):
        return max(map(_look, value), default=0)
    if isinstance(value, dict):
        return max(map(_look, value.values()), default=0)
    return 0


def _values(value: Any) -> Any:
    if isinstance(value, Variable):
        return value.value
    if isinstance(value, (list, tuple)):
        return type(value)(map(_values, value)) if not hasattr(value, "_fields") else type(value)(*map(_values, value))
    if isinstance(value, dict):
        return {k: _values(v) for k, v in value.items()}
    return value


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)) and any(hasattr(v, "shape") for v in value):
        return "[" + ", ".join(map(describe, value)) + "]"
    return describe(value)


def _no_such_axis(
    fn: Callable[..., Any], error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any],
) -> str | None:
    """What axes there are, if the axis asked for is not among them; the error knows it where the result has others."""
    given = {**dict(zip(inspect.signature(fn).parameters, args)), **kwargs}
    asked = jax.tree.leaves([value for name, value in given.items() if name.startswith("axis")])
    axes = [axis for axis in asked if isinstance(axis, int)]
    said = re.search(r"axis (-?\d+) is out of bounds for array of dimension (\d+)", str(error))
    ndim = int(said[2]) if said and int(said[1]) in axes else getattr(args[0] if args else None, "ndim", None)
    wrong = ndim is not None and any(not -ndim <= axis < ndim for axis in axes)
    return f"axes from {-ndim} to {ndim - 1}" if wrong and ndim else None


def _told(fn: Callable[..., Any], error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception:
    axes = _no_such_axis(fn, error, args, kwargs)
    words = Words(axes) if axes else in_plain_words(error)
    received = [*map(_shown, args), *(f"{name}={_shown(value)}" for name, value in kwargs.items())]
    kinds = {TypeError: TypeError, AttributeError: TypeError, IndexError: IndexError, OverflowError: OverflowError}
    kind = next((kind for cls, kind in kinds.items() if isinstance(error, cls)), ValueError)
    return problem(f"`ops.{fn.__name__}` cannot be applied to these tensors.", kind=kind, received=", ".join(received),
                   expected=words.text if words else str(error).split("\n")[0], fix=words.fix if words else None)


def inferred(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The shapes and dtypes an op or layer gives; a size that one tensor leaves open may be that of another."""
    try:
        return infer(call, args, kwargs)
    except MISTAKES:
        for sized in sized_by_others(args, kwargs):
            with contextlib.suppress(*MISTAKES):
                return _least_sized(call, (args, kwargs), sized, infer(call, *sized))
        raise


def _least_sized(call: Callable[..., Any], given: Any, sized: Any, specs: Any) -> Any:
    """The specs, once the sizes that the call does without are open again: they were not what it needed.

    Some of them may only be alike, so that two are opened together."""
    leaves, treedef = jax.tree.flatten(given)
    filled = jax.tree.leaves(sized)
    taken = {(i, axis) for i, leaf in enumerate(leaves) if isinstance(leaf, SymbolicTensor)
             for axis, size in enumerate(leaf.shape) if size != filled[i].shape[axis]}
    for some in (*itertools.combinations(sorted(taken), 1), *itertools.combinations(sorted(taken), 2)):
        left = taken - {*some}
        if taken.issuperset(some) and (left or len(some) > 1):
            new = [leaf if not isinstance(leaf, SymbolicTensor) else SymbolicTensor(
                [filled[i].shape[a] if (i, a) in left else size for a, size in enumerate(leaf.shape)], leaf.dtype)
                for i, leaf in enumerate(leaves)]
            with contextlib.suppress(*MISTAKES):
                specs, taken = infer(call, *jax.tree.unflatten(treedef, new)), left
    return specs


def op(fn: Callable[P, R]) -> Callable[P, R]:
    """Let `fn` take symbolic tensors and variables besides arrays, and file it by its name."""

    checks: Checks | None = None  # read off the signature at the first call
    where = f"ops.{fn.__name__}"

    @plainly
    def symbolic(*args: Any, **kwargs: Any) -> Any:
        try:
            specs = inferred(call, args, kwargs)
        except MISTAKES as error:
            raise (error if is_told(error) else _told(fn, error, args, kwargs)) from None
        return record(call, args, kwargs, specs)

    @plainly
    def complain(error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Say an error in our words, unless a layer is around, which knows more, or it is the user's own."""
        late = None if is_told(error) else late_size(fn, where, args, kwargs)
        if late is not None:
            raise late from None
        if not is_told(error) and is_ours(error) and not current().path:
            raise _told(fn, error, args, kwargs) from None

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal checks
        if checks is None:
            checks = Checks(fn)
        if checks.look:
            checks.run(where, args, kwargs)
        kind = max(max(map(_look, args), default=0), max(map(_look, kwargs.values()), default=0))
        if kind == 2:
            return symbolic(*args, **kwargs)
        try:
            return fn(*args, **kwargs) if kind == 0 else fn(*_values(args), **_values(kwargs))
        except MISTAKES as error:
            if isinstance(error, TypeError) and is_misfit(error):
                raise misfit(fn, where, args, kwargs) from None
            complain(error, args, kwargs)
            raise

    OPS[fn.__name__] = call
    return cast(Callable[P, R], call)
