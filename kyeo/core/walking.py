"""How programs walk a graph: the names of Keras's nodes and of what they record, on top of what a Node knows."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from kyeo.core.errors import problem

if TYPE_CHECKING:
    from kyeo.core.symbolic import Node

__all__ = ["Arguments", "KerasHistory", "Walked"]


class KerasHistory(NamedTuple):
    """Where a symbolic tensor comes from: the layer or the call of an op, which of its calls, which of its outputs."""

    operation: Any
    node_index: int
    tensor_index: int


class Arguments:
    """The arguments of one recorded call.

    Attributes:
        args, kwargs: as they were given.
        keras_tensors: the symbolic tensors among them.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], keras_tensors: list[Any]) -> None:
        self.args, self.kwargs, self.keras_tensors = args, kwargs, keras_tensors

    def fill_in(self, tensor_dict: dict[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with other tensors in place of those whose `id` is a key of `tensor_dict`."""
        filled: tuple[tuple[Any, ...], dict[str, Any]] = jax.tree.map(
            lambda leaf: tensor_dict.get(id(leaf), leaf), (self.args, self.kwargs))
        return filled


class Walked:
    """A node by Keras's names, for programs that walk a graph; the call of an op can be called again."""

    if TYPE_CHECKING:
        args: tuple[Any, ...]
        kwargs: dict[str, Any]
        inputs: list[Any]
        name: str

        @property
        def operation(self) -> Any: ...  # these four are Node's
        @property
        def output_tensors(self) -> list[Any]: ...
        @property
        def parents(self) -> "list[Node]": ...
        @property
        def target(self) -> Any: ...

    @property
    def arguments(self) -> Arguments:
        """What the call was given."""
        return Arguments(self.args, self.kwargs, self.inputs)

    @property
    def input_tensors(self) -> list[Any]:
        """The symbolic tensors among the arguments."""
        return self.inputs

    @property
    def outputs(self) -> list[Any]:
        """The symbolic tensors that it gave, in one list."""
        return self.output_tensors

    @property
    def parent_nodes(self) -> "list[Node]":
        """The nodes whose outputs this one takes, each once."""
        return self.parents

    @property
    def is_input(self) -> bool:
        """Whether it stands for an input."""
        return not self.inputs

    @property
    def _inbound_nodes(self) -> list[Any]:  # of the call of an op, which counts as an operation of its own
        return [self]

    @property
    def input(self) -> Any:
        """The symbolic tensor that the call took; a list where there are several."""
        return self.inputs[0] if len(self.inputs) == 1 else self.inputs

    @property
    def output(self) -> Any:
        """The symbolic tensor that the call gave; a list where there are several."""
        return self.output_tensors[0] if len(self.output_tensors) == 1 else self.output_tensors

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The same op on other tensors. Arguments that are not given, an axis say, are those of the recorded call."""
        rest, named = self.args[len(args):], {k: v for k, v in self.kwargs.items() if k not in kwargs}
        left = set(map(id, jax.tree.leaves((rest, named))))
        missing = [tensor for tensor in self.inputs if id(tensor) in left]
        if missing:
            raise problem("The call of an op is repeated with fewer tensors than it took.", where=self.name,
                          received=f"none for {', '.join(map(str, missing))}", kind=TypeError,
                          expected=f"{len(self.inputs)} tensors",
                          fix="args, kwargs = node.arguments.fill_in(...), then node.operation(*args, **kwargs)")
        return self.target(*args, *rest, **named, **kwargs)
