"""TextPart: the layers of a graph that take text, run on the host before a batch enters a compiled step.

What they give, together with the other inputs, is a dict with keys of its own, which `Graph.run` takes in place of the
inputs. So a model whose first layers turn text into numbers is trained and used like any other.
"""

from typing import Any

import jax
import numpy as np

from kyeo.core.symbolic import Node, SymbolicTensor, map_tensors
from kyeo.layers.text.host import to_host

__all__ = ["TextPart", "is_prepared"]

_KEY = "prepared/"


def is_prepared(inputs: Any) -> bool:
    """Whether these are inputs as `TextPart.prepare` gives them."""
    return isinstance(inputs, dict) and any(isinstance(key, str) and key.startswith(_KEY) for key in inputs)


class TextPart:
    """The calls that take text, and those they need; `given` are the tensors that the rest of the graph takes."""

    def __init__(self, graph: Any):
        inputs = {id(t) for t in graph.input_tensors}
        wanted = {id(n) for n in graph.nodes if any(t.dtype == "string" for t in n.inputs)}
        for node in reversed(graph.nodes):
            if id(node) in wanted:
                wanted.update(id(t.node) for t in node.inputs if t.node is not None and id(t) not in inputs)
        self.nodes: list[Node] = [n for n in graph.nodes if id(n) in wanted]
        self.calls: set[int] = {id(n) for n in self.nodes}
        made = {id(t) for n in self.nodes for t in n.output_tensors} | inputs
        used = [t for n in graph.nodes if id(n) not in wanted for t in n.inputs] + graph.output_tensors
        self.given: list[SymbolicTensor] = list({id(t): t for t in used if id(t) in made}.values())

    def prepare(self, graph: Any, inputs: Any) -> dict[str, np.ndarray]:
        """What the rest of the graph takes, for these inputs; what was prepared before is given back."""
        if is_prepared(inputs):  # the rows that `validation_split` holds out
            return inputs  # type: ignore[no-any-return]
        if isinstance(inputs, dict):
            inputs = {key: to_host(value, graph.owner) for key, value in inputs.items()}
        elif len(graph.input_tensors) > 1:
            inputs = [to_host(value, graph.owner) for value in inputs]
        else:
            inputs = to_host(inputs, graph.owner)
        values = dict(zip(map(id, graph.input_tensors), graph.as_flat_inputs(inputs)))
        for node in self.nodes:
            args, kwargs = map_tensors(lambda t: values[id(t)], (node.args, node.kwargs))
            outputs = node.target(*args, **kwargs)
            values.update(zip(map(id, node.output_tensors), jax.tree.leaves(outputs)))
        return {f"{_KEY}{i}": np.asarray(values[id(t)]) for i, t in enumerate(self.given)}

    def values(self, prepared: dict[str, Any]) -> list[Any]:
        """The prepared values in the order of `given`."""
        return [prepared[f"{_KEY}{i}"] for i in range(len(self.given))]
