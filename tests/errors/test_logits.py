"""Warnings where the last layer and the loss do not agree about probabilities: a truth table."""

import itertools
import pathlib
import warnings

import numpy as np
import pytest

import kyeo
from kyeo import layers, losses

X = np.linspace(0, 1, 8 * 4, dtype="float32").reshape(8, 4)
CASES = {
    "BinaryCrossentropy": (1, np.arange(8) % 2, "sigmoid"),
    "BinaryFocalCrossentropy": (1, np.arange(8) % 2, "sigmoid"),
    "CategoricalCrossentropy": (3, np.eye(3)[np.arange(8) % 3], "softmax"),
    "CategoricalFocalCrossentropy": (3, np.eye(3)[np.arange(8) % 3], "softmax"),
    "SparseCategoricalCrossentropy": (3, np.arange(8) % 3, "softmax"),
}


def warnings_of(model, y, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, verbose=0, **kwargs)
    return [w for w in caught if "The last layer" in str(w.message)]


@pytest.mark.parametrize("name, activated, from_logits", list(itertools.product(CASES, (True, False), (True, False))))
def test_truth_table(name, activated, from_logits):
    units, y, activation = CASES[name]
    last = layers.Dense(units, activation if activated else None, name="head")
    model = kyeo.Sequential([kyeo.Input((4,)), last])
    model.compile("sgd", getattr(losses, name)(from_logits=from_logits))
    found = warnings_of(model, y)
    assert bool(found) == (activated == from_logits)
    for warning in found:
        assert warning.category is UserWarning and pathlib.Path(warning.filename) == pathlib.Path(__file__)
        text = str(warning.message)
        assert 'output "head"' in text and ("Leave out" in text if activated else
                                            f"kyeo.losses.{name}(from_logits=True)" in text)
    assert warnings_of(model, y) == []  # said once


@pytest.mark.parametrize("last", [
    [layers.Dense(3), layers.Activation("softmax")], [layers.Dense(3), layers.Softmax()],
    [kyeo.Sequential([layers.Dense(3, "softmax")])]])
def test_probabilities_made_in_other_ways(last):
    model = kyeo.Sequential([kyeo.Input((4,)), *last])
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert warnings_of(model, np.arange(8) % 3) == []


def test_by_name_and_unknown():
    def own(y_true, y_pred):
        return losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)

    for loss, count in (("sparse_categorical_crossentropy", 1), ("mse", 0), (own, 0)):
        model = kyeo.Sequential([kyeo.Input((4,)), layers.Dense(3)])
        model.compile("sgd", loss)
        y = np.zeros((8, 3)) if loss == "mse" else np.arange(8) % 3
        assert len(warnings_of(model, y)) == count
