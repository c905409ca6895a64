"""Epochs run many in one dispatch: where nobody listens, with the numbers of epochs run one by one."""

import jax
import numpy as np
import pytest

import kyeo
from kyeo.core.settings import set_seed
from kyeo.train.runner import Runner
from tests.thin import thinned

RNG = np.random.default_rng(1)
X = RNG.normal(size=(50, 6)).astype("float32")
Y = RNG.integers(0, 3, 50).astype("int32")


class Listener(kyeo.callbacks.Callback):
    """Wants to know when an epoch ends."""

    def on_epoch_end(self, epoch, logs=None):
        pass


class OwnReset(kyeo.metrics.Mean):
    """Starts each epoch with another number."""

    resets = 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred, sample_weight=sample_weight)

    def reset_state(self):
        super().reset_state()
        self.resets += 1


def make(metrics=("accuracy",), optimizer="adam", **compiling):
    set_seed(3)
    model = kyeo.Sequential([
        kyeo.Input((6,)), kyeo.layers.Dense(8, activation="relu"), kyeo.layers.Dropout(0.3),
        kyeo.layers.BatchNormalization(), kyeo.layers.Dense(3, activation="softmax")], name="net")
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics), **compiling)
    return model


@pytest.fixture
def dispatches(monkeypatch):
    """How many epochs each dispatch of a training held."""
    seen = []
    run = Runner.run

    def counted(self, *args, **kwargs):
        seen.append(args[3] if kwargs.get("whole_epochs") else 1)
        return run(self, *args, **kwargs)

    monkeypatch.setattr(Runner, "run", counted)
    return seen


def decayed():
    return kyeo.optimizers.SGD(kyeo.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9), momentum=0.9)


@pytest.mark.parametrize("rows, fitting, expected", thinned([
    (48, {}, [7]),
    (50, {}, [7]),  # a smaller last batch
    (5, {}, [7]),  # one batch, filled up
    (8, {"shuffle": False}, [7]),
    (48, {"shuffle": "batch", "sample_weight": np.linspace(0, 2, 48)}, [7]),
    (50, {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}, "initial_epoch": 3}, [4]),
    (48, {"epochs": 70}, [64, 6]),
    (48, {"epochs": 65}, [64, 1]),  # a single one has nothing to be joined with
], 2))
def test_numbers_are_those_of_single_epochs(rows, fitting, expected, dispatches):
    runs = []
    for callbacks in ([], [Listener()]):
        model = make(optimizer=decayed())
        set_seed(7)
        history = model.fit(X[:rows], Y[:rows], **{"epochs": 7, "batch_size": 8, "verbose": 0, **fitting},
                            callbacks=callbacks)
        runs.append((history.history, history.epoch, model.get_weights(), model.optimizer.iterations.numpy(),
                     {m.name: m.result() for m in model.metrics}))
        if not callbacks:
            assert dispatches == expected
    assert runs[0][1] == runs[1][1]
    for one, other in zip(*map(jax.tree.leaves, runs)):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("making, fitting", thinned([
    ({}, {"callbacks": [Listener()]}),
    ({}, {"callbacks": [kyeo.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]}),
    ({}, {"validation_data": (X[:8], Y[:8])}),
    ({}, {"verbose": 2}),
    ({"steps_per_execution": 2}, {}),
    ({"run_eagerly": True}, {}),
    ({"metrics": [OwnReset("own")]}, {}),
    ({}, {"steps_per_epoch": 3}),
], 2))
def test_one_by_one_where_somebody_may_tell(making, fitting, dispatches):
    model = make(**making)
    model.fit(X[:48], Y[:48], **{"epochs": 2, "batch_size": 8, "verbose": 0, **fitting})
    assert max(dispatches) == 1


def test_a_callback_that_stops_at_the_begin(dispatches):
    """No more epochs are run than the History tells of."""
    class Stop(kyeo.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.stop_training = True

    model = make()
    history = model.fit(X, Y, epochs=5, verbose=0, callbacks=[Stop()])
    assert int(model.optimizer.iterations) == 2 * len(history.epoch)


def test_large_data_are_not_held_many_times(dispatches):
    """More than 4 MB of rows in a dispatch would cost more to stack than a dispatch costs."""
    model = kyeo.Sequential([kyeo.Input((500,)), kyeo.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((1500, 500), "float32"), np.zeros((1500, 1)), epochs=3, batch_size=500, verbose=0)
    assert max(dispatches) == 1
