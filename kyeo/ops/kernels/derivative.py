"""Kernels with a gradient of their own, which can be differentiated forward too.

JAX knows a function with its own gradient (`jax.custom_vjp`) in reverse mode only: `jax.jvp`, `jax.jacfwd` and
`jax.hessian` stop there. Nothing says beforehand in which mode a function will be differentiated, so the kernel is
tried, and its formula differentiated where JAX refuses.
"""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import jax

__all__ = ["Kernel", "as_one", "own_gradient"]

F = TypeVar("F", bound=Callable[..., Any])

# Whether a formula is being differentiated: then the kernels in it, in a loop as well, are formulas too.
_by_formula: ContextVar[bool] = ContextVar("kyeo_by_formula", default=False)


class Kernel:
    """A function of arrays for which `defvjp` names the gradient, as that of `jax.custom_vjp` does."""

    def __init__(self, formula: Callable[..., Any], fixed: tuple[int, ...], jit: bool, forward: Any):
        functools.update_wrapper(self, formula)
        self._formula, self._jit = formula, jit
        self._rule = jax.custom_vjp(formula, nondiff_argnums=fixed)
        self._run = jax.jit(self._rule, static_argnums=fixed) if jit else self._rule
        self._alone = jax.jit(formula, static_argnums=fixed)
        self._forward = forward or formula
        self.defvjp = self._rule.defvjp

    def __reduce__(self) -> str:
        return self._formula.__qualname__  # copied and pickled by its name, as functions are

    def __call__(self, *args: Any) -> Any:
        if _by_formula.get():
            return self._forward(*args)
        if not self._jit and not _is_traced(args):
            return self._alone(*args)  # nobody differentiates this call, and to ask JAX for it takes 0.2 ms
        try:
            return self._run(*_as_varying(args))
        except TypeError as error:
            if "forward-mode" not in str(error):
                raise
        token = _by_formula.set(True)
        try:
            return self._forward(*args)
        finally:
            _by_formula.reset(token)


def _is_traced(args: Any) -> bool:
    return any(isinstance(a, jax.core.Tracer) or jax.export.is_symbolic_dim(a) for a in jax.tree.leaves(args))


def as_one(*fixed: int | str) -> Callable[[F], F]:
    """Let a function run as one compiled program where it is called by itself: JAX would compile and start each of its
    operations alone. The arguments `fixed`, by place or name, are not arrays.

    >>> import jax.numpy as jnp
    >>> @as_one(1)
    ... def power(x, times):
    ...     return jnp.ones_like(x) if times == 0 else x * power(x, times - 1)
    >>> float(power(jnp.float32(2), 3))
    8.0
    """
    def decorate(formula: F) -> F:
        numbers = [one for one in fixed if isinstance(one, int)]
        names = [one for one in fixed if isinstance(one, str)]
        alone = jax.jit(formula, static_argnums=numbers or None, static_argnames=names or None)

        @functools.wraps(formula)
        def call(*args: Any, **kwargs: Any) -> Any:
            if _is_traced((args, kwargs)):
                return formula(*args, **kwargs)
            try:
                hash((*[args[i] for i in numbers if i < len(args)], *map(kwargs.get, names)))
            except TypeError:  # a size that is an array, known but not hashable
                return formula(*args, **kwargs)
            return alone(*args, **kwargs)

        return cast(F, call)

    return decorate


def _axes(array: Any) -> frozenset[Any]:
    """The axes of `jax.shard_map` along which an array differs."""
    kind = jax.typeof(array)
    found: frozenset[Any] = (
        kind.manual_axis_type.varying if hasattr(kind, "manual_axis_type") else getattr(kind, "vma", frozenset()))
    return found


def _as_varying(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Inside `jax.shard_map`: all arrays differ from device to device where one does. Then JAX sums the gradient of
    what was the same everywhere, and no kernel has to."""
    axes = frozenset[Any]().union(*(_axes(a) for a in args if isinstance(a, jax.core.Tracer)))
    if not axes:
        return args
    return tuple(jax.lax.pcast(a, tuple(axes - _axes(a)), to="varying") if isinstance(a, jax.Array) else a
                 for a in args)


def own_gradient(*, fixed: tuple[int, ...] = (), jit: bool = False, forward: Callable[..., Any] | None = None) -> Any:
    """Make a `Kernel` of a function.

    Args:
        fixed: which arguments, by place, are not arrays.
        jit: compile it as a function of its own: traced once for all calls of the same shapes.
        forward: what is differentiated in forward mode; the function itself where None.

    >>> import jax
    >>> @own_gradient()
    ... def square(x):
    ...     return x * x
    >>> square.defvjp(lambda x: (x * x, x), lambda x, g: (2 * x * g,))
    >>> float(jax.grad(square)(3.0)), float(jax.jvp(square, (3.0,), (1.0,))[1])
    (6.0, 6.0)
    """
    return lambda formula: Kernel(formula, fixed, jit, forward)
