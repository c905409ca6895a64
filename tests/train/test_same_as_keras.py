"""Whole training runs beside Keras on its JAX backend: same start, same data, same curve."""

import functools

import jax
import keras
import numpy as np
import pytest

import kyeo
from tests.thin import SLOW

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 8)).astype("float32")
LABELS = RNG.integers(0, 3, 70).astype("int32")
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
BINARY = (X[:, :1] > 0).astype("float32")
TARGET = X[:, :2] * 2 + 1
IMAGES = RNG.normal(size=(40, 8, 8, 2)).astype("float32")
WEIGHTS = RNG.uniform(0.5, 2, 70).astype("float32")


def mlp(k, units, activation, **kwargs):
    x = k.Input((8,))
    h = k.layers.Dense(16, activation="relu", **kwargs)(x)
    return k.Model(x, k.layers.Dense(units, activation=activation)(h))


def cnn(k):
    x = k.Input((8, 8, 2))
    h = k.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    h = k.layers.MaxPooling2D(2)(h)
    h = k.layers.BatchNormalization()(h)
    h = k.layers.Conv2D(6, 3)(h)
    h = k.layers.GlobalAveragePooling2D()(h)
    return k.Model(x, k.layers.Dense(3, activation="softmax")(h))


def branched(k):
    a, b = k.Input((8,), name="a"), k.Input((8,), name="b")
    shared = k.layers.Dense(6, activation="tanh")
    h = k.layers.Add()([shared(a), shared(b)])
    one, two = k.layers.Dense(2, name="one")(h), k.layers.Dense(3, activation="softmax", name="two")(h)
    return k.Model([a, b], [one, two])


def nested(k):
    x = k.Input((8,))
    one, two, three = (k.layers.Dense(size, name=name)(x) for size, name in ((2, "one"), (1, "two"), (2, "three")))
    return k.Model(x, {"p": [one, {"deep": two}], "q": three})


def spectral(k):
    x = k.Input((8,), dtype="complex64")
    h = k.layers.Concatenate()([k.ops.real(x), k.ops.imag(x)])
    return k.Model(x, k.layers.Dense(2)(h))


def distance(y_true, y_pred):
    """A loss that sees a part of nested outputs."""
    pairs = zip(jax.tree.leaves(y_true), jax.tree.leaves(y_pred))
    return sum(((a - b) ** 2).mean(axis=-1) for a, b in pairs)


def worst(y_true, y_pred):
    """A metric whose name comes behind those of validation."""
    return abs(y_true - y_pred).max(axis=-1)


def stack(k):
    return k.Sequential([k.layers.Dense(8, activation="relu"), k.layers.LayerNormalization(), k.layers.Dense(2)])


def both(k, y):
    return ([X, X[::-1].copy()], y)


CASES = {  # name: (model, compile, (x, y), fit arguments)
    "regression": (lambda k: mlp(k, 2, None), {"optimizer": "sgd", "loss": "mse", "metrics": ["mae"]}, (X, TARGET), {}),
    "adam": (lambda k: mlp(k, 2, None), {"optimizer": "adam", "loss": "mae"}, (X, TARGET), {}),
    "sparse": (lambda k: mlp(k, 3, "softmax"), {"optimizer": "rmsprop", "loss": "sparse_categorical_crossentropy",
               "metrics": ["accuracy"]}, (X, LABELS), {}),
    "one hot": (lambda k: mlp(k, 3, "softmax"), {"optimizer": "adam", "loss": "categorical_crossentropy",
                "metrics": ["accuracy", "categorical_crossentropy"]}, (X, ONE_HOT), {}),
    "binary": (lambda k: mlp(k, 1, "sigmoid"), {"optimizer": "adam", "loss": "binary_crossentropy",
               "metrics": ["auc", "accuracy"]}, (X, BINARY), {}),
    "regularized": (lambda k: mlp(k, 2, None, kernel_regularizer="l2", activity_regularizer="l1"),
                    {"optimizer": "sgd", "loss": "mse"}, (X, TARGET), {}),
    "constrained": (lambda k: mlp(k, 2, None, kernel_constraint="non_neg"), {"optimizer": "sgd", "loss": "mse"},
                    (X, TARGET), {}),
    "weights of rows": (lambda k: mlp(k, 2, None), {"optimizer": "sgd", "loss": "mse", "metrics": ["mae"],
                        "weighted_metrics": ["mse"]}, (X, TARGET), {"sample_weight": WEIGHTS}),
    "weights of classes": (lambda k: mlp(k, 3, "softmax"), {"optimizer": "adam",
                           "loss": "sparse_categorical_crossentropy"}, (X, LABELS),
                           {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}),
    "validation split": (lambda k: mlp(k, 2, None), {"optimizer": "adam", "loss": "mse",
                         "metrics": ["mae", worst]}, (X, TARGET), {"validation_split": 0.3}),
    "validation data": (lambda k: mlp(k, 2, None), {"optimizer": "adam", "loss": "mse"}, (X, TARGET),
                        {"validation_data": (X[:21], TARGET[:21]), "validation_freq": 2}),
    "images": (cnn, {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
               (IMAGES, LABELS[:40]), {"batch_size": 12}),
    "two outputs": (branched, {"optimizer": "adam", "loss": ["mse", "sparse_categorical_crossentropy"],
                    "loss_weights": [1.0, 0.3], "metrics": [["mae"], ["accuracy"]]}, both(None, [TARGET, LABELS]), {}),
    "outputs by name": (branched, {"optimizer": "sgd", "loss": {"one": "mse", "two": "sparse_categorical_crossentropy"},
                        "metrics": {"two": ["accuracy"]}}, both(None, [TARGET, LABELS]), {}),
    "labels of one output": (branched, {"optimizer": "sgd", "loss": [None, "sparse_categorical_crossentropy"]},
                             both(None, LABELS), {"epochs": 2}),
    "outputs in outputs": (nested, {"optimizer": "sgd", "loss": {"p": ["mse", {"deep": "mae"}], "q": "mae"},
                           "loss_weights": {"p": [1.0, {"deep": 0.5}], "q": 2.0},
                           "metrics": {"p": [["mae"], {"deep": ["mse", "mae"]}], "q": ["mse"]}},
                           (X, {"p": [TARGET, {"deep": BINARY}], "q": TARGET}), {}),
    "a loss for several outputs": (nested, {"optimizer": "sgd", "loss": {"q": "mae", "p": distance},
                                   "loss_weights": {"q": 2.0, "p": 0.5}},
                                   (X, {"p": [TARGET, {"deep": BINARY[:, 0]}], "q": TARGET}), {}),
    "a loss for a part of a part": (nested, {"optimizer": "sgd", "loss": {"q": "mae", "p": ["mse", distance]}},
                                    (X, {"p": [TARGET, {"deep": BINARY}], "q": TARGET}), {}),
    "complex numbers": (spectral, {"optimizer": "sgd", "loss": "mse"}, (X + 1j * X[::-1], TARGET),
                        {"validation_split": 0.3}),
    "built late": (stack, {"optimizer": "adam", "loss": "mse"}, (X, TARGET), {}),
    "many steps": (lambda k: mlp(k, 2, None), {"optimizer": "adam", "loss": "mse", "steps_per_execution": 2},
                   (X, TARGET), {}),
    "clipped": (lambda k: mlp(k, 2, None), {"optimizer": {"class_name": "SGD", "config": {"clipnorm": 0.5,
                "momentum": 0.9}}, "loss": "mse"}, (X, TARGET), {}),
}


ALIKE = ("adam", "one hot", "binary", "constrained", "weights of classes", "validation data", "outputs by name",
         "labels of one output", "a loss for a part of a part")  # others have all they test


@pytest.mark.parametrize("name", [name for name in CASES if SLOW or name not in ALIKE])
def test_curve(name):
    """Loss, metrics and final weights follow Keras's; shuffle and dropout off, a ragged last batch on."""
    make, compile_args, (x, y), fit_args = CASES[name]
    theirs, ours = make(keras), make(kyeo)
    for model in (theirs, ours):
        if not model.built:
            model.build((None, 8))
    ours.set_weights(theirs.get_weights())
    start = theirs.get_weights()
    fit_args = {"batch_size": 16, "epochs": 4, "shuffle": False, "verbose": 0, **fit_args}
    histories = []
    for k, model in ((keras, theirs), (kyeo, ours)):
        args = dict(compile_args)
        if isinstance(args["optimizer"], dict):
            args["optimizer"] = k.optimizers.get(args["optimizer"])
        model.compile(**args)
        histories.append(model.fit(x, y, **fit_args).history)
    assert list(histories[1]) == list(histories[0])  # the columns of a table
    for key, values in histories[0].items():
        np.testing.assert_allclose(histories[1][key], values, rtol=1e-4, atol=1e-5, err_msg=key)
    for before, a, b in zip(start, ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * max(1, np.abs(before).max()))
    np.testing.assert_allclose(jax.tree.leaves(ours.predict(x, verbose=0))[0],
                               jax.tree.leaves(theirs.predict(x, verbose=0))[0], rtol=1e-3, atol=1e-4)
    a, b = (m.evaluate(x, y, batch_size=16, verbose=0, return_dict=True) for m in (ours, theirs))
    assert a.keys() == b.keys()
    np.testing.assert_allclose([a[k] for k in b], list(b.values()), rtol=1e-3, atol=1e-4)
    a, b = (m.evaluate(x, y, batch_size=16, verbose=0) for m in (ours, theirs))
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_several_losses_of_an_output_inside_another():
    """They add up with their weights; the total is that of Keras (of the parts it logs the last one)."""
    x = np.random.default_rng(0).normal(size=(12, 8)).astype("float32")
    y = {"p": [x[:, :2], {"deep": x[:, :1]}], "q": x[:, 3:5]}
    totals = []
    for k in (keras, kyeo):
        model = nested(k)
        model.set_weights([np.full(w.shape, 0.1, "float32") for w in model.get_weights()])
        model.compile("sgd", loss={"p": [["mse", "mae"], {"deep": "mae"}], "q": "mse"},
                      loss_weights={"p": [[1.0, 3.0], {"deep": 0.5}], "q": 2.0})
        totals.append(model.evaluate(x, y, batch_size=12, verbose=0, return_dict=True)["loss"])
    assert totals[1] == pytest.approx(totals[0], rel=1e-5)


class TopScore:
    """A metric that is an object with a call."""

    def __call__(self, y_true, y_pred):
        return (y_pred - y_true) ** 2


def SquaredError(y_true, y_pred):
    return (y_pred - y_true) ** 2


@pytest.mark.parametrize("metric", [
    lambda k: k.losses.Huber(name="own_name"), lambda k: TopScore(), lambda k: SquaredError,
    lambda k: functools.partial(distance), lambda k: (lambda y_true, y_pred: y_pred - y_true)])
def test_names_of_metrics_that_are_no_metrics(metric):
    """`monitor="val_..."` of a program for Keras finds them."""
    names = []
    for k in (keras, kyeo):
        model = k.Sequential([k.Input((8,)), k.layers.Dense(2)])
        model.compile("sgd", "mse", metrics=[metric(k)])
        names.append(sorted(model.evaluate(X, TARGET, verbose=0, return_dict=True)))
    assert names[0] == names[1]
