"""A training that was stopped goes on to the same bits, from whole checkpoints only."""

import faulthandler
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import tracemalloc
import types
import warnings
import weakref

import numpy as np
import pytest

import kyeo
from kyeo.callbacks.backup import EXIT_CODE
from kyeo.callbacks.checkpoint import Checkpoints, Writer, read_tree, write_tree
from kyeo.core.tensors import DamagedFile, write_tensors

ROOT = pathlib.Path(__file__).parents[2]
X = np.random.default_rng(0).normal(size=(22, 3)).astype("float32")
Y = X[:, :1] * X[:, 1:2]


def make(units=4, **options):
    kyeo.utils.set_random_seed(3)
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(units, "tanh"), kyeo.layers.Dropout(0.2),
                             kyeo.layers.Dense(1)])
    model.compile(**{"optimizer": "adam", "loss": "mse", **options})
    return model


class Stop(kyeo.callbacks.Callback):
    """Ends the process's training, as a crash would, after so many steps in all."""

    def __init__(self, steps, how):
        super().__init__()
        self.steps, self.how = steps, how

    def on_train_batch_end(self, batch, logs=None):
        self.steps -= 1
        if self.steps == 0:
            self.how()


def crash():
    raise ZeroDivisionError


def fit(folder, data=None, stop=None, epochs=3, model=None, save_freq=2, callbacks=(), **options):
    """Weights, History and optimizer of a training that may be stopped."""
    model = model or make()
    backup = kyeo.callbacks.BackupAndRestore(folder, save_freq, delete_checkpoint=False)
    extra = [Stop(*stop)] if stop else [kyeo.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]
    data = data() if data else {"x": X, "y": Y, "batch_size": 4}
    history = model.fit(**data, epochs=epochs, verbose=0, callbacks=[backup, *extra, *callbacks], **options)
    return [*model.get_weights(), *map(np.asarray, model.optimizer.variables)], history.history


def same(one, other):
    assert one[1] == other[1]
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_kills():
    """The matrix of scripts/kill_matrix.py in short: one model with everything, all kinds of data."""
    told = subprocess.run([sys.executable, "scripts/kill_matrix.py", "--short", "--kills", "8"], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=600)
    assert told.returncode == 0, told.stdout + told.stderr
    figures = json.loads(told.stdout.splitlines()[-1])
    assert figures["kills"] >= 8 and figures["different"] == 0


# -- kinds of data -----------------------------------------------------------------------------------------
class Loader:
    """Iterable anew each epoch, with an order of its own and a state."""

    def __init__(self):
        self.draw, self.at, self.order, self.goes_on = np.random.default_rng(1), 0, None, False

    def __iter__(self):
        if not self.goes_on:
            self.order, self.at = self.draw.permutation(22), 0
        self.goes_on = False
        while self.at < 20:
            chosen = self.order[self.at:self.at + 4]
            self.at += 4
            yield X[chosen], Y[chosen]

    def state_dict(self):
        return {"draw": json.dumps(self.draw.bit_generator.state), "at": self.at, "order": self.order}

    def load_state_dict(self, state):
        self.draw.bit_generator.state = json.loads(state["draw"])
        self.at, self.order, self.goes_on = state["at"], state["order"], state["at"] < 20


class Generator:
    """As torch's."""

    def __init__(self):
        self.draw = np.random.default_rng(4)

    def get_state(self):
        return json.dumps(self.draw.bit_generator.state)

    def set_state(self, state):
        self.draw.bit_generator.state = json.loads(state)


class StatefulLoader:
    """As torchdata's with one process: its iterator draws an order and then a seed from the generator, and its state is
    that of the generator before the order, and how much was read."""

    def __init__(self):
        self.generator, self.iterator, self.next_state, self.first = Generator(), None, None, False

    def __iter__(self):
        if not self.first:
            self.iterator = Orders(self)
        if self.iterator.finished:
            self.iterator = Orders(self)
        self.first = False
        return self.iterator

    def state_dict(self):
        if self.iterator is None:
            self.iterator, self.first = Orders(self), True
        return {"begin": self.iterator.begin, "at": self.iterator.at, "finished": self.iterator.finished}

    def load_state_dict(self, state):
        self.next_state, self.iterator = state, None


class Orders:
    def __init__(self, loader):
        self.loader, self.at, self.finished = loader, 0, False
        self.draw()
        loader.generator.draw.integers(2**62)
        state, loader.next_state = loader.next_state, None
        if state is not None:
            loader.generator.set_state(state["begin"])
            self.draw()
            self.at, self.finished = state["at"], state["finished"]

    def draw(self):
        self.begin = self.loader.generator.get_state()
        self.order = self.loader.generator.draw.permutation(22)

    def __iter__(self):
        return self

    def __next__(self):
        if self.at >= 20:
            self.finished = True
            raise StopIteration
        self.at += 4
        chosen = self.order[self.at - 4:self.at]
        return X[chosen], Y[chosen]


class Iterator:
    """Its iterator has a state, as grain's does."""

    def __iter__(self):
        return Position()

    def __len__(self):
        return 5


class Position:
    def __init__(self):
        self.at = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.at >= 5:
            raise StopIteration
        self.at += 1
        return X[self.at::5], Y[self.at::5]

    def get_state(self):
        return b"%d" % self.at

    def set_state(self, state):
        self.at = int(state)


class Rows(kyeo.utils.PyDataset):
    def __init__(self, own):
        super().__init__()
        self.draw, self.read = np.random.default_rng(2), 0
        if own:  # random numbers per batch need a state
            self.get_state = lambda: json.dumps(self.draw.bit_generator.state)
            self.set_state = lambda state: setattr(self.draw.bit_generator, "state", json.loads(state))
        self.own, self.order = own, np.arange(22)

    def __len__(self):
        return 5

    def __getitem__(self, index):
        chosen = self.order[index::5]
        return (X[chosen] + self.draw.normal() if self.own else X[chosen]), Y[chosen]

    def on_epoch_begin(self):
        if not self.own:
            self.draw.shuffle(self.order)


def numbers():
    draw = np.random.default_rng(9)
    while True:
        x = draw.normal(size=(4, 3))
        yield x, x[:, :1]


DATA = {
    "generator": lambda: {"x": numbers(), "steps_per_epoch": 5},
    "batches": lambda: {"x": Batches()},
    "endless list": lambda: {"x": Batches(), "steps_per_epoch": 3},
    "loader with a state": lambda: {"x": Loader()},
    "loader with a generator": lambda: {"x": StatefulLoader()},
    "iterator with a state": lambda: {"x": Iterator()},
    "data set": lambda: {"x": Rows(False)},
    "data set with a state": lambda: {"x": Rows(True), "shuffle": False},
    "validation generator": lambda: {"x": X, "y": Y, "batch_size": 4, "validation_data": numbers(),
                                     "validation_steps": 2},
}


class Batches:
    """No state: a resumed training reads it again."""

    def __iter__(self):
        return iter([(X[i::5], Y[i::5]) for i in range(5)])


@pytest.mark.filterwarnings("ignore:Data ran out")  # five batches, three an epoch
@pytest.mark.parametrize("kind", DATA)
def test_places_in_data(kind, tmp_path):
    whole = fit(tmp_path / "whole", DATA[kind])
    for steps in (4, 5, 7) if kind != "validation generator" else (8,):
        with pytest.raises(ZeroDivisionError):
            fit(tmp_path / str(steps), DATA[kind], (steps, crash))
        same(whole, fit(tmp_path / str(steps), DATA[kind]))


class Uneven(Loader):
    """Batches of several sizes; with its state or without."""

    def __iter__(self):
        return ((x[:2 + (x[0, 0] > 0)], y[:2 + (x[0, 0] > 0)]) for x, y in super().__iter__())


def uneven():
    for x, y in numbers():
        yield (x, y) if x[0, 0] > 0 else (x[:3], y[:3])


@pytest.mark.parametrize("data", [lambda: {"x": uneven(), "steps_per_epoch": 7}, lambda: {"x": Uneven()}])
def test_uneven_batches_several_in_a_dispatch(data, tmp_path):
    """One of another size is read before the steps on those before it: it is not lost."""
    whole = fit(tmp_path / "whole", data, model=make(steps_per_execution=3))
    for dispatches in (2, 3, 5):
        folder = tmp_path / str(dispatches)
        with pytest.raises(ZeroDivisionError):
            fit(folder, data, (dispatches, crash), model=make(steps_per_execution=3))
        same(whole, fit(folder, data, model=make(steps_per_execution=3)))


# -- ends --------------------------------------------------------------------------------------------------
def test_signals_finish_the_step_and_save(tmp_path, capsys):
    whole = fit(tmp_path / "whole")
    for number, kind in ((signal.SIGTERM, SystemExit), (signal.SIGUSR1, SystemExit), (signal.SIGINT, KeyboardInterrupt)):
        folder = tmp_path / str(number)
        handler = signal.getsignal(number)
        with pytest.raises(kind) as caught:
            fit(folder, stop=(7, lambda number=number: os.kill(os.getpid(), number)), save_freq="epoch")
        assert kind is KeyboardInterrupt or caught.value.code == EXIT_CODE == 75
        assert signal.getsignal(number) is handler and "is saved in" in capsys.readouterr().out
        assert Checkpoints(folder).places()[-1] == (1, 1)  # nothing is lost
        same(whole, fit(folder, save_freq="epoch"))


FORCED = """
import os, signal, sys, time
from kyeo.train import signals
signals._PATIENCE, signals._SECOND = 0.4, 0.1
for numbers, saves, finds_out in [([15], True, False), ([15, 15], False, False), ([2, 2], True, False), ([15], False, True)]:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        with signals.SafePoints(saves, together=True) as safe:
            signal.signal(2, lambda *_: None)  # as in C code, where none runs
            for number in numbers:
                os.kill(os.getpid(), number)
                time.sleep(0.02)
            if finds_out:
                safe.heeded()
            time.sleep(0.8)
        os._exit(9)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_that_waits_for_another_ends_by_force():
    """Unless all know already that they end; then a signal that nobody heeded is as one that comes after `fit`."""
    told = subprocess.run([sys.executable, "-c", FORCED], cwd=ROOT, text=True, capture_output=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60)
    assert told.stdout.split() == ["75", "143", "130", "-15"], told.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Python cannot tell")
def test_a_signal_that_shows_tracebacks_still_does(tmp_path, monkeypatch):
    with open(tmp_path / "trace", "w") as file:
        faulthandler.register(signal.SIGUSR1, file)
        try:
            fit(tmp_path / "a", stop=(3, lambda: os.kill(os.getpid(), signal.SIGUSR1)), epochs=1)
            os.kill(os.getpid(), signal.SIGUSR1)
        finally:
            faulthandler.unregister(signal.SIGUSR1)
    assert (tmp_path / "trace").read_text().count("most recent call first") >= 2


def test_a_signal_after_the_last_step_is_not_lost(tmp_path):
    heard, before = [], signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        ask = kyeo.callbacks.LambdaCallback(on_train_end=lambda logs: os.kill(os.getpid(), signal.SIGINT))
        fit(tmp_path, callbacks=[ask], epochs=1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1]


def test_a_signal_in_validation(tmp_path):
    def options():
        return {"x": X, "y": Y, "batch_size": 4, "validation_data": numbers(), "validation_steps": 2}

    whole = fit(tmp_path / "whole", options)
    ask = kyeo.callbacks.LambdaCallback(
        on_test_batch_end=lambda batch, logs: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        fit(tmp_path / "a", options, callbacks=[ask])
    assert Checkpoints(tmp_path / "a").places()[-1][0] == 0
    same(whole, fit(tmp_path / "a", options))


def test_stopped_by_a_callback_stays_stopped(tmp_path):
    stop = lambda: [kyeo.callbacks.EarlyStopping("loss", patience=1, min_delta=9, restore_best_weights=True)]  # noqa: E731
    whole = fit(tmp_path / "a", epochs=9, callbacks=stop())
    assert len(whole[1]["loss"]) == 2
    same(whole, fit(tmp_path / "a", epochs=9, callbacks=stop()))


def test_resume_argument(tmp_path):
    def train(epochs):
        model = make()
        history = model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, resume=tmp_path)
        return [*model.get_weights(), *map(np.asarray, model.optimizer.variables)], history.history

    two = train(2)
    same(two, train(2))  # it had ended: nothing is trained
    five = train(5)  # and now it goes on
    assert five[1]["loss"][:2] == two[1]["loss"] and len(five[1]["loss"]) == 5
    with pytest.raises(ValueError, match="already"):
        make().fit(X, Y, resume=tmp_path, callbacks=kyeo.callbacks.CallbackList([]))
    with pytest.raises(ValueError, match="Only one"):
        make().fit(X, Y, resume=tmp_path, callbacks=[kyeo.callbacks.BackupAndRestore("b")])


def test_a_finished_training_leaves_nothing(tmp_path):
    make().fit(X, Y, verbose=0, callbacks=[kyeo.callbacks.BackupAndRestore(tmp_path / "a")])
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("change, words", [
    (lambda: {"model": make(units=5)}, r"units: 4 then, 5 now"),
    (lambda: {"model": make(loss="mae")}, r"compile > loss: 'mse' then, 'mae' now"),
    (lambda: {"data": lambda: {"x": X, "y": Y, "batch_size": 5}}, r"data > batch_size: 4 then, 5 now"),
    (lambda: {"data": lambda: {"x": X[:9], "y": Y[:9], "batch_size": 4}}, r"data > rows: 22 then, 9 now"),
    (lambda: {"shuffle": False}, r"shuffle: True then, False now"),
    (lambda: {"data": DATA["generator"]}, r"kind: 'arrays' then, 'generator' now"),
])
def test_another_training_is_refused(change, words, tmp_path):
    fit(tmp_path, epochs=1)
    with pytest.raises(ValueError, match=words):
        fit(tmp_path, epochs=2, **change())


@pytest.mark.parametrize("optimizer", ["Adam", "LossScaleOptimizer", "MultiOptimizer", "schedule"])
def test_numbers_chosen_anew_are_used_and_said(optimizer, tmp_path):
    """A rate that the program was changed to give is taken, the one a callback set is kept otherwise."""
    room = kyeo.optimizers

    def compiled(rate, **options):
        adam = room.Adam(rate if optimizer != "schedule" else room.schedules.CosineDecay(rate, 100), **options)
        wrapped = {"LossScaleOptimizer": room.LossScaleOptimizer, "MultiOptimizer": lambda one: room.MultiOptimizer(
            room.OptimizerMap(one))}.get(optimizer, lambda one: one)(adam)
        return make(optimizer=wrapped, loss_weights=1.0), adam

    def halved(adam):
        half = [] if optimizer == "schedule" else [kyeo.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: epoch == 0 and adam.learning_rate.assign(adam.learning_rate * 0.5))]
        return {"callbacks": half}

    model, adam = compiled(0.5)
    fit(tmp_path, epochs=2, model=model, **halved(adam))
    model, adam = compiled(0.5)
    fit(tmp_path, epochs=3, model=model, **halved(adam))
    assert float(adam.learning_rate) == (0.25 if optimizer != "schedule" else pytest.approx(0.461, abs=0.001))
    for beta, changed in ((0.9, "learning_rate is 0.125 now, was 0.5"), (0.8, "beta_1 is 0.8 now, was its default")):
        model, adam = compiled(0.125, **({"beta_1": beta} if beta == 0.8 else {}))
        with pytest.warns(UserWarning, match=changed):
            fit(tmp_path, epochs=4 if beta == 0.9 else 5, model=model)
        assert float(adam.learning_rate) == pytest.approx(0.125, abs=0.03) and int(adam.iterations) > 18


def test_metrics_that_make_their_variables_late(tmp_path):
    """The checkpoint of the beginning has them, too: a crash may come before the next."""
    def train(**options):
        model = make(metrics=[kyeo.metrics.F1Score(threshold=0.5)])
        return fit(tmp_path, lambda: {"x": X, "y": (Y > 0).astype("float32"), "batch_size": 4}, epochs=1, model=model,
                   **options)

    with pytest.raises(ZeroDivisionError):
        train(stop=(1, crash))
    assert Checkpoints(tmp_path).places() == [(0, 0)]
    train()


def test_a_callback_that_compiles_anew(tmp_path):
    """It is said when it happens, and a checkpoint that fits no more is refused in words."""
    def train(epochs):
        model = make()
        anew = kyeo.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.compile("sgd", "mse"))
        fit(tmp_path, epochs=epochs, model=model, save_freq="epoch", callbacks=[anew])

    with pytest.warns(UserWarning, match="cannot be gone on with"):
        train(1)
    with pytest.raises(ValueError, match=r"other variables than(.|\n)*a `fit` and a folder of its own"):
        train(2)


# -- files -------------------------------------------------------------------------------------------------
def test_every_prefix_and_every_flipped_bit_is_found(tmp_path):
    tree = {"epoch": 3, "w": [np.arange(5, dtype="float32")], "s": np.float64(0.5), "t": (1, None), "b": b"xyz",
            "d": {1: True}, "x": float("inf")}
    path, other = tmp_path / "a", tmp_path / "b"
    write_tree(path, tree)
    assert repr(read_tree(path)) == repr(tree)
    data = path.read_bytes()
    torn = [data[:size] for size in range(len(data))] + [data + b"\0"]
    flipped = [data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1:] for i in range(len(data)) for bit in range(8)]
    for wrong in torn + flipped[::13]:
        other.write_bytes(wrong)
        with pytest.raises(DamagedFile):
            read_tree(other)
    with pytest.raises(TypeError, match="a/1"):
        write_tree(path, {"a": [1, {2}]})


@pytest.mark.parametrize("tree", [
    {"a/b": np.ones(2), "a": {"b": np.zeros(2)}}, {1: np.ones(2), "1": np.zeros(2)}, {"a": {"0": b"x"}, "a/0": b"y"}])
def test_arrays_whose_paths_read_alike_are_kept_apart(tree, tmp_path):
    write_tree(tmp_path / "a", tree)
    assert repr(read_tree(tmp_path / "a")) == repr(tree)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    whole = fit(tmp_path / "whole")
    with pytest.raises(ZeroDivisionError):
        fit(tmp_path / "a", stop=(9, crash))
    files = Checkpoints(tmp_path / "a")
    newest = files.path(files.places()[-1])
    assert len(files.places()) == 2
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    (tmp_path / "a" / f".{newest.stem}.012345678901.checkpoint").write_bytes(b"left over")
    with pytest.warns(UserWarning, match="is damaged(.|\n)*going on from epoch-"):
        result = fit(tmp_path / "a")
    same(whole, result)
    assert not list((tmp_path / "a").glob(".*")) and len(list((tmp_path / "a").glob("*.damaged"))) == 1
    for place in files.places():
        files.path(place).write_bytes(b"")
    with pytest.warns(UserWarning, match="is damaged"):
        same(whole, fit(tmp_path / "a"))


def test_a_checkpoint_that_cannot_be_read_gives_way_but_stays(tmp_path, monkeypatch):
    from kyeo.callbacks import checkpoint

    files, told, read = Checkpoints(tmp_path / "deep" / "er"), [], checkpoint.read_tree
    for step in (1, 2):
        files.write((0, step), {"step": step})
    os.mkfifo(files.path((0, 3)))  # which nobody writes to
    os.symlink(files.path((0, 1)), files.path((0, 4)))
    assert files.places() == [(0, 1), (0, 2)]

    def refused(path, steps=("02",)):
        if path.stem.endswith(steps):
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(checkpoint, "read_tree", refused)
    assert files.latest(told.append) == {"step": 1} and "cannot be read (Input/output error); going on from" in told[0]
    monkeypatch.setattr(checkpoint, "read_tree", lambda path: refused(path, ("01", "02")))
    with pytest.raises(OSError, match="Input/output"):
        files.latest(told.append)
    assert files.places() == [(0, 1), (0, 2)]


@pytest.mark.skipif(sys.platform != "linux", reason="where folders can be held")
def test_two_trainings_in_one_folder_are_told(tmp_path):
    def again():
        with pytest.warns(UserWarning, match="Another process keeps its checkpoints"):
            kyeo.callbacks.BackupAndRestore(tmp_path / "a").load()

    fit(tmp_path / "a", stop=(7, again))
    kyeo.callbacks.BackupAndRestore(tmp_path / "a").load()  # no warning: the first has ended


def test_a_checkpoint_of_a_stranger_leads_nowhere(tmp_path):
    """Names in the states of callbacks and data are not used as paths or methods."""
    board = kyeo.callbacks.TensorBoard(tmp_path / "logs")
    good = {"stamp": "1.host-a.b.7", "step": 0, "before": 0, "graph": False, "sizes": {"train": 0}}
    (victim := tmp_path / "events.out.tfevents.1.host-a.b.7.v2").write_text("mine")
    for change in ({"sizes": {str(tmp_path): 0}}, {"sizes": {"../": 0}}, {"sizes": {"train": -1}}, {"sizes": {"train": "0"}},
                   {"stamp": "x/../../y"}, {"stamp": None}, {"stamp": "a\0"}):
        with pytest.raises(ValueError, match="not one of TensorBoard"):
            board.set_state({**good, **change})
    board.set_state(good)
    assert victim.read_text() == "mine" and not (tmp_path / "logs").exists()

    class Mine(Rows):
        def erase(self):
            raise AssertionError("called")

    source = kyeo.data.adapters.as_source(Mine(False))
    with pytest.raises(ValueError, match="not one of a PyDataset"):
        source.restore({"seed": 0, "own": None, "told": ["on_epoch_begin", "erase"]}, 0)


@pytest.mark.parametrize("tree", [{}, [1], {"epoch": 0}, {"epoch": "0", "step": 0}])
def test_something_else_with_right_checksums(tree, tmp_path):
    Checkpoints(tmp_path).write((0, 1), tree)
    with pytest.raises(ValueError, match="not one of a training"):
        fit(tmp_path)


def test_what_a_killed_save_left_goes_with_the_next(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    from kyeo.core.files import atomic_write

    names = {"old": ".m.000000000000.h5", "held": ".m.000000000001.h5", "old too": ".m.000000000002.h5",
             "other": ".mm.000000000000.h5", "longer": ".m.0000000000000.h5"}
    for kind, name in names.items():
        (tmp_path / name).write_text(kind)
    os.symlink("m.h5", tmp_path / ".m.000000000003.h5")
    with open(tmp_path / names["held"]) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with atomic_write(tmp_path / "m.h5") as temporary:
            assert temporary.name == names["old"] and temporary.read_text() == ""
            temporary.write_text("new")
            with atomic_write(tmp_path / "m.h5") as other:  # while the first is still written
                other.write_text("newer")
                assert other.name == names["old too"]
                with atomic_write(tmp_path / "m.h5") as third:
                    assert third.name == ".m.000000000004.h5"
                    third.write_text("newest")
            assert (tmp_path / "m.h5").read_text() == "newer" and temporary.exists()
    there = {*names.values(), "m.h5", ".m.000000000003.h5"} - {names["old"], names["old too"]}
    assert set(os.listdir(tmp_path)) == there and (tmp_path / "m.h5").read_text() == "new"


def test_many_write_one_file(tmp_path, monkeypatch):
    """At every instant it is one of theirs, whole, whoever comes to hold which name; nothing is left."""
    pytest.importorskip("fcntl")
    from kyeo.core import files

    monkeypatch.setattr(files, "_TRIED", 3)
    target, errors = tmp_path / "m.h5", []

    def write(who):
        try:
            for number in range(60):
                with files.atomic_write(target) as temporary, open(temporary, "r+b") as file:
                    assert file.read() == b""
                    for _ in range(3):
                        file.write(b"%d" % who * 3000)
                found = target.read_bytes()
                assert len(found) == 9000 and len(set(found)) == 1
                if number % 10 == who:  # as a killed process leaves it
                    (tmp_path / ".m.000000000000.h5").touch()
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=write, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with files.atomic_write(target):
        pass
    assert not errors and {path.name for path in tmp_path.iterdir()} - {f".m.{k:012x}.h5" for k in range(3)} == {"m.h5"}


def test_a_full_disk_does_not_end_training(tmp_path, monkeypatch):
    from kyeo.callbacks import checkpoint

    whole, write = fit(tmp_path / "whole"), checkpoint.write_tensors
    count = iter(range(99))

    def full(path, *args, **kwargs):
        if 1 <= next(count) < 3:  # not the first; a slow disk may skip all but one more
            pathlib.Path(path).write_bytes(b"a part")
            raise OSError(28, "No space left on device")
        write(path, *args, **kwargs)

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    with pytest.warns(UserWarning, match="No space left on device(.|\n)*Training goes on"):
        same(whole, fit(tmp_path / "a"))
    assert {path.suffix for path in (tmp_path / "a").iterdir()} == {".checkpoint"}
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="could not be written"):
        same(whole, fit(tmp_path / "file" / "x"))


def test_callbacks_that_cannot_be_kept_are_named(tmp_path):
    class Mine(kyeo.callbacks.Callback):
        def get_state(self):
            return {"seen": {1, 2}}

    with pytest.raises(TypeError, match="callbacks/Mine 1/seen"):
        fit(tmp_path, callbacks=[Mine()])


def test_writer():
    done = []
    writer = Writer(done.append)
    for item in range(1, 50):
        writer.put(item)
    writer.wait()
    assert done[-1] == 49 and done == sorted(set(done)) and writer.error() is None
    broken = Writer(lambda item: 1 / item)
    broken.put(0.0)
    broken.wait()
    assert isinstance(broken.error(), ZeroDivisionError) and broken.error() is None


def test_memory_of_checkpoints(tmp_path, monkeypatch):
    """A disk that is slower than training: one copy is being written, one is new, none waits besides them; what is
    written goes at once, and when training goes on each value goes as it is in its place."""
    weights = 3 * 4 * 1000**2  # bytes, with Adam's

    def large():
        model = kyeo.Sequential([kyeo.Input((1000,)), kyeo.layers.Dense(1000, use_bias=False)])
        model.compile("adam", "mse")
        return model

    def data():
        return {"x": np.ones((6, 1000), "float32"), "y": np.ones((6, 1000), "float32"), "batch_size": 1}

    ended, write = threading.Event(), Checkpoints.write

    def slow(self, place, tree, emptied=False):
        assert emptied and (place == (0, 0) or ended.wait(60))
        write(self, place, tree, emptied)

    model = large()
    model.fit(**data(), verbose=0)
    monkeypatch.setattr(Checkpoints, "write", slow)
    tracemalloc.start()
    fit(tmp_path, data, model=model, epochs=1, save_freq=1, callbacks=[kyeo.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ended.set())])
    assert 1.5 * weights < tracemalloc.get_traced_memory()[1] < 2.6 * weights
    tracemalloc.stop()
    alive = []
    arrays = {str(i): np.ones(10**6, "float32") for i in range(4)}
    known = [weakref.ref(array) for array in arrays.values()]
    with open(tmp_path / "a", "wb") as file:
        file_write = file.write
        counting = types.SimpleNamespace(seek=file.seek, write=lambda data: (alive.append(sum(
            ref() is not None for ref in known)), file_write(data)))
        write_tensors(counting, arrays, sealed=True, emptied=True)
    assert alive[:5] == [4, 4, 3, 2, 1]


def test_best_file_is_not_lost_by_a_restart(tmp_path):
    """What ModelCheckpoint thought best is known after a restart: a worse epoch does not take its place."""
    losses = iter([0.5, 0.25, 0.75, 0.875])
    script = kyeo.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(score=next(losses)))

    def keep():
        return [script, kyeo.callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", "score", save_best_only=True,
                                                       save_weights_only=True, mode="min")]

    fit(tmp_path / "a", epochs=2, callbacks=keep())
    before = (tmp_path / "best.weights.h5").read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(tmp_path / "a", epochs=4, callbacks=keep())
    assert (tmp_path / "best.weights.h5").read_bytes() == before
