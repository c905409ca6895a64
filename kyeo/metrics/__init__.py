"""Metrics: what is reported about training. Classes that gather batches, and functions of one batch."""

from typing import Any

from kyeo.core.gone import answer_for_missing
from kyeo.core.lookup import deserialize_in, register_aliases, serialize_named
from kyeo.core.lookup import resolve as resolve_identifier
from kyeo.core.naming import snake_case
from kyeo.metrics import (
    accuracy,
    confusion,
    correlation,
    curves,
    f_score,
    iou,
    margin,
    probabilistic,
    reduction,
    regression,
)
from kyeo.metrics.accuracy import *
from kyeo.metrics.confusion import *
from kyeo.metrics.correlation import *
from kyeo.metrics.curves import *
from kyeo.metrics.f_score import *
from kyeo.metrics.iou import *
from kyeo.metrics.margin import *
from kyeo.metrics.metric import Metric
from kyeo.metrics.probabilistic import *
from kyeo.metrics.reduction import *
from kyeo.metrics.regression import *
from kyeo.ops.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)

__all__ = [
    "Metric", *accuracy.__all__, *confusion.__all__, *correlation.__all__, *curves.__all__, *f_score.__all__,
    *iou.__all__, *margin.__all__, *probabilistic.__all__, *reduction.__all__, *regression.__all__,
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
    "categorical_focal_crossentropy", "categorical_hinge", "deserialize", "get", "hinge", "huber",
    "kl_divergence", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "serialize",
    "sparse_categorical_crossentropy", "squared_hinge",
]

# A name in snake case means a class where there is one ("mean_squared_error"), else the function ("huber").
_HERE = {name: globals()[name] for name in __all__ if name in globals()}
_CLASSES = {name: value for name, value in _HERE.items() if isinstance(value, type)}
register_aliases("metrics", {snake_case(name): cls for name, cls in _CLASSES.items()})
register_aliases("metrics", {name: value for name, value in _HERE.items() if name not in _CLASSES})
for _short, _name in {
    "bce": "BinaryCrossentropy", "mse": "MeanSquaredError", "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError", "msle": "MeanSquaredLogarithmicError",
}.items():
    register_aliases("metrics", dict.fromkeys((_short, _short.upper()), _CLASSES[_name]))


def get(identifier: Any) -> Any:
    """The metric meant by a name, a config, a class, a function or a metric; None stays None.

    Names are those of classes ("MeanSquaredError", "mean_squared_error", "mse") and give a new metric.

    Args:
        identifier: any of these.

    Raises:
        ValueError: it is none of them, or a name that is not known.

    >>> import kyeo
    >>> kyeo.metrics.get("binary_accuracy").name
    'binary_accuracy'
    """
    return resolve_identifier(identifier, "metrics")


def serialize(metric: Any) -> Any:
    """The metric as plain values.

    >>> import kyeo
    >>> kyeo.metrics.serialize(kyeo.metrics.BinaryAccuracy(threshold=0.25))["config"]["threshold"]
    0.25
    """
    return serialize_named(metric)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The metric (or function) that `serialize` wrote, or that has this name.

    Args:
        config: the plain values, or a name.
        custom_objects: {name: class or function} for the user's own.

    >>> import kyeo
    >>> kyeo.metrics.deserialize(kyeo.metrics.serialize(kyeo.metrics.Mean())).name
    'mean'
    """
    return deserialize_in(config, "metrics", custom_objects)

answer_for_missing(__name__)
