"""The networks in the Keras API, for kyeo and for Keras alike: `keras` is the module to measure."""

from types import ModuleType
from typing import Any

from suite import TRAINING

__all__ = ["MODELS", "compiled"]


def cnn(keras: ModuleType) -> Any:
    """Make the tutorial's CNN."""
    layers = keras.layers
    x = inputs = layers.Input(shape=(28, 28, 1))
    blocks = ((32, False, False), (32, True, True), (64, True, False), (128, True, True))
    for filters, pool, dropout in blocks:
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.Activation("relu")(x)
        if pool:
            x = layers.MaxPool2D(2, 2)(x)
            x = layers.Activation("relu")(x)
        if dropout:
            x = layers.Dropout(0.5)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(512)(x)
    x = layers.Activation("relu")(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(10)(x)
    return keras.Model(inputs, layers.Activation("softmax")(x))


def tiny_mlp(keras: ModuleType) -> Any:
    """Make the small dense network for regression."""
    Dense = keras.layers.Dense
    parts = [keras.layers.Input(shape=(20,)), Dense(32, activation="relu"), Dense(16, activation="relu"), Dense(1)]
    return keras.Sequential(parts)


def mnist_mlp(keras: ModuleType) -> Any:
    """Make the dense network for digits."""
    Dense = keras.layers.Dense
    hidden = [Dense(512, activation="relu"), Dense(512, activation="relu")]
    return keras.Sequential([keras.layers.Input(shape=(784,)), *hidden, Dense(10, activation="softmax")])


def reader(keras: ModuleType, recurrent: Any) -> Any:
    """Make the reader of texts, with this layer over their words."""
    layers = keras.layers
    parts = [layers.Input(shape=(80,), dtype="int32"), layers.Embedding(10_000, 64), recurrent]
    return keras.Sequential([*parts, layers.Dense(1, activation="sigmoid")])


def transformer(keras: ModuleType) -> Any:
    """Make two encoder blocks (normalisation after the sum, dropout 0.1) under a mean over time."""
    layers = keras.layers
    inputs = layers.Input(shape=(64,), dtype="int32")
    x = layers.Embedding(1_000, 128)(inputs)
    for _ in range(2):
        seen = layers.MultiHeadAttention(num_heads=4, key_dim=32)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(seen))
        wide = layers.Dense(512, activation="relu")(x)
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(layers.Dense(128)(wide)))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def resnet(keras: ModuleType) -> Any:
    """Make ResNet-20: three stages of three blocks of two convolutions, with projections where the size changes."""
    layers = keras.layers

    def normal_conv(x, filters, size=3, strides=1):
        x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    inputs = layers.Input(shape=(32, 32, 3))
    x = layers.ReLU()(normal_conv(inputs, 16))
    for filters, first in ((16, 1), (32, 2), (64, 2)):
        for strides in (first, 1, 1):
            y = layers.ReLU()(normal_conv(x, filters, strides=strides))
            y = normal_conv(y, filters)
            if strides != 1:
                x = normal_conv(x, filters, 1, strides)
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def separable(keras: ModuleType) -> Any:
    """Make a network of depthwise and 1x1 convolutions, each with batch normalisation."""
    layers = keras.layers
    x = inputs = layers.Input(shape=(32, 32, 32))
    for filters, pool in ((64, True), (64, False), (128, True), (128, False)):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        if pool:
            x = layers.MaxPool2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def audio(keras: ModuleType) -> Any:
    """Make a network on raw sound: a wide strided convolution, then narrow ones, each with batch normalisation."""
    layers = keras.layers
    x = inputs = layers.Input(shape=(8000, 1))
    narrow = [(filters, 3, 1, "same") for filters in (32, 64, 128)]
    for filters, size, strides, padding in [(32, 80, 4, "valid"), *narrow]:
        x = layers.Conv1D(filters, size, strides, padding=padding, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPool1D(4)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def conv_lstm(keras: ModuleType) -> Any:
    """Make two convolutional LSTMs, the first of which gives all its steps."""
    layers = keras.layers
    x = inputs = layers.Input(shape=(8, 24, 24, 1))
    x = layers.ConvLSTM2D(16, 3, padding="same", return_sequences=True)(x)
    x = layers.ConvLSTM2D(16, 3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


def masked(keras: ModuleType) -> Any:
    """Make attention over texts of several lengths; the embedding says which tokens are padding."""
    layers = keras.layers
    inputs = layers.Input(shape=(64,), dtype="int32")
    x = layers.Embedding(1_000, 128, mask_zero=True)(inputs)
    for _ in range(2):
        x = layers.LayerNormalization(epsilon=1e-6)(x + layers.MultiHeadAttention(num_heads=4, key_dim=32)(x, x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def photos(keras: ModuleType) -> Any:
    """Make the network of the lesson on cats and dogs: four convolutions with a pool behind each."""
    layers = keras.layers
    parts = [layers.Input(shape=(150, 150, 3))]
    for filters in (32, 64, 128, 128):
        parts += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPool2D(2)]
    dense = [layers.Dropout(0.5), layers.Dense(512, activation="relu"), layers.Dense(10, activation="softmax")]
    return keras.Sequential([*parts, layers.Flatten(), *dense])


MODELS = {
    "cnn_32": cnn,
    "cnn_128": cnn,
    "tiny_mlp": tiny_mlp,
    "mnist_mlp": mnist_mlp,
    "lstm": lambda keras: reader(keras, keras.layers.LSTM(64)),
    "transformer": transformer,
    "resnet": resnet,
    "separable": separable,
    "audio": audio,
    "gru": lambda keras: reader(keras, keras.layers.GRU(64)),
    "bidirectional": lambda keras: reader(keras, keras.layers.Bidirectional(keras.layers.LSTM(64))),
    "conv_lstm": conv_lstm,
    "masked": masked,
    "photos": photos,
}


def compiled(keras: ModuleType, name: str) -> Any:
    """Make the network of a training and compile it; the tutorial's watches the accuracy too."""
    model = MODELS[name](keras)
    metrics = ["accuracy"] if MODELS[name] is cnn else None
    model.compile(optimizer=keras.optimizers.Adam(), loss=TRAINING[name].loss, metrics=metrics)
    return model
