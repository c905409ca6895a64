"""Functional: a model made from the graph between its inputs and outputs."""

from typing import Any

from kyeo.core.symbolic import Node
from kyeo.models.model import Model

__all__ = ["Functional"]


class Functional(Model):
    """What `Model(inputs, outputs)` gives. Everything it does is in Model and Graph; the name is Keras's.

    >>> import kyeo
    >>> x = kyeo.Input((4,))
    >>> kyeo.Model(x, kyeo.layers.Dense(2)(x)).output_shape
    (None, 2)
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any):
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)

    @property
    def _nodes_by_depth(self) -> dict[int, list[Node]]:  # programs that walk a graph begin here
        return self._graph.nodes_by_depth() if self._graph else {}
