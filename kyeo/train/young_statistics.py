"""A warning where BatchNormalization's moving averages explain why a model validates worse than it trains."""

from typing import Any

from kyeo.core.errors import where_is
from kyeo.core.plain import warn

__all__ = ["warn_of_young_statistics", "young_statistics"]


def young_statistics(model: Any) -> list[Any]:
    """The BatchNormalization layers whose moving averages are as they were made: nobody trained them, or loaded them.

    Args:
        model: a model that is built and about to be trained.
    """
    if model.optimizer is None or int(model.optimizer.iterations):
        return []
    return [layer for layer in model._flatten_layers()
            if type(layer).__name__ == "BatchNormalization" and layer.built and layer.trainable
            and not layer.moving_mean.numpy().any() and (layer.moving_variance.numpy() == 1).all()]


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
                 f"(loss {loss:.3g}, val_loss {validated:.3g}). Train longer, or make it with momentum=0.9.")
            return
