"""Function: the computation between symbolic tensors, without what makes it a model."""

from typing import Any

import jax

from kyeo.core.operation import Operation
from kyeo.core.symbolic import SymbolicTensor
from kyeo.models.graph import Graph

__all__ = ["Function"]


class Function(Operation):
    """The recorded calls from `inputs` to `outputs` as one operation.

    Args:
        inputs: a symbolic tensor, or a list or dict of them.
        outputs: likewise, computed from the inputs.
        name: its name.

    >>> import kyeo
    >>> x = kyeo.KerasTensor((None, 2))
    >>> kyeo.Function(x, kyeo.ops.sum(x * 2, axis=-1))(kyeo.ops.ones((3, 2))).tolist()
    [4.0, 4.0, 4.0]
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        super().__init__(name=name)
        self._graph = Graph(inputs, outputs, owner=self)

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The inputs as a flat list."""
        return list(self._graph.input_tensors)

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The outputs as a flat list."""
        return list(self._graph.output_tensors)

    @property
    def operations(self) -> list[Any]:
        """The layers and calls of ops inside, inputs first. A plain `KerasTensor` as input comes from none."""
        stand_ins = self._graph.begins.values()
        return [one for one in self._graph.operations if not any(one is layer for layer in stand_ins)]

    def call(self, inputs: Any) -> Any:
        """Run the values through the graph."""
        return self._graph.run(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape(s) of the outputs for shape(s) of the inputs."""
        shapes = jax.tree.leaves(input_shape, is_leaf=lambda s: isinstance(s, tuple) and all(
            size is None or isinstance(size, int) for size in s))
        tensors = [SymbolicTensor(shape, t.dtype) for shape, t in zip(shapes, self.inputs)]
        structure = jax.tree.structure(self._graph.inputs)
        return jax.tree.map(lambda t: t.shape, self.compute_output_spec(jax.tree.unflatten(structure, tensors)))
