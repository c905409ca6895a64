"""A StableHLO program does what the model does, for any number of rows and without the model."""

import jax
import numpy as np
import pytest

import kyeo
from kyeo import layers


def image_model():
    x = image = kyeo.Input((8, 8, 1))
    x = layers.MaxPooling2D()(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3)(layers.Dropout(0.5)(x)))
    return kyeo.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


def text_model():
    return kyeo.Sequential([kyeo.Input((6,), dtype="int32"), layers.Embedding(9, 4), layers.LSTM(5), layers.Dense(1)])


def two_inputs():
    a, b = kyeo.Input((3,), name="a"), kyeo.Input((3,), name="b")
    return kyeo.Model([a, b], {"sum": layers.Add()([a, b]), "both": layers.Concatenate()([a, b])})


def built_by_data():
    model = kyeo.Sequential([layers.Dense(4, activation="relu"), layers.Dense(2)])
    model(np.ones((3, 5), "float32"))  # three rows now do not mean three rows for ever
    return model


def draw(model, rows):
    rng = np.random.default_rng(rows)
    made = [rng.integers(0, 9, (rows, *t.shape[1:])).astype(t.dtype) for t in model.inputs]
    return made if len(made) > 1 else made[0]


@pytest.mark.parametrize("make", [image_model, text_model, two_inputs, built_by_data])
def test_same_numbers(make, tmp_path, capsys):
    model = make()
    model.export(tmp_path / "m")
    assert "Saved" in capsys.readouterr().out
    program = jax.export.deserialize(bytearray((tmp_path / "m").read_bytes()))
    for rows in (1, 3):
        x = draw(model, rows)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), program.call(x), model.predict(x, verbose=0))


@pytest.mark.parametrize("call, told", [
    (lambda x: kyeo.ops.broadcast_to(x, (2, None, 6)), None),
    (lambda x: kyeo.ops.broadcast_to(x, (5, 6)), "cannot be repeated to become"),
    (lambda x: kyeo.ops.repeat(x, [2, 1, 3], axis=0), "sizes that are known"),
])
def test_what_a_model_takes_on_trust_a_program_does_not(call, told, tmp_path):
    """Shapes are found without the number of rows where an op hangs on it; a program must not be made of such."""
    x = kyeo.Input((6,))
    model, data = kyeo.Model(x, call(x)), np.arange(6, dtype="float32")[None]
    if told:
        with pytest.raises((ValueError, TypeError), match=told):
            model.export(tmp_path / "m", verbose=False)
        return
    model.export(tmp_path / "m", verbose=False)
    program = jax.export.deserialize(bytearray((tmp_path / "m").read_bytes()))
    np.testing.assert_array_equal(program.call(data), model(data))


def test_own_call_and_refusals(tmp_path):
    class Own(kyeo.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    with pytest.raises(ValueError, match="input_signature"):
        model.export(tmp_path / "m")
    model(np.ones((1, 3), "float32"))
    model.export(tmp_path / "m", verbose=False, input_signature=((None, 3), "float32"))
    assert jax.export.deserialize(bytearray((tmp_path / "m").read_bytes())).call(np.ones((4, 3), "float32")).shape == (4, 2)
    for word in ("tf_saved_model", "litert", "else"):
        with pytest.raises(ValueError, match="stablehlo"):
            model.export(tmp_path / "n", format=word)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


SEVERAL = {  # how the inputs of a `call(self, x, y)` are told
    "as it was called": None, "a spec for each": [((None, 3), "float32"), ((None, 2), "float32")],
    "specs of Keras": (kyeo.InputSpec(shape=(None, 3)), kyeo.InputSpec(shape=(None, 2))),
}


@pytest.mark.parametrize("signature", SEVERAL)
def test_a_call_of_several_arguments(signature, tmp_path):
    class Own(kyeo.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x, y, training=False):
            return self.dense(x) - y

    model, x, y = Own(), np.ones((4, 3), "float32"), np.full((4, 2), 2, "float32")
    expected = model(x[:2], y[:2])[0]
    model.export(tmp_path / "m", verbose=False, input_signature=SEVERAL[signature])
    got = jax.export.deserialize(bytearray((tmp_path / "m").read_bytes())).call(x, y)
    np.testing.assert_allclose(got, np.tile(expected, (4, 1)), rtol=1e-6)
    model.export(tmp_path / "m.onnx", verbose=False, input_signature=SEVERAL[signature])
    session = pytest.importorskip("onnxruntime").InferenceSession(tmp_path / "m.onnx")
    names = [i.name for i in session.get_inputs()]
    np.testing.assert_allclose(session.run(None, dict(zip(names, (x, y))))[0], got, rtol=1e-6)
