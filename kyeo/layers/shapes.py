"""What a layer knows of shapes and of its place in a graph, all of it found by tracing or recorded, none by rule."""

from typing import Any

import jax
import numpy as np

from kyeo.core.errors import problem
from kyeo.core.symbolic import Node, SymbolicTensor
from kyeo.layers.call_spec import call_spec
from kyeo.layers.ownership import Owning

__all__ = ["Shaped"]


class Shaped(Owning):
    """The part of Layer that answers questions about shapes."""

    built: bool
    build: Any
    _inbound_nodes: list[Node]
    _build_shapes: dict[str, Any] | None

    @property
    def compute_dtype(self) -> str:
        """The number type it computes in."""
        raise NotImplementedError  # Layer's own

    def _specs(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: Any) -> Any:
        raise NotImplementedError  # Layer's own

    def _build_for(self, bound: dict[str, Any]) -> None:
        raise NotImplementedError  # Layer's own

    # -- shapes --------------------------------------------------------------------------------------------
    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The symbolic tensors that a call on these symbolic tensors would give."""
        specs = self._specs(args, kwargs, None)
        return jax.tree.map(lambda s: SymbolicTensor(s.shape, np.dtype(s.dtype).name), specs)

    def compute_output_shape(self, *shapes: Any) -> Any:
        """The shape(s) of the output for input shapes; found by tracing `call`."""
        def to_tensor(shape: Any) -> Any:
            return SymbolicTensor(shape, self.compute_dtype)

        args = tuple(jax.tree.map(to_tensor, s, is_leaf=_is_shape) for s in shapes)
        if not self.built:
            self._build_for(dict(zip(call_spec(type(self)).names, args)))
        return jax.tree.map(lambda t: t.shape, self.compute_output_spec(*args))

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes `build` was called with, for files."""
        if not self._build_shapes:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": next(iter(self._build_shapes.values()))}
        return {"shapes_dict": dict(self._build_shapes)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with what `get_build_config` gave."""
        def tuples(value: Any) -> Any:
            if isinstance(value, list):
                return tuple(value) if all(v is None or isinstance(v, int) for v in value) else list(map(tuples, value))
            return {k: tuples(v) for k, v in value.items()} if isinstance(value, dict) else value

        shapes = tuples(config)
        named = shapes["shapes_dict"] if "shapes_dict" in shapes else {"input_shape": shapes["input_shape"]}
        self.build(**named) if "shapes_dict" in shapes else self.build(shapes["input_shape"])
        self._build_shapes = self._build_shapes or named  # a layer without a `build` of its own keeps none

    # -- as part of a graph --------------------------------------------------------------------------------
    @property
    def input(self) -> Any:
        """The symbolic input of its only call in a graph."""
        node = self._only_node()
        return node.args[0] if node.args else next(iter(node.kwargs.values()))

    @property
    def output(self) -> Any:
        """The symbolic output of its only call in a graph."""
        return self._only_node().outputs

    def _only_node(self) -> Node:
        if len(self._inbound_nodes) != 1:
            raise problem("`input` and `output` need a layer that was called once on a symbolic tensor.", where=self,
                          received=f"{len(self._inbound_nodes)} symbolic calls", kind=AttributeError)
        return self._inbound_nodes[0]


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(s is None or isinstance(s, (int, np.integer)) for s in value)
