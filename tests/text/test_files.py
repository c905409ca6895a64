"""Vocabularies in files: those that Keras wrote, our own, and the ones that must be refused."""

import json
import pathlib
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kyeo
from kyeo import layers
from tests.text.cases import TEXTS

FILES = pathlib.Path(__file__).with_name("files")
SAME = {"text": "TextVectorization", "idf": "TextVectorization"}


def rewritten(path, to, change):
    """A copy of a zip with its members changed by a function of {name: bytes}."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(to, "w") as archive:
        for name, data in change(members).items():
            archive.writestr(name, data)
    return to


@pytest.mark.parametrize(("name", "config"), [
    ("text", {"output_sequence_length": 4}), ("idf", {"output_mode": "tf_idf"})])
def test_keras_wrote_it(name, config, tmp_path):
    adapted = layers.TextVectorization(**config)
    adapted.adapt(TEXTS)
    model = kyeo.saving.load_model(FILES / f"{name}.keras")
    model.save(tmp_path / "again.keras")
    model.save(tmp_path / "folder", zipped=False)
    for one in (model, *(kyeo.saving.load_model(tmp_path / n) for n in ("again.keras", "folder"))):
        layer = one.layers[0]
        assert layer.get_vocabulary() == adapted.get_vocabulary()
        np.testing.assert_allclose(layer(TEXTS[::-1]), adapted(TEXTS[::-1]), rtol=1e-6)
    names = [zipfile.ZipFile(path).namelist() for path in (FILES / f"{name}.keras", tmp_path / "again.keras")]
    assert set(names[0]) == set(names[1])


def test_lookups_keras_wrote(tmp_path):
    model = kyeo.saving.load_model(FILES / "lookups.keras")
    words, numbers, given = (model.get_layer(n) for n in ("words", "numbers", "given"))
    assert (words.get_vocabulary(), numbers.get_vocabulary()) == (["[UNK]", "y", "x"], [-1, 6, 5])
    data = [[["x"], ["q"]], [[5], [7]], [["q"], ["z"]], [["k"], ["l"]]]
    outputs = model([np.array(d, object) if isinstance(d[0][0], str) else np.array(d) for d in data])
    assert [o.tolist() for o in outputs[:3]] == [[[2], [0]], [[0, 0, 1], [1, 0, 0]], [[0, 0, 1], [1, 0, 0]]]
    model.save(tmp_path / "again.keras")
    again = kyeo.saving.load_model(tmp_path / "again.keras")
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())
    assert again.get_layer("given")._tokens == given._tokens == ["p", "q"]


@pytest.mark.parametrize("tokens", [["a\nb", "c"], ["x", ""], ["p\u2028q"]])
def test_tokens_that_are_no_lines(tokens, tmp_path):
    layer = layers.StringLookup(output_mode="tf_idf")
    layer.adapt([[t] for t in tokens])
    model = kyeo.Sequential([kyeo.Input((1,), dtype="string"), layer])
    model.save(tmp_path / "m.keras")
    again = kyeo.saving.load_model(tmp_path / "m.keras").layers[0]
    assert again.get_vocabulary() == layer.get_vocabulary()
    np.testing.assert_array_equal(again.idf_weights, layer.idf_weights)


def test_a_model_without_its_vocabulary_says_so():
    """As one out of a `.h5`, which keeps none; the words are the layer's, not those of the program that calls it."""
    model = kyeo.Sequential([kyeo.Input((1,), dtype="int32"), layers.IntegerLookup()])
    with pytest.raises(ValueError, match="no vocabulary yet"):
        model.predict(np.array([[1], [2]]), verbose=0)


def test_a_file_names_no_file(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("word\n")

    def naming(members):
        config = members["config.json"].replace(b'"vocabulary": null', b'"vocabulary": "%s"' % str(secret).encode())
        return {**members, "config.json": config}

    for name in ("text", "lookups"):
        path = rewritten(FILES / f"{name}.keras", tmp_path / f"{name}.keras", naming)
        with pytest.raises(ValueError, match="cannot name a vocabulary file"):
            kyeo.saving.load_model(path)
    assert layers.StringLookup(vocabulary=str(secret))("word") == 1  # code may
    with pytest.raises(ValueError, match="cannot name a vocabulary file"):
        layers.StringLookup.from_config({"vocabulary": str(secret)})


@pytest.mark.parametrize("name", ["../../evil.txt", "a/../../evil.txt", "C:evil.txt", "a\\..\\evil", "./x"])
def test_names_that_lead_out(name, tmp_path):
    def adding(members):
        return {**members, f"assets/layers/text_vectorization/{name}": b"x"}

    path = rewritten(FILES / "text.keras", tmp_path / "m.keras", adding)
    with pytest.raises(ValueError, match="name of an asset"):
        kyeo.saving.load_model(path)
    assert [p.name for p in tmp_path.iterdir()] == ["m.keras"]


def test_weights_that_do_not_fit(tmp_path):
    def shorter(members):
        return {n: d[:-12] if n.endswith("vocabulary.txt") else d for n, d in members.items()}

    with pytest.raises(ValueError, match="stored weights do not fit"):
        kyeo.saving.load_model(rewritten(FILES / "idf.keras", tmp_path / "m.keras", shorter))


class Keeps(kyeo.Layer):
    """A user's layer in Keras's way."""

    text = "new"

    def call(self, x):
        return x

    def save_assets(self, dir_path):
        pathlib.Path(dir_path, "deep").mkdir()
        pathlib.Path(dir_path, "deep", "note.txt").write_text(self.text)

    def load_assets(self, dir_path):
        self.text = pathlib.Path(dir_path, "deep", "note.txt").read_text()


def test_assets_of_users(tmp_path):
    layer = Keeps()
    layer.text = "kept"
    kyeo.Sequential([kyeo.Input((2,)), layer]).save(tmp_path / "m.keras")
    assert kyeo.saving.load_model(tmp_path / "m.keras", custom_objects={"Keeps": Keeps}).layers[0].text == "kept"


def test_numbers_in_compiled_code():
    rows = np.array([[3], [4], [-2]])
    for layer in (layers.Hashing(5), layers.Hashing(5, output_mode="one_hot", salt=3),
                  layers.IntegerLookup(vocabulary=[4, 3], output_mode="count"), layers.IntegerLookup(vocabulary=[4])):
        np.testing.assert_array_equal(jax.jit(layer)(jnp.asarray(rows)), layer(rows))
    crossing = layers.HashedCrossing(7)
    np.testing.assert_array_equal(jax.jit(crossing)([jnp.asarray(rows)] * 2), crossing([rows, rows]))
    inputs = kyeo.Input((1,), dtype="int32")
    inner = kyeo.Model(inputs, layers.IntegerLookup(vocabulary=[4, 3], output_mode="one_hot")(inputs))
    model = kyeo.Model(inputs, layers.Dense(1)(inner(inputs)))
    assert model.output_shape == (None, 1)
    model.compile(loss="mse")
    model.fit(rows, np.ones((3, 1)), verbose=0)
    np.testing.assert_allclose(model.predict(rows, verbose=0), model(rows), rtol=1e-6)
    other = layers.IntegerLookup(vocabulary=[3, 4])  # no compiled step is shared with another vocabulary
    twin = kyeo.Sequential([kyeo.Input((1,), dtype="int32"), other])
    assert twin.predict(rows, verbose=0).tolist() == [[1], [2], [0]]
    with pytest.raises(ValueError, match="cannot be in a compiled step"):
        jax.jit(layers.StringLookup(vocabulary=["a"], invert=True))(jnp.asarray(rows))
