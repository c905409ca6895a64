"""State through JAX's transforms: what is assigned inside a branch, loop or recomputation comes out of it.

JAX traces such a function by itself, so a value assigned inside is lost with the trace unless the function takes it in
and hands it out. Which variables those are is found by trying: where one is assigned that is not handed through yet,
tracing stops and begins anew with it. Losses that layers add inside are summed up in a box of each layer, which is
handed through as a variable is.
"""

import functools
from collections.abc import Callable
from typing import Any

from kyeo.core.arrays import shared_zeros
from kyeo.core.errors import problem, where_is
from kyeo.core.scope import current, scope

__all__ = ["sealed", "threaded"]

Function = Callable[..., Any]


class _Added:
    """The sum of the losses that a layer added inside."""

    def __init__(self, layer: Any):
        self.layer = layer
        self._value = shared_zeros((), "float32")


class _Assigned(Exception):
    """Variables were assigned that are not handed through."""

    def __init__(self, variables: list[Any]):
        super().__init__()
        self.variables = variables


def _run_inside(fn: Function, state: list[Any], values: Any, args: tuple[Any, ...], sums: dict[int, _Added]) -> Any:
    """fn's result, the new values of `state`, and what else it assigned; losses are added to the `sums` of layers."""
    outer = current().overlay or {}
    losses: list[Any] | None = None if current().losses is None else []
    with scope(overlay={**outer, **dict(zip(state, values))}, losses=losses) as inside:
        out = fn(*args)
    overlay = inside.overlay or {}
    for layer, loss in losses or ():
        box = sums.setdefault(id(layer), _Added(layer))
        overlay[box] = overlay.get(box, box._value) + loss.astype("float32")
    known = set(state)  # not the list: `in` would compare values
    more = [v for v, value in overlay.items() if v not in known and outer.get(v) is not value]
    return out, [overlay[v] for v in state], more


def threaded(compute: Callable[[Callable[[Function], Function], list[Any]], tuple[Any, list[Any]]]) -> Any:
    """The result of a transform whose functions may assign variables.

    Args:
        compute: `compute(wrap, values)` runs the transform and gives its result and the new values. `wrap(fn)` is a
            function `(values, *args)` that gives `(fn(*args), new values)`, for the transform to trace.
    """
    state: list[Any] = []
    sums: dict[int, _Added] = {}

    def wrap(fn: Function) -> Function:
        def run(values: Any, *args: Any) -> Any:
            out, new, more = _run_inside(fn, state, values, args, sums)
            if more:
                raise _Assigned(more)
            return out, new

        return run

    while True:
        overlay = current().overlay or {}
        try:
            out, new = compute(wrap, [overlay.get(v, v._value) for v in state])
        except _Assigned as found:
            state.extend(found.variables)
            continue
        for variable, value in zip(state, new):
            if isinstance(variable, _Added):
                current().losses.append((variable.layer, value))  # type: ignore[union-attr]
            else:
                variable.assign(value)
        return out


def sealed(fn: Function, where: str) -> Function:
    """fn for a transform that cannot hand state through: an assignment inside is refused."""

    @functools.wraps(fn)
    def traced(*args: Any, **kwargs: Any) -> Any:
        out, _, more = _run_inside(functools.partial(fn, **kwargs), [], [], args, {})
        if more and isinstance(more[0], _Added):
            raise problem("A loss is added where no order of steps is given.", expected="a function of its arguments",
                          where=f"{where_is(more[0].layer)}, {where}",
                          fix="return the loss from the function, and call `add_loss` with the sum outside")
        if more:
            raise problem(f"The variable `{more[0].path}` is assigned where no order of steps is given.",
                          expected="a function of its arguments", where=where,
                          fix="return the new value from the function and assign it outside")
        return out

    return traced
