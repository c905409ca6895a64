"""Primitives that hold programs: calls are written out in place, loops become Scan and Loop, choices If."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kyeo.export.onnx.graph import Builder, Graph, Tensor

__all__ = ["LAZY", "inner_program"]


def inner_program(eqn: Any) -> Any:
    """The program of a call that is only to be run: `jit`, custom gradients, rematerialization; None for others."""
    if eqn.primitive.name in ("scan", "while", "cond"):
        return None
    return next((eqn.params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in eqn.params), None)


def _body(b: Any, make: Callable[[Graph], Sequence[Tensor]]) -> Graph:
    """A graph inside the one in hand; its outputs are tensors of its own, each once."""
    outer, b.graph = b.graph, Graph(b.graph)
    graph = b.graph
    for tensor in make(graph):
        own = tensor.name in graph.made and all(tensor.name != t.name for t in graph.outputs)
        graph.outputs.append(tensor if own else b.emit("Identity", [tensor], tensor.shape, tensor.dtype))
    b.graph = outer
    return graph


def _input(b: Builder, graph: Graph, aval: Any, name: str) -> Tensor:
    tensor = Tensor(tuple(aval.shape), np.dtype(aval.dtype), b.unique(name))
    graph.inputs.append(tensor)
    return tensor


def _full(b: Builder, tensors: Sequence[Tensor], variables: Sequence[Any]) -> list[Tensor]:
    return [b.full(t, v.aval.shape) for t, v in zip(tensors, variables)]


def _outputs(b: Builder, eqn: Any, op: str, count: int) -> list[Tensor]:
    return [Tensor(tuple(v.aval.shape), np.dtype(v.aval.dtype), b.unique(f"{b.where}/{op}".lstrip("/")))
            for v in eqn.outvars[:count]]


def _counts(params: Any) -> tuple[int, int]:
    """How many inputs of a scan stay as they are, and how many are carried."""
    if "num_consts" in params:  # before JAX 0.12
        return params["num_consts"], params["num_carry"]
    constants, carried, _ = (len(list(group)) for group in params["ft_in"].unpack())
    return constants, carried


def _scan(b: Any, eqn: Any, *args: Tensor) -> list[Tensor]:
    """JAX's scan is ONNX's Scan; what does not change is seen from inside."""
    program, reverse = eqn.params["jaxpr"], int(eqn.params["reverse"])
    constants, carried = _counts(eqn.params)
    kept, rest = list(args[:constants]), _full(b, args[constants:], eqn.invars[constants:])
    ticks = [] if len(rest) > carried else [b.full(b.const(0, np.int32), (eqn.params["length"],))]

    def make(graph: Graph) -> list[Tensor]:
        variables = program.jaxpr.invars[constants:]
        inside = [_input(b, graph, v.aval, "state" if k < carried else "step") for k, v in enumerate(variables)]
        graph.inputs.extend(Tensor((), t.dtype, b.unique("tick")) for t in ticks)
        return _full(b, b.run(program, [*kept, *inside]), program.jaxpr.outvars)

    body = _body(b, make)
    outputs = _outputs(b, eqn, "Scan", len(eqn.outvars))
    steps = len(rest) - carried + len(ticks)
    turned = {"scan_input_directions": [1] * steps} if reverse else {}
    if reverse and len(outputs) > carried:
        turned["scan_output_directions"] = [1] * (len(outputs) - carried)
    b.add("Scan", [*rest, *ticks], outputs, body=body, num_scan_inputs=steps, **turned)
    return outputs


def _while(b: Any, eqn: Any, *args: Tensor) -> list[Tensor]:
    test, program = eqn.params["cond_jaxpr"], eqn.params["body_jaxpr"]
    for_test, for_body = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    tested, kept = args[:for_test], args[for_test:for_test + for_body]
    first = _full(b, args[for_test + for_body:], eqn.outvars)
    scalar = lambda t: b.full(t, ())  # noqa: E731

    def make(graph: Graph) -> list[Tensor]:
        graph.inputs += [Tensor((), np.dtype(np.int64), b.unique("turn")), Tensor((), np.dtype(bool), b.unique("goes"))]
        inside = [_input(b, graph, v.aval, "state") for v in eqn.outvars]
        new = _full(b, b.run(program, [*kept, *inside]), eqn.outvars)
        return [scalar(b.run(test, [*tested, *new])[0]), *new]

    body = _body(b, make)
    outputs = _outputs(b, eqn, "Loop", len(eqn.outvars))
    b.add("Loop", [None, scalar(b.run(test, [*tested, *first])[0]), *first], outputs, body=body)
    return outputs


def _cond(b: Any, eqn: Any, which: Tensor, *args: Tensor) -> list[Tensor]:
    branches = eqn.params["branches"]

    def choose(number: int) -> list[Tensor]:
        if number == len(branches) - 1:
            return _full(b, b.run(branches[number], list(args)), eqn.outvars)
        here = b.elementwise("LessOrEqual", [b.cast(which, np.int32), b.const(number, np.int32)], 0, bool)
        yes = _body(b, lambda graph: _full(b, b.run(branches[number], list(args)), eqn.outvars))
        no = _body(b, lambda graph: choose(number + 1))
        outputs = _outputs(b, eqn, "If", len(eqn.outvars))
        b.add("If", [here], outputs, then_branch=yes, else_branch=no)
        return outputs

    return choose(0)


LAZY: dict[str, Any] = {"scan": _scan, "while": _while, "cond": _cond}
