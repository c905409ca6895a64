"""Shapes that were found before are those that a trace gives, and no layer of the user's takes them."""

import jax
import pytest

import kyeo
from kyeo.core.naming import reset_names
from kyeo.layers import known_shapes, shapes
from tests.conformance.cases import CASES
from tests.conformance.test_layers import apart, each_shape, is_shape, rows
from tests.thin import thinned

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    """The keys asked for in a test; nothing is known when it begins."""
    found = []

    def noted(*args):
        found.append(known_shapes.key_of(*args))
        return found[-1]

    monkeypatch.setattr(known_shapes, "_known", {})
    monkeypatch.setattr(shapes, "key_of", noted)
    return found


def told(case, training):
    """What a symbolic call of a fresh layer leaves behind, or its error."""
    reset_names()
    layer = case.make(kyeo.layers, name="same")
    inputs, words = jax.tree.map(lambda s: kyeo.Input(batch_shape=(None, *s[1:]), dtype=case.dtype, name="x"),
                                 (each_shape(case, lambda s: s), case.call), is_leaf=is_shape)
    try:
        outputs = layer(*apart(inputs), **words, **training)
    except Exception as error:
        return type(error), str(error)
    leaves = jax.tree.leaves(outputs)
    return (str(jax.tree.structure(outputs)), [(t.shape, t.dtype, getattr(t._keras_mask, "shape", None)) for t in leaves],
            layer.path, str(vars(layer.input_spec) if layer.input_spec else None), len(layer.losses), layer.built,
            len(layer._inbound_nodes), [(v.path, v.shape) for v in layer.variables],
            [inner.path for inner in layer._flatten_layers()])


@rows(thinned(CASES, 8, kind=lambda case: case.name))
def test_known_is_traced(case, monkeypatch):
    """A layer that was met before gives what a trace gives; training or not."""
    for training in ({}, {"training": True}):
        first, second = told(case, training), told(case, training)
        with monkeypatch.context() as without:
            without.setattr(shapes, "known", lambda key: None)
            assert told(case, training) == first == second


class Own(kyeo.layers.Dense):
    """A class of the user's."""


def patched():
    layer = kyeo.layers.Dense(3)
    layer.call = lambda inputs: inputs
    return layer


@pytest.mark.parametrize("make", [
    lambda: Own(3), patched, lambda: kyeo.layers.Lambda(lambda x: x), lambda: kyeo.layers.Lambda(kyeo.ops.relu),
    lambda: kyeo.layers.Activation(lambda x: x), lambda: kyeo.layers.Dense(3, activation=lambda x: x[:, :1]),
    lambda: kyeo.layers.Dense(3, kernel_initializer=lambda shape, dtype: kyeo.ops.ones(shape, dtype)),
    lambda: kyeo.layers.ActivityRegularization(0.1), lambda: kyeo.layers.Dense(3, activity_regularizer="l2"),
    lambda: kyeo.Sequential([kyeo.layers.Dense(3)]), lambda: kyeo.layers.Dense(3, dtype="int8_from_float32"),
    lambda: kyeo.layers.Dense(3, dtype=kyeo.dtype_policies.DTypePolicyMap()),
], ids="own patched lambda op function activation initializer losses penalty model quantized policies".split())
def test_never_known(make, keys):
    """What the user wrote, what adds losses and what holds models is traced at each call."""
    for _ in range(2):
        layer = make()
        layer(kyeo.Input((4,)))
        assert keys and not any(key for key in keys if key and key[0][0] is type(layer))


def test_met_before(keys):
    """What differs in one thing has another key; what differs in names alone has not."""
    def key(layer, shape=(4,), dtype="float32", **words):
        layer(kyeo.Input(shape, dtype=dtype), **words)
        return keys[-1]

    dense = kyeo.layers.Dense
    same, *others = [
        key(dense(3)), key(dense(2)), key(dense(3, activation="relu")), key(dense(3), (5,)), key(dense(3), (2, 4)),
        key(dense(3, use_bias=False)), key(dense(3, dtype="mixed_bfloat16")), key(dense(3), dtype="int32"),
        key(kyeo.layers.Flatten()), key(kyeo.layers.Dropout(0.5)), key(kyeo.layers.Dropout(0.5), training=True)]
    assert None not in others and len({same, *others}) == 11
    assert key(dense(3, name="another")) == same


def test_call_replaced(monkeypatch):
    """A `call` that was put into a built-in class is traced."""
    x = kyeo.Input((4,))
    assert kyeo.layers.Dense(3)(x).shape == (None, 3)
    monkeypatch.setattr(kyeo.layers.Dense, "call", lambda self, inputs: inputs[:, :1])
    assert kyeo.layers.Dense(3)(x).shape == (None, 1)
