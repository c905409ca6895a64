"""Constraints against Keras: projections, configs."""

import jax
import keras
import numpy as np
import pytest

import kyeo
from kyeo import constraints

W = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
ROWS = [
    ("MaxNorm", {}), ("MaxNorm", {"max_value": 0.5, "axis": [0, 1]}), ("MaxNorm", {"max_value": 1, "axis": -1}),
    ("NonNeg", {}), ("UnitNorm", {}), ("UnitNorm", {"axis": [0, 1]}), ("UnitNorm", {"axis": 2}), ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 0.9, "rate": 0.3, "axis": 1}), ("MinMaxNorm", {"axis": None}),
]


@pytest.mark.parametrize(("name", "arguments"), ROWS, ids=str)
def test_same_as_keras(name, arguments):
    ours, theirs = (getattr(lib.constraints, name)(**arguments) for lib in (kyeo, keras))
    a, b = jax.jit(lambda w: (ours(w), theirs(w)))(W)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours(kyeo.Variable(W)), a, rtol=1e-6)
    assert jax.eval_shape(ours, jax.ShapeDtypeStruct(W.shape, "bfloat16")).dtype == "bfloat16"


@pytest.mark.parametrize(("name", "arguments"), ROWS, ids=str)
def test_config(name, arguments):
    one, theirs = (getattr(lib.constraints, name)(**arguments) for lib in (kyeo, keras))
    assert constraints.serialize(one) == keras.constraints.serialize(theirs)
    assert constraints.deserialize(constraints.serialize(one)).get_config() == one.get_config()


@pytest.mark.parametrize("name", ["MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm", "max_norm", "non_neg", "unit_norm",
                                  "min_max_norm"])
def test_names(name):
    assert type(constraints.get(name)).__name__ == type(keras.constraints.get(name)).__name__
    assert isinstance(constraints.get(name), constraints.Constraint)


def test_identifiers():
    def small(w):
        return w

    assert constraints.get(None) is None and constraints.get(small) is small
    assert type(constraints.get(constraints.NonNeg)) is constraints.NonNeg
    assert constraints.non_neg is constraints.NonNeg and constraints.Constraint()(W) is W


BAD = [
    (lambda c: c.get("max_nrom"), "did you mean"), (lambda c: c.get(2.0), "cannot be read"),
    (lambda c: c.MaxNorm("2"), "`max_value`"), (lambda c: c.MinMaxNorm(rate=None), "`rate`"),
]


@pytest.mark.parametrize(("make", "part"), BAD, ids=[part for _, part in BAD])
def test_bad_arguments(make, part):
    with pytest.raises((ValueError, TypeError), match=part):
        make(constraints)


def test_every_constraint_has_a_row():
    classes = {n for n in constraints.__all__ if n[0].isupper()}
    assert classes == {name for name, _ in ROWS} | {"Constraint"}
    assert set(constraints.__all__) == {name for name in dir(keras.constraints) if not name.startswith("_")}
