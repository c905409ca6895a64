"""Graph: the nodes between some symbolic inputs and outputs, and how to run values through them."""

import functools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.errors import describe, problem, where_is
from kyeo.core.masks import get_mask, set_mask
from kyeo.core.plain import warn
from kyeo.core.symbolic import Node, SymbolicTensor, infer, map_tensors, tensors_in
from kyeo.layers.input import InputLayer
from kyeo.layers.layer import Layer
from kyeo.models.text_part import TextPart, is_prepared

__all__ = ["Graph"]


class Graph:
    """The part of the recorded calls that leads from `inputs` to `outputs`.

    Attributes:
        inputs, outputs: the structures of symbolic tensors it was made from.
        nodes: the calls in an order in which each comes after those it needs.
        layers: the layers, inputs first, in Keras's order (by distance from the outputs, then by first visit).
        operations: the layers and, among them, the calls of ops.
    """

    def __init__(self, inputs: Any, outputs: Any, owner: Any = None):
        self.inputs, self.outputs, self.owner = inputs, outputs, where_is(owner)
        self.other_sizes = False  # whether inputs may have other sizes than stated, where the layers can do with them
        self.input_tensors: list[SymbolicTensor] = tensors_in(inputs)
        self.begins: dict[int, InputLayer] = {}  # for inputs inside a larger graph, by their places
        self.output_tensors: list[SymbolicTensor] = tensors_in(outputs)
        self._check_ends()
        post_order, first_visit = self._visit()
        depths = _depths(post_order)
        layer_depths: dict[int, int] = {}
        for node, depth in depths.items():
            key = id(node.operation)
            layer_depths[key] = max(layer_depths.get(key, 0), depth)
        self.nodes: list[Node] = sorted(post_order, key=lambda n: -depths[n])
        self._kept = [tensor for node in self.nodes for tensor in node.output_tensors]  # they are known by their ids
        operations = {id(n.operation): (first_visit.get(id(n.operation), -1), n.operation) for n in post_order}
        for tensor, layer in self._begin(post_order):  # an input that is unused has no first visit
            operations[id(layer)] = first_visit.get(id(tensor), -1), layer
            users = [node for node in post_order if any(one is tensor for one in node.inputs)]
            layer_depths[id(layer)] = max((depths[node] + 1 for node in users), default=0)
        in_order = [operation for _, operation in sorted(operations.values(), key=lambda pair: pair[0])]
        self.operations: list[Layer | Node] = sorted(in_order, key=lambda o: -layer_depths[id(o)])
        self.layers: list[Any] = [o for o in self.operations if isinstance(o, Layer)]
        self._check_names()

    def __getstate__(self) -> dict[str, Any]:
        """The nodes first, each after those it needs: a copy begun at the outputs would be as deep as the graph."""
        return {"nodes": self.nodes, **self.__dict__}

    def _begin(self, nodes: list[Node]) -> Iterator[tuple[SymbolicTensor, InputLayer]]:
        """An InputLayer for each input that is what a layer outside gave: there the model begins."""
        made = {id(tensor) for node in nodes for tensor in node.output_tensors}
        for place, tensor in enumerate(self.input_tensors):
            if id(tensor) not in made:
                layer = InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
                self.begins[place] = layer
                yield tensor, layer

    def begin_of(self, tensor: SymbolicTensor) -> InputLayer | None:
        """The InputLayer that stands for an input inside a larger graph; None for any other tensor."""
        return next((layer for place, layer in self.begins.items() if self.input_tensors[place] is tensor), None)

    def _check_ends(self) -> None:
        for name, tree in (("inputs", self.inputs), ("outputs", self.outputs)):
            leaves = jax.tree.leaves(tree)
            bad = [leaf for leaf in leaves if not isinstance(leaf, SymbolicTensor)]
            if bad or not leaves:
                raise problem(f"The `{name}` of a model must be symbolic tensors.", where=self.owner,
                              received=describe(bad[0]) if bad else f"{name}={tree!r}",
                              expected="what Input(...) and layers called on it give",
                              fix="begin with x = kyeo.Input(shape=...), and call the layers on it")

    def _visit(self) -> tuple[list[Node], dict[int, int]]:
        """All nodes in post-order (parents first), and in which order targets were first met."""
        stop = {id(t) for t in self.input_tensors}
        done: dict[int, None] = {}
        post_order: list[Node] = []
        first_visit: dict[int, int] = {}

        def children(node: Node) -> Iterator[Node]:
            for tensor in node.inputs:
                if tensor.node is not None and (id(tensor) not in stop or not tensor.node.inputs):
                    yield tensor.node
                elif id(tensor) in stop:
                    first_visit.setdefault(id(tensor), len(first_visit))

        for output in self.output_tensors:
            if output.node is None or (id(output) in stop and output.node.inputs):
                continue
            stack = [(output.node, children(output.node))]
            first_visit.setdefault(id(output.node.operation), len(first_visit))
            entered = {id(output.node)}
            while stack:
                node, rest = stack[-1]
                child = next((c for c in rest if id(c) not in done and id(c) not in entered), None)
                if child is not None:
                    entered.add(id(child))
                    first_visit.setdefault(id(child.operation), len(first_visit))
                    stack.append((child, children(child)))
                    continue
                stack.pop()
                if id(node) not in done:
                    done[id(node)] = None
                    post_order.append(node)
        self._check_reached(post_order, stop)
        return post_order, first_visit

    def _check_reached(self, nodes: list[Node], stop: set[int]) -> None:
        for node in nodes:
            if not node.inputs and not any(id(t) in stop for t in node.output_tensors):
                names = [t.name for t in self.input_tensors]
                missing, alike = node.target.name, node.target.name in names  # alike: the same code made both
                raise problem("The outputs depend on an input that is not among the model's inputs.",
                              received=f"inputs {names}", where=self.owner,
                              expected=f'the input "{missing}" {"of the same model " if alike else ""}among them',
                              fix="take both from one model: they are of two that are alike" if alike else None)
        used = {id(t) for n in nodes for t in (*n.inputs, *n.output_tensors)}
        for tensor in self.input_tensors:
            if id(tensor) not in used and tensor.node is not None and not tensor.node.inputs:  # nobody uses it
                nodes.insert(0, tensor.node)

    def _check_names(self) -> None:
        names: dict[str, Layer] = {}
        for layer in self.layers:
            if names.setdefault(layer.name, layer) is not layer:
                raise problem("Two layers of a model have the same name.", received=f'"{layer.name}" twice',
                              where=self.owner, expected="different names",
                              fix="give one of them another name=...")

    def nodes_by_depth(self) -> dict[int, list[Node]]:
        """The nodes by their distance from the outputs, the nearest first."""
        found: dict[int, list[Node]] = defaultdict(list)
        for node, depth in sorted(_depths(self.nodes).items(), key=lambda pair: pair[1]):
            found[depth].append(node)
        return dict(found)

    @functools.cached_property
    def text_part(self) -> TextPart | None:
        """The part that runs on the host before a step, where an input is text."""
        return TextPart(self) if any(t.dtype == "string" for t in self.input_tensors) else None

    def run(self, inputs: Any, mask: Any = None) -> Any:
        """The outputs for these inputs. Masks of inputs may be given in the same structure."""
        doubts: list[Exception] = []
        prepared = self.text_part is not None and is_prepared(inputs)
        tensors = self.text_part.given if prepared else self.input_tensors
        values = dict(zip(map(id, tensors), self.as_flat_inputs(inputs, doubts)))
        try:
            return self._computed(values, mask, prepared)
        except Exception:
            if doubts:
                raise doubts[0] from None
            raise

    def check(self, inputs: Any) -> None:
        """Raise where these inputs do not fit, without computing anything."""
        doubts: list[Exception] = []
        self.as_flat_inputs(inputs, doubts)
        if doubts:
            infer(self.run, (jax.tree.map(lambda v: SymbolicTensor(v.shape, v.dtype), inputs),), {})

    def _computed(self, values: dict[int, Any], mask: Any, prepared: bool) -> Any:
        if mask is not None and not prepared:
            for tensor, one in zip(self.input_tensors, jax.tree.leaves(mask, is_leaf=lambda m: m is None)):
                if one is not None:
                    set_mask(values[id(tensor)], one)
        for node in self.nodes:
            if all(id(t) in values for t in node.output_tensors) or (prepared and self._done_before(node)):
                continue  # an input
            args, kwargs = map_tensors(lambda t: values[id(t)], (node.args, node.kwargs))
            outputs = node.target(*args, **kwargs)
            for tensor, value in zip(node.output_tensors, jax.tree.leaves(outputs)):
                values[id(tensor)] = value
        return map_tensors(lambda t: values[id(t)], self.outputs)

    def _done_before(self, node: Node) -> bool:
        return not node.inputs or id(node) in self.text_part.calls

    def as_flat_inputs(self, inputs: Any, doubts: list[Exception] | None = None) -> list[Any]:
        """The given values in the order of `input_tensors`, of their rank and dtype; prepared ones as they are.

        Sizes that only the layers can judge are put into `doubts`.
        """
        if self.text_part is not None and is_prepared(inputs):
            return self.text_part.values(inputs)
        tensors = self.input_tensors
        names = [t.name for t in tensors]
        if isinstance(inputs, dict):
            keys = list(self.inputs) if isinstance(self.inputs, dict) else names
            missing = [k for k in keys if k not in inputs]
            if missing:
                raise problem("An input of the model is missing.", received=f"inputs named {list(inputs)}",
                              expected=f"inputs named {keys}", where=self.owner)
            if isinstance(self.inputs, dict) and len(inputs) > len(keys):
                warn(f"{self.owner or 'The model'} has no inputs {[k for k in inputs if k not in keys]}: they are left "
                     f"out. Its inputs are {keys}.")
            flat = [inputs[k] for k in keys] if not isinstance(self.inputs, dict) else jax.tree.leaves(
                {k: inputs[k] for k in keys}, is_leaf=lambda v: v is None)
        else:
            flat = jax.tree.leaves(inputs, is_leaf=lambda v: v is None)
            if isinstance(self.inputs, dict) and len(flat) > 1 and list(self.inputs) != sorted(self.inputs):
                raise problem("Inputs without names for a model that names them: their order is not clear.",
                              received=f"{len(flat)} inputs in a {type(inputs).__name__}", where=self.owner,
                              expected=f"a dict with the keys {list(self.inputs)}")
        if len(flat) != len(tensors):
            raise problem("The number of inputs is wrong.", received=f"{len(flat)} inputs", where=self.owner,
                          expected=f"{len(tensors)}: " + ", ".join(f"{t.name} {t.shape}" for t in tensors),
                          fix="if they are (x, y), pass x alone: x[0]" if len(tensors) == 1 and len(flat) in (2, 3)
                          else None)
        return [self._fitted(t, v, doubts) for t, v in zip(tensors, flat)]

    def _fitted(self, tensor: SymbolicTensor, value: Any, doubts: list[Exception] | None) -> Any:
        if value is None and not getattr(tensor.node and tensor.node.target, "optional", True):
            raise problem("None is given for an input that is not optional.", received=f"None for {tensor.name!r}",
                          expected=f"an array of shape {tensor.shape}", where=self.owner,
                          fix="Input(..., optional=True) makes one that may be None")
        if value is None or isinstance(value, SymbolicTensor):
            return value
        mask = get_mask(value)
        if not hasattr(value, "ndim"):
            value = jnp.asarray(value)
        if value.dtype.kind == "c" and not str(tensor.dtype).startswith("complex"):
            raise problem("Complex numbers are given for an input of real ones.", where=self.owner, kind=TypeError,
                          received=value, expected=f'{tensor.dtype} for "{tensor.name}"',
                          fix='give real and imaginary parts as two columns, np.stack([x.real, x.imag], axis=-1), or '
                              'make the input Input(..., dtype="complex64")')
        given = value
        if value.ndim == tensor.ndim - 1 and tensor.shape[-1] == 1:
            value = value[..., None]
        elif value.ndim == tensor.ndim + 1 and value.shape[-1] == 1:
            value = value[..., 0]
        fits = value.ndim == tensor.ndim and all(  # but for the rows: a model built on some takes any number of them
            want is None or not isinstance(have, int) or want == have
            for want, have in zip(tensor.shape[1:], value.shape[1:]))
        if not fits:
            misfit = self._misfit(tensor, given)
            if value.ndim != tensor.ndim or not self.other_sizes or doubts is None:
                raise misfit
            doubts.append(misfit)
        if isinstance(value, jax.Array) and tensor.dtype != "string":
            value = value.astype(jax.dtypes.canonicalize_dtype(tensor.dtype))
        if mask is not None:
            set_mask(value, mask)
        return value

    def _misfit(self, tensor: SymbolicTensor, value: Any) -> Exception:
        shape = tuple(s if isinstance(s, int) else None for s in value.shape)
        fix = f"give it such arrays, or make a model for these: Input(shape={shape[1:]})"
        if len(shape) == tensor.ndim - 1 and tensor.shape[0] is None:
            if shape == tensor.shape[1:]:
                fix = "this is one sample without a batch axis: pass x[None]"
            elif shape[1:] == tensor.shape[1:-1]:
                fix = ("the last axis is missing; for grey pictures "
                       f"np.repeat(x[..., None], {tensor.shape[-1]}, axis=-1)")
        return problem("The data does not have the shape of the model's input.", where=self.owner, fix=fix,
                       received=f"an array of shape {shape}", expected=f'shape {tensor.shape} for "{tensor.name}"')


def _depths(post_order: list[Node]) -> dict[Node, int]:
    """How far each node is from the outputs; calls of one layer count from its deepest."""
    depths: dict[Node, int] = {}
    of_operation: dict[int, int] = defaultdict(int)
    known = set(map(id, post_order))
    for node in reversed(post_order):
        depth = max(depths.get(node, 0), of_operation[id(node.operation)])
        depths[node] = of_operation[id(node.operation)] = depth
        for parent in node.parents:
            if id(parent) in known:
                depths[parent] = max(depth + 1, depths.get(parent, 0))
    return depths
