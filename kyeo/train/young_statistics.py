"""A warning where BatchNormalization's moving averages explain why a model validates worse than it trains."""

from typing import Any

from kyeo.core.errors import where_is
from kyeo.core.plain import warn

__all__ = ["warn_of_young_statistics"]


def warn_of_young_statistics(model: Any, logs: dict[str, list[Any]]) -> None:
    """Warn if validation went much worse than training while moving averages still remember where they began.

    Args:
        model: the model that was trained.
        logs: the history of the training.
    """
    loss, validated = (logs.get(name, [None])[-1] for name in ("loss", "val_loss"))
    if not (isinstance(loss, float) and isinstance(validated, float)) or not 0 < 1.5 * loss < validated:
        return
    steps = int(model.optimizer.iterations)
    for layer in model._flatten_layers():
        if type(layer).__name__ == "BatchNormalization" and layer.trainable and steps * (1 - layer.momentum) < 1:
            wanted = f"{1 / (1 - layer.momentum):.0f}"
            warn(f"The moving averages of {where_is(layer)} have seen {steps} updates, of the {wanted} and more that "
                 f"momentum={layer.momentum} needs, so a model that trained well still validates badly "
                 f"(loss {loss:.3g}, val_loss {validated:.3g}). Train longer, or make it with momentum=0.9.")
            return
