"""The optimizer's state and what `compile` was told go through files, both ways."""

import keras
import numpy as np
import pytest

import kyeo

X = np.linspace(-1, 1, 24).reshape(6, 4).astype("float32")
Y = np.array([0, 1, 2, 0, 1, 2])
BOTH_WAYS = pytest.mark.parametrize("source, target", [(kyeo, keras), (keras, kyeo), (kyeo, kyeo)],
                                    ids=["to_keras", "from_keras", "kyeo"])


def simple(k, optimizer):
    model = k.Sequential([k.Input((4,)), k.layers.Dense(5, activation="relu"), k.layers.Dense(3)])
    model.compile(optimizer(k), k.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
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
    "scaled": lambda k: k.optimizers.LossScaleOptimizer(k.optimizers.SGD(0.1, momentum=0.9)),
}


def one_step(model):
    """A step with gradients that need no compiling."""
    rng = np.random.default_rng(2)
    grads = [rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables]
    model.optimizer.apply(grads, model.trainable_variables)


def assert_equal_state(first, second):
    mine, others = ([np.asarray(getattr(v, "value", v)) for v in m.optimizer.variables] for m in (first, second))
    for one, other in zip(mine, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("source, target", [(kyeo, keras), (keras, kyeo)], ids=["to_keras", "from_keras"])
def test_state(source, target, name, tmp_path):
    model = simple(source, OPTIMIZERS[name])
    model.optimizer.build(model.trainable_variables)
    for i, variable in enumerate(model.optimizer.variables):
        variable.assign(np.full(variable.shape, i + 1, str(variable.dtype)))
    model.save(tmp_path / "m.keras")
    loaded = target.saving.load_model(tmp_path / "m.keras")
    assert_equal_state(model, loaded)
    here, there = (m.get_compile_config()["optimizer"] for m in (model, loaded))
    assert plain(here) == plain(there)


def plain(config):
    """Without differences that mean nothing: tuples for lists, the last digit of a rate."""
    if isinstance(config, dict):
        return {k: plain(v) for k, v in config.items() if k != "shared_object_id"}
    return round(config, 6) if isinstance(config, float) else config


@BOTH_WAYS
def test_the_next_step_is_the_same(source, target, tmp_path):
    model = simple(source, OPTIMIZERS["adam"])
    one_step(model)
    model.save(tmp_path / "m.keras")
    loaded = target.saving.load_model(tmp_path / "m.keras")
    one_step(model)
    one_step(loaded)
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


@BOTH_WAYS
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # Keras, of one that has not begun
def test_losses_and_metrics_by_name(source, target, tmp_path):
    model = two_headed(source)
    y = {"label": Y, "size": Y[:, None].astype("float32")}
    model.save(tmp_path / "m.keras")
    loaded = target.saving.load_model(tmp_path / "m.keras")
    mine, other = (m.test_on_batch(X, y, return_dict=True) for m in (model, loaded))
    assert set(mine) == set(other)
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
    one_step(loaded)
    assert int(loaded.optimizer.iterations) == 1


def test_other_optimizer_is_skipped(tmp_path):
    model = simple(kyeo, OPTIMIZERS["adam"])
    one_step(model)
    model.save_weights(tmp_path / "m.weights.h5")
    other = simple(kyeo, OPTIMIZERS["momentum"])
    one_step(other)
    with pytest.warns(UserWarning, match="optimizer was not loaded"):
        other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    assert int(other.optimizer.iterations) == 1
    fresh = simple(kyeo, lambda k: k.optimizers.Adam(0.5))
    fresh.load_weights(tmp_path / "m.weights.h5")
    assert float(fresh.optimizer.learning_rate) == 0.5 and int(fresh.optimizer.iterations) == 0
