"""Transformations of optax as optimizers: the same steps as by hand, state in variables, files, learning rates."""

import jax
import numpy as np
import pytest

import kyeo

optax = pytest.importorskip("optax")

X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = X[:, :1]


def model(optimizer):
    kyeo.utils.set_random_seed(0)
    made = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(4, "tanh"), kyeo.layers.Dense(1)])
    made.compile(optimizer, "mse")
    return made


TRANSFORMATIONS = {
    "adam": lambda: optax.adam(0.1),
    "chain": lambda: optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(0.1, weight_decay=0.1)),
    "extra": lambda: optax.contrib.schedule_free_sgd(0.1),
    "schedule": lambda: optax.sgd(optax.cosine_decay_schedule(0.1, 5), momentum=0.9),
    "multi": lambda: optax.MultiSteps(optax.sgd(0.1), 2),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_same_as_by_hand(name):
    ours = model(TRANSFORMATIONS[name]())
    weights = [v.value for v in ours.trainable_variables]
    transformation = TRANSFORMATIONS[name]()
    state = transformation.init(weights)
    ours.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)

    @jax.jit
    def step(weights, state, x, y):
        loss = lambda w: ((ours.stateless_call(w, [], x)[0] - y) ** 2).mean()  # noqa: E731
        updates, state = transformation.update(jax.grad(loss)(weights), state, weights)
        return optax.apply_updates(weights, updates), state

    for _ in range(2):
        for at in (0, 4):
            weights, state = step(weights, state, X[at:at + 4], Y[at:at + 4])
    for mine, wanted in zip(ours.get_weights(), weights):
        np.testing.assert_allclose(mine, wanted, rtol=1e-5, atol=1e-6)
    leaves = jax.tree.leaves(state)
    assert len(ours.optimizer.variables) == 2 + len(leaves)
    for box, leaf in zip(ours.optimizer.variables[2:], leaves):
        np.testing.assert_allclose(box.numpy(), leaf, rtol=1e-5, atol=1e-6)


@kyeo.saving.register_keras_serializable("tests")
def made_adam():
    return optax.inject_hyperparams(optax.adam)(learning_rate=0.1)


def test_resumed_training_is_the_same(tmp_path):
    whole, half = (model(kyeo.optimizers.OptaxOptimizer(made_adam)) for _ in range(2))
    whole.fit(X, Y, batch_size=4, epochs=4, shuffle=False, verbose=0)
    half.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    half.save(tmp_path / "half.keras")
    again = kyeo.models.load_model(tmp_path / "half.keras")
    again.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for mine, wanted in zip(again.get_weights(), whole.get_weights()):
        np.testing.assert_array_equal(mine, wanted)


def test_learning_rate():
    rates = []
    follow = kyeo.callbacks.LearningRateScheduler(lambda epoch, rate: rates.append(rate) or 0.5 / (epoch + 1))
    ours = model(made_adam())
    history = ours.fit(X, Y, epochs=2, verbose=0, callbacks=[follow]).history
    np.testing.assert_allclose(rates, [0.1, 0.5])
    np.testing.assert_allclose(history["learning_rate"], [0.5, 0.25])
    early = kyeo.optimizers.get(made_adam())
    early.learning_rate = 0.3
    early.build(ours.trainable_variables)
    assert float(early.learning_rate) == pytest.approx(0.3)
    with pytest.raises(AttributeError, match="inject_hyperparams"):
        model(optax.adam(0.1)).optimizer.learning_rate


def test_errors(tmp_path):
    plain = model(optax.sgd(0.1))
    plain.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="register_keras_serializable"):
        plain.save(tmp_path / "m.keras")
    plain.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(TypeError, match="GradientTransformation"):
        kyeo.optimizers.OptaxOptimizer(3)
    for name in kyeo.optimizers.legacy.__all__:
        with pytest.raises(ImportError, match=f"use kyeo.optimizers.{name}"):
            getattr(kyeo.optimizers.legacy, name)(0.1)
