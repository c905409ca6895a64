"""Files of Kyeo open in Keras and files of Keras in Kyeo, with equal outputs."""

import json

import h5py
import jax
import keras
import numpy as np
import pytest

import kyeo
from kyeo.core.naming import reset_names
from kyeo.saving import hdf5, hdf5_contents
from tests.saving.builders import BUILDERS, inputs_for
from tests.thin import thinned

NAMES = [b.__name__ for b in BUILDERS]


def outputs(model, x):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model(x))]


def shake(model):
    """Make every weight different from what a fresh model has."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.2, 1.0, np.shape(w)).astype("float32") for w in model.get_weights()])


def assert_same(first, second, x):
    for one, other in zip(outputs(first, x), outputs(second, x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("build", BUILDERS, ids=NAMES)
def test_kyeo_to_keras(build, tmp_path):
    model = build(kyeo)
    shake(model)
    model.save(tmp_path / "m.keras")
    there = keras.saving.load_model(tmp_path / "m.keras")
    assert_same(model, there, inputs_for(model))
    assert [w.shape for w in there.trainable_weights] == [w.shape for w in model.trainable_weights]
    again = kyeo.saving.load_model(tmp_path / "m.keras")
    assert_same(model, again, inputs_for(model))


@pytest.mark.parametrize("build", BUILDERS, ids=NAMES)
def test_keras_to_kyeo(build, tmp_path):
    model = build(keras)
    shake(model)
    model.save(tmp_path / "m.keras")
    here = kyeo.saving.load_model(tmp_path / "m.keras")
    assert_same(model, here, inputs_for(model))
    assert [layer.name for layer in here.layers] == [layer.name for layer in model.layers]
    assert [w.shape for w in here.trainable_weights] == [w.shape for w in model.trainable_weights]
    model.save_weights(tmp_path / "m.weights.h5")
    fresh = build(kyeo)
    fresh.load_weights(tmp_path / "m.weights.h5")
    assert_same(model, fresh, inputs_for(model))
    fresh.save_weights(tmp_path / "back.weights.h5")
    model.set_weights([0 * w for w in model.get_weights()])
    model.load_weights(tmp_path / "back.weights.h5")
    assert_same(model, fresh, inputs_for(model))


@pytest.mark.parametrize("build", thinned(BUILDERS, 2), ids=thinned(NAMES, 2))
def test_same_description(build):
    """The JSON is Keras's own, but for the notes on how calls were made."""
    reset_names()
    keras.utils.clear_session()
    here = json.loads(build(kyeo).to_json())
    there = json.loads(build(keras).to_json().replace("CLONE", ""))
    assert simplified(here) == simplified(there)


def simplified(value):
    """Without what has no meaning: None, calls' training and mask, numbers of shared objects."""
    if isinstance(value, dict):
        dropped = {"training", "mask", "given", "shared_object_id", "build_config", "quantization_config"}
        rest = {k: simplified(v) for k, v in value.items() if v is not None and k not in dropped}
        return {k: [v] if k == "axis" and isinstance(v, int) else v for k, v in rest.items()}
    return [simplified(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("source, target", [(kyeo, keras), (keras, kyeo)], ids=["to_keras", "from_keras"])
def test_masks_come_through(source, target, tmp_path):
    """Keras writes the op that makes a mask into the graph; here masks follow from the layers."""
    words = source.Input((5,), dtype="int32", name="words")
    h = source.layers.Embedding(7, 3, mask_zero=True)(words)
    model = source.Model(words, source.layers.GlobalAveragePooling1D()(source.layers.Dense(4)(h)))
    shake(model)
    model.save(tmp_path / "m.keras")
    x = np.array([[1, 2, 0, 0, 0], [3, 0, 4, 6, 0]])
    assert_same(model, target.saving.load_model(tmp_path / "m.keras"), x)


def test_a_model_compiled_to_be_evaluated_only(tmp_path):
    """Without an optimizer; Keras fails to load its own."""
    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1, kernel_initializer="ones")])
    model.compile(None, "mse")
    model.save(tmp_path / "m.keras")
    for other in (kyeo.saving.load_model(tmp_path / "m.keras"), kyeo.models.clone_model(model)):
        assert other.optimizer is None and other.evaluate(np.ones((3, 2)), np.ones((3, 1)), verbose=0) == 1.0


def test_groups_and_arrays_are_opened_once(tmp_path, monkeypatch):
    """HDF5 takes longer to open one than to read it. Of files with very many none is kept, and all goes as before; a
    large file in a zip is no copy in memory."""
    model = BUILDERS[0](kyeo)
    shake(model)
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        file["layers/more/vars/0"] = np.ones(3)
        names = []
        file.visit(names.append)
    opened, real = [], h5py.h5o.open
    monkeypatch.setattr(h5py.h5o, "open", lambda *at, **more: opened.append(at) or real(*at, **more))
    x = inputs_for(model)
    for kept, held in ((2**15, 2**24), (3, 0)):
        monkeypatch.setattr(hdf5_contents, "_KEPT_OPEN", kept)
        monkeypatch.setattr(hdf5, "_HELD", held)
        opened.clear()
        other = kyeo.saving.load_model(tmp_path / "m.keras")
        assert (len(opened) < len(names)) == (kept > 3)
        assert_same(model, other, x)
        other.set_weights([np.zeros_like(w) for w in other.get_weights()])
        with pytest.warns(UserWarning, match="no place for: layers/more"):
            other.load_weights(tmp_path / "m.weights.h5")
        assert_same(model, other, x)
