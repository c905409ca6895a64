"""Weights in several files and an index, in Keras's form and in that of safetensors."""

import json
import os
import pathlib
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import kyeo
from kyeo.core.tensors import DamagedFile
from kyeo.saving.shards import shard_sizes
from tests.saving.test_failing import files

package = pytest.importorskip("safetensors.numpy")
GB = 2**30
INDEXES = pytest.mark.parametrize("index", ["m.weights.json", "m.safetensors.index.json"])


def make(k, units=4):
    model = k.Sequential([k.Input((4,)), k.layers.Dense(units), k.layers.BatchNormalization(),
                          k.Sequential([k.layers.Dense(units), k.layers.Dropout(0.5)]), k.layers.Dense(2)])
    rng = np.random.default_rng(units)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def same(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [70, 100, 10_000])
def test_keras_both_ways(size, tmp_path):
    """Limits of which one divides a layer, and one needs no second file."""
    for source, target in ((kyeo, keras), (keras, kyeo)):
        folder = tmp_path / source.__name__
        folder.mkdir()
        model, other = make(source), make(target)
        other.set_weights([w + 1 for w in other.get_weights()])
        model.save_weights(folder / "m.weights.json", max_shard_size=size / GB)
        other.load_weights(folder / "m.weights.json")
        same(model, other)
    ours, theirs = (files(tmp_path / k.__name__) for k in (kyeo, keras))
    assert ours.keys() == theirs.keys() and len(ours) == {70: 6, 100: 5, 10_000: 2}[size]
    ours, theirs = (json.loads(f["m.weights.json"]) for f in (ours, theirs))
    as_lists = lambda told: {k: [v] if isinstance(v, str) else v for k, v in told["weight_map"].items()}  # noqa: E731
    assert as_lists(ours) == as_lists(theirs) and ours["metadata"] == theirs["metadata"]


@INDEXES
def test_replacing(index, tmp_path):
    """An index is replaced in one step: at each instant it names whole files of one save. None is left over."""
    path = tmp_path / index
    for units in (4, 8, 3, 5):
        model = make(kyeo, units)
        model.save_weights(path, max_shard_size=260 / GB)
        other = make(kyeo, units)
        other.set_weights([0 * w for w in other.get_weights()])
        other.load_weights(path)
        same(model, other)
        if index.endswith("weights.json"):
            there = make(keras, units)
            there.load_weights(path)
            same(model, there)
        places = json.loads(path.read_text())["weight_map"].values()
        extra = set(files(tmp_path)) - {index} - {n for v in places for n in ([v] if isinstance(v, str) else v)}
        assert extra <= {"m_00000.weights.h5"}  # which Keras opens always


@INDEXES
def test_a_save_that_stops_leaves_the_old_weights(index, tmp_path, monkeypatch):
    """At every call of rename: the old weights are there whole, and nothing else."""
    model, changed = make(kyeo), make(kyeo)
    changed.set_weights([w + 1 for w in changed.get_weights()])
    model.save_weights(tmp_path / index, max_shard_size=100 / GB)
    before, replace = files(tmp_path), os.replace
    for stop in range(9):
        calls = iter(range(99))

        def replacing(*args, calls=calls, stop=stop):
            if next(calls) == stop:
                raise OSError(5, "Input/output error")
            replace(*args)

        monkeypatch.setattr(os, "replace", replacing)
        try:
            changed.save_weights(tmp_path / index, max_shard_size=100 / GB)
        except OSError as error:
            assert error.errno == 5 and files(tmp_path) == before
        else:
            assert stop > 4
            break
    other = make(kyeo)
    other.load_weights(tmp_path / index)
    same(other, changed)


def test_safetensors_as_others_write_them(tmp_path):
    model, other = make(kyeo), make(kyeo, 4)
    model.save_weights(tmp_path / "m.safetensors.index.json", max_shard_size=100 / GB)
    there = json.loads((tmp_path / "m.safetensors.index.json").read_text())
    names = sorted(set(there["weight_map"].values()))
    assert names == [f"m-{i:05}-of-{len(names):05}.safetensors" for i in range(1, len(names) + 1)] and len(names) > 2
    arrays = {}
    for name in names:
        part = package.load_file(tmp_path / name)
        assert {there["weight_map"][key] for key in part} == {name}
        arrays |= part
    assert there["metadata"]["total_size"] == sum(a.nbytes for a in arrays.values())
    folder = tmp_path / "theirs"
    folder.mkdir()
    keys = list(arrays)
    for i, part in enumerate((keys[::2], keys[1::2])):
        package.save_file({key: arrays[key] * 0 + 1 for key in part}, folder / f"other-{i}.safetensors")
    (folder / "x.safetensors.index.json").write_text(json.dumps({"weight_map": {
        key: f"other-{i % 2}.safetensors" for i, key in enumerate(keys)}}))
    other.load_weights(folder / "x.safetensors.index.json")
    assert all((w == 1).all() for w in other.get_weights() if w.dtype == np.float32)
    with pytest.warns(UserWarning, match="index is"):
        model.save_weights(tmp_path / "y.safetensors", max_shard_size=1)
    with pytest.raises(FileExistsError):
        model.save_weights(tmp_path / "y.safetensors.index.json", overwrite=False, max_shard_size=1)


@INDEXES
def test_what_does_not_fit(index, tmp_path):
    path = tmp_path / index
    make(kyeo).save_weights(path, max_shard_size=100 / GB)
    larger = make(kyeo, 5)
    before = larger.get_weights()
    with pytest.raises(ValueError, match="kernel has shape"):
        larger.load_weights(path)
    with pytest.warns(UserWarning, match="skipped"):
        larger.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(before[0], larger.get_weights()[0])
    short = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(4)])
    with pytest.warns(UserWarning, match="no place for: .*dense_1"):
        short.load_weights(path)


@INDEXES
@pytest.mark.parametrize("text", [
    "", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 3}}', '{"weight_map": {"a": [["b"]]}}', "[" * 10**5,
    *(json.dumps({"weight_map": {"/layers/dense/vars": name, "layers/dense/kernel": [name]}}) for name in (
        "/etc/passwd", "../x{}", "a/x{}", "C:x{}", "x\0{}", ".x{}", "{}", "link{}", "missing{}", "folder{}"))])
def test_hostile_indexes(index, text, tmp_path):
    """Nothing but files of the same folder is opened."""
    ending = ".safetensors" if "safetensors" in index else ".weights.h5"
    model = make(kyeo)
    inside = tmp_path / "inside"
    (inside / "a").mkdir(parents=True)
    model.save_weights(tmp_path / f"x{ending}")
    (inside / f"link{ending}").symlink_to(tmp_path / f"x{ending}")
    (inside / f"folder{ending}").mkdir()
    (inside / index).write_text(text.replace("{}", ending))
    with pytest.raises((ValueError, OSError)) as caught:
        model.load_weights(inside / index)
    assert str(inside) in str(caught.value)


def test_an_index_and_files_of_another_save(tmp_path):
    path = tmp_path / "m.safetensors.index.json"
    make(kyeo).save_weights(path, max_shard_size=100 / GB)
    told = json.loads(path.read_text())
    told["weight_map"]["layers/dense/kernel"] = told["weight_map"]["layers/dense_1/kernel"]
    path.write_text(json.dumps(told))
    with pytest.raises(DamagedFile, match="do not go together"):
        make(kyeo).load_weights(path)
    cache = tmp_path / "cache"  # both links, into one folder
    cache.mkdir()
    make(kyeo).save_weights(tmp_path / "n.safetensors.index.json", max_shard_size=1)
    for file in tmp_path.glob("n*"):
        (cache / file.name).symlink_to(file)
    make(kyeo).load_weights(cache / "n.safetensors.index.json")


@INDEXES
def test_memory_of_a_large_model(index, tmp_path):
    """While 100 MB are loaded: the new arrays of the model, one that is read and one that is converted; none is staged."""
    layers = [kyeo.layers.Dense(1600, use_bias=False, kernel_initializer="ones") for _ in range(10)]
    model = kyeo.Sequential([kyeo.Input((1600,)), *layers])
    size = 10 * 4 * 1600**2
    model.save_weights(tmp_path / index, max_shard_size=size / 4 / GB)
    tracemalloc.start()
    model.load_weights(tmp_path / index)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * size + 2e6


@INDEXES
def test_a_file_that_goes_while_sizes_are_asked_for(index, tmp_path, monkeypatch):
    make(kyeo).save_weights(tmp_path / index, max_shard_size=100 / GB)
    whole = shard_sizes(tmp_path / index)
    gone = next(path for path in sorted(tmp_path.iterdir()) if path.name != index)
    size = gone.stat().st_size
    gone.unlink()
    monkeypatch.setattr(pathlib.Path, "is_file", lambda path: True)  # as it was a moment before
    assert shard_sizes(tmp_path / index) == whole - size


@pytest.mark.skipif(os.name != "posix", reason="files that can be locked")
@INDEXES
def test_writers_and_a_reader_at_once(index, tmp_path):
    """What is read is of one save, at each moment and in the end; nothing is left over."""
    def save(value, times=8):
        model = make(kyeo)
        model.set_weights([np.full(w.shape, value) for w in model.get_weights()])
        for _ in range(times):
            model.save_weights(tmp_path / index, max_shard_size=100 / GB)

    def read():
        model.load_weights(tmp_path / index)
        assert len({value for w in model.get_weights() for value in w.flat}) == 1

    model = make(kyeo)
    save(0.0, 1)
    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(save, value) for value in (1.0, 2.0, 3.0)]
        while not all(each.done() for each in writing):
            read()
    assert [each.result() for each in writing] == [None] * 3
    read()
    places = json.loads((tmp_path / index).read_text())["weight_map"].values()
    named = {name for place in places for name in (place if isinstance(place, list) else [place])}
    assert set(os.listdir(tmp_path)) - {"m_00000.weights.h5"} == (named | {index}) - {"m_00000.weights.h5"}
