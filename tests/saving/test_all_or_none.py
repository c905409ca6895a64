"""Weights that cannot be read leave a model as it was, whichever array the disk refuses; and end no process."""

import errno
import os
import zipfile

import h5py
import numpy as np
import pytest

import kyeo
from kyeo.core.tensors import Tensors
from kyeo.saving import changes
from kyeo.saving.legacy_h5 import save_h5_weights

FORMS = ["m.weights.h5", "m.keras", "packed.keras", "pieces.weights.h5", "m.safetensors", "m.weights.json",
         "m.safetensors.index.json", "keras2.h5"]


class Own(kyeo.layers.Dense):
    """Reads by rules of its own."""

    def load_own_variables(self, store):
        super().load_own_variables(store)
        self.times = getattr(self, "times", 0) + 1


def make(seed=0):
    kyeo.utils.set_random_seed(seed)
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2), Own(2), kyeo.layers.BatchNormalization(),
                             kyeo.layers.Dense(1)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(seed)
    return model


def save(model, path):
    if path.name == "keras2.h5":
        with h5py.File(path, "w") as file:
            save_h5_weights(model, file)
    elif path.name == "packed.keras":
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    elif path.name.startswith("pieces"):
        model.save_weights(path)
        with h5py.File(path, "r+") as file:
            for name, data in [(name, file[name][()]) for name in names(file)]:
                del file[name]
                file.create_dataset(name, data=data, chunks=data.shape or None, fletcher32=True if data.shape else None)
    elif path.name.endswith(".keras"):
        model.save(path)
    else:
        model.save_weights(path, max_shard_size=150 / 2**30 if "json" in path.name else None)


def names(file):
    found = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def picture(model):
    values = [*model.weights, *model.optimizer.variables]
    return [np.asarray(value).tobytes() for value in values] + [getattr(model.layers[1], "times", 0)]


class Refusing:
    """Stands for a disk: the read of an array with this number, counted over all forms, is refused."""

    def __init__(self, monkeypatch, act):
        self.left, self.act = 0, act
        for owner, name in ((h5py.Dataset, "read_direct"), (Tensors, "__getitem__"), (Tensors, "_pieces")):
            monkeypatch.setattr(owner, name, self.around(getattr(owner, name)))

    def around(self, read):
        def reading(*args, **kwargs):
            self.left -= 1
            if self.left == 0:
                self.act()
            return read(*args, **kwargs)

        return reading


def refuse():
    raise OSError(errno.EIO, "Input/output error")


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("name, act", [*((name, refuse) for name in FORMS), ("m.safetensors", interrupt)])
def test_refused_at_every_array(name, act, tmp_path, monkeypatch):
    save(make(1), tmp_path / name)
    model, disk = make(), Refusing(monkeypatch, act)
    before, number = picture(model), 0
    while disk.left <= 0:  # until a load is through before its turn comes
        number += 1
        disk.left = number
        try:
            model.load_weights(tmp_path / name, skip_mismatch=bool(number % 2))
        except (OSError, ValueError, KeyboardInterrupt):
            assert disk.left <= 0 and picture(model) == before
    assert number > 8 and picture(model) != before


@pytest.mark.parametrize("name", ["m.weights.h5", "m.keras", "packed.keras", "m.safetensors", "keras2.h5"])
def test_cut_off_while_it_is_read(name, tmp_path, monkeypatch):
    """By another program, at each array: a memory map would end the process here (SIGBUS)."""
    save(make(1), path := tmp_path / name)
    data, model = path.read_bytes(), make()
    disk = Refusing(monkeypatch, lambda: os.truncate(path, 0))
    for number in range(1, 8):
        before, disk.left = picture(model), number
        try:
            model.load_weights(path)
        except (OSError, ValueError):
            assert picture(model) == before
        path.write_bytes(data)
    disk.left = 0
    model.load_weights(path)


@pytest.mark.parametrize("name", ["m.weights.h5", "m.safetensors", "m.weights.json", "keras2.h5"])
def test_large_models_are_read_twice(name, tmp_path, monkeypatch):
    """Where the old values are too many to be kept, the first reading finds what is wrong; the second one says so."""
    monkeypatch.setattr(changes, "_KEPT", 0)
    save(make(1), tmp_path / name)
    model, other, disk = make(), make(), Refusing(monkeypatch, refuse)
    before, number, told = picture(model), 0, 0
    while disk.left <= 0:
        number += 1
        disk.left = number
        try:
            model.load_weights(tmp_path / name)
        except (OSError, ValueError) as error:
            notes = [note for note in getattr(error, "__notes__", ()) if "All could be read once" in note]
            told += bool(notes)
            assert notes or picture(model) == before
    disk.left = 0
    other.load_weights(tmp_path / name)
    assert picture(model)[:-1] == picture(other)[:-1] and 3 < told < number - 8


@pytest.mark.parametrize("name", ["m.keras", "packed.keras", "pieces.weights.h5", "m.safetensors"])
def test_one_bit_in_each_array(name, tmp_path):
    """In files that have checksums. (`.weights.h5` has none, as in Keras.)"""
    save(make(1), tmp_path / name)
    model, data = make(), (tmp_path / name).read_bytes()
    before = picture(model)
    for at in np.linspace(len(data) // 2, len(data) - 200, 25).astype(int):
        changed = bytearray(data)
        changed[at] ^= 1
        (tmp_path / name).write_bytes(changed)
        try:
            model.load_weights(tmp_path / name)
        except (OSError, ValueError):
            assert picture(model) == before
        else:  # between arrays
            before = picture(model)
