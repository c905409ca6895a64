"""Losses: what training minimises. Classes with a reduction, and functions with one value for each sample."""

from typing import Any

from kyeo.core.configurable import deserialize_value, serialize_value
from kyeo.core.errors import problem
from kyeo.core.registry import custom_object_scope, find
from kyeo.losses import classification, regression
from kyeo.losses.classification import *
from kyeo.losses.loss import Loss
from kyeo.losses.regression import *
from kyeo.ops import losses as functions
from kyeo.ops.losses import *

__all__ = ["Loss", *classification.__all__, *regression.__all__, *functions.__all__, "deserialize", "get",
           "serialize"]

_ALIASES = {
    "bce": "binary_crossentropy", "kld": "kl_divergence", "mae": "mean_absolute_error", "mse": "mean_squared_error",
    "mape": "mean_absolute_percentage_error", "msle": "mean_squared_logarithmic_error",
}


def get(identifier: Any) -> Any:
    """The loss meant by a name, a config, a class, a function or a loss; None stays None.

    Names of functions ("mse", "mean_squared_error") give the function, names of classes a new loss.

    >>> import kyeo
    >>> kyeo.losses.get("mse") is kyeo.losses.mean_squared_error
    True
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    elif isinstance(identifier, str):
        short = identifier.lower() if identifier in (identifier.lower(), identifier.upper()) else identifier
        found = find(_ALIASES.get(short, identifier), "losses")
    if not callable(found):
        raise problem("This loss is not known.", received=repr(identifier), where="losses.get",
                      expected="a function (y_true, y_pred), a Loss, or one of: " + ", ".join(functions.__all__))
    return found() if isinstance(found, type) else found


def serialize(loss: Any) -> Any:
    """The loss as plain values."""
    return serialize_value(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss (or function) that `serialize` wrote, or that has this name."""
    with custom_object_scope(custom_objects):
        return find(name, "losses") if isinstance(name, str) else deserialize_value(name)
