"""One model in several threads: predictions run side by side and beside a training; two trainings do not."""

import copy
import pickle
import sys
import threading

import numpy as np
import pytest

import kyeo

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X[:, :1]


def make(*first):
    model = kyeo.Sequential([*first, kyeo.layers.Dense(8, "relu"), kyeo.layers.BatchNormalization(), kyeo.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def together(*tasks):
    """Run tasks in threads. Gives what they raised."""
    raised, start = [], threading.Barrier(len(tasks))

    def run(task):
        start.wait()
        try:
            task()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.fixture(autouse=True)
def hectic():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_predictions_side_by_side():
    model = make()
    assert together(*[lambda: model.predict(X, verbose=0)] * 4) == [] and len(model.weights) == 8  # built once
    expected = model.predict(X, verbose=0)

    def predict(shift):
        for i in range(12):
            rows = 1 << (i + shift) % 4
            for found in (model.predict(X[:rows], verbose=0), model.predict(X[:rows], batch_size=4, verbose=0), model(X[:rows])):
                np.testing.assert_allclose(found, expected[:rows], rtol=1e-4, atol=1e-5)

    assert together(*(lambda s=shift: predict(s) for shift in range(4))) == []


def test_predictions_beside_a_training():
    model = make(kyeo.Input((4,)))
    model.fit(X, Y, batch_size=8, verbose=0), model.predict(X[:7], verbose=0), model.predict(X[:1], verbose=0)
    history = []

    def predict():
        for _ in range(40):
            assert np.isfinite(model.predict(X[:7], verbose=0)).all() and np.isfinite(model.predict(X[:1], verbose=0)).all()

    fit = lambda: history.append(model.fit(X, Y, batch_size=8, epochs=40, verbose=0))  # noqa: E731
    assert together(fit, predict, predict) == [] and len(history[0].epoch) == 40


def test_one_training_at_a_time():
    model, reached, done = make(kyeo.Input((4,))), threading.Event(), threading.Event()

    class Waits(kyeo.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            model.evaluate(X, Y, verbose=0)  # the same thread may
            reached.set()
            done.wait(60)

    thread = threading.Thread(target=model.fit, args=(X, Y), kwargs={"verbose": 0, "callbacks": [Waits()]})
    thread.start()
    assert reached.wait(60)
    try:
        for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
            with pytest.raises(RuntimeError, match=f"`{method}` while another thread is in `fit` of the same model"):
                getattr(model, method)(X, Y)
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    finally:
        done.set()
        thread.join()
    for one in (*copies, model):
        one.evaluate(X, Y, verbose=0)
    assert together(*[lambda: [model.train_on_batch(X, Y) for _ in range(10)]] * 3) == []
    assert int(model.optimizer.iterations.numpy()) == 2 + 30


def test_weights_read_beside_a_training_are_those_of_one_step(tmp_path):
    """Two layers that are alike get the same gradients: their weights are equal after each step."""
    a, b = (kyeo.layers.Dense(1, kernel_initializer="ones", name=name) for name in "ab")
    x = kyeo.Input((4,))
    model, read = kyeo.Model(x, kyeo.layers.Add()([a(x), b(x)])), []
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    ended = threading.Event()

    def fit():
        for _ in range(2):
            model.fit(X, Y, batch_size=8, epochs=10, verbose=0, callbacks=[kyeo.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: None)])
        ended.set()

    def look():
        while not ended.is_set():
            read.append(model.get_weights())
            a.get_weights()

    def save():
        while not ended.is_set():
            model.save_weights(tmp_path / "w.weights.h5")

    assert together(fit, look, save) == [] and len(read) > 3
    for kernel_a, bias_a, kernel_b, bias_b in read:
        assert (kernel_a == kernel_b).all() and (bias_a == bias_b).all()
    model.load_weights(tmp_path / "w.weights.h5")
    assert (a.get_weights()[0] == b.get_weights()[0]).all()
