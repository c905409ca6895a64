"""Programs in the spirit of the guides on training: own training steps in the JAX form, loops written by hand."""

import jax
import numpy as np
import pytest

import kyeo as keras
from kyeo import layers, ops


class OwnStep(keras.Model):
    """The training step written out, as the guide on custom steps with JAX does."""

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        x, y = data[:2]
        grad_fn = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        (loss, (_, y_pred, non_trainable, metrics_variables)), grads = grad_fn(
            trainable, non_trainable, metrics_variables, x, y, None, training=True, optimizer_variables=optimizer_variables
        )
        trainable, optimizer_variables = self.optimizer.stateless_apply(optimizer_variables, grads, trainable)
        new_metrics, logs = [], {}
        for metric in self.metrics:
            here = metrics_variables[len(new_metrics) : len(new_metrics) + len(metric.variables)]
            if metric.name == "loss":
                here = metric.stateless_update_state(here, loss)
            else:
                here = metric.stateless_update_state(here, y, y_pred)
            result = metric.stateless_result(here)
            logs.update(result if isinstance(result, dict) else {metric.name: result})
            new_metrics += here
        return logs, (trainable, non_trainable, optimizer_variables, new_metrics)


def test_custom_train_step_with_compute_loss_and_updates():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5,))
    x = layers.BatchNormalization(momentum=0.8)(layers.Dense(8, activation="relu")(inputs))
    model = OwnStep(inputs, layers.Dense(1)(x))
    assert isinstance(model, OwnStep)
    model.compile(keras.optimizers.Adam(0.02), loss="mse", metrics=["mae"])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 5)).astype("float32")
    y = x[:, :1] - x[:, 1:2]
    history = model.fit(x, y, epochs=10, verbose=0).history
    assert history["loss"][-1] < 0.4 * history["loss"][0]
    assert history["mae"][-1] < history["mae"][0]
    assert abs(model.evaluate(x, y, verbose=0, return_dict=True)["loss"] - history["loss"][-1]) < 0.5


class LowLevel(keras.Model):
    """No loss in `compile`: the step does it all, with trackers of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(8, activation="tanh")
        self.out = layers.Dense(1)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.mae = keras.metrics.MeanAbsoluteError(name="mae")
        self.loss_fn = keras.losses.MeanSquaredError()

    def call(self, x, training=None):
        return self.out(self.hidden(x))

    @property
    def metrics(self):
        return [self.loss_tracker, self.mae]

    def loss_and_updates(self, trainable, non_trainable, x, y, training=False):
        y_pred, non_trainable = self.stateless_call(trainable, non_trainable, x, training=training)
        return self.loss_fn(y, y_pred), (y_pred, non_trainable)

    def tracked(self, metrics_variables, loss, y, y_pred):
        cut = len(self.loss_tracker.variables)
        first = self.loss_tracker.stateless_update_state(metrics_variables[:cut], loss)
        second = self.mae.stateless_update_state(metrics_variables[cut:], y, y_pred)
        logs = {"loss": self.loss_tracker.stateless_result(first), "mae": self.mae.stateless_result(second)}
        return logs, first + second

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_variables, metrics_variables = state
        x, y = data
        grad_fn = jax.value_and_grad(self.loss_and_updates, has_aux=True)
        (loss, (y_pred, non_trainable)), grads = grad_fn(trainable, non_trainable, x, y, training=True)
        trainable, optimizer_variables = self.optimizer.stateless_apply(optimizer_variables, grads, trainable)
        logs, metrics_variables = self.tracked(metrics_variables, loss, y, y_pred)
        return logs, (trainable, non_trainable, optimizer_variables, metrics_variables)

    def test_step(self, state, data):
        trainable, non_trainable, metrics_variables = state
        x, y = data
        loss, (y_pred, non_trainable) = self.loss_and_updates(trainable, non_trainable, x, y)
        logs, metrics_variables = self.tracked(metrics_variables, loss, y, y_pred)
        return logs, (trainable, non_trainable, metrics_variables)


def test_low_level_train_and_test_step():
    keras.utils.set_random_seed(2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 3)).astype("float32")
    y = x.sum(1, keepdims=True)
    model = LowLevel()
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    history = model.fit(x, y, epochs=12, batch_size=32, verbose=0, validation_data=(x, y)).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["val_mae"][-1] < history["val_mae"][0]
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(scores["loss"], np.mean((model.predict(x, verbose=0) - y) ** 2), rtol=1e-4)


def blobs(n=160, classes=3):
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, n)
    return (rng.normal(size=(classes, 6))[y] * 2 + rng.normal(size=(n, 6))).astype("float32"), y.astype("int32")


def test_jax_loop_with_keras_optimizer():
    keras.utils.set_random_seed(3)
    x, y = blobs()
    model = keras.Sequential([keras.Input((6,)), layers.Dense(16), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.1), layers.Dense(3)])
    optimizer = keras.optimizers.Adam(1e-2)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    optimizer.build(model.trainable_variables)

    def compute_loss(trainable, non_trainable, metric, x, y):
        y_pred, non_trainable = model.stateless_call(trainable, non_trainable, x, training=True)
        metric = accuracy.stateless_update_state(metric, y, y_pred)
        return loss_fn(y, y_pred), (non_trainable, metric)

    grad_fn = jax.value_and_grad(compute_loss, has_aux=True)

    @jax.jit
    def train_step(state, data):
        trainable, non_trainable, optimizer_variables, metric = state
        (loss, (non_trainable, metric)), grads = grad_fn(trainable, non_trainable, metric, *data)
        trainable, optimizer_variables = optimizer.stateless_apply(optimizer_variables, grads, trainable)
        return loss, (trainable, non_trainable, optimizer_variables, metric)

    state = (model.trainable_variables, model.non_trainable_variables, optimizer.variables, accuracy.variables)
    state = jax.tree.map(lambda v: v.value, state, is_leaf=lambda v: isinstance(v, keras.Variable))
    losses = []
    for _ in range(6):
        for start in range(0, len(x), 32):
            loss, state = train_step(state, (x[start : start + 32], y[start : start + 32]))
            losses.append(float(loss))
    trainable, non_trainable, optimizer_variables, metric = state
    for variables, values in (
        (model.trainable_variables, trainable),
        (model.non_trainable_variables, non_trainable),
        (optimizer.variables, optimizer_variables),
        (accuracy.variables, metric),
    ):
        for variable, value in zip(variables, values):
            variable.assign(value)
    assert losses[-1] < 0.5 * losses[0] and accuracy.result() > 0.7
    assert int(optimizer.iterations) == 30
    assert (model.predict(x, verbose=0).argmax(1) == y).mean() > 0.85


def test_jax_loop_with_optax():
    optax = pytest.importorskip("optax")

    keras.utils.set_random_seed(4)
    x, y = blobs()
    model = keras.Sequential([layers.Dense(16, activation="relu"), layers.Dense(3)])
    model.build((None, 6))
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.02))
    params = [v.value for v in model.trainable_variables]
    opt_state = rule.init(params)

    @jax.jit
    def step(params, opt_state):
        def loss_of(params):
            logits, _ = model.stateless_call(params, [], x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = rule.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    first = None
    for _ in range(40):
        params, opt_state, loss = step(params, opt_state)
        first = first or float(loss)
    assert float(loss) < 0.5 * first
    for variable, value in zip(model.trainable_variables, params):
        variable.assign(value)
    assert (ops.argmax(model(x), axis=1) == y).mean() > 0.85


def test_reinforce_on_a_bandit():
    """A policy gradient by weighted crossentropy: `train_on_batch` with rewards as sample weights."""
    keras.utils.set_random_seed(5)
    rng = np.random.default_rng(0)
    policy = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
    policy.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
    best = np.array([2, 0, 1, 2])  # which arm pays in which state
    rewards = []
    for _ in range(40):
        states = rng.integers(0, 4, 32)
        observed = np.eye(4, dtype="float32")[states]
        chances = policy.predict_on_batch(observed)
        actions = np.array([rng.choice(3, p=p / p.sum()) for p in np.asarray(chances, "float64")])
        reward = (actions == best[states]).astype("float32")
        policy.train_on_batch(observed, actions, sample_weight=reward - reward.mean())
        rewards.append(reward.mean())
    assert np.mean(rewards[-5:]) > 0.8 > 0.6 > np.mean(rewards[:3])
    assert (policy.predict(np.eye(4), verbose=0).argmax(1) == best).all()


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append("begin")

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((epoch, sorted(logs)))
        if epoch == 5:
            self.model.stop_training = True

    def on_train_batch_end(self, batch, logs=None):
        self.batches = batch + 1


def test_callbacks(tmp_path):
    keras.utils.set_random_seed(6)
    x, y = blobs()
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    recorder, ended = Recorder(), []
    best = tmp_path / "best.keras"
    history = model.fit(
        x, y, epochs=20, batch_size=32, validation_split=0.2, verbose=0,
        callbacks=[
            recorder,
            keras.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True),
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}.weights.h5", save_weights_only=True),
            keras.callbacks.EarlyStopping("val_accuracy", patience=50),  # which way is better is the metric's to say
            keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.9 if epoch else lr),
            keras.callbacks.LambdaCallback(on_train_end=lambda logs: ended.append(1)),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        ],
    )
    assert recorder.seen[0] == "begin" and len(recorder.seen) == 7 and recorder.batches == 4 and ended == [1]
    assert recorder.seen[1][1] == ["accuracy", "loss", "val_accuracy", "val_loss"]
    np.testing.assert_allclose(history.history["learning_rate"], [0.1 * 0.9**i for i in range(6)], rtol=1e-5)
    scores = keras.models.load_model(best).evaluate(x[128:], y[128:], verbose=0, return_dict=True)
    np.testing.assert_allclose(scores["loss"], min(history.history["val_loss"]), rtol=1e-4)
    assert (tmp_path / "06.weights.h5").exists() and len((tmp_path / "log.csv").read_text().splitlines()) == 7

    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=10.0, restore_best_weights=True)
    assert len(model.fit(x, y, epochs=20, validation_split=0.2, verbose=0, callbacks=[stop]).epoch) == 2
    assert stop.stopped_epoch == 1


def test_mixed_precision():
    keras.utils.set_random_seed(7)
    x, y = blobs()
    before = keras.config.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        inputs = keras.Input((6,))
        hidden = layers.Dense(16, activation="relu", name="hidden")(inputs)
        model = keras.Model(inputs, layers.Dense(3, activation="softmax", dtype="float32")(hidden))
    finally:
        keras.mixed_precision.set_global_policy(before)
    assert hidden.dtype == "float16" and model.outputs[0].dtype == "float32"
    assert model.get_layer("hidden").kernel.dtype == "float32"
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert model.fit(x, y, epochs=10, verbose=0).history["accuracy"][-1] > 0.85
