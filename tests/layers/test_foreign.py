"""JaxLayer, FlaxLayer, and ReversibleEmbedding called in reverse."""

import json

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def register(function):
    for package in (kyeo, keras):
        package.saving.register_keras_serializable("foreign")(function)
    return function


@register
def make(rng, inputs):
    kernel = jax.random.normal(jnp.asarray(rng).reshape(2), (inputs.shape[-1], 2))
    return {"kernel": kernel, "bias": jnp.zeros(2)}, {"calls": jnp.zeros((), "int32")}


@register
def apply(params, state, rng, inputs, training):
    outputs = inputs @ params["kernel"] + params["bias"]
    if training:
        outputs = outputs * (jax.random.uniform(rng) + 1)
    return outputs, {"calls": state["calls"] + 1}


def values_of(layer):
    return jax.tree.map(lambda box: box.numpy(), (layer.params, layer.state))


def test_jax_layer_as_in_keras():
    ours = kyeo.layers.JaxLayer(apply, make, seed=3, name="foreign")
    ours.build((None, 3))
    params, state = values_of(ours)  # Keras's build asks TensorFlow for something
    theirs = keras.layers.JaxLayer(apply, make, params=params, state=state, seed=3, name="foreign")
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    assert [len(part) for part in (ours.trainable_weights, ours.non_trainable_weights)] == [2, 1]
    np.testing.assert_allclose(ours(X), theirs(X), rtol=1e-5)
    np.testing.assert_allclose(ours(X, training=True), theirs(X, training=True), rtol=1e-5)
    assert int(ours.state["calls"].numpy()) == 2
    config = json.loads(json.dumps(ours.get_config()))
    assert config["call_fn"]["config"] == "foreign>apply" and "params" not in config
    assert kyeo.layers.JaxLayer.from_config(config).call_fn is apply
    assert keras.layers.JaxLayer.from_config(config).init_fn is make


def test_jax_layer_trains_and_saves(tmp_path):
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.JaxLayer(apply, make), kyeo.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, X[:, :1], epochs=2, batch_size=2, verbose=0)
    after = model.get_weights()
    assert (before[0] != after[0]).any() and after[2] == 4
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(kyeo.models.load_model(tmp_path / "m.keras").predict(X, verbose=0),
                                  model.predict(X, verbose=0))


def test_jax_layer_state_keeps_its_structure():
    layer = kyeo.layers.JaxLayer(lambda state, inputs: (inputs, {"b": 1}), state={"a": 1.0})
    with pytest.raises(ValueError, match="another structure"):
        layer(X)


class Module:
    """What FlaxLayer asks of a module, without flax."""

    def __call__(self, inputs, training):
        raise AssertionError

    def init(self, rngs, inputs, method=None, training=False):
        assert set(rngs) == {"params", "dropout"} and training
        return {"params": {"w": jnp.ones((inputs.shape[-1], 2))}, "stats": {"seen": jnp.zeros(())}}

    def apply(self, variables, inputs, rngs=None, method=None, mutable=False, training=False):
        assert mutable == ["stats"] and set(rngs) == ({"dropout"} if training else set())
        seen = variables["stats"]["seen"] + training
        return inputs @ variables["params"]["w"], {"stats": {"seen": seen}}

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()


def test_flax_layer_by_protocol():
    kyeo.saving.register_keras_serializable("foreign", "Module")(Module)
    layer = kyeo.layers.FlaxLayer(Module())
    np.testing.assert_allclose(layer(X), X @ np.ones((3, 2)), rtol=1e-5)
    layer(X, training=True)
    assert [w.shape for w in layer.weights] == [(3, 2), ()] and layer.get_weights()[1] == 1
    again = kyeo.layers.FlaxLayer.from_config(json.loads(json.dumps(layer.get_config())))
    assert isinstance(again.module, Module) and not again.built
    given = kyeo.layers.FlaxLayer(Module(), variables={"params": {"w": jnp.zeros((3, 2))}, "stats": {"seen": 5.0}})
    assert not np.asarray(given(X)).any() and given.get_weights()[1] == 5


def test_flax_layer_as_in_keras():
    linen = pytest.importorskip("flax.linen", exc_type=ImportError)

    class Net(linen.Module):
        @linen.compact
        def __call__(self, inputs, training):
            x = linen.BatchNorm(use_running_average=not training)(linen.Dense(2)(inputs))
            return linen.Dropout(0.5, deterministic=not training)(x)

    ours = kyeo.layers.FlaxLayer(Net(), seed=3)
    ours.build((None, 3))
    params, state = values_of(ours)
    theirs = keras.layers.FlaxLayer(Net(), variables={**params, **state}, seed=3)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    np.testing.assert_allclose(ours(X, training=True), theirs(X, training=True), rtol=1e-5, atol=1e-6)
    for one, two in zip(ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours(X), theirs(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("words", [
    {}, {"tie_weights": False}, {"logit_soft_cap": 0.5}, {"reverse_dtype": "float16", "tie_weights": False},
    {"dtype": "mixed_bfloat16", "mask_zero": True}], ids=str)
def test_reverse_as_in_keras(words):
    ours, theirs = (room.layers.ReversibleEmbedding(5, 3, **words) for room in (kyeo, keras))
    for layer in (ours, theirs):
        layer.build((None,))
    theirs.set_weights(ours.get_weights())
    mine, wanted = ours(X, reverse=True), theirs(X, reverse=True)
    assert mine.dtype == wanted.dtype
    np.testing.assert_allclose(np.float32(mine), np.float32(wanted), rtol=2e-3 if words.get("reverse_dtype") else 1e-5)
    assert ours(kyeo.Input((3,)), reverse=True).shape == (None, 5)
    assert kyeo.layers.ReversibleEmbedding.from_config(ours.get_config()).get_config() == ours.get_config()
    ids = np.array([[0, 1, 2]])
    got, want = (room.get_mask(made) for room, made in (
        (kyeo.core.masks, ours(ids)), (type("k", (), {"get_mask": staticmethod(keras.src.backend.get_keras_mask)}), theirs(ids))))
    assert (got is None) == (want is None) and (got is None or (np.asarray(got) == np.asarray(want)).all())


def test_left_out():
    for name in ("TFSMLayer", "TorchModuleWrapper"):
        with pytest.raises(AttributeError, match=r"(?s)There is no.*Fix:"):
            getattr(kyeo.layers, name)
    assert not hasattr(kyeo.layers, "Denze")
