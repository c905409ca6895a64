"""Before the first step: build the model, the objective and the optimizer from the shapes of a batch, and check
on the host what the device would let pass in silence."""

from typing import Any

import jax

from kyeo.core.errors import problem, where_is
from kyeo.core.naming import is_kyeos
from kyeo.core.plain import warn
from kyeo.core.processor import computes_in
from kyeo.core.symbolic import SymbolicTensor, tensors_in
from kyeo.data.checks import check_binary_labels, check_labels, warn_of_other_labels
from kyeo.data.unpack import unpack_x_y_sample_weight
from kyeo.metrics import binary_accuracy
from kyeo.train.objective import as_symbol, function_of

__all__ = ["build_for", "build_objective", "build_weights", "check_targets", "output_activations", "validation_parts"]


def build_for(model: Any, batch: tuple[Any, Any, Any], given: str = "x") -> None:
    """Make the weights, the losses and metrics, and the optimizer's slots, if that has not been done; say in terms
    of the data what does not fit.

    Args:
        model: the compiled model.
        batch: x, y and sample weights.
        given: the argument that the batch came in.
    """
    x, y, _ = batch
    objective, ours = model._objective, is_kyeos(type(model).compute_loss)
    if y is None and objective.spec["loss"] is not None and ours:
        is_pair = isinstance(x, (list, tuple)) and len(x) == 2
        pairs = isinstance(x, (list, tuple)) and all(isinstance(part, tuple) for part in x)
        raise problem("There are no labels.", received=f"`{given}` without labels", where=model,
                      expected=f"labels for loss={objective.spec['loss']!r}",
                      fix="a list stands for several inputs; for a list of batches pass iter(batches)" if pairs else
                      f"pass x and y as two arguments, not as one {type(x).__name__}" if given == "x" and is_pair else
                      'a dict is x alone: yield (batch, labels), without the labels in it' if isinstance(x, dict) else
                      "pass y=...; a generator or data set yields (x, y)" if given == "x" else f"pass {given}=(x, y)")
    build_weights(model, x)
    if not objective.built and objective.is_empty and model.built:  # nobody asks for outputs; to run `call` for them
        objective.build(None, (), [], [])  # may not even be possible, where a step of one's own does all
    elif not objective.built:
        y_pred = _predicted(model, x)
        labels, sized_alike = jax.tree.map(as_symbol, (y, y_pred))  # a graph may know the size of its batches
        objective.build(labels, sized_alike, model.output_names, output_activations(y_pred))
    else:
        objective.check(y)
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
        warn_of_slow_types(model)


def build_objective(model: Any, y: Any, y_pred: Any) -> None:
    """Make the losses and metrics of a model by the labels and predictions of a loop of the user's own.

    It may run while JAX traces a step: the metrics' variables get values all the same.
    """
    if model._objective.built or y is None:
        return
    graph = getattr(model, "_graph", None)
    activations = output_activations(graph.outputs) if graph is not None else [None] * len(jax.tree.leaves(y_pred))
    with jax.ensure_compile_time_eval():
        model._objective.build(*jax.tree.map(as_symbol, (y, y_pred)), model.output_names, activations)


def validation_parts(data: Any) -> tuple[Any, Any, Any]:
    """What `validation_data` holds: x, y and sample weights."""
    return unpack_x_y_sample_weight(data) if isinstance(data, (tuple, list)) else (data, None, None)


def _refuse_own_functions(model: Any) -> None:
    """A method by which programs for other engines put in their own loop would be passed over in silence."""
    for name in ("make_train_function", "make_test_function", "make_predict_function"):
        if hasattr(type(model), name) or name in vars(model):  # asked of the model itself it would make a complaint
            raise problem(f"`{name}` is not called here: the step is compiled by Kyeo.", where=model,
                          received=f"a method `{name}` of {type(model).__name__}", kind=NotImplementedError,
                          fix=f"write `{name.split('_')[1]}_step` instead, or a loop with `train_on_batch`")


def warn_of_slow_types(model: Any) -> None:
    """Say so where layers compute in a half precision that the processor has no instructions for.

    Measured on one that has them for bfloat16: `mixed_bfloat16` takes 0.65 (a transformer) to 1.0 (the tutorial's CNN)
    of the time of float32.
    """
    types = {layer.compute_dtype for layer in model._flatten_layers()}
    slow = sorted(t for t in types if t and computes_in(t) is False)
    if slow and jax.default_backend() == "cpu":
        warn(f"This processor has no instructions for {slow[0]}: {where_is(model)} trains slower than in float32. Use "
             'kyeo.config.set_dtype_policy("float32") here, and mixed precision on a GPU or TPU.')


def build_weights(model: Any, x: Any) -> None:
    """Make the weights by the shapes of a batch, if there are none; a wrong shape is said in terms of the data."""
    _refuse_own_functions(model)
    with model._turns.step:  # another thread may be about to do so as well
        graph = getattr(model, "_graph", None)
        if graph is not None:
            graph.check(x)
        elif not model.built:
            _predicted(model, x)


def _predicted(model: Any, x: Any) -> Any:
    """The symbolic predictions, those of the graph where there is one."""
    graph = getattr(model, "_graph", None)
    if graph is not None:
        return graph.outputs
    outputs = model(jax.tree.map(as_symbol, x), training=True)
    return model._graph.outputs if getattr(model, "_graph", None) is not None else outputs


def output_activations(y_pred: Any) -> list[str | None]:
    """The name of the activation that made each output, where that can be seen in the graph."""
    return [_activation_of(tensor) for tensor in tensors_in(y_pred)]


def _activation_of(tensor: SymbolicTensor) -> str | None:
    target = tensor.node.target if tensor.node is not None else None
    if type(target).__name__ == "Softmax":
        return "softmax"
    graph = getattr(target, "_graph", None)
    if graph is not None and tensor.node is not None:
        return _activation_of(graph.output_tensors[tensor.index])
    activation = getattr(target, "activation", None)
    if activation is None:
        return getattr(target, "__name__", None) if not hasattr(target, "call") else None
    return getattr(activation, "__name__", None)


def check_targets(model: Any, y: Any, given: str | None = None) -> None:
    """Refuse labels that a loss would read past its classes or take for probabilities (min and max, once).

    Args:
        model: the compiled model.
        y: the labels.
        given: the argument they came in, where that is not `y`.
    """
    objective = model._objective
    if objective is None or not objective.built or y is None or not objective.terms:
        return
    targets = objective.aligned(y)
    shapes = objective.output_shapes
    for term in objective.terms:
        if not term.sees_one:
            continue  # of several tensors: a loss of the user's own
        target = targets[term.place]
        if target is None or not hasattr(target, "dtype"):
            continue
        where = f"{term.where}, in `{given}`" if given else term.where
        for loss in term.parts:
            if "sparse_categorical" in function_of(loss):
                check_labels(target, shapes[term.place][-1], where, getattr(loss, "ignore_class", None))
            elif function_of(loss) in ("binary_crossentropy", "binary_focal_crossentropy"):
                check_binary_labels(target, where)
    for target, metrics in zip(targets, objective.compiled_metrics.of_outputs() if objective.compiled_metrics else ()):
        if any(getattr(metric, "fn", None) is binary_accuracy for metric in metrics):
            warn_of_other_labels(target)
