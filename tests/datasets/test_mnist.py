"""MNIST: the embedded sample, and the download into the cache."""

import numpy as np
import pytest

from kyeo.core.contents import sha256_of
from kyeo.datasets import fetch, mnist


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A small archive served from a file, with its checksum, and an empty cache."""
    digits = np.arange(2 * 28 * 28, dtype="uint8").reshape(2, 28, 28)
    labels = np.array([3, 7], "uint8")
    source = tmp_path / "served" / "mnist.npz"
    source.parent.mkdir()
    np.savez(source, x_train=digits, y_train=labels, x_test=digits[:1], y_test=labels[:1])
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mnist, "_URL", source.as_uri())
    monkeypatch.setattr(mnist, "_SHA256", sha256_of(source))
    return source


def test_sample():
    (x_train, y_train), (x_test, y_test) = mnist.load_sample()
    assert x_train.shape == (4000, 28, 28) and x_test.shape == (1000, 28, 28)
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype("uint8")}
    assert x_train.max() == 255 and x_train.min() == 0
    assert np.bincount(y_train).tolist() == [400] * 10 and np.bincount(y_test).tolist() == [100] * 10
    assert len(np.unique(y_train[:50])) >= 9, "the classes are mixed"
    both = np.concatenate([x_train, x_test]).reshape(5000, -1)
    assert len(np.unique(both, axis=0)) == 5000, "no digit is in both parts"
    assert mnist._SAMPLE.stat().st_size < 900_000
    assert "CC BY-SA 3.0" in mnist._SAMPLE.with_name("LICENSE-MNIST.txt").read_text(encoding="utf-8")


def test_downloads_once(server, tmp_path, capsys):
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    assert x_train.shape == (2, 28, 28) and y_train.tolist() == [3, 7] and len(x_test) == len(y_test) == 1
    assert [file.name for file in (tmp_path / "home" / "datasets").iterdir()] == ["mnist.npz"]
    assert "Downloading" in capsys.readouterr().err
    server.unlink()
    assert len(mnist.load_data()[0][0]) == 2, "the second call reads the cache"


def test_a_damaged_cache_is_replaced(server):
    mnist.load_data()
    cached = fetch.cache_folder() / "mnist.npz"
    cached.write_bytes(b"damaged")
    assert len(mnist.load_data()[0][0]) == 2 and cached.read_bytes() != b"damaged"


def test_a_wrong_download_is_thrown_away(server):
    server.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"(?s)Received: SHA-256 .*Expected: SHA-256"):
        mnist.load_data()
    assert list(fetch.cache_folder().iterdir()) == []


def test_no_network(server):
    server.unlink()
    with pytest.raises(OSError, match=r"Cannot download.*mnist\.npz\.$"):
        mnist.load_data()
    assert list(fetch.cache_folder().iterdir()) == []
    (fetch.cache_folder() / "mnist.npz").write_bytes(b"cut off")
    with pytest.raises(OSError, match="the one there has another checksum"):
        mnist.load_data()


@pytest.mark.parametrize("path", ["", "folder/mnist.npz", "../mnist.npz", ".."])
def test_only_a_file_name(server, path):
    with pytest.raises(ValueError, match="Received: path="):
        mnist.load_data(path)


def test_nothing_is_unpickled(server, monkeypatch):
    np.savez(server, x_train=np.array([{}], dtype=object), y_train=0, x_test=0, y_test=0)
    monkeypatch.setattr(mnist, "_SHA256", sha256_of(server))
    with pytest.raises(ValueError, match="allow_pickle"):
        mnist.load_data()


def test_where_the_home_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(fetch.os, "access", lambda path, mode: False)
    assert fetch.cache_folder().parent.name == ".keras"
    assert tmp_path not in fetch.cache_folder().parents
