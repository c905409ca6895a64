"""Sequential: a stack of layers, each fed by the one before."""

from typing import TYPE_CHECKING, Any

from kyeo.core.configurable import deserialize_value, serialize_object, serialize_value
from kyeo.core.errors import problem
from kyeo.core.plain import plainly
from kyeo.core.registry import custom_object_scope
from kyeo.core.scope import scope
from kyeo.core.symbolic import SymbolicTensor
from kyeo.layers.core import Lambda
from kyeo.layers.input import InputLayer
from kyeo.layers.layer import Layer
from kyeo.models.graph_config import constructor_takes
from kyeo.models.model import Model

if TYPE_CHECKING:
    from kyeo.models.model import AnyLayer

__all__ = ["Sequential"]


class Sequential(Model):
    """A model that is a list of layers.

    Args:
        layers: the layers, or `Input(...)` first.
        trainable: whether training changes it.
        name: its name.

    >>> import kyeo
    >>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(3, activation="relu"), kyeo.layers.Dense(1)])
    >>> model.output_shape, model.count_params()
    ((None, 1), 19)
    """

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None):
        if isinstance(layers, Layer) and not isinstance(layers, Sequential):
            raise problem("The layers of a stack come in a list.", where=type(self), kind=TypeError,
                          received=", ".join(map(repr, [layers] + [trainable] * isinstance(trainable, Layer))),
                          expected="a list of layers", fix="Sequential([...])")
        super().__init__(trainable=trainable, name=name)
        self._stack: list[Layer] = []
        names: set[str] = set()  # beside the stack, where a look through all of it for each layer would take long
        for layer in layers or ():
            self._push(layer, names)
        self._build_if_possible()

    @property
    def layers(self) -> "list[AnyLayer]":
        """The layers, without the input."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    @plainly
    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer on top of the stack."""
        self._push(layer, {other.name for other in self._stack})
        if rebuild:
            self._build_if_possible()

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the top layer off and give it back."""
        if not self.layers:
            raise problem("There is no layer to take off.", where=self)
        layer = self._stack.pop()
        self._forget_graph()
        if rebuild:
            self._build_if_possible()
        return layer

    def get_config(self) -> dict[str, Any]:
        """The layers; the constructor's arguments where a subclass has its own."""
        if not constructor_takes(type(self), ("layers",)):
            return super().get_config()
        config = {"name": self.name, "trainable": self.trainable, "dtype": serialize_value(self.dtype_policy),
                  "layers": [serialize_object(layer) for layer in self._stack]}
        return {**config, "build_input_shape": self._graph.input_tensors[0].shape} if self._graph else config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Sequential":
        """The stack, with fresh weights, whose `get_config` gave `config`."""
        if "layers" not in config or not constructor_takes(cls, ("layers",)):
            return super().from_config(config, custom_objects)
        with custom_object_scope(custom_objects):
            layers = deserialize_value(config["layers"])
        model = cls(layers, name=config.get("name"))
        model._trainable = bool(config.get("trainable", True))  # the layers know about themselves
        shape = config.get("build_input_shape")
        if shape and not model.built:
            model.build(tuple(shape))
        return model

    def _push(self, layer: Any, names: set[str]) -> None:
        if isinstance(layer, SymbolicTensor) and layer.node is not None and isinstance(layer.node.target, InputLayer):
            layer = layer.node.target
        if callable(layer) and not isinstance(layer, (Layer, type)) and hasattr(layer, "__name__"):
            layer = Lambda(layer)
        if not isinstance(layer, Layer):
            fix = "add them one by one, or Sequential([...])" if isinstance(layer, (list, tuple)) else \
                "give the layers themselves, as Dense(3), or kyeo.Model(inputs, outputs) the tensors" \
                if isinstance(layer, SymbolicTensor) else None
            raise problem("Only layers can be stacked.", received=layer, where=self, expected="a Layer instance",
                          fix=f"write {layer.__name__}(...)" if isinstance(layer, type) else fix, kind=TypeError)
        if layer.name in names:
            raise problem("Two layers of a model have the same name.", received=f'"{layer.name}" twice', where=self,
                          expected="different names", fix="give one of them another name=...")
        if isinstance(layer, InputLayer) and self._stack:
            raise problem("An input can only come first.", where=self,
                          received=f"{len(self._stack)} layers before it")
        if not self._stack and not isinstance(layer, InputLayer):
            shape = layer._input_shape_given or _known_input_shape(layer)
            if shape is not None:
                self._stack.append(InputLayer(batch_shape=shape, dtype=_input_dtype(layer)))
                names.add(self._stack[0].name)
        self._stack.append(layer)
        names.add(layer.name)
        self._forget_graph()

    def _forget_graph(self) -> None:
        self._graph = None
        self._graph_layers = []
        self.built = False

    def _build_if_possible(self) -> None:
        if len(self._stack) > 1 and isinstance(self._stack[0], InputLayer):
            self.build(self._stack[0].output.shape)

    @plainly
    def build(self, input_shape: Any = None) -> None:
        """Make the weights for inputs of this shape (with the batch axis)."""
        if not self.layers:
            raise problem("There are no layers to build.", where=self, fix="add layers first")
        if not isinstance(self._stack[0], InputLayer):
            if input_shape is None:
                raise problem("The shape of the input is not known.", where=self,
                              fix="begin the stack with Input(shape=...), or pass build the input shape")
            if _has_several(input_shape):
                return  # a dict or list of arrays: each layer is built by what it is called on
            self._stack.insert(0, InputLayer(batch_shape=input_shape, dtype=_input_dtype(self._stack[0])))
        else:
            self._refuse_other_shape(input_shape)
        x = inputs = self._stack[0].output
        with scope(training=None):
            for layer in self._stack[1:]:
                x = layer(x)
        self._set_graph(inputs, x)
        assert self._graph is not None
        self._graph.other_sizes = True  # as in Keras: a stack takes what its layers take

    def _refuse_other_shape(self, shape: Any) -> None:
        known = self._stack[0].output.shape
        if isinstance(shape, (list, tuple)) and (len(shape) != len(known) or any(
                a is not None and b is not None and a != b for a, b in zip(shape, known))):
            raise problem("This stack is built for inputs of another shape.", received=f"build({tuple(shape)})",
                          expected=f"{known}", where=self)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Run the inputs through the stack."""
        if self._graph is not None:
            return self._graph.run(inputs, mask)
        for layer in self.layers:  # the first one takes a dict or list
            inputs = layer(inputs)
        return inputs

    @property
    def takes_text(self) -> bool:
        """Whether its first layer takes strings."""
        return bool(self.layers) and getattr(self.layers[0], "takes_text", False)

    @property
    def input(self) -> Any:
        """What it was first called on in another model; its own symbolic input where it stands alone."""
        return super(Model, self).input if self._inbound_nodes else super().input

    @property
    def output(self) -> Any:
        """What its first call in another model gave, as for any layer; its own output where it stands alone."""
        return super(Model, self).output if self._inbound_nodes else super().output

    @property
    def inputs(self) -> Any:
        """The symbolic input, in a list."""
        return self._built_graph().input_tensors

    @property
    def outputs(self) -> Any:
        """The symbolic output, in a list."""
        return self._built_graph().output_tensors

    @property
    def input_shape(self) -> Any:
        """Shape of the input."""
        return self._built_graph().inputs.shape

    @property
    def output_shape(self) -> Any:
        """Shape of the output."""
        return self._built_graph().outputs.shape

    def _built_graph(self) -> Any:
        if self._graph is None:
            raise problem("The model has no symbolic input and output yet.", where=self, kind=AttributeError,
                          fix="begin the stack with Input(shape=...), or call the model on data first")
        return self._graph


def _has_several(shape: Any) -> bool:
    """Whether these are shapes of several inputs."""
    return isinstance(shape, dict) or (isinstance(shape, (list, tuple)) and any(
        isinstance(part, (dict, list, tuple)) for part in shape))


def _known_input_shape(layer: Layer) -> Any:
    graph = getattr(layer, "_graph", None)
    return graph.inputs.shape if graph is not None and isinstance(graph.inputs, SymbolicTensor) else None


def _input_dtype(layer: Layer) -> Any:
    graph = getattr(layer, "_graph", None)
    if graph is None:
        return "string" if getattr(layer, "takes_text", False) else None
    return graph.input_tensors[0].dtype
