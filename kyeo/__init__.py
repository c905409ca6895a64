"""Kyeo: define, train and use neural networks with the Keras 3 API, on JAX.

>>> import kyeo
>>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(3, activation="softmax")])
>>> model.output_shape
(None, 3)

Rooms and names are loaded at their first use, so `import kyeo` itself costs little.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kyeo.rooms import KerasAlias

__version__ = "0.1.0"

_ROOMS = (
    "activations", "applications", "backend", "callbacks", "config", "constraints", "data", "datasets",
    "dtype_policies", "initializers", "layers", "losses", "metrics", "models", "ops", "optimizers", "preprocessing",
    "random", "regularizers", "saving", "utils", "visualization",
)
_NAMES = {  # name here -> module it lives in
    "DTypePolicy": "kyeo.dtype_policies", "Initializer": "kyeo.initializers",
    "Input": "kyeo.layers", "InputSpec": "kyeo.layers", "KerasTensor": "kyeo.ops.operators:SymbolicTensor",
    "Layer": "kyeo.layers", "Loss": "kyeo.losses", "Metric": "kyeo.metrics", "Model": "kyeo.models",
    "Optimizer": "kyeo.optimizers", "Regularizer": "kyeo.regularizers", "Sequential": "kyeo.models",
    "Variable": "kyeo.ops.operators",
}

__all__ = [
    "activations", "applications", "backend", "callbacks", "config", "constraints", "data", "datasets",
    "dtype_policies", "initializers", "layers", "losses", "metrics", "models", "ops", "optimizers", "preprocessing",
    "random", "regularizers", "saving", "utils", "visualization", "keras",
    "DTypePolicy", "Initializer", "Input", "InputSpec", "KerasTensor", "Layer", "Loss", "Metric", "Model", "Optimizer",
    "Regularizer", "Sequential", "Variable", "version", "__version__",
]

if TYPE_CHECKING:
    from kyeo import (
        activations,
        applications,
        backend,
        callbacks,
        config,
        constraints,
        data,
        datasets,
        dtype_policies,
        initializers,
        layers,
        losses,
        metrics,
        models,
        ops,
        optimizers,
        preprocessing,
        random,
        regularizers,
        saving,
        utils,
        visualization,
    )
    from kyeo.core.symbolic import SymbolicTensor as KerasTensor
    from kyeo.core.variable import Variable
    from kyeo.dtype_policies import DTypePolicy
    from kyeo.initializers import Initializer
    from kyeo.layers import Input, InputSpec, Layer
    from kyeo.losses import Loss
    from kyeo.metrics import Metric
    from kyeo.models import Model, Sequential
    from kyeo.optimizers import Optimizer
    from kyeo.regularizers import Regularizer

KerasAlias.install()


def version() -> str:
    """The version of Kyeo."""
    return __version__


def __getattr__(name: str) -> Any:
    if name == "keras":
        return importlib.import_module("kyeo.keras")
    if name in _ROOMS:
        return importlib.import_module(f"kyeo.{name}")
    if name in _NAMES:
        module, _, attribute = _NAMES[name].partition(":")
        value = getattr(importlib.import_module(module), attribute or name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'kyeo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
