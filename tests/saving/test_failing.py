"""What goes wrong while saving and loading, and what it leaves behind: the old file, the old weights."""

import json
import os
import shutil
import threading
import zipfile

import h5py
import numpy as np
import pytest

import kyeo
from kyeo.core import folders
from kyeo.saving import hdf5, keras_file, zips
from kyeo.saving.zips import opened_archive


def small(units=2):
    return kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(units, name="first"),
                            kyeo.layers.Dense(2, name="second")], name="small")


def files(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Explodes(kyeo.layers.Layer):
    def build(self, input_shape):
        self.weight = self.add_weight(shape=(2,), name="weight")

    def call(self, x):
        return x

    def save_own_variables(self, store):
        store["0"] = self.weight
        raise OSError("disk full")


class Keeps(kyeo.layers.Layer):
    def __init__(self, thing, **kwargs):
        super().__init__(**kwargs)
        self.thing = thing

    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("name, save", [
    ("m.keras", lambda model, path: model.save(path)),
    ("m.weights.h5", lambda model, path: model.save_weights(path)),
    ("m", lambda model, path: model.save(path, zipped=False)),
])
def test_failed_save_leaves_the_old_file(name, save, tmp_path):
    save(small(), tmp_path / name)
    before = files(tmp_path)
    broken = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2), Explodes()])
    with pytest.raises(OSError, match="disk full"):
        save(broken, tmp_path / name)
    assert files(tmp_path) == before
    with pytest.raises(ValueError, match="lambda"):
        kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Lambda(lambda x: x)]).save(tmp_path / "m.keras")
    assert files(tmp_path) == before


def test_folder(tmp_path):
    model = small()
    model.save(tmp_path / "folder", zipped=False)
    assert sorted(files(tmp_path)) == ["config.json", "metadata.json", "model.weights.h5"]
    model.layers[0].kernel.assign(np.ones((3, 2)))
    model.save(tmp_path / "folder", zipped=False)
    loaded = kyeo.saving.load_model(tmp_path / "folder")
    np.testing.assert_array_equal(loaded.get_weights()[0], np.ones((3, 2)))


@pytest.mark.parametrize("name", ["metadata.json", "config.json", "assets/text/vocabulary.txt"])
def test_a_folder_with_a_file_of_holes(name, tmp_path):
    """It says that it has far more bytes than the disk has of it."""
    small().save(tmp_path / "m", zipped=False)
    (tmp_path / "m/assets/text").mkdir(parents=True, exist_ok=True)
    notes = json.loads((tmp_path / "m/metadata.json").read_text())
    (tmp_path / "m/metadata.json").write_text(json.dumps({k: v for k, v in notes.items() if k != "files"}))
    with open(tmp_path / "m" / name, "ab") as file:
        file.truncate(2**42)
    with pytest.raises(ValueError, match="is too big"), opened_archive(tmp_path / "m") as (_, _, _, read):
        read(name)


@pytest.mark.parametrize("foreign, exchanges", [(False, True), (True, True), (False, False)])
def test_a_folder_at_every_instant(foreign, exchanges, tmp_path, monkeypatch):
    """Killed anywhere in the save of a folder: the old model or the new, or, where files go one by one, words."""
    (tmp_path / "now").mkdir()
    folder, model, seen = tmp_path / "now" / "m", small(), []
    model.save(folder, zipped=False)
    if foreign:
        (folder / "notes.txt").write_text("the user's own")
    old = model.get_weights()[0]

    def seeing(real):
        def call(*args, **kwargs):
            seen.append(shutil.copytree(tmp_path / "now", tmp_path / str(len(seen))))
            return real(*args, **kwargs)
        return call

    for owner, name in ((os, "fsync"), (os, "replace"), (shutil, "rmtree"), (folders, "_exchange")):
        real = getattr(owner, name) if exchanges or name != "_exchange" else lambda one, other: False
        monkeypatch.setattr(owner, name, seeing(real))
    model.layers[0].kernel.assign(old + 1)
    model.save(folder, zipped=False)
    monkeypatch.undo()
    found = []
    for copy in [*seen, tmp_path / "now"]:
        try:
            found.append(float((kyeo.saving.load_model(copy / "m").get_weights()[0] - old).mean()))
        except ValueError as error:
            assert "not written together" in str(error) and "save the model again" in str(error)
            found.append(0.5)
    assert found == sorted(found) and found[0] == 0 and found[-1] == 1 and len(found) > 6
    assert (0.5 in found) == (foreign or not exchanges)
    assert sorted(os.listdir(tmp_path / "now")) == ["m"] and (folder / "notes.txt").exists() == foreign


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("room, name, gets", [(zips, "_whole", 1), (zips, "_checksum", 0), (keras_file, "open_for_reading", 0)])
def test_a_folder_that_is_replaced_while_it_is_read(room, name, gets, exchanges, tmp_path, monkeypatch):
    """It is the old model or the new, as with one file."""
    model, real = small(), getattr(room, name)
    old = model.get_weights()[0]
    model.save(tmp_path / "m", zipped=False)

    def replaced(*args):
        monkeypatch.setattr(room, name, real)
        monkeypatch.setattr(folders, "_exchange", folders._exchange if exchanges else lambda one, other: False)
        model.layers[0].kernel.assign(old + 1)
        model.save(tmp_path / "m", zipped=False)
        return real(*args)

    monkeypatch.setattr(room, name, replaced)
    np.testing.assert_array_equal(kyeo.saving.load_model(tmp_path / "m").get_weights()[0], old + gets)


def test_a_file_is_read_as_soon_as_it_has_its_name(tmp_path, monkeypatch):
    """HDF5 opens no file to read that is locked otherwise, which was so for a moment after a save."""
    model, path, real = small(), tmp_path / "m.weights.h5", os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (real(old, new), h5py.File(new, "r").close()))
    model.save_weights(path)
    model.save_weights(path)


def test_a_file_that_is_being_written_is_waited_for(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    model, path = small(), tmp_path / "m.weights.h5"
    model.save_weights(path)
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as HDF5 holds it
        timer = threading.Timer(0.2, fcntl.flock, [file, fcntl.LOCK_UN])
        timer.start()
        model.load_weights(path)
        timer.join()
        fcntl.flock(file, fcntl.LOCK_EX)
        monkeypatch.setattr(hdf5, "_PATIENCE", 0)
        with pytest.raises(BlockingIOError, match="being written"):
            model.load_weights(path)


@pytest.mark.parametrize("name, method", [("m.keras", "save"), ("m.weights.h5", "save_weights")])
def test_overwrite(name, method, tmp_path):
    path = tmp_path / name
    getattr(small(), method)(path)
    before = files(tmp_path)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        getattr(small(), method)(path, overwrite=False)
    assert files(tmp_path) == before
    getattr(small(), method)(path)
    assert files(tmp_path) != before


def test_same_model_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("kyeo.saving.keras_file._now", lambda: "now")
    model = small()
    for name in ("a.keras", "b.keras"):
        model.save(tmp_path / name)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


# -- names of files ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("act, kind, words", [
    (lambda m, d: m.save(d / "m"), ValueError, ".keras"),
    (lambda m, d: m.save(d / "m.keras", zipped=False), ValueError, "zipped=False"),
    (lambda m, d: m.save(d / "m.keras", include_optimiser=True), TypeError, "include_optimiser"),
    (lambda m, d: m.save(d / "no" / "m.keras"), FileNotFoundError, "folder"),
    (lambda m, d: m.save("gs://bucket/m.keras"), ValueError, "this computer"),
    (lambda m, d: m.save(3), TypeError, "path"),
    (lambda m, d: m.save_weights(d / "m.h5"), ValueError, 'save to "m.weights.h5"'),
    (lambda m, d: m.save_weights(d / "m.weights.json"), ValueError, "max_shard_size"),
    (lambda m, d: m.save_weights(d / "m.h5", max_shard_size=1), ValueError, 'save to "m.weights.json"'),
    (lambda m, d: m.save_weights(d / "m.weights.json", max_shard_size=0), ValueError, "above 0"),
    (lambda m, d: m.save_weights(d / "m.weights.json", max_shard_size=1e-8), ValueError, "larger than a file"),
    (lambda m, d: m.load_weights(d / "none.weights.h5"), FileNotFoundError, "no such file"),
    (lambda m, d: m.load_weights(d / "other.h5"), ValueError, "HDF5"),
    (lambda m, d: m.load_weights(d / "other.h5", in_order=True), TypeError, "in_order"),
    (lambda m, d: kyeo.saving.load_model(d / "none.keras"), FileNotFoundError, "no such file"),
    (lambda m, d: kyeo.saving.load_model(d / "none.keras"), ValueError, "no such file"),  # Keras's kind
    (lambda m, d: kyeo.saving.load_model(d / "other.h5"), ValueError, "whole"),
    (lambda m, d: kyeo.saving.load_model(d), ValueError, "config.json"),
    (lambda m, d: kyeo.Sequential([kyeo.layers.Dense(2)]).save_weights(d / "m.weights.h5"), ValueError, "before"),
    (lambda m, d: kyeo.Sequential([kyeo.Input((3,)), Keeps(object())]).save(d / "m.keras"), ValueError,
     r"`thing` cannot be written(.|\n)*Keeps \"keeps(.|\n)*get_config"),
    (lambda m, d: Keeps(object()).get_config(), NotImplementedError, "cannot be written"),  # Keras's kind
    (lambda m, d: kyeo.models.model_from_json("{"), ValueError, "JSON"),
    (lambda m, d: kyeo.models.model_from_json("[" * 100_000), ValueError, "JSON"),
    (lambda m, d: kyeo.models.model_from_json(json.dumps(m.get_config())), ValueError, "from_config"),
    (lambda m, d: kyeo.saving.model_from_config(kyeo.saving.serialize_keras_object(m.layers[0])), ValueError,
     "not a model"),
])
def test_messages(act, kind, words, tmp_path):
    (tmp_path / "other.h5").write_bytes(b"nothing")
    with pytest.raises(kind, match=words):
        act(small(), tmp_path)


def test_unbuilt_model_is_saved_with_a_warning(tmp_path):
    model = kyeo.Sequential([kyeo.layers.Dense(2)])
    with pytest.warns(UserWarning, match="before it is built"):
        model.save(tmp_path / "m.keras")
    assert not kyeo.saving.load_model(tmp_path / "m.keras").built


# -- weights that do not fit -------------------------------------------------------------------------------
def test_mismatch_changes_nothing(tmp_path):
    small(units=5).save_weights(tmp_path / "m.weights.h5")
    model = small()
    before = model.get_weights()
    with pytest.raises(ValueError) as caught:
        model.load_weights(tmp_path / "m.weights.h5")
    text = str(caught.value)
    for words in ('Dense "first" (layers/dense)', "kernel has shape (3, 2), in the file (3, 5)",
                  'Dense "second" (layers/dense_1)', "(2, 2), in the file (5, 2)", "skip_mismatch=True"):
        assert words in text
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.warns(UserWarning, match="skipped"):
        model.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_skipping_loads_the_rest(tmp_path):
    other = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2), kyeo.layers.Dense(7)])
    other.save_weights(tmp_path / "m.weights.h5")
    model = small()
    kept = model.layers[1].get_weights()
    with pytest.warns(UserWarning, match='"second"'):
        model.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(model.layers[0].kernel, other.layers[0].kernel)
    np.testing.assert_array_equal(model.layers[1].kernel, kept[0])


def test_variables_without_a_place(tmp_path):
    kyeo.Sequential([kyeo.Input((3,)), *(kyeo.layers.Dense(n) for n in (2, 2, 9))]).save_weights(
        tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="no place for: layers/dense_2"):
        small().load_weights(tmp_path / "m.weights.h5")


def test_many_groups_are_passed_over_quickly(tmp_path, monkeypatch):
    """By h5py's own words each takes four calls of Python, which is seconds for the groups a small file can have."""
    path, calls, real = tmp_path / "m.weights.h5", [], h5py.Group.get
    small().save_weights(path)
    with h5py.File(path, "a") as file:
        for i in range(300):
            file.create_group(f"layers/x{i}/vars")["0"] = np.zeros(2, "float32")
    monkeypatch.setattr(h5py.Group, "get", lambda *args, **kwargs: calls.append(args) or real(*args, **kwargs))
    with pytest.warns(UserWarning, match="no place for: layers/x0; layers/x1; .* and 290 more"):
        small().load_weights(path)
    assert len(calls) < 100


def test_failing_own_loading_changes_nothing(tmp_path):
    class Picky(kyeo.layers.Dense):
        def load_own_variables(self, store):
            self.kernel.assign(store["0"])
            raise RuntimeError("not today")

    model = kyeo.Sequential([kyeo.Input((3,)), Picky(2, name="picky"), kyeo.layers.Dense(2)])
    model.save_weights(tmp_path / "m.weights.h5")
    model.set_weights([w + 1 for w in model.get_weights()])
    before = model.get_weights()
    with pytest.raises(RuntimeError, match="not today") as caught:
        model.load_weights(tmp_path / "m.weights.h5")
    assert 'Picky "picky" loaded layers/picky' in caught.value.__notes__[0]
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_bfloat16(tmp_path):
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2, dtype="bfloat16")])
    model.save(tmp_path / "m.keras")
    loaded = kyeo.saving.load_model(tmp_path / "m.keras")
    assert loaded.weights[0].dtype == "bfloat16"
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_damaged_file(tmp_path):
    path = tmp_path / "m.keras"
    small().save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in rng.integers(1, len(whole), 20):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError):
            kyeo.saving.load_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", small().to_json())
        archive.writestr("model.weights.h5", b"not HDF5")
    with pytest.raises(ValueError, match="HDF5"):
        kyeo.saving.load_model(path)


@pytest.mark.parametrize("begin, words", [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "git lfs pull"),
    (b"\n<!DOCTYPE html><title>404</title>", "a web page"), (b"", "an empty file"), (bytes(9999), "zeros"),
    (b"PK\3\4 and no end", "a zip, or the beginning"), (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file, or the beginning"),
    (b"\x80\4pickled", "a pickle"), (b"hello", "begins with b'hello'"),
])
def test_what_lies_in_the_place_of_a_file(begin, words, tmp_path):
    """A message says what the file is that cannot be read."""
    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
    for name, load in {"m.keras": kyeo.saving.load_model, "m.h5": kyeo.saving.load_model, "m.weights.h5": model.load_weights,
                       "m.safetensors": model.load_weights}.items():
        (tmp_path / name).write_bytes(begin)
        with pytest.raises(ValueError, match=words):
            load(tmp_path / name)
