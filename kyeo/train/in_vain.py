"""Warnings where a training changes nothing, begins with what belongs to another model, or passes over an argument."""

from typing import Any

import jax

from kyeo.core.errors import where_is
from kyeo.core.owned import Structure
from kyeo.core.plain import warn
from kyeo.data.arrays import batch_rows
from kyeo.data.source import ArraySource, Source

__all__ = ["noting_gradients", "warn_before_training", "warn_of_no_gradient"]


def noting_gradients(loss: Any, noted: list[bool]) -> Any:
    """The loss as it is; JAX asks for its derivative, and `noted` grows, only where it depends on a weight."""
    @jax.custom_jvp
    def same(value: Any) -> Any:
        return value

    @same.defjvp
    def derivative(primals: Any, tangents: Any) -> Any:
        noted.append(True)
        return primals[0], tangents[0]

    return same(loss)


def warn_of_no_gradient(model: Any, noted: list[bool]) -> None:
    """Warn if no weight can change, said by a step that was just traced."""
    if noted:
        return
    variables = model.state_variables()
    if variables.trainable:
        warn(f"The loss of {where_is(model)} depends on none of its weights, so nothing is learned. Between them lies "
             "what has no gradient (argmax, round, a comparison, a cast to integers, stop_gradient), or the loss makes "
             "no use of y_pred.")
    elif any(variable.born_trainable for variable in variables.frozen):
        warn(f"All weights of {where_is(model)} are frozen, so nothing is learned. Set layer.trainable = True for "
             "those to be trained.")


def warn_before_training(model: Any, source: Source, batch_size: int | None) -> None:
    """Warn of what a training does not use, or has from elsewhere.

    Args:
        model: a model that is built and about to be trained.
        source: where its batches come from.
        batch_size: what `fit` was given for them.
    """
    if batch_size is not None and not isinstance(source, ArraySource):
        rows = batch_rows(source.peek()[0])
        if rows != batch_size:
            warn(f"batch_size={batch_size} is not used: the data come in batches, of {rows} rows. Make them larger or "
                 "smaller where they are made.")
    known, own = getattr(model.optimizer, "_trainable_variables", []), model.state_variables().trainable
    if known and own and not set(map(id, known)) & set(map(id, own)):
        warn(f"{where_is(model.optimizer)} was used for other weights, and goes on with their momenta at step "
             f"{int(model.optimizer.iterations)}. Compile {where_is(model)} with an optimizer of its own.")
    if model._looked_at == Structure.version:
        return  # to look at all layers takes as long as the dispatch of a small step
    model._looked_at = Structure.version
    for layer in model._flatten_layers():
        if type(layer).__name__ == "Normalization" and layer.built and layer.is_as_made():
            warn(f"{where_is(layer)} has seen no data, so it changes nothing: call adapt(data) before `fit`, or give "
                 "it `mean` and `variance`.")
