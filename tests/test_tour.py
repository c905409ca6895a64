"""The tour a newcomer takes, from Input to load_model. It runs first: when it fails, look here first."""

import numpy as np
import pytest

import kyeo
from kyeo import layers


@pytest.fixture(scope="module")
def data(digits):
    """600 digits of 14 x 14 pixels: enough to learn from, quick to run through."""
    images, labels = digits[0]
    return images[:600, ::2, ::2], labels[:600]


def small_cnn():
    inputs = kyeo.Input(shape=(14, 14, 1))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.Dropout(0.1)(x)
    x = layers.Flatten()(x)
    outputs = layers.Dense(10, activation="softmax")(x)
    model = kyeo.Model(inputs, outputs, name="small_cnn")
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def trained(data):
    kyeo.utils.set_random_seed(0)
    model = small_cnn()
    history = model.fit(*data, batch_size=32, epochs=6, validation_split=0.2, verbose=0)
    return model, history


def test_symbolic_shapes():
    inputs = kyeo.Input(shape=(14, 14, 1))
    x = layers.Conv2D(8, 3, strides=2)(inputs)
    assert x.shape == (None, 6, 6, 8)
    assert layers.Flatten()(x).shape == (None, 288)
    assert (x + 1).shape == x.shape


def test_summary(capsys):
    small_cnn().summary()
    text = capsys.readouterr().out
    assert "small_cnn" in text and "(None, 14, 14, 8)" in text and "Total params: 4,042" in text


def test_learns(trained):
    history = trained[1].history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_accuracy"][-1] > 0.7


def test_evaluate_and_predict_agree(trained, data):
    model, (x, y) = trained[0], data
    probabilities = model.predict(x, verbose=0)
    assert isinstance(probabilities, np.ndarray) and probabilities.shape == (600, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert accuracy == pytest.approx(np.mean(probabilities.argmax(axis=1) == y), abs=1e-6)
    assert loss == pytest.approx(-np.log(probabilities[np.arange(600), y]).mean(), rel=1e-4)
    np.testing.assert_allclose(np.asarray(model(x[:5])), probabilities[:5], rtol=1e-4, atol=1e-6)


def test_sequential_and_callbacks(data):
    model = kyeo.Sequential([layers.Flatten(), layers.Dense(16, activation="relu"), layers.Dense(10)])
    model.compile(
        optimizer=kyeo.optimizers.SGD(learning_rate=0.05, momentum=0.9),
        loss=kyeo.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[kyeo.metrics.SparseCategoricalAccuracy(name="acc")],
    )
    stop = kyeo.callbacks.EarlyStopping(monitor="loss", patience=1)
    seen = []
    note = kyeo.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    history = model.fit(*data, batch_size=50, epochs=3, callbacks=[stop, note], verbose=0)
    assert seen == list(range(len(history.history["acc"])))
    assert model.layers[1].kernel.shape == (196, 16)


def test_two_inputs_and_a_shared_layer():
    left, right = kyeo.Input((4,), name="left"), kyeo.Input((4,), name="right")
    shared = layers.Dense(3, name="shared")
    model = kyeo.Model([left, right], layers.Subtract()([shared(left), shared(right)]))
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(model.predict([x, x], verbose=0), 0, atol=1e-7)
    assert len(model.trainable_variables) == 2


class Scale(layers.Layer):
    """A layer of one's own."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        start = kyeo.initializers.Constant(self.start)
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer=start)

    def call(self, inputs):
        return kyeo.ops.multiply(inputs, self.factor)


def test_a_layer_of_ones_own(data):
    model = kyeo.Sequential([kyeo.Input((14, 14, 1)), layers.Flatten(), Scale(2.0), layers.Dense(10)])
    assert model.layers[1].get_config()["start"] == 2.0
    model.compile("adam", kyeo.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.layers[1].get_weights()[0]
    model.fit(*data, epochs=1, verbose=0)
    assert np.all(before == 2.0) and np.any(model.layers[1].get_weights()[0] != 2.0)


def test_freezing(data):
    model = small_cnn()
    model.layers[1].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    frozen = model.layers[1].get_weights()
    model.fit(*data, epochs=1, verbose=0)
    for before, after in zip(frozen, model.layers[1].get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_save_and_load(trained, data, tmp_path):
    model, x = trained[0], data[0][:50]
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kyeo.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    assert loaded.to_json() == model.to_json()

    model.save_weights(tmp_path / "model.weights.h5")
    other = small_cnn()
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.predict(x, verbose=0), expected)


def test_a_mistake_is_explained(data):
    with pytest.raises(ValueError, match="Dense"):
        kyeo.layers.Dense(-3)
