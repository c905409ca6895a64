"""Optimizers: how weights follow their gradients. Schedules of the learning rate are in `schedules`."""

from typing import Any

from kyeo.core.configurable import serialize_value
from kyeo.core.errors import problem
from kyeo.core.gone import answer_for_missing
from kyeo.core.lookup import deserialize_in, register_aliases
from kyeo.core.registry import custom_object_scope, find
from kyeo.optimizers import legacy, schedules
from kyeo.optimizers.adam import Adam, Adamax, AdamW, Lamb, Nadam, ScheduleFreeAdamW
from kyeo.optimizers.loss_scale import LossScaleOptimizer
from kyeo.optimizers.matrix import Adafactor, Muon
from kyeo.optimizers.multi import MultiOptimizer, OptimizerMap
from kyeo.optimizers.optimizer import Optimizer
from kyeo.optimizers.rules import SGD, Adadelta, Adagrad, Ftrl, Lion, RMSprop
from kyeo.optimizers.transformation import OptaxOptimizer, is_transformation

__all__ = [
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion",
    "LossScaleOptimizer", "MultiOptimizer", "Muon", "Nadam", "OptaxOptimizer", "Optimizer", "OptimizerMap", "RMSprop",
    "SGD", "ScheduleFreeAdamW", "deserialize", "get", "legacy", "schedules", "serialize",
]

register_aliases("optimizers", {cls.__name__.lower(): cls for cls in (
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, LossScaleOptimizer, MultiOptimizer,
    Muon, Nadam, OptimizerMap, RMSprop, SGD, ScheduleFreeAdamW)})


def get(identifier: Any) -> Optimizer | None:
    """The optimizer meant by an optimizer, a name in any case, a config, or a transformation of optax; None stays
    None.

    Args:
        identifier: any of these.

    Raises:
        ValueError: it is none of them, or a name that is not known.

    >>> import kyeo
    >>> type(kyeo.optimizers.get("rmsprop")).__name__, type(kyeo.optimizers.get("SGD")).__name__
    ('RMSprop', 'SGD')
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if not isinstance(identifier, type) and is_transformation(identifier):
        return OptaxOptimizer(identifier)
    if isinstance(identifier, (str, dict)):
        found = deserialize(identifier)
        if isinstance(found, Optimizer):
            return found
    is_class = isinstance(identifier, type) and issubclass(identifier, Optimizer)
    raise problem("This cannot be read as an optimizer.", received=identifier, where="kyeo.optimizers",
                  expected='a name such as "adam", an object of kyeo.optimizers, or a config',
                  fix=f"make an object of the class: {identifier.__name__}()" if is_class else
                  f"SGD({identifier}) of kyeo.optimizers" if isinstance(identifier, float) else None)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The optimizer as plain values.

    >>> import kyeo
    >>> kyeo.optimizers.serialize(kyeo.optimizers.SGD(0.5, momentum=0.9))["config"]["momentum"]
    0.9
    """
    return serialize_value(optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Optimizer:
    """The optimizer that `serialize` wrote, with fresh variables; built-in names are read in any case.

    Args:
        config: the plain values, or a name.
        custom_objects: {name: class or function} for the user's own.

    >>> import kyeo
    >>> kyeo.optimizers.deserialize({"class_name": "sgd", "config": {"learning_rate": 0.5}}).momentum
    0.0
    """
    name = config if isinstance(config, str) else config.get("class_name", "")
    with custom_object_scope(custom_objects):
        exact = find(name, "optimizers", None if isinstance(config, str) else config.get("registered_name"))
    if exact is None and find(name.lower(), "optimizers"):
        name = name.lower()
        config = name if isinstance(config, str) else {**config, "class_name": name}
    return deserialize_in(config, "optimizers", custom_objects)

answer_for_missing(__name__)
