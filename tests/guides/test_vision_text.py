"""Programs in the spirit of the examples on images, texts, series and tables."""

import numpy as np

import kyeo as keras
from kyeo import layers, ops


def test_transfer_learning():
    keras.utils.set_random_seed(1)
    base = keras.applications.MobileNet(
        input_shape=(32, 32, 3), alpha=0.25, include_top=False, weights=None, pooling="avg"
    )
    base.trainable = False
    inputs = keras.Input((32, 32, 3))
    outputs = layers.Dense(2)(base(layers.Rescaling(2.0, offset=-1)(inputs), training=False))
    model = keras.Model(inputs, outputs)
    assert len(model.trainable_weights) == 2
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 32)
    x = (rng.uniform(size=(32, 32, 32, 3)) * 0.5 + 0.5 * y[:, None, None, None]).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    frozen, head = base.get_weights(), model.layers[-1].get_weights()[1]
    model.fit(x, y, epochs=1, batch_size=16, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(frozen, base.get_weights()))
    assert not np.array_equal(head, model.layers[-1].get_weights()[1])
    base.trainable = True
    for layer in base.layers[:-8]:
        layer.trainable = False
    model.compile(keras.optimizers.Adam(1e-4), loss)
    assert 2 < len(model.trainable_weights) < 12


def test_bidirectional_lstm_with_mask():
    keras.utils.set_random_seed(2)
    rng = np.random.default_rng(0)
    texts = [rng.integers(1, 20, rng.integers(2, 9)).tolist() for _ in range(128)]
    x = keras.utils.pad_sequences(texts, maxlen=10, padding="post")
    y = np.array([7 in t or 3 in t or 11 in t for t in texts], "float32")
    model = keras.Sequential([
        keras.Input((None,), dtype="int32"), layers.Embedding(20, 8, mask_zero=True),
        layers.Bidirectional(layers.LSTM(8)), layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy", metrics=["accuracy"])
    assert model.fit(x, y, epochs=20, verbose=0).history["accuracy"][-1] > 0.85
    longer = np.pad(x, ((0, 0), (0, 4)))  # padding says nothing
    np.testing.assert_allclose(model.predict(longer, verbose=0), model.predict(x, verbose=0), atol=1e-5)


def test_text_vectorization():
    keras.utils.set_random_seed(3)
    good, bad = ["a fine film", "Great fun, great cast!"], ["a dull film", "boring, boring cast"]
    texts, y = np.array((good + bad) * 8), np.array([1.0, 1.0, 0.0, 0.0] * 8)
    vectorize = layers.TextVectorization(max_tokens=30, output_sequence_length=6)
    vectorize.adapt(texts)
    assert "great" in vectorize.get_vocabulary()
    model = keras.Sequential([
        layers.Embedding(vectorize.vocabulary_size(), 4), layers.GlobalAveragePooling1D(),
        layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    assert model.fit(vectorize(texts), y, epochs=15, verbose=0).history["accuracy"][-1] == 1.0
    whole = keras.Sequential([keras.Input((1,), dtype="string"), vectorize, model])
    chances = whole.predict(np.array([["great film"], ["boring film"]]), verbose=0)
    assert chances[0] > chances[1] + 0.1


def test_time_series():
    keras.utils.set_random_seed(4)
    series = np.sin(np.arange(220) / 5).astype("float32")[:, None]
    data = keras.utils.timeseries_dataset_from_array(series[:-1], series[12:], sequence_length=12, batch_size=32)
    model = keras.Sequential([keras.Input((12, 1)), layers.GRU(8), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.03), "mse")
    assert model.fit(data, epochs=10, verbose=0).history["loss"][-1] < 0.05
    assert model.evaluate(data, verbose=0) < 0.05


class Patches(layers.Layer):
    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, images):
        patches = ops.image.extract_patches(images, size=self.size)
        return ops.reshape(patches, (ops.shape(images)[0], -1, patches.shape[-1]))


class Encoder(layers.Layer):
    def __init__(self, count, width, **kwargs):
        super().__init__(**kwargs)
        self.count = count
        self.project = layers.Dense(width)
        self.place = layers.Embedding(count, width)

    def call(self, patches):
        return self.project(patches) + self.place(ops.expand_dims(ops.arange(self.count), 0))


def test_vision_transformer(digits):
    keras.utils.set_random_seed(5)
    x, y = (part[:256] for part in digits[0])
    inputs = keras.Input((28, 28, 1))
    z = Encoder(16, 16)(Patches(7)(inputs))
    normed = layers.LayerNormalization(epsilon=1e-6)(z)
    z = layers.Add()([layers.MultiHeadAttention(2, 8)(normed, normed), z])
    normed = layers.LayerNormalization(epsilon=1e-6)(z)
    z = layers.Add()([layers.Dense(16)(layers.Dense(32, activation="gelu")(normed)), z])
    model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(z)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(0.005, weight_decay=1e-4), loss, metrics=["accuracy"])
    assert model.fit(x, y, epochs=7, verbose=0).history["accuracy"][-1] > 0.8


def test_u_net():
    keras.utils.set_random_seed(6)
    x = np.random.default_rng(0).normal(size=(32, 16, 16, 1)).astype("float32")
    x[:, 4:10, 3:9] += 3
    y = np.zeros((32, 16, 16), "int32")
    y[:, 4:10, 3:9] = 1
    inputs = keras.Input((16, 16, 1))
    top = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    low = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D()(top))
    up = layers.Concatenate()([layers.UpSampling2D()(low), top])
    up = layers.Conv2DTranspose(4, 3, padding="same", activation="relu")(up)
    model = keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(up))
    iou = keras.metrics.MeanIoU(2, sparse_y_pred=False, name="iou")
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=[iou])
    history = model.fit(x, y, epochs=12, batch_size=8, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0] and history["iou"][-1] > 0.6


def test_structured_data():
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(0)
    table = {
        "age": rng.normal(50, 10, 128).astype("float32"), "kind": rng.choice(["a", "b", "c"], 128),
        "level": rng.integers(0, 3, 128),
    }
    y = ((table["age"] > 50) ^ (table["kind"] == "a")).astype("float32")
    space = keras.utils.FeatureSpace(
        features={"age": "float_normalized", "kind": "string_categorical", "level": "integer_categorical"},
        output_mode="concat",
    )
    space.adapt(table)
    x = space(table)
    model = keras.Sequential([layers.Dense(16, activation="relu"), layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy", metrics=["accuracy"])
    assert model.fit(x, y, epochs=20, verbose=0).history["accuracy"][-1] > 0.85


def test_sequence_to_sequence_of_any_length(tmp_path):
    """Two LSTMs, the second begins with the states of the first; the parts are taken out of the saved model."""
    keras.utils.set_random_seed(8)
    letters = np.eye(6, dtype="float32")
    texts = np.random.default_rng(0).integers(1, 6, (64, 4))
    target = np.concatenate([texts[:, ::-1], np.zeros((64, 1), int)], axis=1)  # backwards, then a stop
    given = np.concatenate([np.zeros((64, 1), int), target[:, :-1]], axis=1)
    encoder_inputs = keras.Input((None, 6))
    _, *states = layers.LSTM(12, return_state=True)(encoder_inputs)
    decoder_inputs = keras.Input((None, 6))
    decoded, _, _ = layers.LSTM(12, return_sequences=True, return_state=True)(decoder_inputs, initial_state=states)
    model = keras.Model([encoder_inputs, decoder_inputs], layers.Dense(6, activation="softmax")(decoded))
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    history = model.fit([letters[texts], letters[given]], letters[target], epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "reverse.keras")

    model = keras.models.load_model(tmp_path / "reverse.keras")
    _, *states = model.layers[2].output
    encoder = keras.Model(model.input[0], states)
    before = [keras.Input((12,)), keras.Input((12,))]
    decoded, *after = model.layers[3](model.input[1], initial_state=before)
    decoder = keras.Model([model.input[1], *before], [model.layers[4](decoded), *after])
    states = encoder.predict(letters[texts[:2]], verbose=0)
    steps = []
    for letter in given[:2].T:
        step, *states = decoder.predict([letters[letter][:, None], *states], verbose=0)
        steps.append(step[:, 0])
    whole = model.predict([letters[texts[:2]], letters[given[:2]]], verbose=0)
    np.testing.assert_allclose(np.stack(steps, 1), whole, rtol=1e-4, atol=1e-5)
