"""Small weights and gradients, the same for Keras and for Kyeo, and how near two results must be."""

import keras
import numpy as np

from kyeo.core.scope import scope
from kyeo.core.variable import Variable

__all__ = ["close", "draw", "ours", "theirs"]

SHAPES = {"dense/kernel": (4, 3), "dense/bias": (3,)}
MORE_SHAPES = {"Adafactor": {"conv/kernel": (2, 3, 4)}, "Muon": {"embedding/embeddings": (3, 2)}}


def shapes_for(name):
    return SHAPES | MORE_SHAPES.get(name, {})


def draw(seed, name="", scale=1.0):
    rng = np.random.default_rng(seed)
    return [(scale * rng.standard_normal(shape)).astype("float32") for shape in shapes_for(name).values()]


def made(variable_class, scope_of, name):
    variables = []
    for path, value in zip(shapes_for(name), draw(0, name)):
        layer, weight = path.split("/")
        with scope_of(layer):
            variables.append(variable_class(value, name=weight))
    return variables


def ours(name=""):
    return made(Variable, lambda path: scope(path=path), name)


def theirs(name=""):
    return made(keras.Variable, keras.name_scope, name)


def close(got, wanted, what):
    got, wanted = np.asarray(got), np.asarray(wanted)
    scale = max(1, np.abs(wanted).max())
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6 * scale, err_msg=what)
