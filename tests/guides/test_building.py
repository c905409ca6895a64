"""Programs in the spirit of the guides on building and saving models: the functional API, own classes, files."""

import numpy as np
import pytest

import kyeo as keras
from kyeo import layers, ops


def test_functional_two_inputs_two_outputs_shared_layer():
    keras.utils.set_random_seed(1)
    title = keras.Input((None,), dtype="int32", name="title")
    body = keras.Input((None,), dtype="int32", name="body")
    tags = keras.Input((4,), name="tags")
    words = layers.Embedding(30, 8, name="words")  # used by both texts
    pooled = [layers.GlobalAveragePooling1D()(words(text)) for text in (title, body)]
    x = layers.concatenate([*pooled, tags])
    urgent = layers.Dense(1, activation="sigmoid", name="urgent")(x)
    office = layers.Dense(3, name="office")(x)
    model = keras.Model(inputs=[title, body, tags], outputs={"urgent": urgent, "office": office})
    model.compile(
        optimizer=keras.optimizers.Adam(0.02),
        loss={
            "urgent": keras.losses.BinaryCrossentropy(),
            "office": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        },
        loss_weights={"urgent": 1.0, "office": 0.5},
        metrics={"urgent": ["accuracy"], "office": ["accuracy"]},
    )

    rng = np.random.default_rng(0)
    n = 192
    data = {
        "title": rng.integers(0, 30, (n, 5)).astype("int32"),
        "body": rng.integers(0, 30, (n, 9)).astype("int32"),
        "tags": rng.normal(size=(n, 4)).astype("float32"),
    }
    targets = {
        "urgent": (data["title"].mean(1) > 14.5).astype("float32")[:, None],
        "office": data["tags"][:, :3].argmax(1),
    }
    history = model.fit(data, targets, epochs=15, batch_size=32, verbose=0).history
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    assert {"urgent_accuracy", "office_accuracy", "urgent_loss", "office_loss"} <= set(history)
    scores = model.evaluate(data, targets, verbose=0, return_dict=True)
    assert scores["urgent_accuracy"] > 0.85 and scores["office_accuracy"] > 0.8

    assert sum(layer is words for layer in model.layers) == 1
    features = keras.Model(model.inputs, model.get_layer("office").input)  # look inside
    assert features.predict(data, verbose=0).shape == (n, 20)
    again = keras.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(
        again.predict(data, verbose=0)["office"], model.predict(data, verbose=0)["office"], rtol=1e-5, atol=1e-6
    )


def test_functional_autoencoder_and_ensemble():
    """Models are called like layers, and share their weights wherever they are called."""
    keras.utils.set_random_seed(2)
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
    code = layers.Dense(6)(layers.Flatten()(x))
    encoder = keras.Model(image, code, name="encoder")
    start = keras.Input((6,), name="code")
    x = layers.Reshape((4, 4, 4))(layers.Dense(64, activation="relu")(start))
    picture = layers.Conv2DTranspose(1, 3, strides=2, padding="same")(x)
    decoder = keras.Model(start, picture, name="decoder")
    auto_input = keras.Input((8, 8, 1))
    autoencoder = keras.Model(auto_input, decoder(encoder(auto_input)), name="autoencoder")
    autoencoder.compile(keras.optimizers.Adam(0.01), "mse")
    before = encoder.get_weights()[0].copy()
    rng = np.random.default_rng(0)
    images = (rng.normal(size=(96, 1, 1, 3)) * np.ones((96, 8, 8, 3))).mean(-1, keepdims=True)
    images *= np.linspace(0, 1, 8)[:, None, None]
    history = autoencoder.fit(images, images, epochs=20, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    assert not np.allclose(before, encoder.get_weights()[0])

    def member():
        vector = keras.Input((6,))
        return keras.Model(vector, layers.Dense(1)(vector))

    members = [member() for _ in range(3)]
    vector = keras.Input((6,))
    ensemble = keras.Model(vector, layers.average([m(vector) for m in members]))
    v = rng.normal(size=(5, 6)).astype("float32")
    np.testing.assert_allclose(
        ensemble.predict(v, verbose=0), np.mean([m.predict(v, verbose=0) for m in members], axis=0), rtol=1e-5, atol=1e-6
    )


@keras.saving.register_keras_serializable(package="Guides")
class Linear(layers.Layer):
    def __init__(self, units=32, rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.rate = rate

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal", name="w")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", name="b")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, inputs):
        self.calls.assign_add(1.0)
        self.add_loss(self.rate * ops.mean(ops.square(inputs)))
        return ops.matmul(inputs, self.w) + self.b

    def get_config(self):
        return {**super().get_config(), "units": self.units, "rate": self.rate}


@keras.saving.register_keras_serializable(package="Guides")
class ResidualBlock(layers.Layer):
    def __init__(self, units, activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.inner = Linear(units, rate=1e-3)
        self.norm = layers.LayerNormalization()
        self.dropout = layers.Dropout(0.1)

    def build(self, input_shape):
        self.inner.build(input_shape)
        self.norm.build((*input_shape[:-1], self.units))
        self.built = True

    def call(self, inputs, training=None):
        x = self.dropout(self.activation(self.inner(inputs)), training=training)
        return self.norm(inputs + x)

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


@keras.saving.register_keras_serializable(package="Guides")
class Residual(keras.Model):
    def __init__(self, units, depth, **kwargs):
        super().__init__(**kwargs)
        self.units, self.depth = units, depth
        self.blocks = [ResidualBlock(units, name=f"block_{i}") for i in range(depth)]
        self.head = layers.Dense(1)

    def call(self, x, training=False):
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "depth": self.depth}


def test_subclassed_model_and_layers_saved(tmp_path):
    keras.utils.set_random_seed(3)
    x = np.random.default_rng(0).normal(size=(128, 6)).astype("float32")
    y = x[:, :1] * x[:, 1:2]
    model = Residual(6, depth=2)
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse", metrics=["mae"])
    history = model.fit(x, y, epochs=15, batch_size=32, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
    assert float(model.blocks[0].inner.calls) >= 15 * 4
    assert len(model.trainable_weights) == 2 * 4 + 2
    model(x)
    assert len(model.losses) == 2  # one of each block

    path = tmp_path / "residual.keras"
    model.save(path)
    again = keras.models.load_model(path)
    assert isinstance(again, Residual) and again.depth == 2
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    before = again.evaluate(x, y, verbose=0, return_dict=True)["mae"]
    again.fit(x, y, epochs=5, verbose=0)  # goes on with the optimizer's state
    assert again.evaluate(x, y, verbose=0, return_dict=True)["mae"] < 1.2 * before


def test_saving_weights_and_unregistered_objects(tmp_path):
    keras.utils.set_random_seed(4)

    class ScaleOfThisTest(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

        def call(self, x):
            return x * self.scale

    def swish_ish(x):
        return x * ops.sigmoid(1.7 * x)

    def build():
        return keras.Sequential([keras.Input((3,)), ScaleOfThisTest(), layers.Dense(4, activation=swish_ish), layers.Dense(2)])

    model = build()
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    model.compile("sgd", "mse")
    model.fit(x, x[:, :2], epochs=2, verbose=0)
    expected = model.predict(x, verbose=0)

    model.save_weights(tmp_path / "x.weights.h5")
    other = build()
    other.load_weights(tmp_path / "x.weights.h5")
    np.testing.assert_allclose(other.predict(x, verbose=0), expected, rtol=1e-6)

    model.save(tmp_path / "x.keras")
    with pytest.raises((TypeError, ValueError), match="ScaleOfThisTest"):
        keras.models.load_model(tmp_path / "x.keras")
    custom = {"ScaleOfThisTest": ScaleOfThisTest, "swish_ish": swish_ish}
    loaded = keras.models.load_model(tmp_path / "x.keras", custom_objects=custom)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, rtol=1e-6)
    with keras.saving.custom_object_scope(custom):
        scoped = keras.models.model_from_json(model.to_json())
        clone = keras.models.clone_model(model)
    scoped.set_weights(model.get_weights())
    np.testing.assert_allclose(scoped.predict(x, verbose=0), expected, rtol=1e-6)
    assert clone.count_params() == model.count_params() == 3 + 16 + 10
    config = layers.serialize(model.layers[1])
    assert layers.deserialize(config, custom_objects=custom).units == 4
    transfer = keras.Sequential([keras.Input((3,)), *model.layers[:-1], layers.Dense(5)])
    assert transfer.predict(x, verbose=0).shape == (8, 5)
    assert transfer.layers[0].scale is model.layers[0].scale
