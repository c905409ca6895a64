"""The layers for text and categories beside what Keras on TensorFlow gave (see cases.py)."""

import json
import pathlib

import numpy as np
import pytest

import kyeo
from tests.text.cases import CASES

EXPECTED = json.loads(pathlib.Path(__file__).with_name("expected.json").read_text())


def made(case):
    layer = getattr(kyeo.layers, case.layer)(**case.config)
    if case.adapt is not None:
        layer.adapt(case.adapt, **({"steps": case.steps} if case.steps else {}))
    return layer


def shapes_of(case, value):
    if case.layer == "HashedCrossing":
        return [kyeo.KerasTensor(np.shape(v), "string") for v in value]
    return kyeo.KerasTensor(np.shape(value), "string")


@pytest.mark.parametrize(("case", "expected"), list(zip(CASES, EXPECTED, strict=True)), ids=map(str, CASES))
def test_as_in_keras(case, expected):
    assert expected["case"] == str(case), "run scripts/make_text_expected.py"
    layer = made(case)
    for value, wanted in zip(case.calls, expected["outputs"]):
        output = layer(value)
        dtype = {"int64": "int32", "string": "object"}.get(wanted["dtype"], wanted["dtype"])
        assert output.dtype == dtype
        compare = np.testing.assert_allclose if dtype == "float32" else np.testing.assert_array_equal
        compare(output, np.array(wanted["values"], dtype), **({"rtol": 1e-6} if dtype == "float32" else {}))
        spec = layer.compute_output_spec(shapes_of(case, value))
        assert all(s in (None, o) for s, o in zip(spec.shape, output.shape, strict=True))
        assert spec.dtype == ("string" if dtype == "object" else dtype)
    if "vocabulary" in expected:
        assert layer.get_vocabulary() == expected["vocabulary"]
        assert layer.vocabulary_size() == expected["size"]
    config = json.loads(json.dumps(kyeo.saving.serialize_keras_object(layer)))
    again = kyeo.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("tokens", [[3, -2, 7, 0, 5], [10**15, -4, 7]], ids=["close", "apart"])
def test_integers_are_found_wherever_they_lie(tokens):
    """Close together they are found in a table, else by search."""
    asked = np.array([*range(-9, 12), 10**15, -(2**63), 2**63 - 1, 2**62])
    wanted = [tokens.index(one) + 1 if one in tokens else 0 for one in asked.tolist()]
    assert kyeo.layers.IntegerLookup(vocabulary=tokens)(asked).tolist() == wanted
