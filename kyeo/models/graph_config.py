"""The graph of a model <-> plain values, in the form Keras's files have.

Each layer stands with its calls; an argument that is a tensor is named by [layer, number of its call, number of
the output]. Calls count from 0; but where inputs and outputs are named, those of a model inside count from 1.
"""

import inspect
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

import jax

from kyeo.core.configurable import deserialize_value, serialize_object, serialize_value
from kyeo.core.errors import problem
from kyeo.core.operation import Operation
from kyeo.core.symbolic import Node, SymbolicTensor, map_tensors, tensors_in
from kyeo.layers.input import InputLayer
from kyeo.models.graph import Graph
from kyeo.models.op_calls import OpCall, is_op_spec, op_class

__all__ = ["constructor_takes", "graph_config", "graph_from_config"]


def constructor_takes(cls: type, names: tuple[str, ...]) -> bool:
    """Whether the constructor of a class begins with these parameters, or takes any."""
    parameters = list(inspect.signature(cls).parameters.values())
    kinds = {p.kind for p in parameters}
    return {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} <= kinds or \
        tuple(p.name for p in parameters[:len(names)]) == names


# -- writing -----------------------------------------------------------------------------------------------
def graph_config(model: Any) -> dict[str, Any]:
    """The config of a model made from inputs and outputs."""
    graph: Graph = model._graph
    inside = set(map(id, graph.nodes))
    called = [(operation, _calls(operation, inside)) for operation in graph.operations]
    places = dict(_places(graph, called))
    from_one = {operation.name for operation in graph.operations if _counts_from_one(operation)}
    ends = {key: [name, number + (name in from_one), index] for key, (name, number, index) in places.items()}
    entries = [_entry(operation, calls, places) for operation, calls in called]
    return {
        "name": model.name, "trainable": model.trainable, "layers": entries,
        "input_layers": _named(graph.inputs, ends), "output_layers": _named(graph.outputs, ends),
    }


def _named(tree: Any, ends: dict[int, list[Any]]) -> Any:
    """Inputs or outputs in their structure, each by its place."""
    if isinstance(tree, SymbolicTensor):
        return list(ends[id(tree)])
    if isinstance(tree, dict):
        return {k: _named(v, ends) for k, v in tree.items()}
    return type(tree)(_named(v, ends) for v in tree)


def _calls(operation: Any, inside: set[int]) -> list[Node]:
    """The calls of a layer or op that are part of a graph, known by their ids, in the order they were made."""
    if isinstance(operation, Node):
        return [operation]
    return [node for node in operation._inbound_nodes if id(node) in inside]


def _counts_from_one(operation: Any) -> bool:
    """Whether the calls of a layer are counted from 1 where inputs and outputs are named, see above."""
    return getattr(operation, "_graph", None) is not None and not hasattr(operation, "_stack")


def _places(graph: Graph, called: list[tuple[Any, list[Node]]]) -> Iterator[tuple[int, tuple[str, int, int]]]:
    """(id, place) for each tensor of the graph: name of the layer or op, number of the call, of the output."""
    made: set[int] = set()
    for operation, calls in called:
        for number, node in enumerate(calls):
            for index, tensor in enumerate(node.output_tensors):
                made.add(id(tensor))
                yield id(tensor), (operation.name, number, index)
    for tensor in graph.input_tensors:  # the output of a layer outside, taken as an input
        if id(tensor) not in made:
            yield id(tensor), (tensor.name, 0, 0)


def _entry(operation: Any, nodes: list[Node], places: dict[int, tuple[str, int, int]]) -> dict[str, Any]:
    """A layer or op with its calls."""
    def plain(tree: Any) -> Any:
        return serialize_value(map_tensors(lambda t: _tensor_spec(t, places), tree), owner=operation, name="inputs")

    if isinstance(operation, Node):
        module, class_name = op_class(operation.target.__name__)
        config, args, kwargs = OpCall.split(operation.target, operation.args, operation.kwargs)
        spec: dict[str, Any] = {"module": module, "class_name": class_name,
                                "config": {"name": operation.name, **config}, "registered_name": class_name}
        calls = [{"args": plain(args), "kwargs": plain(kwargs)}]
    else:
        spec = serialize_object(operation)
        calls = [_call_spec(node, plain) for node in nodes if node.inputs]
    return {**spec, "name": operation.name, "inbound_nodes": calls}


def _call_spec(node: Node, plain: Callable[[Any], Any]) -> dict[str, Any]:
    """One call of a layer. Keras writes `training` always; `given` tells that it stood in the user's code."""
    spec = {"args": list(plain(node.args)), "kwargs": plain(node.kwargs)}
    if node.kwargs.get("training") is not None:
        spec["given"] = ["training"]
    return spec


def _tensor_spec(tensor: SymbolicTensor, places: dict[int, tuple[str, int, int]]) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__",
            "config": {"shape": tensor.shape, "dtype": tensor.dtype, "keras_history": list(places[id(tensor)])}}


# -- reading -----------------------------------------------------------------------------------------------
def graph_from_config(cls: type, config: dict[str, Any]) -> Any:
    """The model of class `cls` that `graph_config` (or Keras) described, with fresh weights."""
    rest = dict(config)
    entries, inputs, outputs = rest.pop("layers"), rest.pop("input_layers"), rest.pop("output_layers")
    reader = _Reader(entries, str(config.get("name")))
    reader.call_all()
    return cls(inputs=reader.tensors(inputs), outputs=reader.tensors(outputs),
               **{k: deserialize_value(v) for k, v in rest.items()})


class _Reader:
    """Makes the layers of a description and calls them, each call as soon as its inputs are there."""

    def __init__(self, entries: Any, where: str):
        self.where = f'the graph of "{where}"'
        self.made: dict[str, Any] = {}
        self.found: dict[tuple[str, int], list[SymbolicTensor]] = {}
        self.waiting: dict[str, deque[Any]] = {}
        self.numbers: dict[str, int] = {}
        for entry in entries:
            if not isinstance(entry, dict) or not {"class_name", "config", "inbound_nodes"} <= entry.keys():
                raise self._wrong("an entry without class_name, config or inbound_nodes")
            self._make(entry.get("name") or entry["config"]["name"], entry)

    def _wrong(self, what: str) -> Exception:
        return problem("The description of the graph is not well formed.", received=what, where=self.where,
                       expected="layers with their calls, as `get_config` gives them")

    def _make(self, name: str, entry: dict[str, Any]) -> None:
        if name in self.made:
            raise self._wrong(f'two layers with the name "{name}"')
        operation = OpCall.from_spec(entry) if is_op_spec(entry) else deserialize_value(entry)
        if not isinstance(operation, (Operation, OpCall)):
            raise self._wrong(f'"{name}" is a {type(operation).__name__}, not a layer')
        self.made[name] = operation
        self.numbers[name] = 0
        if isinstance(operation, InputLayer):
            self.found[name, 0] = [operation.output]
        elif entry["inbound_nodes"]:
            self.waiting[name] = deque(entry["inbound_nodes"])

    def call_all(self) -> None:
        """Make all calls, each as soon as its inputs are there; a layer that is called often keeps the order."""
        missing: dict[str, int] = {}  # how many inputs the next call of a layer waits for
        waiters: dict[tuple[str, int], list[str]] = defaultdict(list)
        ready: deque[str] = deque()

        def look(name: str) -> None:
            places = {place[:2] for place in self._inputs(self.waiting[name][0])} - self.found.keys()
            missing[name] = len(places)
            for place in places:
                waiters[place].append(name)
            if not places:
                ready.append(name)

        for name in self.waiting:
            look(name)
        while ready:
            name = ready.popleft()
            place = self._call(name, self.waiting[name].popleft())
            if self.waiting[name]:
                look(name)
            else:
                del self.waiting[name]
            for waiter in waiters.pop(place, ()):
                missing[waiter] -= 1
                if not missing[waiter]:
                    ready.append(waiter)
        if self.waiting:
            raise self._wrong("calls that wait for each other or for layers that are not there: "
                              + ", ".join(list(self.waiting)[:20]))

    def _inputs(self, call: Any) -> Iterator[tuple[str, int, int]]:
        if not isinstance(call, dict) or not {"args", "kwargs"} <= call.keys():
            raise self._wrong(f"a call without args and kwargs: {str(call)[:100]}")
        return map(self._place, _tensor_specs([call["args"], call["kwargs"]]))

    def _place(self, spec: dict[str, Any]) -> tuple[str, int, int]:
        try:
            name, number, index = _listed(spec["config"]["keras_history"])
            return str(name), int(number), int(index)
        except (KeyError, TypeError, ValueError):
            raise self._wrong(f"a tensor of unknown origin: {str(spec)[:100]}") from None

    def _call(self, name: str, call: dict[str, Any]) -> tuple[str, int]:
        operation = self.made[name]
        args, kwargs = (deserialize_value(self._with_tensors(call[key])) for key in ("args", "kwargs"))
        if "training" not in call.get("given", ()):
            kwargs.pop("training", None)  # Keras notes the mode of the day when the graph was made
        outputs = tensors_in(operation(*args, **kwargs))
        if isinstance(operation, OpCall) and outputs and outputs[0].node is not None:
            outputs[0].node.name = name
        place = name, self.numbers[name]
        self.found[place] = outputs
        self.numbers[name] += 1
        return place

    def _with_tensors(self, tree: Any) -> Any:
        if _is_tensor_spec(tree):
            return self._tensor(self._place(tree))
        if isinstance(tree, dict):
            return {k: self._with_tensors(v) for k, v in tree.items()}
        return type(tree)(map(self._with_tensors, tree)) if isinstance(tree, (list, tuple)) else tree

    def _tensor(self, place: tuple[str, int, int]) -> SymbolicTensor:
        outputs = self.found.get(place[:2], [])
        if not 0 <= place[2] < len(outputs):
            raise self._wrong(f"the output {list(place)}, which is not there")
        return outputs[place[2]]

    def tensors(self, tree: Any) -> Any:
        """A structure of places as a structure of tensors."""
        if isinstance(tree, (list, tuple)) and len(tree) == 3 and isinstance(tree[0], str):
            from_one = _counts_from_one(self.made.get(tree[0]))
            return self._tensor((tree[0], int(tree[1]) - from_one, int(tree[2])))
        if isinstance(tree, dict):
            return {k: self.tensors(v) for k, v in tree.items()}
        if not isinstance(tree, (list, tuple)):
            raise self._wrong(f"{tree!r} among inputs or outputs")
        return type(tree)(map(self.tensors, tree))


def _is_tensor_spec(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__" and "config" in value


def _tensor_specs(tree: Any) -> list[dict[str, Any]]:
    return [leaf for leaf in jax.tree.leaves(tree, is_leaf=_is_tensor_spec) if _is_tensor_spec(leaf)]


def _listed(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise TypeError
    return value
