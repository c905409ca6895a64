"""Dataset and what makes one of folders and arrays; get_file and archives."""

import io
import pathlib
import tarfile
import urllib.request
import wave
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kyeo
from kyeo.data import Dataset
from kyeo.utils import resizing


def lists(data):
    return [jax.tree.map(lambda a: np.asarray(a).tolist(), element) for element in data]


ROWS = Dataset.from_tensor_slices(np.arange(7))


@pytest.mark.parametrize(("data", "wanted", "size"), [
    (ROWS.batch(3), [[0, 1, 2], [3, 4, 5], [6]], 3), (ROWS.batch(3, drop_remainder=True), [[0, 1, 2], [3, 4, 5]], 2),
    (ROWS.take(2), [0, 1], 2), (ROWS.take(-1).skip(5), [5, 6], 2), (ROWS.skip(9), [], 0), (ROWS.take(9).take(1), [0], 1),
    (ROWS.map(lambda x: x * 2).take(3), [0, 2, 4], 3), (ROWS.filter(lambda x: x > 4), [5, 6], -2),
    (ROWS.batch(4).unbatch(), list(range(7)), -2), (ROWS.take(1).concatenate(ROWS.skip(6)), [0, 6], 2),
    (ROWS.prefetch(2).cache().take(2), [0, 1], 2),
    (Dataset.from_tensor_slices({"a": [1, 2], "b": [[3], [4]]}), [{"a": 1, "b": [3]}, {"a": 2, "b": [4]}], 2),
    (Dataset.from_tensor_slices(([1, 2], ["x", "y"])).map(lambda x, y: (y, x)).batch(2), [(["x", "y"], [1, 2])], 1),
])
def test_methods(data, wanted, size):
    assert lists(data) == wanted == lists(data.as_numpy_iterator())
    assert data.cardinality() == size


def test_shuffle_is_a_function_of_seed_and_pass():
    first, second = (ROWS.shuffle(4, seed=3) for _ in range(2))
    passes = [lists(first), lists(first)]
    assert passes == [lists(second), lists(second)]
    assert passes[0] != passes[1] and sorted(passes[0]) == list(range(7))
    fresh, plain = (ROWS.shuffle(7, seed=3) for _ in range(2))
    taken = [lists(fresh.take(3)) for _ in range(3)]  # as in an epoch's `for batch in data.take(100)`
    assert taken == [lists(plain)[:3] for _ in range(3)] and taken[0] != taken[1]
    assert sorted(lists(fresh.take(5)) + lists(fresh.skip(5))) == list(range(7))  # to train and to validate
    same = ROWS.shuffle(9, seed=3, reshuffle_each_iteration=False)
    assert lists(same) == lists(same) != list(range(7))
    source = kyeo.data.as_source(first.map(lambda x: np.array([x, x])))
    assert lists(x for x, _, _ in source.batches(1, start=2)) == [[x, x] for x in passes[1][2:]]
    in_part = kyeo.data.as_source(first.map(lambda x: np.array([x])).take(6), steps=3)
    assert lists(x for e in range(2) for x, _, _ in in_part.batches(e)) == [[x] for x in passes[0][:6]]


def test_fit_takes_one():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    data = Dataset.from_tensor_slices((x, x.sum(1, keepdims=True))).shuffle(20, seed=1).batch(6)
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(1)])
    model.compile(kyeo.optimizers.SGD(0.1), "mse")
    losses = model.fit(data, epochs=4, verbose=0, validation_data=data).history["val_loss"]
    assert losses[-1] < losses[0]
    assert model.predict(data, verbose=0).shape == (20, 1)


# -- folders ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    from PIL import Image

    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, count in (("cats", 5), ("dogs", 4)):
        (root / name).mkdir()
        for i in range(count):
            array = rng.integers(0, 256, (6 + i, 9, 3)).astype("uint8")
            Image.fromarray(array).save(root / name / f"{i}.png")
        (root / name / "notes.md").write_text("no picture")
    return root


def images(folder, **words):
    return kyeo.utils.image_dataset_from_directory(folder, verbose=False, image_size=(4, 5), **words)


def test_pictures(pictures):
    (x, y), *_ = data = list(images(pictures, shuffle=False, batch_size=4))
    assert [len(batch[1]) for batch in data] == [4, 4, 1]
    assert x.shape == (4, 4, 5, 3) and x.dtype == "float32" and 0 <= x.min() < x.max() <= 255
    assert np.concatenate([b[1] for b in data]).tolist() == [0] * 5 + [1] * 4
    assert y.dtype == "int32"
    data = images(pictures, batch_size=None, color_mode="grayscale", labels=None, data_format="channels_first")
    assert next(iter(data)).shape == (1, 4, 5) and data.class_names is None and len(data) == 9
    data = images(pictures, label_mode="categorical", class_names=["dogs", "cats"], seed=1)
    assert data.class_names == ["dogs", "cats"]
    assert next(iter(data))[1].sum(0).tolist() == [4, 5]
    assert next(iter(images(pictures, labels=[1, 0, 2] * 3)))[1].dtype == "int32"
    binary = images(pictures, label_mode="binary", shuffle=False, labels=np.array([1, 0] * 4 + [1]))
    assert next(iter(binary))[1].tolist() == [[1.0], [0.0]] * 4 + [[1.0]]
    for words in ({"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}, {"interpolation": "area"}):
        assert next(iter(images(pictures, **words)))[0].shape == (9, 4, 5, 3)
    assert next(iter(images(pictures, interpolation="nearest", color_mode="rgba")))[0].dtype == "uint8"
    inside = resizing.padded(np.ones((10, 7, 1)), (4, 8), "bilinear")[0, :, 0]
    assert inside.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]  # where tf.image.resize_with_pad has it


def test_pictures_of_16_bits(tmp_path):
    """Bytes are the upper half of the bits, not what is below 256."""
    from PIL import Image

    Image.fromarray(np.array([[0, 300], [32768, 65535]], "uint16")).save(tmp_path / "one.png")
    for mode in ("grayscale", "rgba"):
        data = kyeo.utils.image_dataset_from_directory(tmp_path, None, color_mode=mode, image_size=(2, 2), verbose=False)
        assert next(iter(data))[0, :, :, 0].tolist() == [[0, 1], [128, 255]]


def test_the_split_is_that_of_keras(pictures):
    """Keras shuffles paths by RandomState(seed): the same files are held out."""
    train, held = images(pictures, validation_split=0.3, subset="both", seed=5)
    paths = [str(pictures / name / f"{i}.png") for name, count in (("cats", 5), ("dogs", 4)) for i in range(count)]
    np.random.RandomState(5).shuffle(paths)
    assert (train.file_paths, held.file_paths) == (paths[:7], paths[7:])
    assert images(pictures, validation_split=0.3, subset="validation", seed=5).file_paths == held.file_paths
    labels = np.concatenate([y for _, y in held])
    assert labels.tolist() == [int("dogs" in p) for p in paths[7:]]  # the held-out part keeps its order
    first, second = (np.concatenate([y for _, y in train]).tolist() for _ in range(2))
    assert sorted(first) == sorted(second) == sorted(int("dogs" in p) for p in paths[:7])


@pytest.mark.parametrize(("words", "text"), [
    ({"labels": "names"}, "labels"), ({"label_mode": "hot"}, "label_mode"), ({"color_mode": "cmyk"}, "color_mode"),
    ({"interpolation": "cubic"}, "interpolation"), ({"image_size": (1, 2, 3)}, "image_size"), ({"format": "x"}, "format"),
    ({"validation_split": 0.2}, "go together"), ({"subset": "both"}, "go together"), ({"labels": [1]}, "does not fit"),
    ({"validation_split": 0.2, "subset": "both"}, "needs a seed"), ({"class_names": ["birds"]}, "class_names"),
    ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "one way"),
    ({"class_names": ["cats"], "label_mode": "binary"}, "two classes"),
    ({"labels": [1, 2] * 4 + [1], "label_mode": "categorical"}, "class numbers"),
    ({"labels": ["a"] * 9}, "integer for each file"),
    ({"labels": [1, -1] * 4 + [1], "label_mode": "categorical"}, "class numbers"),
])
def test_refused(pictures, words, text):
    with pytest.raises((ValueError, TypeError), match=text):
        kyeo.utils.image_dataset_from_directory(pictures, verbose=False, **words)


@pytest.mark.parametrize(("name", "method"), [
    ("bilinear", "linear"), ("bicubic", "cubic"), ("lanczos3", "lanczos3"), ("lanczos5", "lanczos5"), ("nearest", "nearest")])
def test_resizing(name, method):
    image = np.random.default_rng(0).normal(size=(7, 12, 2)).astype("float32")
    for size in ((5, 5), (14, 20), (7, 3)):
        wanted = jax.image.resize(jnp.asarray(image), (*size, 2), method, antialias=False)
        np.testing.assert_allclose(resizing.resized(image, size, name), wanted, atol=5e-2 if name == "bicubic" else 1e-5)


def test_texts(tmp_path):
    for name, texts in (("a", ["one", "zwölf"]), ("b", ["three"])):
        (tmp_path / name).mkdir()
        for i, text in enumerate(texts):
            (tmp_path / name / f"{i}.txt").write_text(text, encoding="utf-8")
    data = kyeo.utils.text_dataset_from_directory(tmp_path, shuffle=False, verbose=False)
    assert lists(data) == [(["one", "zwölf", "three"], [0, 0, 1])]
    cut = kyeo.utils.text_dataset_from_directory(tmp_path, labels=None, max_length=3, shuffle=False, verbose=False)
    assert lists(cut) == [["one", "zw", "thr"]]
    layer = kyeo.layers.TextVectorization(output_sequence_length=2)
    layer.adapt(data.map(lambda x, y: x))
    assert lists(data.map(lambda x, y: (layer(x), y))) == [([[4, 0], [2, 0], [3, 0]], [0, 0, 1])]


def test_sounds(tmp_path):
    for name, samples, width in (("a", 8, 2), ("b", 5, 1)):
        (tmp_path / name).mkdir()
        with wave.open(str(tmp_path / name / "0.wav"), "wb") as file:
            file.setparams((1, width, 8000, samples, "NONE", ""))
            values = np.arange(samples)
            file.writeframes((values * 1000).astype("<i2").tobytes() if width == 2 else (128 + values).astype("u1").tobytes())
    (x, y), = kyeo.utils.audio_dataset_from_directory(tmp_path, shuffle=False, verbose=False)
    assert x.shape == (2, 8, 1) and y.tolist() == [0, 1]
    np.testing.assert_allclose(x[0, :, 0], np.arange(8) * 1000 / 32768)
    np.testing.assert_allclose(x[1, :, 0], [0, 1 / 128, 2 / 128, 3 / 128, 4 / 128, 0, 0, 0])
    (x, _), = kyeo.utils.audio_dataset_from_directory(
        tmp_path, shuffle=False, verbose=False, output_sequence_length=6, sampling_rate=4000)
    assert x.shape == (2, 6, 1) and not x[0, 4:].any()


def test_windows():
    data, targets = np.arange(20), np.arange(20) * 10
    make = kyeo.utils.timeseries_dataset_from_array
    assert lists(make(data, None, 3, sequence_stride=5, sampling_rate=2, batch_size=2)) == [
        [[0, 2, 4], [5, 7, 9]], [[10, 12, 14], [15, 17, 19]]]
    assert lists(make(data, targets, 2, start_index=4, end_index=8, batch_size=9)) == [
        ([[4, 5], [5, 6], [6, 7]], [40, 50, 60])]
    assert lists(make(data, targets[:6], 3, start_index=4)) == [([[4, 5, 6], [5, 6, 7]], [40, 50])]
    assert lists(make(data, None, 19, batch_size=None)) == [list(range(19)), list(range(1, 20))]
    first, second = (make(data, targets[:6], 4, shuffle=True, seed=2, batch_size=4) for _ in range(2))
    assert lists(first) == lists(second) != lists(second)
    assert sorted(y for _, ys in first for y in ys.tolist()) == [0, 10, 20, 30, 40, 50]
    for words in ({"sampling_rate": 20}, {"start_index": 30}, {"end_index": -1}, {"end_index": 0}, {"sequence_stride": 0}):
        with pytest.raises(ValueError, match=next(iter(words))):
            make(data, None, 2, **words)


def test_split():
    import random

    left, right = kyeo.utils.split_dataset((np.arange(10), np.arange(10) * 2), right_size=3, shuffle=True, seed=7)
    order = list(range(10))
    random.Random(7).shuffle(order)
    assert lists(left) == [(i, 2 * i) for i in order[:7]]
    assert lists(right) == [(i, 2 * i) for i in order[7:]]
    left, right = kyeo.utils.split_dataset({"a": np.arange(3), "b": np.ones(3)}, left_size=2)
    assert lists(left) == [{"a": 0, "b": 1}, {"a": 1, "b": 1}] and lists(right) == [{"a": 2, "b": 1}]
    assert list(map(len, kyeo.utils.split_dataset(ROWS.batch(2), left_size=0.6))) == [2, 2]
    class Samples:  # of torch: by index, without an end that a loop would find
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return np.full(2, i), i

    assert [int(y) for _, y in kyeo.utils.split_dataset(Samples(), left_size=0.6)[1]] == [3, 4]
    for words in ({}, {"left_size": 0}, {"left_size": 11}, {"left_size": 0.7, "right_size": 0.7}):
        with pytest.raises(ValueError, match=r"size"):
            kyeo.utils.split_dataset(np.arange(10), **words)
    with pytest.raises(TypeError, match="has no rows"):
        kyeo.utils.split_dataset([1, 2, 3], 0.5)


# -- files of the network --------------------------------------------------------------------------------------


def read(path):
    return pathlib.Path(path).read_text()


def tar_of(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                info.type, info.linkname = content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def test_a_download_that_breaks_off_is_no_file(tmp_path, monkeypatch):
    class Response(io.BytesIO):
        headers = {"Content-Length": "9"}

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Response(b"hello"))
    with pytest.raises(OSError, match="broke off after 5 of 9 bytes"):
        kyeo.utils.get_file("a.txt", "http://there/a.txt", cache_dir=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_get_file(tmp_path):
    source, cache = tmp_path / "data.txt", tmp_path / "cache"
    source.write_text("hello")
    md5, sha = "5d41402abc4b2a76b9719d911017c592", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    words = {"origin": source.as_uri(), "cache_dir": cache}
    for more in ({}, {"md5_hash": md5}, {"file_hash": sha}, {"file_hash": sha, "hash_algorithm": "sha256"}):
        path = kyeo.utils.get_file(**words, **more)
        assert path == str(cache / "datasets" / "data.txt")
    source.write_text("other")
    assert read(kyeo.utils.get_file(**words, file_hash=sha)) == "hello"  # from the cache
    with pytest.raises(ValueError, match=r"^The download gave another file"):
        kyeo.utils.get_file(**words, file_hash=sha, force_download=True)
    with pytest.raises(ValueError, match=r"(?s)^This is no address.*as_uri"):
        kyeo.utils.get_file("local.txt", str(source), cache_dir=cache)
    assert read(path) == "hello"  # the right one stays
    assert read(kyeo.utils.get_file(**words, force_download=True)) == "other"
    for more in ({"fname": "../x"}, {"fname": "a/b"}, {"file_hash": "12"}, {"hash_algorithm": "crc"}):
        with pytest.raises(ValueError, match=r"name|checksum|hash"):
            kyeo.utils.get_file(**words, **more)
    with pytest.raises(OSError, match="Cannot download"):
        kyeo.utils.get_file("none", (tmp_path / "none").as_uri(), cache_dir=cache)


def test_archives(tmp_path):
    members = [("top/a.txt", b"A"), ("top/in/b.txt", b"B")]
    tar_of(tmp_path / "t.tar.gz", members)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    for name in ("t.tar.gz", "z.zip"):
        folder = kyeo.utils.get_file(None, (tmp_path / name).as_uri(), extract=True, cache_dir=tmp_path / "c")
        assert (folder, read(f"{folder}/top/in/b.txt")) == (str(tmp_path / "c/datasets" / name), "B")
        named = kyeo.utils.get_file(name, (tmp_path / name).as_uri(), extract=True, cache_dir=tmp_path / "d")
        assert named == str(tmp_path / "d/datasets" / f"{name[0]}_extracted")
    with pytest.raises(ValueError, match="no archive of this kind"):
        kyeo.utils.get_file(None, (tmp_path / "z.zip").as_uri(), untar=True, cache_dir=tmp_path / "c")


@pytest.mark.parametrize("member", [
    ("../evil", b"x"), ("/tmp/evil", b"x"), ("a/../../evil", b"x"), ("C:\\evil", b"x"), ("link", (tarfile.SYMTYPE, "/etc")),
    ("hard", (tarfile.LNKTYPE, "top/a.txt")), ("pipe", (tarfile.FIFOTYPE, ""))], ids=lambda m: m[0])
def test_archives_that_are_not_safe(tmp_path, member):
    path = tar_of(tmp_path / "bad.tgz", [("top/a.txt", b"A"), member])
    with pytest.raises(ValueError, match=r"leads out|no plain file"):
        kyeo.utils.get_file("bad.tgz", path.as_uri(), extract=True, cache_dir=tmp_path / "c")
    assert [p.name for p in (tmp_path / "c/datasets").iterdir()] == ["bad.tgz"]
    if isinstance(member[1], bytes):
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
            archive.writestr(member[0], member[1])
        with pytest.raises(ValueError, match="leads out"):
            kyeo.utils.get_file("bad.zip", (tmp_path / "bad.zip").as_uri(), extract=True, cache_dir=tmp_path / "c")
