"""clone_model: a model like another, with layers and weights of its own."""

import contextlib
from collections.abc import Callable
from typing import Any

import jax

from kyeo.core.errors import problem
from kyeo.core.parameters import checked
from kyeo.core.symbolic import Node, SymbolicTensor, map_tensors, tensors_in
from kyeo.layers.input import Input, InputLayer
from kyeo.layers.layer import Layer
from kyeo.models.functional import Functional
from kyeo.models.graph_config import constructor_takes
from kyeo.models.model import Model
from kyeo.models.sequential import Sequential

__all__ = ["clone_model"]


@checked
def clone_model(
    model: Model, input_tensors: Any = None, clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None, recursive: bool = False,
) -> Model:
    """A model with the same architecture and fresh weights; compiled alike, unless with unregistered functions.

    Args:
        model: a graph, a stack, or a model that can be made from its config.
        input_tensors: symbolic tensors to build on, instead of new inputs.
        clone_function: makes the copy of a layer; from its config by default.
        call_function: called as `fn(layer, *args, **kwargs)` in place of calling the copy of a layer.
        recursive: whether `clone_function` gets the layers inside models inside, instead of those models.

    >>> import kyeo
    >>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2)])
    >>> copy = kyeo.models.clone_model(model)
    >>> copy.count_params(), copy.layers[0] is model.layers[0]
    (10, False)
    """
    def copied(layer: Layer) -> Layer:
        by_layers = isinstance(layer, Model) and _is_copied_by_layers(layer)
        if isinstance(layer, Model) and by_layers and (clone_function is None or recursive):
            inside = None if isinstance(layer, Sequential) else call_function  # stacks have no calls of their own
            return clone_model(layer, None, clone_function, inside, recursive)
        if clone_function is None:
            return _remade(layer)
        copy = clone_function(layer)
        if not isinstance(copy, Layer):
            raise problem("`clone_function` must give a layer.", received=copy, where=layer, kind=TypeError)
        return copy

    if not _is_copied_by_layers(model):
        if input_tensors is not None or clone_function is not None or call_function is not None:
            raise problem("A model with its own `call` is copied as a whole, from its config.", where=model,
                          received="input_tensors, clone_function or call_function", expected="only the model")
        return _compiled_like(model, _built_like(model, _remade(model)))
    clone = _clone_stack if isinstance(model, Sequential) else _clone_graph
    return _compiled_like(model, clone(model, input_tensors, copied, call_function))  # type: ignore[arg-type]


def _built_like(model: Model, clone: Model) -> Model:
    """The clone, with weights where the model has some, so that it takes those of the model."""
    shapes = model.get_build_config() if model.built and not clone.built else None
    if shapes is not None:
        clone.build_from_config(shapes)
    return clone


def _compiled_like(model: Model, clone: Model) -> Model:
    """The clone, compiled where the model is and what it was compiled with can be made anew."""
    if model.compiled:
        with contextlib.suppress(TypeError, ValueError):  # a function of the user's that has no registered name
            clone.compile_from_config(model.get_compile_config())
    return clone


def _is_copied_by_layers(model: Any) -> bool:
    if isinstance(model, Sequential):
        return constructor_takes(type(model), ("layers",))
    return model._graph is not None and constructor_takes(type(model), ("inputs", "outputs"))


def _remade(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())


def _clone_stack(model: Sequential, tensors: Any, copied: Callable[[Layer], Layer], call_function: Any) -> Model:
    if call_function is not None:
        raise problem("`call_function` is for graphs, not for stacks.", where=model)
    given = tensors_in(tensors)
    if tensors is not None and len(given) != 1:
        raise problem("A stack has one input.", received=f"{len(given)} tensors", where=model)
    if given:
        target = given[0].node.target if given[0].node is not None else None
        begin = [target if isinstance(target, InputLayer) else Input(tensor=given[0])]
    else:
        begin = [_remade(layer) for layer in model._stack if isinstance(layer, InputLayer)]
    copy = type(model)([*begin, *map(copied, model.layers)], name=model.name)
    copy._trainable = model.trainable
    return copy


def _clone_graph(model: Model, tensors: Any, copied: Callable[[Layer], Layer], call_function: Any) -> Model:
    graph = model._graph
    assert graph is not None
    new = tensors_in(tensors) if tensors is not None else [
        Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in graph.input_tensors]
    if len(new) != len(graph.input_tensors):
        raise problem("The number of input tensors is wrong.", received=f"{len(new)} tensors", where=model,
                      expected=f"{len(graph.input_tensors)}")
    found = dict(zip(map(id, graph.input_tensors), new))
    copies = {id(layer): copied(layer) for layer in graph.layers if not isinstance(layer, InputLayer)}
    for node in graph.nodes:
        if not all(id(t) in found for t in node.output_tensors):
            found.update(zip(map(id, node.output_tensors), _called(node, copies, found, call_function)))
    inputs = jax.tree.map(lambda t: found[id(t)], graph.inputs)
    copy = (Functional if type(model) is Model else type(model))(
        inputs, map_tensors(lambda t: found[id(t)], graph.outputs), name=model.name)
    copy._trainable = model.trainable
    return copy


def _called(node: Node, copies: dict[int, Layer], found: dict[int, SymbolicTensor],
            call_function: Any) -> list[SymbolicTensor]:
    args, kwargs = map_tensors(lambda t: found[id(t)], (node.args, node.kwargs))
    layer = copies.get(id(node.target))
    if layer is None:  # an op
        return tensors_in(node.target(*args, **kwargs))
    return tensors_in(call_function(layer, *args, **kwargs) if call_function else layer(*args, **kwargs))
