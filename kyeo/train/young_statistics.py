"""BatchNormalization's moving averages: a warning where they explain why a model validates badly, and averages taken
anew."""

from typing import Any

import numpy as np

from kyeo.core.errors import problem, where_is
from kyeo.core.plain import warn
from kyeo.data.adapters import as_source
from kyeo.data.arrays import batch_rows

__all__ = ["recalibrate", "warn_of_young_statistics", "young_statistics"]


def young_statistics(model: Any) -> list[Any]:
    """The BatchNormalization layers whose moving averages are as they were made: nobody trained them, or loaded them.

    Args:
        model: a model that is built and about to be trained.
    """
    if model.optimizer is None or int(model.optimizer.iterations):
        return []
    return [layer for layer in _training_norms(model)
            if layer.built and not layer.moving_mean.numpy().any() and (layer.moving_variance.numpy() == 1).all()]


def _training_norms(model: Any) -> list[Any]:
    """The BatchNormalization layers that are not frozen."""
    return [layer for layer in model._flatten_layers()
            if type(layer).__name__ == "BatchNormalization" and layer.trainable]


def warn_of_young_statistics(model: Any, young: list[Any], logs: dict[str, list[Any]]) -> None:
    """Warn if validation went much worse than training while moving averages still remember where they began.

    Args:
        model: the model that was trained.
        young: what `young_statistics` gave before.
        logs: the history of the training.
    """
    loss, validated = (logs.get(name, [None])[-1] for name in ("loss", "val_loss"))
    if not (isinstance(loss, float) and isinstance(validated, float)) or not 0 < 1.5 * loss < validated:
        return
    for layer in young:
        steps, share = int(model.optimizer.iterations), 1 - layer.momentum
        if 0 < steps * share < 1:
            warn(f"The moving averages of {where_is(layer)} have seen {steps} updates, of the {1 / share:.0f} and more "
                 f"that momentum={layer.momentum} needs, so a model that trained well still validates badly "
                 f"(loss {loss:.3g}, val_loss {validated:.3g}). Train longer, make it with momentum=0.9, or call "
                 "model.recalibrate_batchnorm(x).")
            return


def recalibrate(model: Any, x: Any, batch_size: int | None) -> None:
    """Replace the moving averages by those over `x`: means and variances of its batches, each counted by its rows."""
    layers = _training_norms(model)
    boxes = [box for layer in layers for box in (layer.moving_mean, layer.moving_variance)]
    if not boxes:
        raise problem("There are no averages to take anew.", where=model, received=f"{len(layers)} layers that train",
                      expected="a BatchNormalization that is not frozen")
    before, momenta = [(v, v.value) for v in model.non_trainable_variables], [layer.momentum for layer in layers]
    sums, rows = [np.zeros(box.shape) for box in boxes], 0
    try:
        for layer in layers:
            layer.momentum = 0.0  # each call leaves the numbers of its batch
        for batch, *_ in as_source(x, batch_size=batch_size).batches(0):
            model(batch, training=True)
            count = batch_rows(batch)
            sums, rows = [total + count * box.numpy() for total, box in zip(sums, boxes)], rows + count
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
        for variable, value in before:  # a mistake in the data costs nothing, and seeds stay where they were
            variable.assign(value)
    for box, total in zip(boxes, sums):
        box.assign(total / rows)
