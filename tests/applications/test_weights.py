"""Published weights: where they are said to be, their checksums, and loading them. And pixels and names of classes."""

import hashlib
import inspect
import json
import pathlib
import re
import urllib.request
from unittest import mock

import h5py
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

import kyeo
from kyeo import applications
from kyeo.applications import imagenet_utils, published
from tests.applications.describe import NAMES


def asked_for(room, monkeypatch, name, words):
    """The file that a network asks for: (name in the cache, address, checksum)."""
    class Asked(Exception):
        pass

    def get_file(fname, origin, cache_subdir=None, file_hash=None, folder=None):
        assert (cache_subdir or folder) == "models"
        raise Asked(fname, origin, file_hash)

    if room is keras.applications:
        monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    else:
        monkeypatch.setattr(published, "fetch", lambda fname, url, digest, folder: get_file(fname, url, folder, digest))
    with pytest.raises(Asked) as asked:
        getattr(room, name)(**words)
    return asked.value.args


def nothing(shape, *args, dtype=None, **words):
    """Instead of random weights of Keras, which compile a program for each shape."""
    return np.zeros(shape, dtype)


CHEAP = [
    ("MobileNet", {"alpha": alpha, "include_top": top, "input_shape": (side, side, 3)})
    for alpha, top, side in ((0.25, True, 128), (0.5, False, 160), (0.75, True, 224), (1.0, False, 192))
] + [("MobileNetV2", {"alpha": 0.35, "include_top": False, "input_shape": (96, 96, 3)}), ("VGG16", {"include_top": False})]


@pytest.mark.parametrize("name, words", CHEAP, ids=str)
def test_asks_for_the_same_file(name, words, monkeypatch):
    monkeypatch.setattr(keras.src.backend.random, "uniform", nothing)
    assert asked_for(applications, monkeypatch, name, words) == asked_for(keras.applications, monkeypatch, name, words)


def test_checksums_are_those_that_keras_knows():
    """Every checksum in Keras's source stands beside the same network here."""
    folder = pathlib.Path(inspect.getfile(keras)).parent / "src" / "applications"
    text = "".join(path.read_text() for path in folder.glob("*.py") if not path.name.endswith("_test.py"))
    theirs = set(re.findall(r'"([0-9a-f]{64}|[0-9a-f]{32})"', text))
    resnext = set(re.findall(r'"([0-9a-f]{32})"', text[text.index('"resnext50"'):][:400]))
    ours = [digest for weights in published.WEIGHTS.values() for digest in weights.digests]
    index = {imagenet_utils._INDEX[2]}
    assert len(set(ours)) == len(ours) and set(ours) | index | resnext == theirs
    for key, weights in published.WEIGHTS.items():
        assert all(url.startswith("https://storage.googleapis.com/") for url in weights.files)
        stem = key.replace("nasnet_", "NASNet-") if key.startswith("nasnet") else key
        assert all(stem in url for url in weights.files) and len(weights.digests[0]) == len(weights.digests[1])
    mine = {weights.digests[0] for weights in published.WEIGHTS.values()}
    for name in NAMES:  # the first of each pair is that with the classifier
        found = re.search(rf'"{name.lower()}": \(\s*"([0-9a-f]+)"', text)
        assert found is None or found[1] in mine


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A cache in a folder, and a network that serves what is put into the dict."""
    files = {}

    def urlopen(url, timeout):
        (tmp_path / "served").write_bytes(files[url])
        return open(tmp_path / "served", "rb")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return files


@pytest.fixture(scope="module")
def trained():
    """Keras's MobileNet without classifier, thin, with weights that are not those a new one begins with."""
    with mock.patch.object(keras.src.backend.random, "uniform", nothing):
        model = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None, input_shape=(128, 128, 3))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1, w.shape).astype("float32") for w in model.weights])
    return model


def test_weights_are_downloaded_and_loaded(served, trained, tmp_path, capsys):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, trained)
    url = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/mobilenet_2_5_128_tf_no_top.h5"
    served[url] = (tmp_path / "w.h5").read_bytes()
    words = {"alpha": 0.25, "include_top": False, "input_shape": (128, 128, 3)}
    model = applications.MobileNet(**words)
    assert f"Downloading {url}" in capsys.readouterr().err
    for ours, theirs in zip(model.get_weights(), trained.get_weights()):
        np.testing.assert_array_equal(ours, theirs)
    served.clear()
    trained.save_weights(tmp_path / "w.weights.h5")
    for weights in ("imagenet", tmp_path / "w.h5", str(tmp_path / "w.weights.h5")):  # the first from the cache
        again = applications.MobileNet(weights=weights, **words)
        np.testing.assert_array_equal(again.get_weights()[0], trained.get_weights()[0])
    with pytest.warns(UserWarning, match="weights for 224 are loaded"), pytest.raises(KeyError, match="2_5_224"):
        applications.MobileNet(alpha=0.25, include_top=False)


def test_another_file_is_not_taken(served):
    weights = published.WEIGHTS["vgg16"]
    served[weights.files[1]] = b"something else"
    with pytest.raises(ValueError, match=r"Received: MD5 [0-9a-f]{32}\n  Expected: MD5 6d6bbae1"):
        weights.fetch(include_top=False)
    weights = published.WEIGHTS["convnext_tiny"]
    served[weights.files[0]] = b"something else"
    with pytest.raises(ValueError, match=r"Received: SHA-256 [0-9a-f]{64}\n  Expected: SHA-256 8ae6e78c"):
        weights.fetch(include_top=True)


def test_names_of_classes(served, monkeypatch):
    table = {str(i): [f"n{i:08}", f"thing_{i}"] for i in range(1000)}
    name, url, _ = imagenet_utils._INDEX
    served[url] = json.dumps(table).encode()
    monkeypatch.setattr(imagenet_utils, "_INDEX", (name, url, hashlib.md5(served[url]).hexdigest()))
    scores = np.zeros((2, 1000), "float32")
    scores[0, [3, 999]], scores[1, 0] = (0.2, 0.8), 0.5
    found = applications.vgg16.decode_predictions(jnp.asarray(scores), top=2)
    assert found[0] == [("n00000999", "thing_999", np.float32(0.8)), ("n00000003", "thing_3", np.float32(0.2))]
    assert found[1][0] == ("n00000000", "thing_0", 0.5)
    assert [len(row) for row in applications.imagenet_utils.decode_predictions(scores)] == [5, 5]
    for bad in (scores[0], scores[:, :10]):
        with pytest.raises(ValueError, match=r"shape \(images, 1000\)"):
            imagenet_utils.decode_predictions(bad)
    with pytest.raises(ValueError, match="top"):
        imagenet_utils.decode_predictions(scores, top=0)


PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 3, 3, 3)).astype("float32")


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first", None])
def test_pixels(mode, data_format):
    for x in (PIXELS, PIXELS[0], PIXELS.astype("uint8"), PIXELS.astype("float64")):
        expected = keras.applications.imagenet_utils.preprocess_input(np.array(x), data_format, mode)
        before = x.copy()
        for one in (x, jnp.asarray(x)):
            found = imagenet_utils.preprocess_input(one, data_format, mode)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
            assert type(found) is type(one) or not isinstance(one, np.ndarray)
        np.testing.assert_array_equal(x, before)
    x = kyeo.Input((3, 3, 3), dtype="uint8")
    model = kyeo.Model(x, imagenet_utils.preprocess_input(x, data_format, mode))
    whole = PIXELS.astype("uint8")
    np.testing.assert_allclose(model(whole), imagenet_utils.preprocess_input(whole, data_format, mode), rtol=1e-5,
                               atol=1e-5)


def test_pixels_of_each_family():
    for room in (n for n in applications.__all__ if n[0].islower()):
        ours, theirs = (getattr(a, room).preprocess_input for a in (applications, keras.applications))
        np.testing.assert_allclose(ours(PIXELS), theirs(PIXELS.copy()), rtol=1e-5, atol=1e-5, err_msg=room)
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


@pytest.mark.parametrize("words", [{"mode": "keras"}, {"data_format": "last"}, {"x": np.ones((3, 3))},
                                   {"x": np.ones((3, 3, 4))}, {"x": np.ones((4, 3, 3)), "data_format": "channels_first"}])
def test_bad_pixels(words):
    with pytest.raises(ValueError, match="Received"):
        imagenet_utils.preprocess_input(**{"x": PIXELS, **words})
