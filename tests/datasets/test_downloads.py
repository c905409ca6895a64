"""The data sets with small files in the place of the real ones."""

import gzip
import io
import json
import pickle
import tarfile
from unittest import mock

import keras
import numpy as np
import pytest

from kyeo import datasets
from kyeo.datasets import restricted

RNG = np.random.default_rng(0)


@pytest.fixture
def give(tmp_path):
    """A function that puts files in the place of downloads, for Kyeo and for Keras."""
    def given(module, files):
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        fetch = mock.patch.object(module, "fetch", lambda name, *_: tmp_path / name)
        theirs = getattr(keras.src.datasets, module.__name__.rsplit(".", 1)[1])
        get = mock.patch.object(theirs, "get_file", lambda fname, **_: str(tmp_path / fname))
        fetch.start(), get.start()
        return theirs

    yield given
    mock.patch.stopall()


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def ragged(count):
    rows = np.empty(count, object)
    rows[:] = [RNG.integers(1, 30, RNG.integers(2, 9)).tolist() for _ in range(count)]
    return rows


def assert_same(ours, theirs):
    for one, two in zip(ours, theirs, strict=True):
        for a, b in zip(one, two, strict=True):
            assert list(map(repr, list(a))) == list(map(repr, list(b)))


WORDS = [{}, {"num_words": 12}, {"skip_top": 4, "oov_char": None}, {"maxlen": 7}, {"start_char": None},
         {"start_char": None, "index_from": 0}, {"seed": 5, "index_from": 1, "start_char": 9}]


@pytest.mark.parametrize("words", WORDS, ids=str)
def test_texts(give, words):
    arrays = {f"{n}_{part}": ragged(12) if n == "x" else RNG.integers(0, 2, 12) for n in "xy" for part in ("train", "test")}
    theirs = give(datasets.imdb, {"imdb.npz": npz(**arrays)})
    assert_same(datasets.imdb.load_data(**words), theirs.load_data(**words))
    theirs = give(datasets.reuters, {"reuters.npz": npz(x=ragged(20), y=RNG.integers(0, 46, 20))})
    assert_same(datasets.reuters.load_data(**words), theirs.load_data(**words))


def test_indexes(give):
    for module in (datasets.imdb, datasets.reuters):
        name = f"{module.__name__.rsplit('.', 1)[1]}_word_index.json"
        give(module, {name: json.dumps({"the": 1, "of": 2}).encode()})
        assert module.get_word_index() == {"the": 1, "of": 2}
    assert datasets.reuters.get_label_names() == keras.datasets.reuters.get_label_names()


@pytest.mark.parametrize("words", [{}, {"test_split": 0.4, "seed": 3}], ids=str)
def test_houses(give, words):
    for module, width, versions in ((datasets.boston_housing, 13, [{}]),
                                    (datasets.california_housing, 8, [{}, {"version": "small"}])):
        name = module.__name__.rsplit(".", 1)[1] + ".npz"
        theirs = give(module, {name: npz(x=RNG.normal(size=(700, width)), y=RNG.normal(size=700))})
        for version in versions:
            assert_same(module.load_data(**words, **version), theirs.load_data(**words, **version))
        with pytest.raises(ValueError, match="test_split"):
            module.load_data(test_split=1.0)


def test_fashion(give):
    def idx(array):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        return gzip.compress(head + array.tobytes())

    x, y = RNG.integers(0, 256, (5, 28, 28)).astype("uint8"), RNG.integers(0, 10, 5).astype("uint8")
    files = {f"{part}-{kind}.gz": idx(a) for part in ("train", "t10k")
             for kind, a in (("images-idx3-ubyte", x), ("labels-idx1-ubyte", y))}
    theirs = give(datasets.fashion_mnist, files)
    assert_same(datasets.fashion_mnist.load_data(), theirs.load_data())


def archive(tmp_path, name, members):
    with tarfile.open(tmp_path / name, "w:gz") as tar:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def batch(rows, **labels):
    """As Python 2 wrote it: strings that are bytes, protocol 2."""
    content = {b"data": RNG.integers(0, 256, (rows, 3072)).astype("uint8"), b"filenames": [b"a.png"] * rows,
               **{k.encode(): v for k, v in labels.items()}}
    return pickle.dumps(content, protocol=2)


def test_cifar(give, tmp_path):
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    files = {f"cifar-10-batches-py/{n}": batch(3, labels=RNG.integers(0, 10, 3).tolist()) for n in names}
    archive(tmp_path, "cifar-10-python.tar.gz", files)
    give(datasets.cifar10, {})
    (x, y), (x_test, y_test) = datasets.cifar10.load_data()
    assert x.shape == (15, 32, 32, 3) and y.shape == (15, 1) and x_test.shape == (3, 32, 32, 3) and y_test.dtype == "uint8"
    first = pickle.loads(files["cifar-10-batches-py/data_batch_1"])
    np.testing.assert_array_equal(x[0, :, :, 1].ravel(), first[b"data"][0, 1024:2048])
    assert y[:3, 0].tolist() == first[b"labels"]
    files = {f"cifar-100-python/{n}": batch(4, fine_labels=[5, 6, 7, 8], coarse_labels=[1, 2, 3, 4]) for n in ("train", "test")}
    archive(tmp_path, "cifar-100-python.tar.gz", files)
    give(datasets.cifar100, {})
    assert datasets.cifar100.load_data()[0][1].tolist() == [[5], [6], [7], [8]]
    assert datasets.cifar100.load_data("coarse")[1][1].tolist() == [[1], [2], [3], [4]]
    with pytest.raises(ValueError, match="label_mode"):
        datasets.cifar100.load_data("medium")


class Evil:
    def __reduce__(self):
        return (print, ("run!",))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_run_nothing(tmp_path, protocol, capsys):
    with pytest.raises(ValueError, match=r"builtins|__builtin__"):
        restricted.read_pickle(pickle.dumps({"data": Evil()}, protocol=protocol), tmp_path)
    bad = np.empty(1, object)
    bad[0] = Evil()
    (tmp_path / "bad.npz").write_bytes(npz(x=bad))
    with pytest.raises(ValueError, match="print"):
        restricted.read_npz(tmp_path / "bad.npz")
    assert not capsys.readouterr().out
