"""A user's program as a type checker sees it: `make types` runs mypy over it, and a wrong type is an error there."""

from typing import Any, assert_type

import jax
import numpy as np

import kyeo as tf
from kyeo.keras import layers
from kyeo.keras.callbacks import EarlyStopping, History
from kyeo.keras.datasets import mnist
from kyeo.keras.layers import Dense
from kyeo.keras.models import Model, Sequential

__all__ = ["program"]


def program() -> None:
    """What editors know without running anything."""
    inputs = layers.Input((28, 28, 1))
    graph = tf.keras.Model(inputs, layers.Dense(10)(layers.Flatten()(inputs)), name="basic_cnn")
    assert_type(graph, Model)
    stack = Sequential([layers.Input((4,)), Dense(3, activation="relu")])
    assert_type(stack, tf.Sequential)
    assert_type(stack.layers[0], layers.Layer)
    assert_type(stack.layers[0].weights[0], tf.Variable)
    assert_type(stack.get_layer("dense"), tf.keras.layers.Layer)
    assert_type(Dense(3), tf.layers.Dense)
    assert_type(tf.keras.optimizers.Adam(learning_rate=1e-3), tf.optimizers.Adam)
    assert_type(tf.keras.losses.MeanSquaredError().name, str)
    stack.compile(tf.keras.optimizers.SGD(), "mse", metrics=[tf.keras.metrics.Precision()])
    trained = stack.fit(np.ones((8, 4)), np.ones((8, 3)), epochs=2, callbacks=[EarlyStopping(patience=3)])
    assert_type(trained, History)
    assert_type(trained.history["loss"][0], Any)
    assert_type(stack.count_params(), int)
    assert_type(tf.keras.models.load_model("model.keras"), Model)
    assert_type(tf.keras.applications.ResNet50(weights=None), Model)
    assert_type(tf.keras.ops.matmul(inputs, inputs), jax.Array)
    assert_type(layers.LSTM(3), tf.layers.LSTM)
    assert_type(tf.keras.layers.RandomFlip(), layers.RandomFlip)
    (x, _), _ = mnist.load_data()
    stack.predict(x)
