"""One case of every layer goes through a file of Keras: the same config, the same variables at the same places."""

import json

import keras
import numpy as np
import pytest

import kyeo
from tests.conformance.cases import CASES

FIRST = {case.name: case for case in reversed(CASES) if not case.call}  # cells are called by RNN alone
FIRST.pop("Equalization")  # Keras cannot make a functional model of it


def model_of(k, case):
    def tensor(shape):
        return k.Input(shape[1:], batch_size=shape[0], dtype=case.dtype)

    several = isinstance(case.shapes[0], tuple)
    inputs = [tensor(s) for s in case.shapes] if several else tensor(case.shapes)
    layer = case.make(k.layers)
    return k.Model(inputs, layer(*inputs) if several and isinstance(case.shapes, tuple) else layer(inputs))


@pytest.mark.parametrize("case", FIRST.values(), ids=FIRST)
def test_weights_and_description(case, tmp_path):
    there = model_of(keras, case)
    rng = np.random.default_rng(0)
    for weight in there.weights:
        weight.assign(rng.uniform(1, 2, weight.shape).astype(str(weight.dtype)))
    there.save(tmp_path / "m.keras")
    here = kyeo.saving.load_model(tmp_path / "m.keras")
    for mine, other in zip(here.weights, there.weights, strict=True):
        assert mine.name == other.name
        np.testing.assert_array_equal(mine, other)
    again = keras.models.model_from_json(here.to_json())
    assert json.loads(again.to_json())["config"]["layers"][-1]["config"] == \
        json.loads(there.to_json())["config"]["layers"][-1]["config"]
