"""Every model of the zoo, made by Kyeo and written by it, opens in the installed Keras with the same outputs and state."""

import json
import os
import warnings

import h5py
import jax
import keras
import numpy as np
import pytest

import kyeo
from tests.saving import zoo_models as zoo

# Each model goes through one of its forms; the same walk writes both, and test_zoo.py reads both.
SLOW = () if os.environ.get("KYEO_WHOLE_ZOO") else ("recurrent", "pictures", "frames", "lines_and_volumes")
FORMS = [(name, entry.formats[i % 2 if "h5" in entry.formats else 0]) for i, (name, entry) in enumerate(zoo.ZOO.items())
         if name not in ("read", "calculated", *SLOW)] + [("calculated", "keras")]  # Keras cannot read `...` in its own .h5


def saved(model, path):
    with warnings.catch_warnings():
        if path.suffix == ".h5":
            warnings.filterwarnings("ignore", "A `.h5` file is the old form")
        model.save(path)
    return path


@pytest.mark.parametrize("name, form", FORMS, ids=[f"{a}.{b}" for a, b in FORMS])
def test_outputs(name, form, tmp_path):
    entry = zoo.ZOO[name]
    model = entry.build(kyeo)
    if entry.shake:
        zoo.shake(model)
    path = saved(model, tmp_path / f"m.{form}")
    there = keras.saving.load_model(path, custom_objects=zoo.custom_objects(keras) if name == "own" else None)
    arrays = zoo.arrays_for(entry)
    x = arrays if len(arrays) > 1 else arrays[0]
    within = 2e-3 if name == "half" else 1e-5
    outputs = (jax.tree.leaves(m.predict(x, verbose=0)) for m in (model, there))
    for mine, other in zip(*outputs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=within, atol=within)


def test_state_and_compile_in_the_old_form(tmp_path):
    """Keras counts on from our steps, but reads no slots from a `.h5`, its own included; here they are carried on."""
    model = zoo.trained(kyeo, "adam")
    path = saved(model, tmp_path / "m.h5")
    there, again = keras.saving.load_model(path), kyeo.saving.load_model(path)
    assert int(there.optimizer.iterations) == 2 and there.optimizer.get_config()["learning_rate"] == pytest.approx(0.05)
    assert there.compiled and there.loss is not None
    zoo.two_steps(model, "adam")
    zoo.two_steps(again, "adam")
    for mine, other in zip(zoo.weights_of(model), zoo.weights_of(again), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)


def test_an_input_nobody_uses(tmp_path):
    """It was a KeyError to make such a model."""
    a, b = kyeo.Input((4,), name="a"), kyeo.Input((3,), name="b")
    model = kyeo.Model([a, b], kyeo.layers.Dense(2)(a))
    model.save(tmp_path / "m.keras")
    assert [layer.name for layer in keras.saving.load_model(tmp_path / "m.keras").layers] == [
        layer.name for layer in model.layers]


def test_the_old_form_says_so(tmp_path):
    model = zoo.plain(kyeo)
    with pytest.warns(UserWarning, match="old form of saved models"):
        model.save(tmp_path / "m.h5")
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m.h5", overwrite=False)
    assert not kyeo.saving.load_model(tmp_path / "m.h5").compiled


def old_model(layer, **more):
    """A description of Keras 2 with one layer on an input."""
    entry = {"class_name": layer, "config": {"name": "layer", **more}, "name": "layer", "inbound_nodes": [[["x", 0, 0, {}]]]}
    return {"class_name": "Functional", "config": {
        "name": "m", "layers": [{"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
                                 "config": {"batch_input_shape": [None, 4], "dtype": "float32", "name": "x"}}, entry],
        "input_layers": [["x", 0, 0]], "output_layers": [["layer", 0, 0]]}}


@pytest.mark.parametrize("source", [kyeo, keras])
@pytest.mark.parametrize("layer, shape, config", [
    ("BatchNormalization", (4,), {"renorm": True, "renorm_clipping": {"rmax": 2.0}, "renorm_momentum": 0.5}),
    ("Embedding", (), {"input_dim": 3, "output_dim": 2, "activity_regularizer": "l2"}),
])
def test_what_keras_3_has_again(layer, shape, config, source, tmp_path):
    """It was gone between: the old form of files, and all of Keras 3.0 to 3.14, are read as those of Keras 2."""
    model = source.Sequential([source.Input(shape), getattr(source.layers, layer)(**config)])
    there = kyeo.saving.load_model(saved(model, tmp_path / "m.h5"))
    for mine, other in zip(there.weights, model.weights, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert {key: there.layers[0].get_config()[key] for key in config} == {
        key: model.layers[0].get_config()[key] for key in config}


@pytest.mark.parametrize("layer, config, wrong", [
    ("BatchNormalization", {"renorm": True}, "renorm=True"),
    ("TFOpLambda", {"function": "signal.stft"}, "tf.signal.stft"),
    ("CuDNNLSTM", {"units": 2}, "CuDNNLSTM"),
    ("Lambda", {"function": ["4wEAAA==", None, None], "function_type": "lambda"}, "bytecode, which is never run"),
    ("Nobody", {}, "Nobody"),
])
def test_what_has_no_counterpart_is_named(layer, config, wrong, tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["keras_version"] = "2.9.0"
        file.attrs["model_config"] = json.dumps(old_model(layer, **config))
        file.create_group("model_weights").attrs["layer_names"] = [b"x", b"layer"]
    with pytest.raises((TypeError, ValueError), match=wrong):
        kyeo.saving.load_model(tmp_path / "m.h5")
