"""Ops that take functions: branches, loops, maps, custom gradients. What a function assigns comes out of the op."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import to_array
from kyeo.core.errors import is_told, problem
from kyeo.core.op import op
from kyeo.core.parameters import MISTAKES, checked, general
from kyeo.core.plain import is_ours, plainly
from kyeo.core.threaded import sealed, threaded
from kyeo.core.variable import unwrap
from kyeo.ops.outcomes import Outcomes, check_steps, of_shape, one_value, pair

__all__ = [
    "associative_scan", "cond", "custom_gradient", "fori_loop", "jvp", "map", "scan", "switch", "vectorize",
    "vectorized_map", "while_loop",
]

Function = Callable[..., Any]


@op
def cond(pred: Any, true_fn: Function, false_fn: Function) -> Any:
    """`true_fn()` where `pred` is true, else `false_fn()`; both must give the same shapes and dtypes.

    >>> import kyeo
    >>> float(kyeo.ops.cond(True, lambda: 1.0, lambda: 2.0))
    1.0
    """
    notes = Outcomes("ops.cond")
    one_value("ops.cond", "pred", pred)
    either = [notes.noted(*row) for row in (("true_fn", true_fn), ("false_fn", false_fn))]
    with notes.alike():
        return threaded(lambda wrap, state: jax.lax.cond(pred, *[wrap(fn) for fn in either], state))


@op
def switch(index: Any, branches: Sequence[Function], *operands: Any) -> Any:
    """`branches[index](*operands)`, the index clipped to the list.

    >>> import kyeo
    >>> float(kyeo.ops.switch(1, [lambda x: x + 1, lambda x: x * 10], 2.0))
    20.0
    """
    notes = Outcomes("ops.switch")
    one_value("ops.switch", "index", index, "an integer")
    if not jnp.issubdtype(jnp.result_type(*jax.tree.leaves(index)), jnp.integer):
        raise problem("`index` is not an integer.", received=index, expected="an int, or an array of integers",
                      where="ops.switch", kind=TypeError)
    if not branches or not all(callable(branch) for branch in branches):
        raise problem("`branches` is not valid.", received=f"branches={branches!r}", where="ops.switch",
                      expected="functions, at least one", kind=TypeError)
    noted = [notes.noted(f"branches[{i}]", branch) for i, branch in enumerate(branches)]
    with notes.alike():
        return threaded(lambda wrap, state: jax.lax.switch(index, [wrap(fn) for fn in noted], state, *operands))


@op
def map(f: Function, xs: Any) -> Any:
    """`f` of each slice along the first axis, one after the other, stacked.

    >>> import kyeo
    >>> kyeo.ops.map(lambda x: x * 2, kyeo.ops.array([1, 2])).tolist()
    [2, 4]
    """
    check_steps("ops.map", xs)
    one = Outcomes("ops.map").noted("f", f)
    return scan(lambda _, x: (None, one(x)), None, xs)[1]


@op
def vectorized_map(function: Function, elements: Any) -> Any:
    """`function` of each slice along the first axis, all at once, stacked.

    >>> import kyeo
    >>> kyeo.ops.vectorized_map(lambda x: x * 2, kyeo.ops.array([1, 2])).tolist()
    [2, 4]
    """
    check_steps("ops.vectorized_map", elements)
    one = Outcomes("ops.vectorized_map").noted("function", function)
    return jax.vmap(sealed(one, "ops.vectorized_map"))(elements)


@op
def scan(
    f: Function, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False,
    unroll: int | bool = 1,
) -> Any:
    """A loop that carries a state over the first axis: `(carry, y) = f(carry, x)`.

    Args:
        f: one step.
        init: the first carry.
        xs: what is looped over (arrays or a tree of them), or None.
        length: the number of steps, needed without `xs`.
        reverse: from the last to the first.
        unroll: how many steps are written out in one turn of the compiled loop; True for all.

    Returns: the last carry, and the stacked ys.

    >>> import kyeo
    >>> total, sums = kyeo.ops.scan(lambda c, x: (c + x, c + x), 0, kyeo.ops.arange(4))
    >>> int(total), sums.tolist()
    (6, [0, 1, 3, 6])
    """
    if not isinstance(unroll, bool) and not (isinstance(unroll, int) and unroll >= 1):
        raise problem("`unroll` is not valid.", received=f"unroll={unroll!r}", where="ops.scan",
                      expected="an int of at least 1, or True or False")
    check_steps("ops.scan", xs, length)
    notes = Outcomes("ops.scan")

    def compute(wrap: Any, state: Any) -> Any:
        step = wrap(notes.noted("f", f))

        def body(carry: Any, x: Any) -> Any:
            out, state = step(carry[0], carry[1], x)
            inner, y = pair("ops.scan", "f", out, "(carry, y)")
            return (state, notes.note("f", inner)), y

        (state, last), ys = jax.lax.scan(body, (state, init), xs, length, reverse, unroll)
        return (last, ys), state

    with notes.kept("f", init):
        return threaded(compute)


@op
def associative_scan(f: Function, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All prefixes of an associative operation, computed in parallel.

    >>> import kyeo
    >>> kyeo.ops.associative_scan(lambda a, b: a + b, kyeo.ops.arange(5)).tolist()
    [0, 1, 3, 6, 10]
    """
    check_steps("ops.associative_scan", elems, axis=axis)
    if axis < 0:  # JAX turns the axis round before it counts it from the front
        axis += jnp.ndim(jax.tree.leaves(elems)[0])
    joined = Outcomes("ops.associative_scan").noted("f", f)

    def keeping(one: Any, other: Any) -> Any:
        return of_shape("ops.associative_scan", "f", joined(one, other), one)

    return jax.lax.associative_scan(sealed(keeping, "ops.associative_scan"), elems, reverse, axis)


@op
def while_loop(cond: Function, body: Function, loop_vars: Any, maximum_iterations: int | None = None) -> Any:
    """`loop_vars = body(*loop_vars)` as long as `cond(*loop_vars)`.

    Args:
        cond: gives a boolean.
        body: gives new values of the same structure, shapes and dtypes.
        loop_vars: a tuple, a list, or one value.
        maximum_iterations: at most so many turns.

    >>> import kyeo
    >>> [int(v) for v in kyeo.ops.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), (0, 0))]
    [4, 6]
    """
    single = not isinstance(loop_vars, (tuple, list))
    values = (loop_vars,) if single else tuple(loop_vars)
    notes = Outcomes("ops.while_loop")

    def compute(wrap: Any, state: Any) -> Any:
        turn_over, ask = wrap(notes.noted("body", body)), wrap(Outcomes("ops.while_loop").noted("cond", cond))

        def go_on(carry: Any) -> Any:
            state, turn, values = carry
            go = one_value("ops.while_loop", "cond", ask(state, *values)[0])
            return go if maximum_iterations is None else go & (turn < maximum_iterations)

        def step(carry: Any) -> Any:
            state, turn, values = carry
            out, state = turn_over(state, *values)
            return state, turn + 1, notes.note("body", (out,) if single else tuple(out))

        state, _, found = jax.lax.while_loop(go_on, step, (state, 0, values))
        return found, state

    with notes.kept("body", values):
        found = threaded(compute)
    return found[0] if single else found


@op
def fori_loop(lower: Any, upper: Any, body_fun: Function, init_val: Any) -> Any:
    """`value = body_fun(i, value)` for i from `lower` to `upper - 1`.

    >>> import kyeo
    >>> int(kyeo.ops.fori_loop(0, 4, lambda i, s: s + i, 0))
    6
    """
    notes = Outcomes("ops.fori_loop")
    for name, bound in (("lower", lower), ("upper", upper)):
        one_value("ops.fori_loop", name, bound, "an integer")

    def compute(wrap: Any, state: Any) -> Any:
        turn = wrap(notes.noted("body_fun", body_fun))

        def body(i: Any, carry: Any) -> Any:
            value, state = turn(carry[0], i, carry[1])
            return state, value

        state, value = jax.lax.fori_loop(lower, upper, body, (state, init_val))
        return value, state

    with notes.kept("body_fun", init_val):
        return threaded(compute)


@op
def jvp(fun: Function, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """`fun(*primals)`, and how it changes when the primals move along the tangents.

    Args:
        fun: a function of arrays.
        primals: a list or tuple of its arguments.
        tangents: a direction for each of them.
        has_aux: `fun` gives `(value, something else)`; that comes out third.

    >>> import kyeo
    >>> value, change = kyeo.ops.jvp(lambda x: x * x, (3.0,), (1.0,))
    >>> float(value), float(change)
    (9.0, 6.0)
    """
    for name, given in {"primals": primals, "tangents": tangents}.items():
        if not isinstance(given, (list, tuple)):
            raise problem(f"`{name}` must be a list.", received=given, expected="one entry for each argument",
                          where="ops.jvp", kind=TypeError)
    primals, tangents = (jax.tree.map(to_array, tuple(given)) for given in (primals, tangents))
    return jax.jvp(sealed(fun, "ops.jvp"), primals, tangents, has_aux=has_aux)


@checked
def vectorize(pyfunc: Function, *, excluded: Any = None, signature: str | None = None) -> Function:
    """A function of numbers as a function of arrays that broadcast.

    Args:
        pyfunc: it gets arrays of the shapes that `signature` names, or numbers.
        excluded: numbers and names of arguments that it gets as they are.
        signature: what it takes and gives, as in "(n),(n)->()".

    >>> import kyeo
    >>> kyeo.ops.vectorize(lambda a, b: a if a is None else a + b)([1, 2], 10).tolist()
    [11, 12]
    """
    if not callable(pyfunc):
        raise problem("`pyfunc` is not valid.", received=f"pyfunc={pyfunc!r}", expected="a function",
                      where="ops.vectorize", kind=TypeError)
    try:
        np.vectorize(pyfunc, signature=signature)  # which reads the signature now, where JAX does at the first call
    except ValueError:
        raise problem("`signature` is not valid.", received=f"signature={signature!r}", where="ops.vectorize",
                      expected='names of axes in brackets, as in "(n),(n)->()"') from None
    inner = jnp.vectorize(sealed(pyfunc, "ops.vectorize"), excluded=set(excluded or ()), signature=signature)

    @plainly
    @functools.wraps(pyfunc)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return inner(*jax.tree.map(unwrap, args), **jax.tree.map(unwrap, kwargs))
        except MISTAKES as error:
            if is_told(error) or not is_ours(error):
                raise
            raise general("ops.vectorize(...)", args, kwargs, error) from None

    return call


@checked
def custom_gradient(f: Function) -> Function:
    """Decorator: a function that gives `(value, gradient function)` says its own gradient.

    The gradient function takes the gradient of the result and gives that of each argument.

    >>> import jax, kyeo
    >>> @kyeo.ops.custom_gradient
    ... def twice(x):
    ...     return x * 2, lambda upstream: upstream * 100
    >>> float(jax.grad(twice)(1.0))
    100.0
    """
    inner = jax.custom_gradient(lambda *args, **kwargs: _with_gradient(f, args, kwargs))

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        return inner(*jax.tree.map(unwrap, args), **jax.tree.map(unwrap, kwargs))

    return call


def _with_gradient(f: Function, args: Any, kwargs: Any) -> Any:
    """What `f` gives, with a gradient function that is checked when it runs."""
    where, wanted = "ops.custom_gradient", f"as many gradients as arguments ({len(args)}), each of its argument's shape"
    value, gradient = pair(where, "f", f(*args, **kwargs), "(value, gradient function)")
    if not callable(gradient):
        raise problem("The second value is no gradient function.", received=gradient, where=where, kind=TypeError,
                      expected="a function of the gradient of the result")

    def checked_gradient(*upstream: Any) -> Any:
        found = gradient(*upstream)
        each = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        if not kwargs and (len(each) != len(args) or any(
                hasattr(x, "shape") and hasattr(g, "shape") and x.shape != g.shape for x, g in zip(args, each))):
            raise problem("The gradient function does not give what belongs to the arguments.", where=where,
                          received=each if len(each) > 1 else found, expected=wanted, kind=TypeError)
        return found

    return value, checked_gradient
