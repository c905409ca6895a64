"""The workloads in the Keras API, for kyeo and for Keras alike: `keras` is the module to measure."""

import sys
import time
from types import ModuleType
from typing import Any

from data import BATCH, digits, measure, report, rows

__all__ = ["main"]

STEPS, EPOCHS = 60, 3


def cnn(keras: ModuleType) -> Any:
    """Make the tutorial's CNN, compiled."""
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


def compiled_cnn(keras: ModuleType) -> Any:
    """Make the CNN ready for training, as the tutorial does."""
    model = cnn(keras)
    model.compile(
        optimizer=keras.optimizers.Adam(), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def cnn_step(keras: ModuleType) -> dict[str, float]:
    """Time a training step inside `fit`, after an epoch that compiles."""
    x, y = digits(STEPS * BATCH)
    model = compiled_cnn(keras)
    losses = model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0).history["loss"]
    seconds = measure(
        lambda: losses.extend(model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0).history["loss"]), EPOCHS
    )
    return {"seconds": seconds / STEPS, "loss": float(losses[-1])}


def mlp_epoch(keras: ModuleType) -> dict[str, float]:
    """Time an epoch of the small dense network inside `fit`."""
    x, y = rows()
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input(shape=(20,)),
            layers.Dense(32, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(1),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(), loss="mse")
    model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0)
    start = time.perf_counter()
    history = model.fit(x, y, batch_size=BATCH, epochs=40, verbose=0)
    return {"seconds": (time.perf_counter() - start) / 40, "loss": float(history.history["loss"][-1])}


def predict_one(keras: ModuleType) -> dict[str, float]:
    """Time `predict` of one digit."""
    x, model = digits(1)[0], cnn(keras)
    measure(lambda: model.predict(x, verbose=0), 20)
    return {"seconds": measure(lambda: model.predict(x, verbose=0), 300)}


def build(keras: ModuleType) -> dict[str, float]:
    """Time making the CNN, and count what JAX compiles for it."""
    import jax

    jax.devices()
    events = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: events.append(event))
    start = time.perf_counter()
    cnn(keras)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "compilations": sum("backend_compile" in event for event in events)}


def start(keras: ModuleType) -> dict[str, float]:
    """Run a first `fit` of 10 steps; run.py holds the watch."""
    x, y = digits(10 * BATCH)
    history = compiled_cnn(keras).fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
    return {"loss": float(history.history["loss"][-1])}


def main(keras: ModuleType) -> None:
    """Run the workload named on the command line and report."""
    import jax

    keras.utils.set_random_seed(0)
    workloads = {f.__name__: f for f in (cnn_step, mlp_epoch, predict_one, build)}
    result = workloads.get(sys.argv[1], start)(keras)
    report(**result, versions=f"{keras.__name__} {keras.__version__}, JAX {jax.__version__}")
