"""A loss that is no number any more is said once, with the row of the data or the learning rate that made it."""

import warnings

import numpy as np
import pytest

import kyeo


def trained(x, y, learning_rate=0.01, layer=None):
    model = kyeo.Sequential([kyeo.Input((3,)), *([layer] if layer else []), kyeo.layers.Dense(1)])
    model.compile(kyeo.optimizers.SGD(learning_rate), "mse")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y, epochs=3, verbose=0)
    return [str(w.message) for w in caught if "of no use" in str(w.message)], caught


X = np.random.default_rng(0).normal(size=(2, 2500, 3)).astype("float32")


@pytest.mark.parametrize("place, said", [
    (("x", 1717), "`x` holds values that are NaN or infinite, the first in row 1717"),
    (("y", 40), "`y` holds values that are NaN or infinite, the first in row 40"),
    (None, "a learning rate that is too high (it is 1e+30)")])
def test_reason(place, said):
    x, y = X[0].copy(), X[1][:, :1].copy()
    if place:
        {"x": x, "y": y}[place[0]][place[1]] = np.nan if place[0] == "x" else np.inf
    texts, caught = trained(x, y, learning_rate=0.01 if place else 1e30)
    assert len(texts) == 1 and said in texts[0]
    assert caught[-1].filename == __file__


def test_a_good_training_says_nothing():
    assert trained(X[0], X[1][:, :1])[0] == []


@kyeo.saving.register_keras_serializable()
class Logarithm(kyeo.layers.Layer):
    def call(self, x):
        return kyeo.ops.log(x)


@pytest.mark.parametrize("nested", [False, True])
def test_layer_at_fault(nested):
    inside = [kyeo.layers.Dense(2), Logarithm(name="bad")]
    inside = [kyeo.Sequential(inside, name="stack")] if nested else inside
    model = kyeo.Sequential([kyeo.Input((3,)), *inside, kyeo.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match='Logarithm "bad" gives NaN or infinite values for finite inputs'):
        model.fit(X[0], X[1][:, :1], verbose=0)
