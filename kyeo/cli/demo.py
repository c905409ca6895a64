"""Train the tutorial's network on 4,000 handwritten digits, and draw how it went."""

import argparse
import importlib.util
import time

import numpy as np

from kyeo import callbacks, layers, models, optimizers, utils
from kyeo.cli import picture
from kyeo.core.files import atomic_write
from kyeo.datasets import mnist

__all__ = ["build_model", "run", "scale"]


def run(options: argparse.Namespace) -> int:
    """Train, measure on held-out digits, save the model and the picture."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError("The demo draws a picture and needs matplotlib: pip install 'kyeo[plot]'")
    options.out.mkdir(parents=True, exist_ok=True)
    (x_train, y_train), (x_test, y_test) = mnist.load_sample()
    x_train, x_test = scale(x_train), scale(x_test)
    print(f"{len(x_train):,} handwritten digits to learn from, {len(x_test):,} held out (MNIST)")

    utils.set_random_seed(options.seed)
    model = build_model()
    model.compile(
        optimizer=optimizers.Adam(),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    # Full steps for half of the epochs, then ever smaller ones: the end result wobbles less.
    decay = callbacks.LearningRateScheduler(lambda epoch, _: 1e-3 * min(1.0, 2 - 2 * epoch / options.epochs))
    start = time.perf_counter()
    history = model.fit(
        x_train,
        y_train,
        batch_size=32,
        epochs=options.epochs,
        validation_data=(x_test, y_test),
        callbacks=[decay],
    )
    seconds = time.perf_counter() - start

    probabilities = np.asarray(model.predict(x_test, verbose=0))
    accuracy = float(np.mean(probabilities.argmax(axis=1) == y_test))
    print(f"Trained in {seconds:.0f} seconds. Accuracy on the held-out digits: {accuracy:.3f}")
    model_file, picture_file = options.out / "basic_cnn.keras", options.out / "basic_cnn.png"
    model.save(model_file)
    with atomic_write(picture_file) as temporary:
        picture.draw(history.history, x_test[..., 0], y_test, probabilities).savefig(temporary, dpi=150)
    print(f"Model:   {model_file}\nPicture: {picture_file}")
    return 0


def scale(images: np.ndarray) -> np.ndarray:
    """Turn grey values 0 to 255 into numbers 0 to 1, and add the channel axis."""
    return images[..., np.newaxis].astype("float32") / 255


def build_model() -> models.Model:
    """Make the tutorial's network: three blocks of convolutions, then two dense layers.

    Example:
        >>> from kyeo.cli.demo import build_model
        >>> build_model().output_shape
        (None, 10)
    """
    inputs = layers.Input(shape=(28, 28, 1))
    x = layers.Conv2D(32, 3, padding="same")(inputs)
    x = layers.Activation("relu")(x)
    x = _block(x, 32)
    x = layers.Dropout(0.5)(x)
    x = _block(x, 64)
    x = _block(x, 128)
    x = layers.Dropout(0.5)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(512)(x)
    x = layers.Activation("relu")(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(10)(x)
    outputs = layers.Activation("softmax")(x)
    return models.Model(inputs=inputs, outputs=outputs, name="basic_cnn")


def _block(x, filters):
    x = layers.Conv2D(filters, 3, padding="same")(x)
    x = layers.Activation("relu")(x)
    x = layers.MaxPool2D(2, 2)(x)
    return layers.Activation("relu")(x)
