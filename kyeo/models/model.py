"""Model: a Layer that can be trained, saved and summed up. It may hold a Graph, a stack, or the user's own `call`."""

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from kyeo.core.configurable import deserialize_value, serialize_value
from kyeo.core.errors import did_you_mean, problem
from kyeo.core.naming import is_kyeos
from kyeo.core.plain import warn
from kyeo.core.processes import for_numpy
from kyeo.core.registry import custom_object_scope
from kyeo.core.symbolic import SymbolicTensor, tensors_in
from kyeo.layers.call_spec import shape_of
from kyeo.layers.input import InputLayer
from kyeo.layers.layer import Layer
from kyeo.models.files import ModelFiles
from kyeo.models.graph import Graph
from kyeo.models.graph_config import constructor_takes, graph_config, graph_from_config
from kyeo.models.state_tree import StateTree
from kyeo.models.summary import print_summary
from kyeo.quantizers.calibration import quantize_model
from kyeo.train.structure import nesting_of
from kyeo.train.trainer import Trainer
from kyeo.train.young_statistics import recalibrate

if TYPE_CHECKING:
    class AnyLayer(Layer):
        """A layer whose class is not known before the program runs, and so may have any attribute."""

        def __getattr__(self, name: str) -> Any: ...

__all__ = ["Model"]


class _OfGraph(property):
    """Read off the graph; a subclassed model, which has none, may keep a value of its own under the name."""

    def __set__(self, model: Any, value: Any) -> None:
        if vars(model).get("_graph") is not None or hasattr(type(model), "add"):  # a Sequential gets its graph later
            raise AttributeError
        vars(model)[self.fget.__name__] = value  # type: ignore[union-attr]

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        name = self.fget.__name__  # type: ignore[union-attr]
        if model is not None and name in vars(model) and vars(model).get("_graph") is None:
            return vars(model)[name]
        return super().__get__(model, owner)


class Model(StateTree, ModelFiles, Trainer, Layer):
    """A network with `compile`, `fit`, `evaluate` and `predict`.

    Made from a graph, `Model(inputs, outputs)`, or by a subclass that writes `call`.

    Args:
        inputs: a symbolic tensor, or a list or dict of them.
        outputs: likewise, computed from the inputs.
        name: its name.

    >>> import kyeo
    >>> class Twice(kyeo.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense = kyeo.layers.Dense(4)
    ...     def call(self, x):
    ...         return 2 * self.dense(x)
    >>> Twice()(kyeo.ops.ones((3, 5))).shape
    (3, 4)
    """

    _KIND = "Models"

    _graph_arguments = ("inputs", "outputs")
    _counts_changes = False  # its own are the trainer's

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls is Model and _means_graph(args, kwargs):
            from kyeo.models.functional import Functional  # the class that Keras's files name

            return super().__new__(Functional)  # type: ignore[return-value]
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any):
        graph_args = None
        if _means_graph(args, kwargs):
            names = ("inputs", "outputs", "name")
            kwargs = {**dict(zip(names, args)), **kwargs}
            graph_args = (kwargs.pop("inputs"), kwargs.pop("outputs", None))
            args = ()
            if not is_kyeos(type(self)):
                _leave_out_unknown(type(self), kwargs)
        if args:
            raise problem("A model takes inputs and outputs, and nothing else by place.", where=type(self),
                          received=f"{len(args)} positional arguments", kind=TypeError,
                          fix="kyeo.Model(inputs, outputs)")
        Layer.__init__(self, **kwargs)
        self._start_untrained()
        self._graph: Graph | None = None
        if graph_args is not None:
            self._set_graph(*graph_args)

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        self._graph = Graph(inputs, outputs, owner=self)
        self._graph_layers = self._graph.layers  # found by the walk over attributes
        self.built = True
        self.supports_masking = True
        self._build_shapes = {"input_shape": shape_of(inputs)}

    def _stated_specs(self, bound: dict[str, Any]) -> Any:
        """Of inputs like its own a graph knows what it gives, also where an op took a size from another tensor."""
        if self._graph is not None:
            given = self._graph.as_flat_inputs(next(iter(bound.values())), [])
            if [t.shape for t in given] == [t.shape for t in self._graph.input_tensors]:
                return self._graph.outputs
        return super()._stated_specs(bound)

    @property
    def _loss_tracker(self) -> Any:
        """The mean of the loss, under the name by which steps of libraries update it."""
        return self._objective.loss_tracker if self._objective is not None else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outputs = self._calls.run(self, args, kwargs)
        if outputs is None:
            outputs = super().__call__(*args, **kwargs)
        return outputs

    if TYPE_CHECKING:
        def call(self, *args: Any, **kwargs: Any) -> Any: ...  # a subclass's takes what it likes
    else:
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            """Run the graph; a subclass without a graph writes its own."""
            if self._graph is None:
                raise problem("This model has no `call`.", where=self, kind=NotImplementedError,
                              fix="write `def call(self, inputs): ...`, or make it from inputs and outputs")
            outputs = self._graph.run(inputs, mask)
            return outputs[0] if self._is_alone() else outputs

    def _is_alone(self) -> bool:
        """Whether the graph's outputs are a list of one: as in Keras, a call on arrays gives the array itself."""
        outputs = self._graph.outputs if self._graph is not None else None
        return isinstance(outputs, (list, tuple)) and len(outputs) == 1

    def _specs(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: Any) -> Any:
        specs = super()._specs(args, kwargs, training)
        wrap = self._is_alone() and not isinstance(specs, (list, tuple))
        return type(self._graph.outputs)([specs]) if self._graph is not None and wrap else specs

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """A graph marks its outputs itself."""
        return None if self._graph is not None else previous_mask

    # -- parts ---------------------------------------------------------------------------------------------
    @property
    def layers(self) -> "list[AnyLayer]":
        """Its layers, in Keras's order; of a graph those that stand in it, not what a class holds besides."""
        if self._graph is not None:
            return list(self._graph.layers)
        return [layer for layer in self.layers_inside() if isinstance(layer, Layer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> "AnyLayer":
        """A layer by its name or position; only one of the two is given.

        Args:
            name: its name.
            index: its place among `layers`, from 0; -1 is the last.

        >>> import kyeo
        >>> x = kyeo.Input((4,))
        >>> kyeo.Model(x, kyeo.layers.Dense(2, name="head")(x)).get_layer("head").units
        2
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise problem("Give either the name or the index of a layer.", received=f"name={name!r}, index={index}",
                          where=self)
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise problem("There is no layer at this index.", received=f"index={index}", where=self,
                              expected=f"an index below {len(layers)}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in layers]
        near = did_you_mean(name, names) if isinstance(name, str) else f"index={name}?"
        raise problem("There is no layer of this name.", received=f"name={name!r}", where=self,
                      expected="one of " + ", ".join(names), fix=near)

    @_OfGraph
    def inputs(self) -> list[SymbolicTensor] | None:
        """The symbolic inputs, in order; None for a model without a graph."""
        return self._graph.input_tensors if self._graph else None

    @_OfGraph
    def outputs(self) -> list[SymbolicTensor] | None:
        """The symbolic outputs, in order; None for a model without a graph."""
        return self._graph.output_tensors if self._graph else None

    @property
    def input(self) -> Any:
        """The structure of symbolic inputs."""
        return self._graph.inputs if self._graph else super().input

    @property
    def output(self) -> Any:
        """The structure of symbolic outputs."""
        return self._graph.outputs if self._graph else super().output

    @_OfGraph
    def input_shape(self) -> Any:
        """Shape(s) of the input(s); that of a single one by itself."""
        return _alone(shape_of(self.input), self.input)

    @_OfGraph
    def output_shape(self) -> Any:
        """Shape(s) of the output(s); that of a single one by itself."""
        return _alone(shape_of(self.output), self.output)

    @_OfGraph
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return [t.name for t in (self._graph.input_tensors if self._graph else ())]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: those of the layers that make them; those of a dict go by their keys.

        Others may be set before `compile`; losses, metrics and labels then go by them. Files do not keep them: where
        losses name them, `load_model(path, compile=False)`, set them again and compile.
        """
        if "_output_names" in self.__dict__:
            return self.__dict__["_output_names"]
        if self._graph is None:
            return []
        if isinstance(self._graph.outputs, dict) and nesting_of(self._graph.outputs) is None:
            return list(self._graph.outputs)
        return [t.node.name if t.node else t.name for t in self._graph.output_tensors]

    @output_names.setter
    def output_names(self, names: list[str]) -> None:
        graph = self.__dict__.get("_graph")
        if graph is not None and (isinstance(graph.outputs, dict) or len(names) != len(graph.output_tensors)):
            raise problem("These names do not fit the outputs.", received=f"output_names={names}", where=self,
                          expected="the keys of the dict of outputs, which cannot be changed"
                          if isinstance(graph.outputs, dict) else f"{len(graph.output_tensors)} names")
        self.__dict__["_output_names"] = names

    @_OfGraph
    def operations(self) -> list[Any]:
        """Layers and op calls of the graph."""
        return self._graph.operations if self._graph else list(self.layers)

    @property
    def input_layers(self) -> list[InputLayer]:
        """The input layers of the graph."""
        return [layer for layer in self.layers if isinstance(layer, InputLayer)]

    # -- as plain values ------------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """The graph with all its layers; the constructor's arguments where a subclass has its own."""
        if self._graph is not None and constructor_takes(type(self), _GRAPH_ARGUMENTS):
            return graph_config(self)
        return super().get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The model, with fresh weights, whose `get_config` gave `config`."""
        with custom_object_scope(custom_objects):
            if "input_layers" in config and constructor_takes(cls, _GRAPH_ARGUMENTS):
                return graph_from_config(cls, config)
            return super().from_config(config)

    def get_compile_config(self) -> dict[str, Any]:
        """What `compile` was told, as plain values; empty before."""
        return serialize_value(self._compile_config or {}, owner=self, name="compile")

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` gave (`config`), and make the optimizer's variables."""
        if type(self).compile is not Trainer.compile:
            warn(f"`compile` of {type(self).__name__} is not Kyeo's, so it was not called; call it, or write "
                 "get_compile_config and compile_from_config.")
            return
        self.compile(**deserialize_value(config))
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def quantize(  # type: ignore[override]  # as in Keras
        self, mode: str | None = None, config: Any = None, filters: Any = None, *, type_check: bool = True,
    ) -> None:
        """Quantize every layer inside that can be; a layer that the scheme does not know stays as it is.

        Args:
            mode: "int8", "int4", "float8", or with a config "gptq", "awq": these run data through the model.
            config: a `kyeo.quantizers.QuantizationConfig`, which says more than the mode.
            filters: which layers: a regular expression found in their names, several, or a function of a layer.
            type_check: whether subclasses of built-in layers are left out.

        >>> import kyeo
        >>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(3), kyeo.layers.ReLU()])
        >>> model.quantize("int8")
        >>> [layer.quantization_mode for layer in model.layers]
        ['int8', None]
        """
        quantize_model(self, mode, config, filters, type_check)

    def get_quantization_layer_structure(self, mode: str | None = None) -> dict[str, Any] | None:
        """For a subclass to write: {"pre_block_layers": [...], "sequential_blocks": [...]} for "gptq" and "awq", where
        the config does not say it. None here."""
        return None

    # -- words and files -----------------------------------------------------------------------------------
    def summary(self, line_length: int | None = None, positions: Any = None, print_fn: Callable[..., Any] | None = None,
                expand_nested: bool = False, show_trainable: bool = False, layer_range: Any = None) -> None:
        """Print a table of layers, output shapes, parameter counts and connections.

        Args:
            line_length: width in characters; that of the terminal when None.
            positions: relative or absolute column positions, as in Keras.
            print_fn: called with the text instead of printing it.
            expand_nested: show the layers of models inside.
            show_trainable: add a column that says which layers are trainable.
            layer_range: (first name, last name), regular expressions; only these layers and those between.

        >>> import kyeo
        >>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2)], name="small")
        >>> model.summary(print_fn=lambda text: print(text.splitlines()[0]))
        Model: "small"
        """
        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def _repr_html_(self) -> str | None:
        """The table of `summary`, for notebooks."""
        lines: list[str] = []
        self.summary(print_fn=lines.append)
        return f"<pre>{html.escape(chr(10).join(map(str, lines)))}</pre>"

    def recalibrate_batchnorm(self, x: Any, batch_size: int | None = None) -> None:
        """Take the moving averages of every BatchNormalization that is not frozen anew, over the data `x`.

        For a model that trains well and evaluates badly: after few steps the averages still remember where they began.

        Args:
            x: inputs as for `fit`.
            batch_size: rows at a time, as in training; 32 where None.

        >>> import kyeo, numpy as np
        >>> model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.BatchNormalization()])
        >>> model.recalibrate_batchnorm(np.array([[1.0, 4.0], [3.0, 4.0]]))
        >>> model.layers[0].moving_mean.numpy().tolist()
        [2.0, 4.0]
        """
        with self._turns.take("recalibrate_batchnorm", self):
            recalibrate(self, x, batch_size)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights, in the order of `weights`; all after the same step, also where another thread is in
        `fit`."""
        with self._turns.step:
            values = [v.value for v in self.weights]  # read, they are given up to no step any more
        return [np.array(for_numpy(value)) for value in values]


_GRAPH_ARGUMENTS = ("inputs", "outputs")


def _alone(shapes: Any, tensors: Any) -> Any:
    """The shape of a single tensor without the structure around it."""
    leaves = tensors_in(tensors)
    return shape_of(leaves[0]) if len(leaves) == 1 else shapes


def _leave_out_unknown(cls: type, kwargs: dict[str, Any]) -> None:
    """Keras takes any argument for a class derived from a graph model, and classes in use rely on it."""
    for name in set(kwargs) - {"name", "trainable", "dtype", "autocast", "activity_regularizer"}:
        warn(f"{cls.__name__} hands {name}={kwargs.pop(name)!r} on to kyeo.Model, which has no such argument; it is "
             "left out.")


def _means_graph(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return len(args) >= 2 or (len(args) == 1 and "outputs" in kwargs) or ("inputs" in kwargs and "outputs" in kwargs)
