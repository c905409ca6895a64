"""Losses: what training minimises. Classes with a reduction, and functions with one value for each sample."""

from typing import Any

from kyeo.core.gone import answer_for_missing
from kyeo.core.lookup import deserialize_in, register_aliases, resolve, serialize_named
from kyeo.losses import classification, regression, structure
from kyeo.losses.classification import *
from kyeo.losses.loss import Loss
from kyeo.losses.regression import *
from kyeo.losses.structure import *
from kyeo.ops import losses as functions
from kyeo.ops.losses import *

__all__ = [
    "Loss", *classification.__all__, *regression.__all__, *structure.__all__, *functions.__all__,
    "deserialize", "get", "serialize",
]

register_aliases("losses", {name: getattr(functions, name) for name in functions.__all__})
for _short, _name in {
    "bce": "binary_crossentropy", "kld": "kl_divergence", "mae": "mean_absolute_error",
    "mse": "mean_squared_error", "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
}.items():
    register_aliases("losses", dict.fromkeys((_short, _short.upper()), getattr(functions, _name)))


def get(identifier: Any) -> Any:
    """The loss meant by a name, a config, a class, a function or a loss; None stays None.

    Names of functions ("mse", "mean_squared_error") give the function, names of classes a new loss.

    Args:
        identifier: any of these.

    Raises:
        ValueError: it is none of them, or a name that is not known.

    >>> import kyeo
    >>> kyeo.losses.get("mse") is kyeo.losses.mean_squared_error
    True
    """
    return resolve(identifier, "losses")


def serialize(loss: Any) -> Any:
    """The loss as plain values.

    >>> import kyeo
    >>> kyeo.losses.serialize(kyeo.losses.Huber(delta=2.0))["config"]["delta"]
    2.0
    """
    return serialize_named(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss (or function) that `serialize` wrote, or that has this name.

    Args:
        name: the plain values, or a name.
        custom_objects: {name: class or function} for the user's own.

    >>> import kyeo
    >>> kyeo.losses.deserialize("huber") is kyeo.losses.huber
    True
    """
    return deserialize_in(name, "losses", custom_objects)

answer_for_missing(__name__)
