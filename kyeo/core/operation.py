"""Operation: something with a `call` that can stand in a graph. Layers are operations that own variables."""

from typing import Any

import jax
import numpy as np

from kyeo.core.configurable import Configurable
from kyeo.core.errors import problem
from kyeo.core.naming import auto_name
from kyeo.core.plain import plainly
from kyeo.core.symbolic import Node, SymbolicTensor, any_symbolic, infer, record

__all__ = ["Operation"]


class Operation(Configurable):
    """Base of what can be called on tensors and symbolic tensors. A subclass writes `call`.

    Args:
        name: its name; made from the class name where None.

    >>> import kyeo
    >>> class Double(kyeo.Operation):
    ...     def call(self, x):
    ...         return x * 2
    >>> Double()(kyeo.Input((3,))).shape, Double()(kyeo.ops.ones(2)).tolist()
    ((None, 3), [2.0, 2.0])
    """

    name: str
    _inbound_nodes: list[Node]

    def __init__(self, name: str | None = None):
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise problem("The name of an operation must be a string without '/'.", received=f"name={name!r}",
                          where=type(self), expected='a plain name such as "encoder"')
        self.name = name or auto_name(type(self).__name__)
        self._inbound_nodes = []

    @plainly
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.symbolic_call(*args, **kwargs) if any_symbolic((args, kwargs)) else self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation."""
        raise problem("This operation has no `call`.", where=self, kind=NotImplementedError,
                      fix="write `def call(self, x): ...` in the class")

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Remember the call in the graph: the symbolic tensors it gives."""
        outputs = record(self, args, kwargs, self.compute_output_spec(*args, **kwargs))
        leaves = jax.tree.leaves(outputs)
        if leaves:
            self._inbound_nodes.append(leaves[0].node)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The symbolic tensors that a call on these symbolic tensors would give; found by tracing `call`."""
        specs = infer(self.call, args, kwargs)
        return jax.tree.map(lambda s: SymbolicTensor(s.shape, np.dtype(s.dtype).name), specs)

    # -- as part of a graph --------------------------------------------------------------------------------
    @property
    def input(self) -> Any:
        """The symbolic input of its first call in a graph; a list where there are several."""
        inputs = self._first_node().inputs
        return inputs[0] if len(inputs) == 1 else inputs

    @property
    def output(self) -> Any:
        """The symbolic output of its first call in a graph; a list where there are several."""
        outputs = self._first_node().output_tensors
        return outputs[0] if len(outputs) == 1 else outputs

    def _first_node(self) -> Node:
        if not self._inbound_nodes:
            raise problem("`input` and `output` are known after a call on a symbolic tensor.", where=self,
                          received="no such call", kind=AttributeError)
        return self._inbound_nodes[0]
