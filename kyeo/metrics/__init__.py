"""Metrics: what is reported about training. Classes that gather batches, and functions of one batch."""

from typing import Any

from kyeo.core.configurable import deserialize_value, serialize_value
from kyeo.core.errors import problem
from kyeo.core.naming import snake_case
from kyeo.core.registry import custom_object_scope, find
from kyeo.metrics import accuracy, confusion
from kyeo.metrics.accuracy import *
from kyeo.metrics.confusion import *
from kyeo.metrics.metric import Metric
from kyeo.metrics.reduction import Mean, MeanMetricWrapper, Sum
from kyeo.ops.losses import *

_HELPERS = {"confusion_counts"}
_CLASSES = [name for module in (accuracy, confusion) for name in module.__all__ if name not in _HELPERS]
__all__ = ["Mean", "MeanMetricWrapper", "Metric", "Sum", *_CLASSES, "deserialize", "get", "serialize"]

_ALIASES = {
    "bce": "BinaryCrossentropy", "mse": "MeanSquaredError", "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError", "msle": "MeanSquaredLogarithmicError",
}


def get(identifier: Any) -> Any:
    """The metric meant by a name, a config, a class, a function or a metric; None stays None.

    Names are those of classes ("MeanSquaredError", "mean_squared_error", "mse") and give a new metric.

    >>> import kyeo
    >>> kyeo.metrics.get("binary_accuracy").name
    'binary_accuracy'
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    elif isinstance(identifier, str):
        found = _by_name(identifier)
    if not callable(found):
        raise problem("This metric is not known.", received=repr(identifier), where="metrics.get",
                      expected="a function (y_true, y_pred), a Metric, or one of: "
                               + ", ".join(name for name in __all__ if isinstance(globals()[name], type)))
    return found() if isinstance(found, type) else found


def _by_name(name: str) -> Any:
    short = name.lower() if name in (name.lower(), name.upper()) else name
    classes = {snake_case(n): n for n in __all__ if isinstance(globals()[n], type)}
    return find(_ALIASES.get(short) or classes.get(name, name), "metrics")


def serialize(metric: Any) -> Any:
    """The metric as plain values."""
    return serialize_value(metric)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The metric (or function) that `serialize` wrote, or that has this name."""
    with custom_object_scope(custom_objects):
        return _by_name(config) if isinstance(config, str) else deserialize_value(config)
