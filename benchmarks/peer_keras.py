"""The workloads in the Keras API: `python peer_keras.py WORKLOAD PEER`, as run.py calls it."""

import functools
import importlib
import os
import sys
import time
from types import ModuleType
from typing import Any

import data
import numpy as np
from augment import PIPELINE
from data import BATCH, digits, measure, memory, report, slope
from models_keras import MODELS, compiled
from suite import TRAINING

__all__ = ["WORKLOADS", "main"]

MOST_SECONDS = 40  # for models_200; the slow ones make fewer, the figures are by model


def training(keras: ModuleType, name: str) -> dict[str, Any]:
    """Time a training step inside `fit`, after a `fit` that compiles."""
    plan = TRAINING[name]
    x, y = getattr(data, plan.data)(plan.rows)
    start = time.perf_counter()
    model = compiled(keras, name)
    losses: list[float] = []

    def fit() -> None:
        losses.extend(model.fit(x, y, batch_size=plan.batch, epochs=plan.epochs, verbose=0).history["loss"])

    fit()
    first = time.perf_counter() - start
    seconds = measure(fit, plan.repeats) / plan.steps
    return {"seconds": seconds, "loss": float(losses[-1]), "first": first, "memory": memory()}


def predict_one(keras: ModuleType) -> dict[str, Any]:
    """Time `predict` of one digit."""
    x, model = digits(1)[0], MODELS["cnn_32"](keras)
    measure(lambda: model.predict(x, verbose=0), 20)
    return {"seconds": measure(lambda: model.predict(x, verbose=0), 200)}


def call_one(keras: ModuleType) -> dict[str, Any]:
    """Time calling the model on one digit, up to the NumPy array."""
    x, model = digits(1)[0], MODELS["cnn_32"](keras)

    def call() -> Any:
        return keras.ops.convert_to_numpy(model(x))

    measure(call, 10)
    return {"seconds": measure(call, 100)}


def bulk(keras: ModuleType, name: str, rows: int = 4000) -> dict[str, Any]:
    """Time `predict` of so many rows with the default batch size."""
    x = getattr(data, TRAINING[name].data)(rows)[0]
    model = MODELS[name](keras)
    measure(lambda: model.predict(x, verbose=0), 3)
    return {"seconds": measure(lambda: model.predict(x, verbose=0), 9)}


def fit_batch(keras: ModuleType) -> dict[str, Any]:
    """Time a `fit` that has one batch."""
    (x, y), model = data.rows(BATCH), compiled(keras, "tiny_mlp")
    measure(lambda: model.fit(x, y, verbose=0), 5)
    return {"seconds": measure(lambda: model.fit(x, y, verbose=0), 50)}


def models_200(keras: ModuleType) -> dict[str, Any]:
    """Build, compile and fit the same small network again and again: time, memory and what JAX compiles."""
    x, y = data.rows(BATCH)
    programs = count_programs()
    held, start = [], time.perf_counter()
    while len(held) < 200 and time.perf_counter() - start < MOST_SECONDS:
        compiled(keras, "tiny_mlp").fit(x, y, verbose=0)
        held.append(memory(peak=False))
    seconds = (time.perf_counter() - start) / len(held)
    counted = {} if programs is None else {"compilations": len(programs)}
    return {"seconds": seconds, "models": len(held), "growth": slope(held[len(held) // 2 :])} | counted


def count_programs() -> list[str] | None:
    """A list that gets an entry for each program JAX compiles from now on; None where JAX is not at work."""
    if os.environ["KERAS_BACKEND"] != "jax":
        return None
    import jax

    programs: list[str] = []

    def note(event: str, *_: Any, **__: Any) -> None:
        if "backend_compile" in event:
            programs.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    return programs


def start(keras: ModuleType) -> dict[str, Any]:
    """Run a first `fit` of 10 steps; run.py holds the watch."""
    x, y = digits(10 * BATCH)
    history = compiled(keras, "cnn_32").fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
    return {"loss": float(history.history["loss"][-1])}


def efficientnet(keras: ModuleType, count: int) -> dict[str, Any]:
    """Time `predict` of so many images with EfficientNetB0, after one that compiles."""
    x = np.random.default_rng(0).uniform(0, 255, (count, 224, 224, 3)).astype("float32")
    start = time.perf_counter()
    model = keras.applications.EfficientNetB0(weights=None)
    model.predict(x, verbose=0)
    first = time.perf_counter() - start
    return {"seconds": measure(lambda: model.predict(x, verbose=0), 8), "first": first, "memory": memory()}


def augment(keras: ModuleType) -> dict[str, Any]:
    """Time a pipeline of augmentations on 32 images of 64x64x3, up to the NumPy array; TensorFlow as a tf.function."""
    batch = np.random.default_rng(0).uniform(0, 255, (32, 64, 64, 3)).astype("float32")
    pipeline = keras.layers.Pipeline([getattr(keras.layers, name)(**words) for name, words in PIPELINE])
    called = functools.partial(pipeline, training=True)
    if keras.backend.backend() == "tensorflow":
        called = sys.modules["tensorflow"].function(called)
    start = time.perf_counter()
    keras.ops.convert_to_numpy(called(batch))
    first = time.perf_counter() - start
    measure(lambda: keras.ops.convert_to_numpy(called(batch)), 3)
    return {"seconds": measure(lambda: keras.ops.convert_to_numpy(called(batch)), 20), "first": first}


def text(keras: ModuleType, **words: Any) -> dict[str, Any]:
    """Time 100,000 texts through TextVectorization, up to the NumPy array."""
    texts = data.texts(100_000)
    layer = keras.layers.TextVectorization(**words)
    layer.adapt(texts[:10_000])
    return {"seconds": measure(lambda: np.asarray(layer(texts)), 3), "memory": memory()}


def text_adapt(keras: ModuleType) -> dict[str, Any]:
    """Time the count of the words of 100,000 texts."""
    texts = data.texts(100_000)

    def adapt() -> None:
        keras.layers.TextVectorization(max_tokens=20_000).adapt(texts)

    return {"seconds": measure(adapt, 3), "memory": memory()}


WORKLOADS = {name: functools.partial(training, name=name) for name in TRAINING} | {
    "predict_one": predict_one,
    "call_one": call_one,
    "bulk_cnn": functools.partial(bulk, name="cnn_32"),
    "bulk_mlp": functools.partial(bulk, name="mnist_mlp"),
    "bulk_photos": functools.partial(bulk, name="photos", rows=200),
    "fit_batch": fit_batch,
    "models_200": models_200,
    "start_cold": start,
    "start_warm": start,
    "efficientnet_1": functools.partial(efficientnet, count=1),
    "efficientnet_16": functools.partial(efficientnet, count=16),
    "augment": augment,
    "text_adapt": text_adapt,
    "text_int": functools.partial(text, max_tokens=20_000, output_sequence_length=64),
    "text_count": functools.partial(text, max_tokens=1_000, output_mode="count"),
}
# peer: the engine behind the API
ENGINES = {"kyeo": "jax", "tensorflow": "tensorflow", "keras_jax": "jax", "keras_torch": "torch"}


def load(peer: str) -> ModuleType:
    """Import the peer's API."""
    os.environ["KERAS_BACKEND"] = ENGINES[peer]
    if peer == "tensorflow":
        return importlib.import_module("tensorflow").keras
    return importlib.import_module("kyeo" if peer == "kyeo" else "keras")


def main() -> None:
    """Run the workload named on the command line and report."""
    workload, peer = sys.argv[1:]
    keras = load(peer)
    keras.utils.set_random_seed(0)
    result = WORKLOADS[workload](keras)
    engine = sys.modules[ENGINES[peer]]
    name = "kyeo" if peer == "kyeo" else "Keras"
    report(**result, versions=f"{name} {keras.__version__} on {engine.__name__} {engine.__version__}")


if __name__ == "__main__":
    main()
