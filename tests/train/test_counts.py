"""What costs time, counted: compilations, dispatches, and waits for the device."""

import jax
import keras
import numpy as np
import pytest

import kyeo
from kyeo.train import loop, runner

X = np.random.default_rng(0).normal(size=(100, 8)).astype("float32")
Y = X.sum(-1, keepdims=True)


def model(units=4):
    made = kyeo.Sequential([kyeo.layers.Input((8,)), kyeo.layers.Dense(units, activation="relu"), kyeo.layers.Dense(1)])
    made.compile("adam", "mse", metrics=["mae"])
    return made


@pytest.fixture
def counts(monkeypatch):
    seen = {"dispatches": 0, "waits": 0, "compilations": 0}

    def counting(name, function):
        def call(*args, **kwargs):
            seen[name] += 1
            return function(*args, **kwargs)
        return call

    def on_event(event, *_, **__):
        seen["compilations"] += "backend_compile" in event

    monkeypatch.setattr(runner.Runner, "run", counting("dispatches", runner.Runner.run))
    monkeypatch.setattr(loop, "fetched", counting("waits", loop.fetched))
    jax.monitoring.register_event_duration_secs_listener(on_event)
    yield seen
    jax.monitoring.unregister_event_duration_listener(on_event)


def test_a_small_network_nobody_listens_to_is_dispatched_once(counts):
    history = model(units=7).fit(X, Y, batch_size=32, epochs=6, verbose=0)  # 4 batches, the last one smaller
    assert counts == {"dispatches": 1, "waits": 0, "compilations": 1}
    assert len(history.history["loss"]) == 6


def test_a_small_network_is_dispatched_once_an_epoch_and_waited_for_once(counts):
    class Listener(kyeo.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            pass

    one = model(units=5)
    history = one.fit(X, Y, batch_size=32, epochs=6, verbose=0, callbacks=[Listener()])
    assert counts == {"dispatches": 6, "waits": 1, "compilations": 1}
    assert len(history.history["loss"]) == 6
    assert counts["waits"] == 6


@pytest.mark.parametrize("units, rows, least, most", [
    (4, 32, 64, 64),  # as many as ever
    (2**20, 1, 4, 20),  # its weights and their slots, 126 MB, are read and written by each step
    (4, 200_000, 1, 5),  # batches of 7 MB each
    (4, 2**20, 1, 1),
])
def test_steps_in_a_dispatch_are_limited_by_their_work_and_their_bytes(units, rows, least, most):
    one = model(units)
    one.train_on_batch(X[:1], Y[:1])  # so that all of its state is there
    batch = np.zeros((rows, 8), "float32"), np.zeros((rows, 1), "float32"), None
    assert least <= one.runner("train").steps_per_dispatch(batch, None, 1) <= most
    assert one.runner("train").epochs_per_dispatch(batch, None, 1) <= most


@pytest.mark.parametrize(("make", "mode", "traces"), [
    (lambda: kyeo.layers.Dense(3), "fit", 1),  # for a loop: what was traced to know its cost is what the loop holds
    (lambda: kyeo.layers.Dense(3), "evaluate", 1),
    (lambda: kyeo.layers.Conv1D(3, 2), "fit", 1),  # for single steps
    (lambda: ConvolvesItself(), "fit", 2),
], ids=["dense-fit", "dense-evaluate", "conv", "unknown"])
def test_a_step_is_traced_for_its_cost_as_it_will_run(make, mode, traces):
    calls = []

    class Counts(kyeo.layers.Layer):
        def call(self, inputs):
            calls.append(inputs)
            return inputs

    one = kyeo.Sequential([kyeo.Input((8, 1)), Counts(), make(), kyeo.layers.Flatten(), kyeo.layers.Dense(1)])
    one.compile("adam", "mse")
    one.optimizer.build(one.trainable_variables)
    one.evaluate(X[:4, :, None], Y[:4], verbose=0)  # so that the losses are built
    calls.clear()
    for _ in range(2):
        getattr(one, mode)(X[:96, :, None], Y[:96], batch_size=8, verbose=0)
    assert len(calls) == traces


class ConvolvesItself(kyeo.layers.Layer):
    def call(self, inputs):
        return kyeo.ops.conv(kyeo.ops.tile(inputs, (1, 8, 32)), np.ones((5, 32, 32), "float32"))


def test_a_callback_that_reads_logs_waits_for_them(counts):
    class Reader(kyeo.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert logs["loss"] > 0

    model().fit(X, Y, batch_size=32, epochs=3, verbose=0, callbacks=[Reader()])
    assert counts["waits"] == 3


def test_batches_are_not_waited_for(counts):
    class Listener(kyeo.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    model().fit(X, Y, batch_size=25, epochs=2, verbose=0, callbacks=[Listener()])
    assert (counts["dispatches"], counts["waits"]) == (8, 1)


def test_predictions_compile_once(counts):
    one = model(units=6)
    for rows in (100, 97, 65):
        one.predict(X[:rows], verbose=0)
    assert counts["compilations"] == 1


class Reads(kyeo.utils.PyDataset):
    """Three batches, and which of them were read."""

    def __init__(self):
        super().__init__()
        self.read = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.read.append(index)
        return X[index * 4:index * 4 + 4], Y[index * 4:index * 4 + 4]


def test_batches_are_read_once_but_the_first_to_build_by():
    data = Reads()
    one = model(units=3)
    one.fit(data, epochs=1, verbose=0, shuffle=False)
    assert data.read == [0, 0, 1, 2]  # by its shapes weights are made, and the work of a step is known
    data.read.clear()
    one.evaluate(data, verbose=0)
    assert data.read == [0, 0, 1, 2]


@pytest.mark.parametrize("method, flag, hook", [
    ("fit", "stop_training", "on_train_batch_end"), ("evaluate", "stop_evaluating", "on_test_batch_end"),
    ("predict", "stop_predicting", "on_predict_batch_end")])
def test_a_callback_stops_every_loop(method, flag, hook):
    found = []
    for library in (kyeo, keras):
        one = library.Sequential([library.Input((8,)), library.layers.Dense(3)])
        one.compile("sgd", "mse")
        batches, seen = ((X[:2],) if method == "predict" else (X[:2], np.zeros((2, 3), "float32")) for _ in iter(int, 1)), []

        class Stopper(library.callbacks.Callback):
            pass

        def stop(self, batch, logs=None):
            seen.append(batch)
            setattr(self.model, flag, batch == 4)

        setattr(Stopper, hook, stop)
        words = {"shuffle": False} if method == "fit" else {}
        result = getattr(one, method)(batches, verbose=0, callbacks=[Stopper()], **words)
        again = getattr(one, method)(X[:2], *(() if method == "predict" else (np.zeros((2, 3)),)), verbose=0)  # the flag is reset
        found.append((seen, len(result) if method == "predict" else None, again is not None))
    assert found[0] == found[1] and found[0][0] == [0, 1, 2, 3, 4]
