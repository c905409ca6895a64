"""The state of training: whole after any interruption, repeatable to the bit, the same however steps are grouped."""

import copy
import gc
import os
import pickle
import signal
import threading

import jax
import numpy as np
import pytest

import kyeo
from kyeo.core.settings import set_seed
from kyeo.train import padding
from tests.thin import thinned

RNG = np.random.default_rng(1)
X = RNG.normal(size=(50, 6)).astype("float32")
Y = RNG.integers(0, 3, 50).astype("int32")


def make(dropout=0.0, norm=False, seed=3):
    set_seed(seed)
    x = kyeo.Input((6,))
    h = kyeo.layers.Dense(8, activation="relu", name="hidden")(x)
    h = kyeo.layers.Dropout(dropout, name="drop")(h) if dropout else h
    h = kyeo.layers.BatchNormalization(name="norm")(h) if norm else h
    model = kyeo.Model(x, kyeo.layers.Dense(3, activation="softmax", name="head")(h), name="net")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model, **kwargs):
    return model.fit(X, Y, **{"batch_size": 8, "epochs": 2, "verbose": 0, **kwargs}).history


class Raise(kyeo.callbacks.Callback):
    """Raises in one hook, at its second call if there is one."""

    def __init__(self, hook):
        super().__init__()
        self.calls = 0
        setattr(self, hook, self._raise)
        self.error = RuntimeError("stop here")

    def _raise(self, *args, **kwargs):
        self.calls += 1
        if self.calls == 2:
            raise self.error


class Steps(kyeo.callbacks.Callback):
    """Keeps the weights after each batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.model.get_weights())


def is_usable(model, tmp_path):
    assert np.isfinite(model.predict(X, verbose=0)).all()
    model.save_weights(tmp_path / "w.weights.h5")
    assert np.isfinite(fit(model, epochs=1)["loss"]).all()


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end", "on_train_batch_begin", "on_train_batch_end",
                                  "on_test_begin", "on_test_batch_end"])
def test_exception_in_a_hook(hook, tmp_path):
    class Hooked(Raise):
        pass

    setattr(Hooked, hook, lambda self, *a, **k: self._raise())
    model, steps = make(dropout=0.5), Steps()
    with pytest.raises(RuntimeError, match="stop here"):
        fit(model, callbacks=[steps, Hooked("unused")], validation_data=(X, Y))
    for last, now in zip(steps.seen[-1] if steps.seen else [], model.get_weights()):
        np.testing.assert_array_equal(last, now)
    is_usable(model, tmp_path)


def test_exception_in_the_data(tmp_path):
    def batches():
        yield X[:8], Y[:8]
        yield X[8:16], Y[8:16]
        raise OSError("the disk is gone")

    model, reference = make(), make()
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(batches(), steps_per_epoch=5, verbose=0)
    reference.fit(X[:16], Y[:16], batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), reference.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    is_usable(model, tmp_path)


def test_interrupt_at_any_time(tmp_path):
    model = make(dropout=0.2)
    fit(model, epochs=1)  # compiled: interrupts hit running steps
    for delay in (0.002, 0.01, 0.03, 0.08):
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            fit(model, epochs=100_000)
            timer.join()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        is_usable(model, tmp_path)


@pytest.mark.parametrize("deaf", ["garbage collector", "__del__", "the last step"])
def test_interrupt_where_exceptions_are_lost(deaf, tmp_path):
    """Python prints an exception that is raised there, and goes on."""
    model, sent = make(), []

    def send(*_):
        if not sent and signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # while it trains
            sent.append(1)
            signal.raise_signal(signal.SIGINT)

    class Dying:
        def __del__(self):
            send()

    class Middle(kyeo.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if deaf == "__del__":
                Dying()
            elif deaf == "garbage collector":
                gc.collect()

        def on_train_end(self, logs=None):
            if deaf == "the last step":
                Dying()

    if deaf == "garbage collector":
        gc.callbacks.append(send)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(model, callbacks=[Middle()])
    finally:
        gc.callbacks[:] = [callback for callback in gc.callbacks if callback is not send]
    is_usable(model, tmp_path)


def test_references_survive_training():
    model = make()
    kernel = model.get_layer("hidden").kernel.value
    before = np.array(kernel)
    fit(model)
    np.testing.assert_array_equal(before, kernel)


def test_weights_set_in_a_callback_count():
    class Zero(kyeo.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.set_weights([np.zeros_like(w) for w in self.model.get_weights()])

    model = make()
    fit(model, callbacks=[Zero()])
    assert all((w == 0).all() for w in model.get_weights())


def freeze(model):
    model.get_layer("hidden").trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")


@pytest.mark.parametrize("change, still", [
    (lambda model: setattr(model, "optimizer", kyeo.optimizers.SGD(0.0)), ["hidden", "head"]),
    (lambda model: setattr(model.optimizer, "learning_rate", kyeo.optimizers.schedules.ExponentialDecay(0.0, 9, 0.5)),
     ["hidden", "head"]),
    (freeze, ["hidden"]),
])
def test_what_a_callback_changes_counts_from_the_next_step(change, still):
    """Also where many steps go into one dispatch: what is stacked for them is not known to a new step."""
    class Change(kyeo.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                change(self.model)
                self.then = {name: self.model.get_layer(name).get_weights()[0] for name in ("hidden", "head")}

    model, changed = make(), Change()
    fit(model, epochs=3, callbacks=[changed])
    for name, then in changed.then.items():
        assert (model.get_layer(name).get_weights()[0] == then).all() == (name in still), name


def test_a_weight_that_is_frozen_by_itself():
    model = make()
    fit(model, epochs=1)
    model.get_layer("hidden").kernel.trainable = False
    assert len(model.trainable_variables) == 3
    with pytest.raises(ValueError, match="freezing"):
        fit(model, epochs=1)
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    fit(model, epochs=1)
    assert [bool((a == b).all()) for a, b in zip(before, model.get_weights())] == [True, False, False, False]


def bits(model):
    return [w.tobytes() for w in model.get_weights()]


def test_two_runs_give_the_same_bits():
    first, second, other = make(dropout=0.5), make(dropout=0.5), make(dropout=0.5, seed=4)
    histories = []
    for model in (first, second, other):
        set_seed(9 if model is not other else 10)
        histories.append(fit(model))
    assert histories[0] == histories[1] != histories[2]
    assert bits(first) == bits(second) != bits(other)


def test_a_new_layer_changes_no_other_start():
    plain, longer = make(), make(norm=True)
    for name in ("hidden", "head"):
        for a, b in zip(plain.get_layer(name).get_weights(), longer.get_layer(name).get_weights()):
            np.testing.assert_array_equal(a, b)


def test_same_model_twice_starts_differently():
    set_seed(0)
    a, b = (kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(4, name="same")]) for _ in range(2))
    assert bits(a) != bits(b)


def test_steps_in_one_dispatch_equal_single_ones():
    """The bits of the folded loop are those of single steps (a callback that listens to batches asks for these)."""
    folded, single = make(dropout=0.5, norm=True), make(dropout=0.5, norm=True)
    for model in (folded, single):
        set_seed(7)
        history = fit(model, callbacks=[Steps()] if model is single else [], shuffle=True)
        model.loss_curve = history["loss"]
    np.testing.assert_allclose(folded.loss_curve, single.loss_curve, rtol=1e-6)
    for a, b in zip(folded.get_weights(), single.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", thinned([3, 7, 8, 9, 50], 2))
def test_padded_batches_equal_unpadded_ones(rows):
    """The same numbers with the smaller last batch filled up and as it is, BatchNormalization and weights on."""
    models = make(norm=True, dropout=0.3), make(norm=True, dropout=0.3)
    models[1].refuse_padding()
    results = []
    for model in models:
        set_seed(5)
        history = model.fit(X[:rows], Y[:rows], batch_size=8, epochs=3, verbose=0,
                            sample_weight=np.linspace(0.5, 2, rows).astype("float32")).history
        results.append((history, model.evaluate(X[:rows], Y[:rows], batch_size=8, verbose=0),
                        model.predict(X[:rows], batch_size=8, verbose=0), model.get_weights()))
    for a, b in zip(jax.tree.leaves(results[0]), jax.tree.leaves(results[1])):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["train_step", "compute_loss"])
def test_a_method_put_into_one_model_sees_no_padding(name):
    model, own = make(), getattr(make(), name)
    assert padding.may_pad(model)
    setattr(model, name, lambda *args, **kwargs: own(*args, **kwargs))
    assert not padding.may_pad(model)


def test_evaluate_does_not_depend_on_the_batch_size():
    model = make(norm=True)
    values = [model.evaluate(X, Y, batch_size=size, verbose=0) for size in (1, 7, 32, 50)]
    for other in values[1:]:
        np.testing.assert_allclose(other, values[0], rtol=1e-6)


class Compilations:
    """Counts XLA compilations inside the block."""

    def __enter__(self):
        self.count = 0
        self._on = True

        def heard(event, *args, **kwargs):
            if self._on and event == "/jax/core/compile/backend_compile_duration":
                self.count += 1

        jax.monitoring.register_event_duration_secs_listener(heard)
        return self

    def __exit__(self, *exc):
        self._on = False


def test_one_compilation_a_phase():
    with Compilations() as building:
        model = make(dropout=0.47, norm=True)  # unlike every other model, so that nothing is compiled yet
    assert building.count == 0
    with Compilations() as training:
        fit(model, callbacks=[Steps()])  # 50 rows in batches of 8: the last one is smaller
    assert training.count == 1
    with Compilations() as again:
        fit(model, callbacks=[Steps()])
        model.fit(X[:43], Y[:43], batch_size=8, verbose=0, callbacks=[Steps()])
    assert again.count == 0
    model.predict(X[:1], verbose=0)
    with Compilations() as predicting:
        for _ in range(3):
            model.predict(X[:1], verbose=0)
    assert predicting.count == 0


def test_memory_of_a_dropped_model_is_freed():
    import gc
    import weakref

    model = make()
    fit(model, epochs=1)
    kernel = weakref.ref(model.get_layer("hidden").kernel)
    del model
    gc.collect()
    assert kernel() is None


def test_other_models_leave_nothing_behind_in_this_one():
    model = make()
    model.predict(X, verbose=0)
    kept, runner = len(model._runners), model.runner("predict")
    for _ in range(5):
        make()  # new layers somewhere: every cached list of variables is looked at again
        model.predict(X, verbose=0)
    assert model.runner("predict") is runner and len(model._runners) == kept


@pytest.mark.parametrize("again", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_a_model_that_was_trained_is_copied(again):
    """With its weights, the state of its optimizer and its history; compiled steps stay where they are."""
    x, y = np.linspace(-1, 1, 24).reshape(8, 3).astype("float32"), np.ones((8, 2), "float32")
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2)])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(x, y, epochs=2, verbose=0)
    model.predict(x, verbose=0)
    copied = again(model)
    assert copied.history.history == model.history.history and not copied._runners
    for one in (model, copied):
        one.fit(x, y, shuffle=False, verbose=0)
    np.testing.assert_array_equal(copied.predict(x, verbose=0), model.predict(x, verbose=0))
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    assert np.any(copied.predict(x, verbose=0))


def test_the_loss_that_was_given():
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2)])
    assert model.loss is None
    model.compile("sgd", given := kyeo.losses.Huber(0.5))
    assert model.loss is given
    model.loss = "mine"
    assert model.loss == "mine"
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((2, 3), "float32"), np.ones((2, 2), "float32"))


def test_what_a_step_assigns_to_a_variable_that_nobody_holds_is_told():
    hidden = kyeo.Variable(0.0, trainable=False, name="hidden")

    class Counts(kyeo.layers.Layer):
        def call(self, x):
            hidden.assign_add(1.0)
            return x

    model = kyeo.Sequential([kyeo.Input((2,)), Counts()])
    with pytest.warns(UserWarning, match="`hidden` was assigned inside a step that does not know it") as told:
        model.predict(np.ones((1, 2)), verbose=0)
    assert told[0].filename == __file__
