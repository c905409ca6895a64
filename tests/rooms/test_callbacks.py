"""Callbacks: the same decisions as Keras over scripted logs, and what goes beyond it."""

import copy
import csv
import json
import os
import pickle
import random
import types
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import kyeo
from kyeo import callbacks
from kyeo.callbacks.callback import Callback, CallbackList, LazyLogs
from kyeo.callbacks.learning_rate import rates_of

keras = pytest.importorskip("keras")
keras_callbacks = keras.callbacks


class FakeModel:
    """What callbacks know of a model; weights are the number of the epoch."""

    def __init__(self, metrics=()):
        self.stop_training = False
        self.optimizer = types.SimpleNamespace(learning_rate=0.1)
        self.metrics = [types.SimpleNamespace(name=n, _direction=way) for n, way in metrics]
        self.weights = -1
        self.saved = []
        self.history = None
        self.variables = ()

    def _noted_in(self, path):
        return {}

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite=False):
        self.saved.append(("model", os.path.basename(path), self.weights))

    def save_weights(self, path, overwrite=False):
        self.saved.append(("weights", os.path.basename(path), self.weights))


def train(callback, script, batches=0, model=None):
    """Run a script of logs past a callback; gives what can be seen of the model afterwards."""
    model = model or FakeModel()
    callback.set_model(model)
    callback.set_params({"verbose": 0, "epochs": len(script), "steps": batches})
    callback.on_train_begin({})
    seen, rates = [], []
    for epoch, logs in enumerate(script):
        callback.on_epoch_begin(epoch, {})
        for batch in range(batches):
            callback.on_train_batch_end(batch, {"loss": 0.5})
        model.weights = epoch
        logs = dict(logs)
        callback.on_epoch_end(epoch, logs)
        seen.append(logs)
        rates.append(model.optimizer.learning_rate)
        if model.stop_training:
            break
    callback.on_train_end({})
    return {"epochs": len(seen), "weights": model.weights, "rates": rates, "saved": model.saved, "logs": seen}


def both(name, script, batches=0, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rooms = (callbacks, keras_callbacks)
        return [train(getattr(room, name)(**arguments), script, batches) for room in rooms]


def curve(seed, length=25):
    rng = random.Random(seed)
    value, values = 1.0, []
    for _ in range(length):
        value += rng.choice([-0.125, -0.0625, 0.0, 0.0625, 0.125])  # exact in single precision
        values.append({"loss": value, "val_loss": value + rng.choice([0, 0.25])})
    return values


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("options", [
    {}, {"patience": 3}, {"patience": 2, "min_delta": 0.125}, {"patience": 2, "restore_best_weights": True},
    {"patience": 3, "baseline": 0.75, "restore_best_weights": True}, {"patience": 2, "mode": "max"},
    {"patience": 1, "start_from_epoch": 5, "restore_best_weights": True}, {"monitor": "loss", "mode": "min"},
    {"patience": 50, "restore_best_weights": True},
])
def test_early_stopping_is_as_in_keras(options, seed):
    ours, theirs = both("EarlyStopping", curve(seed), **options)
    assert ours == theirs


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", [
    {"patience": 2}, {"patience": 1, "factor": 0.5, "cooldown": 2}, {"patience": 0, "monitor": "loss"},
    {"patience": 1, "min_lr": 0.02, "factor": 0.4}, {"patience": 2, "min_delta": 0.125},
    {"patience": 1, "mode": "max"},
])
def test_reduce_lr_is_as_in_keras(options, seed):
    ours, theirs = both("ReduceLROnPlateau", curve(seed), **options)
    assert ours["rates"] == pytest.approx(theirs["rates"], rel=1e-6)
    assert [set(logs) for logs in ours["logs"]] == [set(logs) for logs in theirs["logs"]]


@pytest.mark.parametrize("schedule", [
    lambda e, lr: lr * 0.5, lambda e: 1.0 / (e + 1), lambda e, lr: np.float32(0.25),
])
def test_learning_rate_scheduler_is_as_in_keras(schedule):
    ours, theirs = both("LearningRateScheduler", curve(0), schedule=schedule)
    assert ours["rates"] == theirs["rates"] and ours["logs"] == theirs["logs"]


@pytest.mark.parametrize("time", range(2))  # made again in one process: the same names
@pytest.mark.parametrize("given, names", [([None, None], ["sgd", "sgd_1"]), (["sgd", None], ["sgd", "sgd_1"]),
                                          (["b", "b"], ["b_1", "b"]), ([None, "sgd_4"], ["sgd", "sgd_4"])])
def test_rates_of_several_optimizers_are_named_by_their_place(given, names, time):
    first, second = (kyeo.optimizers.SGD(0.5, name=name) for name in given)
    several = kyeo.optimizers.MultiOptimizer(kyeo.optimizers.OptimizerMap(first, {"bias": second}))
    found = rates_of(types.SimpleNamespace(optimizer=several))
    assert found == {f"learning_rate_{names[1]}": second, f"learning_rate_{names[0]}": first}


@pytest.mark.parametrize("batches, options", [
    (0, {"filepath": "{epoch:02d}-{val_loss:.2f}.keras"}),
    (0, {"filepath": "best.keras", "save_best_only": True}),
    (0, {"filepath": "best.h5", "save_best_only": True, "mode": "max"}),
    (0, {"filepath": "w{epoch}.weights.h5", "save_weights_only": True, "save_best_only": True}),
    (0, {"filepath": "t.keras", "save_best_only": True, "initial_value_threshold": 0.75}),
    (7, {"filepath": "{epoch}-{batch:03d}.keras", "save_freq": 3}),
    (7, {"filepath": "{epoch}-{batch}.keras", "save_freq": 10}),
    (5, {"filepath": "{epoch}-{loss:.1f}.weights.h5", "save_freq": 5, "save_weights_only": True,
         "save_best_only": True, "monitor": "loss"}),
])
def test_model_checkpoint_is_as_in_keras(tmp_path, batches, options):
    options["filepath"] = str(tmp_path / options["filepath"])
    ours, theirs = both("ModelCheckpoint", curve(2), batches, **options)
    assert ours["saved"] == theirs["saved"] and ours["saved"]


@pytest.mark.parametrize("script", [
    [{"loss": 0.5, "accuracy": 0.25}] * 3,
    [{"loss": 0.5}, {"loss": 0.25, "val_loss": 0.75}],
    [{"loss": 0.5, "val_loss": 1.0, "each": np.array([1.0, 2.0])}, {"loss": 0.25, "val_loss": 0.5}],
])
@pytest.mark.parametrize("separator", [",", ";"])
def test_csv_files_are_as_in_keras(tmp_path, script, separator):
    texts = []
    for room in (callbacks, keras_callbacks):
        file = tmp_path / room.__name__
        for append in (False, True):
            train(room.CSVLogger(os.fsencode(file) if append else str(file), separator, append), script)
        texts.append(file.read_bytes())
    assert texts[0] == texts[1]


def test_csv_goes_on_with_the_columns_of_the_file(tmp_path):
    file = tmp_path / "log.csv"
    train(callbacks.CSVLogger(file), [{"loss": 1.0, "accuracy": 0.5}])
    train(callbacks.CSVLogger(file, append=True), [{"loss": 0.5, "learning_rate": 0.1}])
    with open(file, newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["loss"] for row in rows] == ["1.0", "0.5"] and rows[1]["accuracy"] == "NA"


@pytest.mark.parametrize("end", ["patience", "last epoch", "interrupted", "stopped by another"])
def test_best_weights_come_back_however_training_ends(end):
    model = FakeModel()
    stop = callbacks.EarlyStopping("loss", patience=2 if end == "patience" else 99, restore_best_weights=True)
    told = CallbackList([stop], model=model, epochs=5)
    told.on_train_begin()
    for epoch, loss in enumerate([3.0, 1.0, 2.0, 2.0, 2.0]):
        model.weights = epoch
        told.on_epoch_end(epoch, {"loss": loss})
        if model.stop_training:
            break
    told.on_train_interrupted() if end == "interrupted" else told.on_train_end()
    assert model.weights == 1


def test_a_backup_is_copied(tmp_path):
    """A search for hyperparameters gives each trial copies of the callbacks."""
    backup = callbacks.BackupAndRestore(tmp_path, save_freq=3, delete_checkpoint=False)
    for again in (copy.deepcopy(backup), pickle.loads(pickle.dumps(backup))):
        assert (again.backup_dir, again.save_freq, again.delete_checkpoint) == (str(tmp_path), 3, False)
        assert again.load() is None
        again.close()


def test_state_goes_on_where_it_was():
    script = curve(1)
    for make in (
        lambda: callbacks.EarlyStopping(patience=4, restore_best_weights=True),
        lambda: callbacks.ReduceLROnPlateau(patience=2, cooldown=1),
        lambda: callbacks.ModelCheckpoint("x.keras", save_best_only=True),
    ):
        whole = train(make(), script)
        first, second, model = make(), make(), FakeModel()
        for callback, part in ((first, range(6)), (second, range(6, len(script)))):
            callback.set_model(model)
            if callback is second:
                callback.set_state(pickle.loads(pickle.dumps(first.get_state())))
            callback.on_train_begin({})
            for epoch in part:
                if model.stop_training:
                    break
                model.weights = epoch
                callback.on_epoch_end(epoch, dict(script[epoch]))
        second.on_train_end({})
        assert (model.saved, model.weights) == (whole["saved"], whole["weights"])
        assert model.optimizer.learning_rate == whole["rates"][-1]
        with pytest.raises(ValueError, match="state"):
            second.set_state({"nonsense": 1})


def make_monitors(**options):
    return [callbacks.EarlyStopping(**options), callbacks.ReduceLROnPlateau(**options),
            callbacks.ModelCheckpoint("x.keras", save_best_only=True, **options)]


@pytest.mark.parametrize("index", range(3))
def test_unknown_monitor_lists_what_there_is(index):
    for logs, monitor in [({"loss": 1.0, "accuracy": 0.5}, "acc"), ({"loss": 1.0}, "val_acc"),
                          ({"loss": 1.0, "val_loss": 1.0}, "val_acc")]:
        with pytest.raises(ValueError, match=f"`{monitor}` is not among the results(.|\n)*'loss'"):
            train(make_monitors(monitor=monitor)[index], [logs])
    callback = make_monitors()[index]
    callback.set_model(FakeModel())
    callback.set_params({"validation": False})
    with pytest.raises(ValueError, match="pass validation_data to fit"):
        callback.on_epoch_end(0, {"loss": 1.0})


def test_epochs_without_validation_are_let_pass():
    script = [{"loss": 1.0}, {"loss": 1.0, "val_loss": 1.0}, {"loss": 1.0}, {"loss": 1.0, "val_loss": 2.0}]
    with pytest.warns(UserWarning, match="no validation ran") as told:
        result = train(callbacks.EarlyStopping(patience=1), script)
    assert len(told) == 1 and result["epochs"] == 4
    with pytest.warns(UserWarning):
        result = train(callbacks.ModelCheckpoint("x.keras", save_best_only=True), script)
    assert [weights for _, _, weights in result["saved"]] == [0, 1]  # the best stays until it is beaten


def test_direction_comes_from_the_metric():
    model = FakeModel([("accuracy", "up"), ("mae", "down"), ("mine", None)])
    for monitor, values, best in [("val_accuracy", [0.1, 0.9, 0.5], 1), ("mae", [3.0, 2.0, 4.0], 1)]:
        stop = callbacks.EarlyStopping(monitor, patience=9, restore_best_weights=True)
        assert train(stop, [{monitor: v} for v in values], model=model)["weights"] == best
    with pytest.raises(ValueError, match="mode='max' for scores"):
        train(callbacks.EarlyStopping("mine"), [{"mine": 1.0}], model=model)


@pytest.mark.parametrize("make, kind", [
    (lambda: callbacks.EarlyStopping(mode="up"), ValueError),
    (lambda: callbacks.EarlyStopping(patience=-1), ValueError),
    (lambda: callbacks.ReduceLROnPlateau(factor=1.5), ValueError),
    (lambda: callbacks.ModelCheckpoint("x.zip"), ValueError),
    (lambda: callbacks.ModelCheckpoint("x.keras", save_weights_only=True), ValueError),
    (lambda: callbacks.ModelCheckpoint("x.keras", save_freq="batch"), TypeError),
    *[(lambda name=name: callbacks.ModelCheckpoint(name), ValueError)
      for name in ("m{}.keras", "m{0}.keras", "m{epoch:zz}.keras", "m{.keras", "")],
    (lambda: callbacks.LearningRateScheduler(0.1), TypeError),
    (lambda: callbacks.CSVLogger("x", separator=", "), ValueError),
    (lambda: callbacks.CSVLogger(3), TypeError),
    (lambda: callbacks.LambdaCallback(on_epoch_ends=print), TypeError),
    (lambda: CallbackList([callbacks.EarlyStopping]), TypeError),
    (lambda: CallbackList(print), TypeError),
])
def test_bad_arguments(make, kind):
    with pytest.raises(kind):
        make()


def test_checkpoint_paths(tmp_path):
    model = FakeModel()
    deep = tmp_path / "a" / "b" / "x.keras"
    train(callbacks.ModelCheckpoint(deep), [{"loss": 1.0}], model=model)
    assert deep.parent.is_dir()
    with pytest.raises(KeyError, match="val_loss"):
        train(callbacks.ModelCheckpoint("{val_loss}.keras"), [{"loss": 1.0}])
    with pytest.raises(ValueError, match="cannot be filled in"):
        train(callbacks.ModelCheckpoint("{loss:d}.keras"), [{"loss": 1.0}])
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(IsADirectoryError):
        train(callbacks.ModelCheckpoint(tmp_path / "folder.keras"), [{"loss": 1.0}])


def test_schedule_that_gives_nothing():
    with pytest.raises(ValueError, match="does not give a number"):
        train(callbacks.LearningRateScheduler(lambda epoch, rate: None), [{}])

    def broken(epoch, rate):
        raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        train(callbacks.LearningRateScheduler(broken), [{}])


def test_terminate_on_nan(capsys):
    model = FakeModel()
    stop = callbacks.TerminateOnNaN()
    stop.set_model(model)
    stop.on_train_batch_end(0, {"loss": 1.0})
    assert not model.stop_training
    stop.on_train_batch_end(4, {"loss": float("inf")})
    assert model.stop_training and "Batch 4: Invalid loss" in capsys.readouterr().out


# -- the list
class Everything(Callback):
    """Overrides every hook and remembers the calls."""

    def __init__(self, heard):
        super().__init__()
        self.heard = heard


for _hook in [name for name in vars(Callback) if name.startswith("on_") and "interrupted" not in name]:
    setattr(Everything, _hook, lambda self, *args, _hook=_hook: self.heard.append((_hook, *args)))


def test_all_hooks_are_forwarded():
    heard = []
    told = CallbackList([Everything(heard)], verbose=0, epochs=1, steps=1)
    for hook in sorted({name for name in vars(Everything) if name.startswith("on_")}):
        arguments = (0,) if "epoch" in hook or "batch" in hook else ()
        getattr(told, hook)(*arguments, {"loss": 1})
        assert heard[-1] == (hook, *arguments, {"loss": 1.0})
    assert len(heard) == 16


def test_only_listeners_are_told_of_batches():
    class Old(Callback):
        def on_batch_end(self, batch, logs=None):
            self.batch = batch

    class Quiet(Callback):
        def on_epoch_end(self, epoch, logs=None):
            """Not a batch hook."""

    class Careful(callbacks.ModelCheckpoint):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)

    old = Old()
    told = CallbackList([old, [Quiet()]])
    told.on_train_batch_end(3)
    assert old.batch == 3 and told.wants("train") and not told.wants("test")
    plain = CallbackList([Quiet(), callbacks.ModelCheckpoint("x.keras"), callbacks.EarlyStopping()],
                         add_history=True, add_progbar=True, verbose=1, epochs=1, steps=1)
    assert not plain.wants("train")
    assert CallbackList(callbacks.ModelCheckpoint("x.keras", save_freq=2)).wants("train")
    assert CallbackList(Careful("x.keras")).wants("train")
    assert CallbackList(callbacks.LambdaCallback(on_test_batch_begin=print)).wants("test")
    assert not CallbackList(callbacks.LambdaCallback(on_train_end=print)).wants("train")


def test_a_callback_of_keras_can_be_used():
    class Theirs(keras_callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.last = logs

    theirs = Theirs()
    told = CallbackList([theirs], model=FakeModel())
    told.on_train_begin()
    told.on_train_batch_end(0, {"loss": 1.0})
    told.on_epoch_end(0, {"loss": jnp.float32(1)})
    assert theirs.last == {"loss": 1.0}


def test_the_end_is_told_the_results_alone():
    """Not what callbacks wrote into the logs of an epoch; and `metrics=[]` counts as metrics, as in Keras."""
    heard = []
    for k in (keras, kyeo):
        model = k.Sequential([k.Input((2,)), k.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=[])
        ear = k.callbacks.LambdaCallback(on_train_end=lambda logs: heard.append(sorted(logs)))
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[k.callbacks.LearningRateScheduler(lambda e: 0.5), ear])
        heard.append(model.metrics_names)
    assert heard[:2] == heard[2:] == [["loss"], ["loss", "compile_metrics"]]


@pytest.mark.parametrize("room", [kyeo, keras], ids=["kyeo", "keras"])
def test_a_history_is_put_together(room):
    """Of two trainings, or in a class of a library's that has its own constructor."""
    class Made(room.callbacks.History):
        def __init__(self, history):
            self.history = history

    whole = room.callbacks.History()
    whole.on_train_begin()
    if room is kyeo:
        whole.on_epoch_end(0, {"loss": 4.0})  # Keras's asks for a model
    whole.history = {"loss": [2.0, 1.0]}
    assert whole.history == Made({"loss": [2.0, 1.0]}).history == {"loss": [2.0, 1.0]}


def test_history_sees_what_others_add():
    model = FakeModel()
    told = CallbackList([callbacks.LearningRateScheduler(lambda e: 0.5)], add_history=True, model=model)
    told.on_train_begin()
    told.on_epoch_begin(0)
    told.on_epoch_end(0, {"loss": np.float32(0.5), "accuracy": jnp.array(0.25)})
    assert model.history.history == {"accuracy": [0.25], "loss": [0.5], "learning_rate": [0.5]}
    assert model.history.epoch == [0] and all(type(v[0]) is float for v in model.history.history.values())


def test_a_constructor_that_forgets_super():
    class Forgetful(Callback):
        def __init__(self):
            self.heard = []

        def on_train_end(self, logs=None):
            self.heard.append(self.model)

    forgetful = Forgetful()
    CallbackList([forgetful]).on_train_end()
    assert forgetful.heard == [None]


# -- lazy logs
def lazy(fetched=None):
    return LazyLogs(lambda: (fetched.append(1) if fetched is not None else None) or {"a": 1.0, "b": 2.0})


@pytest.mark.parametrize("read", [
    lambda logs: logs["a"] == 1.0, lambda logs: dict(logs) == {"a": 1.0, "b": 2.0},
    lambda logs: len(logs) == 2, lambda logs: copy.copy(logs)["a"] == 1.0,
    lambda logs: {**logs} == {"a": 1.0, "b": 2.0}, lambda logs: dict(**logs)["b"] == 2.0,
    lambda logs: json.loads(json.dumps(logs)) == {"a": 1.0, "b": 2.0}, lambda logs: list(logs) == ["a", "b"],
    lambda logs: logs == {"a": 1.0, "b": 2.0}, lambda logs: "a" in logs and "z" not in logs,
    lambda logs: logs.get("z", 5) == 5, lambda logs: (logs | {"c": 3})["a"] == 1.0,
    lambda logs: ({"c": 3} | logs)["a"] == 1.0, lambda logs: "{a:.1f}".format(**logs) == "1.0",
    lambda logs: pickle.loads(pickle.dumps(logs)) == {"a": 1.0, "b": 2.0},
    lambda logs: copy.deepcopy(logs)["a"] == 1.0, lambda logs: repr(logs) == "{'a': 1.0, 'b': 2.0}",
    lambda logs: sorted(logs.items())[0] == ("a", 1.0), lambda logs: {"c": 0, **logs}["b"] == 2.0,
    lambda logs: logs.update(c=3) or list(logs) == ["a", "b", "c"], lambda logs: isinstance(logs, dict),
    lambda logs: logs.copy() == {"a": 1.0, "b": 2.0}, lambda logs: max(logs.values()) == 2.0,
])
def test_lazy_logs_read_like_a_dict(read):
    assert read(lazy())


def test_lazy_logs_are_fetched_once_and_only_when_read():
    fetched = []
    logs = lazy(fetched)
    assert logs and (logs or {}) is logs and not fetched
    assert logs["a"] + logs["b"] == 3.0 and len(fetched) == 1


@pytest.mark.parametrize("leads", [True, False])
def test_processes_agree_on_whether_a_file_was_written(leads, tmp_path, monkeypatch):
    """One writes; where it cannot, none of them takes the value for one that is in the file."""
    from kyeo.callbacks import csv_logger, model_checkpoint

    for room, name, value in ((model_checkpoint, "several", lambda: True), (model_checkpoint, "leads", lambda: leads),
                              (csv_logger, "leads", lambda: leads),
                              (model_checkpoint, "from_first", lambda said: said if leads or said == b"{}" else b"OSError: full")):
        monkeypatch.setattr(room, name, value)
    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
    model.compile("sgd", "mse")
    saved = []

    def save(path, overwrite):
        saved.append(path)
        raise OSError("full")

    monkeypatch.setattr(model, "save", save, raising=False)
    checkpoint = callbacks.ModelCheckpoint(str(tmp_path / "m.keras"), "loss", save_best_only=True, mode="min")
    checkpoint.set_model(model)
    with pytest.warns(UserWarning, match="could not write(.|\n)*full"):
        checkpoint.on_epoch_end(0, {"loss": 1.0})
    assert checkpoint.best is None and len(saved) == leads
    log = callbacks.CSVLogger(tmp_path / "log.csv")
    log.on_train_begin()
    log.on_epoch_end(0, {"loss": 1.0})
    assert log.get_state()["size"] == (31 if leads else 0) and os.path.exists(log.filename) == leads


FORMS = {"m.keras": {}, "m.h5": {}, "m.weights.h5": {"save_weights_only": True}, "m.safetensors": {"save_weights_only": True}}


@pytest.mark.filterwarnings("ignore:A `.h5` file is the old form:UserWarning")
@pytest.mark.parametrize("name", FORMS)
def test_a_better_file_of_an_earlier_training_stays(name, tmp_path):
    path = tmp_path / "new" / name

    def save(value, monitor="loss", units=1, mode="min", epoch=0):
        """A training of its own, as after a restart of the program; whether the file was written."""
        model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(units)])
        model.compile("sgd", "mse")
        checkpoint = callbacks.ModelCheckpoint(path, monitor, save_best_only=True, mode=mode, **FORMS[name])
        checkpoint.set_model(model)
        before = path.read_bytes() if path.exists() else b""
        checkpoint.on_epoch_end(epoch, {monitor: value})
        return path.read_bytes() != before

    assert save(1.0) and save(0.5)
    with pytest.warns(UserWarning, match="loss = 0.50000. It stays"):
        assert not save(0.7)
    assert save(0.25)
    assert save(3.0, units=2)  # another model
    assert save(0.1, "score", units=2, mode="max")  # other values cannot be compared
    for broken in (b"", b"not what it should be", path.read_bytes()[:-100]):
        path.write_bytes(broken)
        assert save(9.0, units=2)


def test_a_file_of_this_training_is_not_one_of_an_earlier(tmp_path):
    """A training that goes on decides as if it had not been interrupted, whatever it wrote before it was."""
    def checkpoint():
        model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
        model.compile("sgd", "mse")
        made = callbacks.ModelCheckpoint(tmp_path / "m.keras", "loss", save_best_only=True, mode="min")
        made.set_model(model)
        return made

    first, second = checkpoint(), checkpoint()
    first.on_epoch_end(0, {"loss": 1.0})
    state = first.get_state()
    first.on_epoch_end(1, {"loss": 0.5})
    second.set_state(state)
    second.on_epoch_end(1, {"loss": 0.5})
    assert second.get_state() == first.get_state() and second.best == 0.5
