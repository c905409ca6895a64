"""Wrong arguments to every class and op, one at a time beside right ones: refused by the template, naming the argument.

The right ones come from the tables of the differential tests, and from `RIGHT`.
"""

import ast
import functools
import inspect
from typing import Any

import pytest

import kyeo
from kyeo import layers, optimizers
from tests.conformance.case import made
from tests.conformance.cases import CASES
from tests.errors.arguments import bad_values, complaints, parameters_of
from tests.rooms import test_image_ops as image_ops
from tests.rooms import test_ops as ops
from tests.rooms import test_random as random

ROOMS = """layers losses metrics optimizers optimizers.schedules initializers regularizers constraints callbacks dtype_policies quantizers
    distillation models random utils distribution data""".split()
DENSE, SGD, RATE = layers.Dense(2), optimizers.SGD(), {"initial_learning_rate": 0.1}
MESH = kyeo.distribution.DeviceMesh((1,), ["batch"])
RIGHT: dict[str, dict[str, Any]] = {
    "HashedCrossing": {"num_bins": 3}, "Hashing": {"num_bins": 3}, "InputLayer": {"shape": (3,)}, "Lambda": {"function": abs},
    "Pipeline": {"layers": [DENSE]}, "SpectralNormalization": {"layer": DENSE}, "Wrapper": {"layer": DENSE},
    "JaxLayer": {"call_fn": lambda params, inputs: inputs, "init_fn": lambda rng, inputs: None},
    "MeanMetricWrapper": {"fn": max}, "IoU": {"num_classes": 3, "target_class_ids": [0]}, "MeanIoU": {"num_classes": 3},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [0]}, "OneHotMeanIoU": {"num_classes": 3}, "Optimizer": {"learning_rate": 0.1},
    "PrecisionAtRecall": {"recall": 0.5}, "RecallAtPrecision": {"precision": 0.5}, "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5}, "LossScaleOptimizer": {"inner_optimizer": SGD},
    "OptimizerMap": {"default_optimizer": SGD}, "MultiOptimizer": {"optimizer_map": lambda variable: SGD},
    "CosineDecay": {**RATE, "decay_steps": 9}, "CosineDecayRestarts": {**RATE, "first_decay_steps": 9},
    "ExponentialDecay": {**RATE, "decay_steps": 9, "decay_rate": 0.5}, "InverseTimeDecay": {**RATE, "decay_steps": 9, "decay_rate": 0.5},
    "PolynomialDecay": {**RATE, "decay_steps": 9}, "PiecewiseConstantDecay": {"boundaries": [1], "values": [0.1, 0.2]},
    "CSVLogger": {"filename": "x.csv"}, "CustomObjectScope": {"custom_objects": {}}, "ModelCheckpoint": {"filepath": "x.keras"}, "BackupAndRestore": {"backup_dir": "x"},
    "LearningRateScheduler": {"schedule": lambda epoch: 0.1}, "LoggerCallback": {"log_fn": print},
    "DTypePolicy": {"name": "float32"}, "FloatDTypePolicy": {"name": "float32"},
    "QuantizedDTypePolicy": {"mode": "int8"}, "QuantizedFloat8DTypePolicy": {"mode": "float8"}, "GPTQDTypePolicy": {"mode": "gptq/4/-1"},
    "AWQDTypePolicy": {"mode": "awq/4/-1"}, "Int4DTypePolicy": {"mode": "int4/-1"}, "FeatureSpace": {"features": {"a": "float"}},
    "Cross": {"feature_names": ["a", "b"], "crossing_dim": 3}, "Progbar": {"target": 3}, "DeviceMesh": {"shape": (1,), "axis_names": ["a"]},
    "Feature": {"dtype": "int64", "preprocessor": None, "output_mode": "int"}, "TensorLayout": {"axes": ["batch", None]},
    "LayoutMap": {"device_mesh": MESH}, "ModelParallel": {"layout_map": kyeo.distribution.LayoutMap(MESH)},
    "Dataset": {"elements": list}, "GPTQConfig": {"dataset": None, "tokenizer": None}, "AWQConfig": {"dataset": None, "tokenizer": None},
}
for _case in CASES:
    if _case.name not in RIGHT:
        RIGHT[_case.name] = made(layers, _case.config)
# Classes that are not made here, and why.
NOT_MADE = {
    "FlaxLayer": "needs flax", "OrbaxCheckpoint": "is left out", "OptaxOptimizer": "needs optax: test_optax.py",
    "QuantizationConfig": "a base class", "Source": "a base class", "Distiller": "needs models: test_distillation.py",
    "Functional": "needs a graph: mistakes_building.py",
}

def room(path):
    return functools.reduce(getattr, path.split("."), kyeo)


def classes():
    for path in ROOMS:
        names = getattr(room(path), "__all__", None) or [name for name in dir(room(path)) if name[0] != "_"]
        found = {id(cls): (name, cls) for name in names if inspect.isclass(cls := getattr(room(path), name))}
        yield from (pytest.param(name, cls, id=f"{path}.{name}") for name, cls in found.values() if name not in NOT_MADE)


def tables():
    """(expressions, what they name): the tables of the differential tests, and calls of the functions of losses and metrics."""
    functions = {f"{where.__name__[5:]}.{name}": getattr(where, name) for where in (kyeo.losses, kyeo.metrics)
                 for name in where.__all__ if inspect.isfunction(getattr(where, name)) and name not in ("deserialize", "get", "serialize")}
    special = {"losses.ctc": "TARGET, LOGITS", "losses.circle": "TWO, F", "losses.categorical_generalized_cross_entropy": "ONEHOT, U, 0.5", "losses.sparse_categorical_crossentropy": "TWO, U",
               "metrics.sparse_categorical_accuracy": "TWO, U", "metrics.sparse_top_k_categorical_accuracy": "TWO, U"}
    names = {path.replace(".", "_"): function for path, function in functions.items()}
    yield [f"{path.replace('.', '_')}({special.get(path, 'ONEHOT, U')})" for path in functions], {**ops.VALUES, **names}
    for rows, values, where in ((ops.ROWS, ops.VALUES, kyeo.ops), (image_ops.ROWS, image_ops.VALUES, kyeo.ops.image), (
            [row[0] for row in random.ROWS], {"S": 1, "X": random.X, "LOGITS": random.LOGITS}, kyeo.random)):
        yield rows, {**{name: getattr(where, name) for name in dir(where) if name[0] != "_"}, **values}


def calls():
    """Name, function and right arguments of each op, from the first expression that calls it."""
    seen = set()
    for rows, names in tables():
        for row in rows:
            node = ast.parse(row, mode="eval").body
            node = node.func if isinstance(node, ast.Call) and isinstance(node.func, ast.Call) else node
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id in seen:
                continue
            seen.add(node.func.id)
            args, kwargs = ([eval(ast.unparse(a), dict(names)) for a in node.args],
                            {k.arg: eval(ast.unparse(k.value), dict(names)) for k in node.keywords})
            yield node.func.id, names[node.func.id], args, kwargs


@pytest.mark.parametrize(("name", "cls"), list(classes()))
def test_classes(name, cls):
    right = RIGHT.get(cls.__name__, RIGHT.get(name, {}))
    cls(**right)
    wrong = []
    for parameter in parameters_of(cls).values():
        make = functools.partial(lambda value, p: cls(**{**right, p: value}), p=parameter.name)
        wrong += complaints(name, parameter.name, bad_values(parameter), make)
    unknown = complaints(name, "no_such_argument", [1], lambda value: cls(**right, no_such_argument=value))
    keeps = name in ("CallbackList", "LambdaCallback", "MeanMetricWrapper", "Config")  # any keyword is theirs
    wrong += [] if keeps else unknown
    if "self" not in right and any(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters_of(cls).values()):
        wrong += complaints(name, "missing", [None], lambda value: cls())
    assert not wrong, "\n".join(wrong)


OPS = list(calls())


@pytest.mark.parametrize(("name", "fn", "args", "kwargs"), OPS, ids=[row[0] for row in OPS])
def test_ops(name, fn, args, kwargs):
    signature, wrong = inspect.signature(fn), []
    for parameter in signature.parameters.values():
        def call(value, p=parameter):
            bound = signature.bind(*args, **kwargs)
            by_kind = {p.VAR_POSITIONAL: (value,), p.VAR_KEYWORD: {"no_such": value}}
            bound.arguments[p.name] = by_kind.get(p.kind, value)
            return fn(*bound.args, **bound.kwargs)

        wrong += complaints(name, parameter.name, bad_values(parameter), call)
    wrong += complaints(name, "no_such_argument", [1], lambda value: fn(*args, **kwargs, no_such_argument=value))
    assert not wrong, "\n".join(wrong)
