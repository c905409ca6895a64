"""The optimizer's state and what `compile` was told go through files, both ways."""

import keras
import numpy as np
import pytest

import kyeo

X = np.linspace(-1, 1, 24).reshape(6, 4).astype("float32")
Y = np.array([0, 1, 2, 0, 1, 2])


def simple(k, optimizer):
    model = k.Sequential([k.Input((4,)), k.layers.Dense(5, activation="relu"), k.layers.BatchNormalization(),
                          k.layers.Dense(3, activation="softmax")])
    model.compile(optimizer(k), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


OPTIMIZERS = {
    "sgd": lambda k: "sgd",
    "momentum": lambda k: k.optimizers.SGD(0.02, momentum=0.9, nesterov=True),
    "rmsprop": lambda k: k.optimizers.RMSprop(0.01, centered=True, momentum=0.1),
    "adam": lambda k: k.optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda k: k.optimizers.AdamW(0.01, weight_decay=0.1),
    "schedule": lambda k: k.optimizers.Adam(k.optimizers.schedules.ExponentialDecay(0.01, 2, 0.9)),
    "ema": lambda k: k.optimizers.SGD(0.02, use_ema=True, clipnorm=1.0),
    "accumulate": lambda k: k.optimizers.Adam(0.01, gradient_accumulation_steps=2),
}


def values(variables):
    return [np.asarray(getattr(v, "value", v)) for v in variables]


def assert_equal_state(first, second):
    mine, others = values(first.optimizer.variables), values(second.optimizer.variables)
    assert len(mine) == len(others)
    for one, other in zip(mine, others):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("source, target", [(kyeo, keras), (keras, kyeo), (kyeo, kyeo)],
                         ids=["to_keras", "from_keras", "kyeo"])
def test_training_goes_on(source, target, name, tmp_path):
    model = simple(source, OPTIMIZERS[name])
    for _ in range(2):
        model.train_on_batch(X, Y)
    model.save(tmp_path / "m.keras")
    loaded = target.saving.load_model(tmp_path / "m.keras")
    assert_equal_state(model, loaded)
    first, second = (m.train_on_batch(X, Y, return_dict=True) for m in (model, loaded))
    np.testing.assert_allclose(first["loss"], second["loss"], rtol=1e-5)
    assert set(first) == set(second) == {"loss", "accuracy"}
    assert_equal_state(model, loaded)


def two_headed(k):
    x = k.Input((4,))
    h = k.layers.Dense(3, activation="relu")(x)
    model = k.Model(x, {"label": k.layers.Dense(3, name="label")(h), "size": k.layers.Dense(1, name="size")(h)})
    model.compile(
        "adam", loss={"label": k.losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mse"},
        loss_weights={"label": 1.0, "size": 0.5},
        metrics={"label": ["accuracy"], "size": [k.metrics.MeanAbsoluteError(name="off")]})
    return model


@pytest.mark.parametrize("source, target", [(kyeo, keras), (keras, kyeo), (kyeo, kyeo)],
                         ids=["to_keras", "from_keras", "kyeo"])
def test_losses_and_metrics_by_name(source, target, tmp_path):
    model = two_headed(source)
    y = {"label": Y, "size": Y[:, None].astype("float32")}
    model.train_on_batch(X, y)
    model.save(tmp_path / "m.keras")
    loaded = target.saving.load_model(tmp_path / "m.keras")
    mine, other = (m.test_on_batch(X, y, return_dict=True) for m in (model, loaded))
    assert set(mine) == set(other)
    model.reset_metrics(), loaded.reset_metrics()
    mine, other = (m.test_on_batch(X, y, return_dict=True) for m in (model, loaded))
    for key, value in mine.items():
        np.testing.assert_allclose(value, other[key], rtol=1e-5, err_msg=key)


def test_not_compiled_on_request(tmp_path):
    simple(kyeo, OPTIMIZERS["adam"]).save(tmp_path / "m.keras")
    loaded = kyeo.saving.load_model(tmp_path / "m.keras", compile=False)
    assert not loaded.compiled and loaded.optimizer is None


def test_optimizer_that_has_not_begun(tmp_path):
    """Keras saves such a one without slots; they start afresh."""
    model = simple(keras, OPTIMIZERS["adam"])
    model.optimizer.learning_rate = 0.25
    model.save(tmp_path / "m.keras")
    loaded = kyeo.saving.load_model(tmp_path / "m.keras")
    assert float(loaded.optimizer.learning_rate) == 0.25
    assert loaded.train_on_batch(X, Y)


def test_other_optimizer_is_skipped(tmp_path):
    model = simple(kyeo, OPTIMIZERS["adam"])
    model.train_on_batch(X, Y)
    model.save_weights(tmp_path / "m.weights.h5")
    other = simple(kyeo, OPTIMIZERS["momentum"])
    other.train_on_batch(X, Y)
    with pytest.warns(UserWarning, match="optimizer was not loaded"):
        other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    assert int(other.optimizer.iterations) == 1
