"""Regularizers against Keras: penalties, gradients, configs."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo
from kyeo import regularizers

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
ROWS = [
    ("L1", {}), ("L1", {"l1": 0.3}), ("L1", {"l1": None}), ("L2", {}), ("L2", {"l2": 2}), ("L1L2", {}),
    ("L1L2", {"l1": 0.1}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}), ("L1L2", {"l1": None, "l2": 0.2}), ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 1.5, "mode": "columns"}),
]


@pytest.mark.parametrize(("name", "arguments"), ROWS, ids=str)
def test_same_as_keras(name, arguments):
    ours, theirs = (getattr(lib.regularizers, name)(**arguments) for lib in (kyeo, keras))
    both = jax.jit(lambda x: [jax.value_and_grad(lambda x, fn=fn: jnp.sum(fn(x)))(x) for fn in (ours, theirs)])(X)
    for a, b in zip(*map(jax.tree.leaves, both)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours(kyeo.Variable(X)), ours(X))
    assert jax.eval_shape(ours, jax.ShapeDtypeStruct((3, 4), "bfloat16")).dtype == "bfloat16"


@pytest.mark.parametrize(("name", "arguments"), ROWS, ids=str)
def test_config(name, arguments):
    one, theirs = (getattr(lib.regularizers, name)(**arguments) for lib in (kyeo, keras))
    assert one.get_config() == pytest.approx(theirs.get_config()) if name[0] == "L" else True
    written = regularizers.serialize(one)
    assert {**written, "config": 0} == {**keras.regularizers.serialize(theirs), "config": 0}
    assert regularizers.deserialize(written).get_config() == one.get_config()
    assert regularizers.get(written).get_config() == one.get_config()


@pytest.mark.parametrize("name", ["L1", "L2", "L1L2", "OrthogonalRegularizer", "l1", "l2", "l1l2", "l1_l2",
                                  "orthogonal_regularizer"])
def test_names(name):
    found = regularizers.get(name)
    theirs = keras.regularizers.get(name if name != "l1_l2" else "l1l2")
    assert type(found).__name__ == type(theirs).__name__ and isinstance(found, regularizers.Regularizer)


def test_integers_and_a_single_row():
    for name, wanted in (("L1", 0.6), ("L2", 1.4), ("L1L2", 2.0)):
        made = getattr(regularizers, name)(*(0.1,) * (2 if name == "L1L2" else 1))
        np.testing.assert_allclose(made(np.array([1, -2, 3])), wanted, rtol=1e-6)  # in integers the weight is 0
    assert regularizers.OrthogonalRegularizer()(np.ones((1, 3), "float32")) == 0  # Keras: 0 / 0


def test_identifiers():
    def penalty(x):
        return x

    assert regularizers.get(None) is None and regularizers.get(penalty) is penalty
    assert type(regularizers.get(regularizers.L2)) is regularizers.L2
    assert regularizers.l1 is regularizers.L1 and regularizers.l1_l2(l1=1.0).l1 == 1.0
    assert regularizers.Regularizer()(X) == 0.0


BAD = [
    (lambda r: r.get("l3"), "There is no"), (lambda r: r.get(0.1), "cannot be read"), (lambda r: r.L1(-1), "`l1`"),
    (lambda r: r.L2(float("nan")), "`l2`"), (lambda r: r.L1L2(l2=float("inf")), "`l2`"),
    (lambda r: r.L1("0.1"), "`l1`"),
    (lambda r: r.OrthogonalRegularizer(mode="rows "), "`mode`"), (lambda r: r.OrthogonalRegularizer(-1.0), "`factor`"),
    (lambda r: r.OrthogonalRegularizer()(X[0]), "matrices"),
]


@pytest.mark.parametrize(("make", "part"), BAD, ids=[part for _, part in BAD])
def test_bad_arguments(make, part):
    with pytest.raises((ValueError, TypeError), match=part):
        make(regularizers)


def test_every_regularizer_has_a_row():
    classes = {n for n in regularizers.__all__ if n[0].isupper()}
    assert classes == {name for name, _ in ROWS} | {"Regularizer"}
    assert set(regularizers.__all__) == {name for name in dir(keras.regularizers) if not name.startswith("_")}
