"""Kyeo: define, train and use neural networks with the Keras 3 API, on JAX.

>>> import kyeo
>>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(3, activation="softmax")])
>>> model.output_shape
(None, 3)

Rooms and names are loaded at their first use, so `import kyeo` itself costs little.
"""

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from kyeo.rooms import KerasAlias

__version__ = "0.1.0"

_ROOMS = (
    "activations", "applications", "backend", "callbacks", "compat", "config", "constraints", "data", "datasets",
    "distillation", "distribution", "dtype_policies", "export", "initializers", "layers", "legacy", "losses", "metrics",
    "mixed_precision", "models", "ops", "optimizers", "preprocessing", "quantizers", "random", "regularizers",
    "saving", "tree", "utils", "visualization", "wrappers",
)
_NAMES = {  # name here -> module it lives in
    "DTypePolicy": "kyeo.dtype_policies", "FloatDTypePolicy": "kyeo.dtype_policies",
    "Function": "kyeo.models.function", "Initializer": "kyeo.initializers", "Quantizer": "kyeo.quantizers",
    "Input": "kyeo.layers", "InputSpec": "kyeo.layers", "KerasTensor": "kyeo.ops.operators:SymbolicTensor",
    "Layer": "kyeo.layers", "Loss": "kyeo.losses", "Metric": "kyeo.metrics", "Model": "kyeo.models",
    "Operation": "kyeo.core.operation", "Optimizer": "kyeo.optimizers", "Regularizer": "kyeo.regularizers",
    "RematScope": "kyeo.core.remat", "Sequential": "kyeo.models", "StatelessScope": "kyeo.core.scopes",
    "SymbolicScope": "kyeo.core.scopes", "Variable": "kyeo.ops.operators", "device": "kyeo.core.scopes",
    "name_scope": "kyeo.core.scopes", "remat": "kyeo.core.remat",
}

__all__ = [
    "DTypePolicy", "FloatDTypePolicy", "Function", "Initializer", "Input", "InputSpec", "KerasTensor", "Layer",
    "Loss", "Metric", "Model", "Operation", "Optimizer", "Quantizer", "Regularizer", "RematScope", "Sequential",
    "StatelessScope", "SymbolicScope", "Variable", "__version__", "activations", "applications", "backend",
    "callbacks", "compat", "config", "constraints", "data", "datasets", "device", "distillation", "distribution",
    "dtype_policies", "export", "initializers", "layers", "legacy", "losses", "metrics", "mixed_precision", "models",
    "name_scope", "ops", "optimizers", "preprocessing", "quantizers", "random", "regularizers", "remat", "saving",
    "tree", "utils", "version", "visualization", "wrappers", "keras",
]

if TYPE_CHECKING:
    from kyeo import (
        activations,
        applications,
        backend,
        callbacks,
        compat,
        config,
        constraints,
        data,
        datasets,
        distillation,
        distribution,
        dtype_policies,
        export,
        initializers,
        keras,
        layers,
        legacy,
        losses,
        metrics,
        mixed_precision,
        models,
        ops,
        optimizers,
        preprocessing,
        quantizers,
        random,
        regularizers,
        saving,
        tree,
        utils,
        visualization,
        wrappers,
    )
    from kyeo.core.operation import Operation
    from kyeo.core.remat import RematScope, remat
    from kyeo.core.scopes import StatelessScope, SymbolicScope, device, name_scope
    from kyeo.core.symbolic import SymbolicTensor as KerasTensor
    from kyeo.core.variable import Variable
    from kyeo.dtype_policies import DTypePolicy, FloatDTypePolicy
    from kyeo.initializers import Initializer
    from kyeo.layers import Input, InputSpec, Layer
    from kyeo.losses import Loss
    from kyeo.metrics import Metric
    from kyeo.models import Model, Sequential
    from kyeo.models.function import Function
    from kyeo.optimizers import Optimizer
    from kyeo.quantizers import Quantizer
    from kyeo.regularizers import Regularizer

KerasAlias("kyeo.keras").install()


def version() -> str:
    """The version of Kyeo."""
    return __version__


def _load(module: str) -> Any:
    """Import a room. The first one brings what nearly all programs need: all at once, so that the garbage collector
    rests meanwhile and is told that it stays (measured: imports 1.31 -> 1.13 s on a slow AMD EPYC)."""
    if any(name.startswith("kyeo.") and name not in ("kyeo.rooms", "kyeo.keras") for name in sys.modules):
        return importlib.import_module(module)  # others are there, or just being loaded
    had_jax = "jax" in sys.modules  # then the program may have made much that does not stay
    collector = importlib.import_module("kyeo.core.collector")
    with collector.paused() if had_jax else collector.set_aside("kyeo.models"):
        importlib.import_module("kyeo.models")
        return importlib.import_module(module)


def __getattr__(name: str) -> Any:
    if name == "keras":
        return importlib.import_module("kyeo.keras")
    if name in _ROOMS:
        return _load(f"kyeo.{name}")
    if name in _NAMES:
        module, _, attribute = _NAMES[name].partition(":")
        value = getattr(_load(module), attribute or name)
        globals()[name] = value
        return value
    if name.startswith("_") or importlib.util.find_spec(f"kyeo.{name}") is not None:  # a module not imported yet
        raise AttributeError(f"module 'kyeo' has no attribute {name!r}")
    importlib.import_module("kyeo.ops")  # it knows what stands for names of TensorFlow; not above: it loads JAX
    raise importlib.import_module("kyeo.core.gone").missing_at_top(name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
