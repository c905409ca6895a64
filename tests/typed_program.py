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

__all__ = ["Network", "Scale", "Watcher", "program"]


class Scale(layers.Layer):
    """A layer of one's own."""

    def build(self, input_shape: Any) -> None:
        """One number for each feature."""
        self.scale = self.add_weight((input_shape[-1],), "ones")
        assert_type(self.scale, tf.Variable)

    def call(self, inputs: jax.Array) -> Any:
        """Arrays, symbolic tensors and variables may stand on either side of an operator."""
        return 1 - inputs * self.scale + (inputs @ self.scale) / -self.scale[0]


class Network(Model):
    """A model of one's own: `call` takes what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = Dense(3)

    def call(self, left: Any, right: Any) -> Any:
        """Two inputs."""
        return self.dense(left) + self.dense(right)


class Watcher(tf.keras.callbacks.Callback):
    """Looks into results without asking whether there are any."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """As users write it."""
        if logs["loss"] < 0.1:
            self.model.stop_training = True


def program() -> None:
    """What editors know without running anything."""
    inputs = layers.Input((28, 28, 1))
    graph = tf.keras.Model(inputs, layers.Dense(10)(layers.Flatten()(inputs)), name="basic_cnn")
    assert_type(graph, Model)
    stack = Sequential([layers.Input((4,)), Dense(3, activation="relu")])
    assert_type(stack, tf.Sequential)
    assert_type(stack.layers[0].name, str)
    assert_type(stack.layers[0].kernel, Any)  # a layer may have any attribute
    assert_type(stack.layers[0].weights[0], tf.Variable)
    assert_type(stack.get_layer("dense").built, bool)
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
