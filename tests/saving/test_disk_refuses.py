"""A disk that is full, fails or may not be written to, at every write and every call of a save: the old file stays whole,
nothing is left over, the error names the file; a training goes on."""

import errno
import os
import pathlib
import resource
import warnings

import numpy as np
import pytest

import kyeo
from kyeo.callbacks.checkpoint import Checkpoints
from kyeo.callbacks.events import EventFile, read_scalars, scalar
from tests.saving.test_failing import files, small

SHARDS = {"max_shard_size": 40 / 2**30}
WAYS = {
    "m.keras": lambda model, path: model.save(path),
    "m": lambda model, path: model.save(path, zipped=False),
    "m.weights.h5": lambda model, path: model.save_weights(path),
    "m.safetensors": lambda model, path: model.save_weights(path),
    "m.weights.json": lambda model, path: model.save_weights(path, **SHARDS),
    "m.safetensors.index.json": lambda model, path: model.save_weights(path, **SHARDS),
    "m.stablehlo": lambda model, path: model.export(path, verbose=False),
    "m.dot": lambda model, path: kyeo.utils.plot_model(model, path),
    "m.png": lambda model, path: kyeo.utils.save_img(path, picture(model), scale=False),
    "m.rgba": lambda model, path: kyeo.visualization.plot_image_gallery(picture(model)[None], path=path, dpi=20),
}


def picture(model):
    return np.abs(model.get_weights()[0])[:, :, None] * 60


class Limit:
    """No file may become longer than this while the block runs, as on a disk that is full."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *exc):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def changed(model):
    model.set_weights([w + 1 for w in model.get_weights()])
    return model


@pytest.mark.parametrize("name", WAYS)
def test_full_at_every_size(name, tmp_path):
    model = small()
    WAYS[name](model, tmp_path / name)
    before = files(tmp_path)
    changed(model)
    longest = max(map(len, before.values()))
    for size in sorted({*range(0, longest, max(longest // 12, 1)), longest - 1}):
        with Limit(size), pytest.raises(OSError) as caught:
            WAYS[name](model, tmp_path / name)
        assert files(tmp_path) == before and caught.value.errno == errno.EFBIG, size
        assert str(tmp_path / "m") in str(caught.value) and "as it was" in str(caught.value) and "Fix:" in str(caught.value)
    WAYS[name](model, tmp_path / name)
    assert name in ("m.dot",) or files(tmp_path) != before


@pytest.mark.parametrize("function, number", [("fsync", errno.EIO), ("replace", errno.ENOSPC), ("open", errno.EACCES)])
@pytest.mark.parametrize("name", WAYS)
def test_refused_at_every_call(name, function, number, tmp_path, monkeypatch):
    """The files are the old ones or, where only the folder could not be flushed, the new ones; never a part."""
    model = small()
    WAYS[name](model, tmp_path / name)
    before, real = files(tmp_path), getattr(os, function)
    changed(model)
    refused = 0
    for stop in range(40):
        calls, hit = iter(range(99)), []

        def failing(*args, calls=calls, stop=stop, hit=hit, **kwargs):
            if next(calls) == stop:
                hit.append(args[0])
                raise OSError(number, os.strerror(number), str(args[0]))
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(os, function, failing)
            try:
                WAYS[name](model, tmp_path / name)
            except OSError as error:
                told, refused = str(error), refused + 1
                assert error.errno == number and str(tmp_path / "m") in told
            else:
                if hit and function == "open":  # such as a look at what an earlier save may have left
                    before = files(tmp_path)
                    continue
                assert refused > 0 or (name, function) == ("m", "replace")  # two folders are exchanged
                break
        now = files(tmp_path)
        assert not [left for left in now if left.startswith(".")]
        assert name == "m" or now == before or "may be lost with the power" in told or "json" in name
        if "json" in name:  # whichever index it is, all its files are there
            small().load_weights(tmp_path / name)
            WAYS[name](model, tmp_path / name)
            before = files(tmp_path)


def test_writes_that_fail_once(tmp_path, monkeypatch):
    """EIO at the k-th write of HDF5, for every k: HDF5 itself is closed well, so that the next save goes well too."""
    from kyeo.saving import hdf5_writing

    model = small()
    model.save_weights(tmp_path / "m.weights.h5")
    before, write = files(tmp_path), hdf5_writing._Unfailing.write
    for stop in range(99):
        calls = iter(range(99))

        def failing(self, data, calls=calls, stop=stop):
            if next(calls) == stop:
                self._tried(lambda: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
            return write(self, data)

        with monkeypatch.context() as patch:
            patch.setattr(hdf5_writing._Unfailing, "write", failing)
            try:
                model.save_weights(tmp_path / "m.weights.h5")
            except OSError as error:
                assert error.errno == errno.EIO and files(tmp_path) == before
            else:
                break
    assert stop > 5
    small().load_weights(tmp_path / "m.weights.h5")


# -- callbacks ---------------------------------------------------------------------------------------------
X, Y = np.ones((8, 3), "float32"), np.ones((8, 2), "float32")


class Full(kyeo.callbacks.Callback):
    """The disk is full at the ends of some epochs."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs, self.limit = epochs, None

    def on_epoch_begin(self, epoch, logs=None):
        if epoch in self.epochs:
            self.limit = Limit(0)
            self.limit.__enter__()

    def lift(self):
        if self.limit is not None:
            self.limit.__exit__()
            self.limit = None


class Lift(kyeo.callbacks.Callback):
    def __init__(self, full):
        super().__init__()
        self.full = full

    def on_epoch_end(self, epoch, logs=None):
        self.full.lift()


def fit(tmp_path, epochs, full=(), scores=()):
    kyeo.utils.set_random_seed(0)
    model = small()
    model.compile("sgd", "mse")
    scores = iter(scores)
    block = Full(full)
    history = model.fit(X, Y, verbose=0, epochs=epochs, callbacks=[
        block, kyeo.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(score=next(scores, 0.0))),
        kyeo.callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", "score", save_best_only=True, save_weights_only=True,
                                       mode="max"),
        kyeo.callbacks.CSVLogger(tmp_path / "log.csv"), Lift(block)])
    return model, history


def test_training_goes_on(tmp_path):
    """The best file stays what it was while the disk is full; a later epoch that is better than it is written."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, history = fit(tmp_path, 4, full=(1, 2), scores=(1.0, 3.0, 0.5, 2.0))
    told = "\n".join(str(w.message) for w in caught)
    assert f"ModelCheckpoint could not write {tmp_path / 'best.weights.h5'}" in told and "CSVLogger could not" in told
    assert len(history.epoch) == 4 and not [f for f in files(tmp_path) if f.startswith(".")]
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1", "2", "3"]  # none is lost, none is torn
    other, _ = fit(tmp_path / "other", 4, scores=(1.0, 0.0, 0.5, 2.0)) if (tmp_path / "other").mkdir() is None else None
    best = small()
    best.load_weights(tmp_path / "best.weights.h5")
    for a, b in zip(best.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # the file is that of epoch 4


def test_events_wait_for_room(tmp_path):
    file = EventFile(tmp_path / "events.out.tfevents.1")
    file.add(0, [scalar("a", 1)])
    file.flush()
    size = file.on_disk()
    for room in (0, 3):
        file.add(1 + room, [scalar("a", 2)])
        with Limit(size + room), pytest.warns(UserWarning, match="could not be written"):
            file.flush()
        assert file.path.stat().st_size == size
    file.close()
    assert [step for step, _, _ in read_scalars(tmp_path)] == [0, 1, 4]


def test_checkpoints_stay_whole(tmp_path):
    """BackupAndRestore's files at every size of the disk: the one before is found, whole."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write((0, 1), {"w": np.arange(50)})
    size = len(next(iter(files(tmp_path).values())))
    for room in range(0, size, 40):
        with Limit(room), pytest.raises(OSError, match="as it was"):
            checkpoints.write((0, 2), {"w": np.arange(50) + 1})
        np.testing.assert_array_equal(checkpoints.latest(pytest.fail)["w"], np.arange(50))
        assert len(list(pathlib.Path(tmp_path).iterdir())) == 1


def test_vectors_for_the_projector_stay_whole(tmp_path):
    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Embedding(30, 4, name="words")])
    model.compile("sgd", "mse")
    board = kyeo.callbacks.TensorBoard(tmp_path, write_graph=False, embeddings_freq=1)
    board.set_model(model)
    board.on_epoch_end(0, {})
    names = ("words.tsv", "projector_config.pbtxt")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    changed(model)
    for room in (0, 100, len(before["words.tsv"]) // 2):
        with Limit(room), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            board.on_epoch_end(1, {})
        told = "".join(str(w.message) for w in caught)
        assert all(words in told for words in ("vectors of epoch 2", "as it was", str(tmp_path / "words.tsv"))), told
        assert {name: files(tmp_path)[name] for name in names} == before
        assert not [left for left in files(tmp_path) if left.startswith(".")]
    board.on_epoch_end(2, {})
    assert (tmp_path / "words.tsv").read_bytes() != before["words.tsv"]
    board.on_train_end()
