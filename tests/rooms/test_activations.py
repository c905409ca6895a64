"""Activations against Keras: values, gradients, names, configs."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo
from kyeo import activations

X = np.array([[-40.0, -6.5, -3.0, -1.1, -0.6], [-0.2, 0.3, 0.6, 1.2, 90.0]], "float32")
NAN_STAYS = ({"max_value": 6}, {"max_value": 5}, {"threshold": 0.5}, {"negative_slope": 0.1, "max_value": 6})
NOT_PLAIN = {"deserialize", "get", "glu", "serialize", "sparsemax", "threshold"}  # sparsemax: see test_ops.py
ROWS = [(name, {}) for name in activations.__all__ if name not in NOT_PLAIN]
ROWS += [
    ("celu", {"alpha": 0.5}), ("elu", {"alpha": 2.0}), ("gelu", {"approximate": True}), ("glu", {"axis": 0}),
    ("hard_shrink", {"threshold": 1.0}), ("leaky_relu", {"negative_slope": 0.01}), ("softmax", {"axis": 0}),
    ("log_softmax", {"axis": (0, 1)}), ("relu", {"negative_slope": 0.1}), ("relu", {"max_value": 6}),
    ("relu", {"threshold": 0.5}), ("relu", {"negative_slope": 0.1, "max_value": 1.0, "threshold": 0.5}),
    ("soft_shrink", {"threshold": 1.0}), ("squareplus", {"b": 1.0}),
    ("threshold", {"threshold": 0.5, "default_value": -7}),
]


@pytest.mark.parametrize(("name", "arguments"), ROWS, ids=str)
def test_same_as_keras(name, arguments):
    def both(library):
        fn = getattr(library.activations, name)
        value, back = jax.vjp(lambda x: fn(x, **arguments), X)
        return value, *back(jnp.cos(jnp.arange(value.size, dtype="float32")).reshape(value.shape))

    for ours, theirs in zip(jax.jit(lambda: both(kyeo))(), jax.jit(lambda: both(keras))()):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", sorted({name for name, _ in ROWS}))
def test_symbolic_and_half_precision(name):
    fn = getattr(activations, name)
    arguments = {"threshold": 0.5, "default_value": 0.0} if name == "threshold" else {}
    half = jax.eval_shape(lambda x: fn(x, **arguments), jax.ShapeDtypeStruct((4, 6), "bfloat16"))
    found = fn(kyeo.KerasTensor((None, 6), "bfloat16"), **arguments)
    assert half.dtype == "bfloat16" == found.dtype and found.shape == (None, *half.shape[1:])


@pytest.mark.parametrize("name", sorted({name for name, _ in ROWS}))
def test_names_and_configs(name):
    fn = activations.get(name)
    assert fn is getattr(activations, name)
    written = activations.serialize(fn)
    assert written == keras.activations.serialize(getattr(keras.activations, name))
    assert activations.deserialize(written) is fn is activations.get(fn)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_a_whole_ceiling_keeps_integers(dtype):
    x = np.array([0, 1, 9]).astype(dtype)
    ours, theirs = (k.activations.relu(x, max_value=3.0) for k in (kyeo, keras))
    assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()
    assert kyeo.activations.relu(x, max_value=2.5).dtype == "float32"


def test_a_ceiling_or_a_threshold_hides_no_nan():
    for words in NAN_STAYS:
        assert np.isnan(activations.relu(np.array([np.nan, 1.0], "float32"), **words)).tolist() == [True, False], words
    at_6 = jax.grad(lambda x: activations.relu(x, max_value=6))(6.0)
    assert at_6 == jax.grad(lambda x: keras.activations.relu(x, max_value=6))(6.0) == 0


def test_softmax_in_half_precision_is_rounded_once():
    x = np.random.default_rng(0).normal(size=(3, 1000)).astype("float16")
    exact = jax.nn.softmax(x.astype("float32"))
    np.testing.assert_array_equal(activations.softmax(x), exact.astype("float16"))


def test_a_class_of_size_one_is_remarked_on():
    with pytest.warns(UserWarning, match="sigmoid"):
        activations.softmax(np.ones((3, 1), "float32"))


def test_identifiers():
    def twice(x):
        return 2 * x

    assert activations.get(None) is activations.linear
    assert activations.get(twice) is twice
    assert activations.get({"class_name": "function", "config": "relu", "module": "builtins"}) is activations.relu
    assert activations.get(kyeo.ops.softmax) is activations.softmax is kyeo.ops.softmax
    registered = kyeo.saving.register_keras_serializable("tests")(twice)
    written = activations.serialize(registered)
    assert written["registered_name"] == "tests>twice" or written["config"] == "tests>twice"
    assert activations.deserialize(written) is registered is activations.get("tests>twice")
    assert activations.deserialize("other", custom_objects={"other": twice}) is twice


@pytest.mark.parametrize(("value", "part"), [("rleu", "'relu'"), (3, "cannot be read"), ("none", "no")])
def test_bad_identifiers(value, part):
    with pytest.raises(ValueError, match=part):
        activations.get(value)


def test_every_activation_of_keras_is_here():
    assert set(activations.__all__) >= {name for name in dir(keras.activations) if not name.startswith("_")}
    assert {name for name, _ in ROWS} >= set(activations.__all__) - NOT_PLAIN
