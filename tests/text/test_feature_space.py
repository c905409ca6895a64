"""FeatureSpace: as Keras's, in files, in models, on data sets; and models that take text."""

import json
import pathlib

import keras
import numpy as np
import pytest

import kyeo
from kyeo import layers
from kyeo.utils import FeatureSpace
from tests.text.cases import FEATURES, TABLE, TEXTS

FILES = pathlib.Path(__file__).with_name("files")
WANTED = json.loads((FILES / "space.json").read_text())
ONE = {name: column[0] for name, column in TABLE.items()}


def space(**words):
    made = FeatureSpace(FEATURES, crosses=[("n", "s")], crossing_dim=5, num_discretization_bins=3, hashing_dim=4, **words)
    made.adapt(TABLE)
    return made


def test_as_keras(tmp_path):
    ours = space()
    np.testing.assert_allclose(ours(TABLE), WANTED, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours(ONE), WANTED[0], rtol=1e-5, atol=1e-6)
    assert ours.get_encoded_features().shape == (None, len(WANTED[0]))
    for path in (FILES / "space.keras", tmp_path / "ours.keras"):
        if path.parent == tmp_path:
            ours.save(path)
        np.testing.assert_allclose(kyeo.saving.load_model(path)(TABLE), WANTED, rtol=1e-5, atol=1e-6)
    as_dict = space(output_mode="dict")
    outputs = as_dict(TABLE)
    assert list(outputs) == [*sorted(FEATURES), "n_X_s"]
    np.testing.assert_allclose(np.concatenate(list(outputs.values()), axis=-1), WANTED, rtol=1e-5, atol=1e-6)


class Frame:
    """A table: columns by name, and no dict."""

    def __init__(self, data):
        self.data, self.columns = data, list(data)

    def __getitem__(self, name):
        return self.data[name]


class ArrowFrame(Frame):
    def __init__(self, data):
        self.data, self.column_names, self.columns = data, list(data), list(data.values())


@pytest.mark.parametrize("kind", [Frame, ArrowFrame])
def test_tables(kind):
    made, table = space(), kind({**TABLE, "more": TABLE["f"]})
    made.adapt(table)
    np.testing.assert_allclose(made(table), WANTED, rtol=1e-5, atol=1e-6)


def test_columns_that_do_not_fit():
    with pytest.raises(ValueError, match=r"not of one length.*\n.*n: 6, s: 1"):
        space().adapt({"n": np.arange(6.0), "s": ["a"]})
    with pytest.raises(ValueError, match="columns do not fit"):
        space()({**{name: TABLE[name] for name in list(TABLE)[1:]}, "more": TABLE["f"]})


def test_large_ids_are_not_cut_off():
    made = FeatureSpace({"id": "integer_categorical"})
    made.adapt({"id": [2**40, 7, 7]})
    assert made({"id": [2**40, 7, 0]}).argmax(axis=-1).tolist() == [2, 1, 0]
    made.adapt({"id": [1, 2, 2, 3, 3, 3]})  # once more, with more of them
    assert made({"id": [1, 2, 3, 7]}).tolist() == np.eye(4)[[3, 2, 1, 0]].tolist()


def test_a_model_of_raw_columns(tmp_path):
    """Trained on encoded features, used on raw ones; then trained on raw ones; then from a file."""
    features, y = space(), np.arange(6.0)[:, None]
    inputs, encoded = features.get_inputs(), features.get_encoded_features()
    outputs = layers.Dense(1)(encoded)
    inner = kyeo.Model(encoded, outputs)
    inner.compile("sgd", "mse")
    inner.fit(features(TABLE), y, verbose=0)
    raw = kyeo.Model(inputs, outputs)
    data = {name: np.array(column)[:, None] for name, column in TABLE.items()}
    wanted = inner.predict(features(TABLE), verbose=0)
    np.testing.assert_allclose(raw(data), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(raw.predict(data, verbose=0), wanted, rtol=1e-5, atol=1e-6)
    raw.compile("sgd", "mse")
    before = raw.evaluate(data, y, verbose=0)
    raw.fit(data, y, epochs=2, batch_size=4, verbose=0, validation_data=(data, y))
    assert raw.evaluate(data, y, verbose=0) < before
    raw.save(tmp_path / "raw.keras")
    again = kyeo.saving.load_model(tmp_path / "raw.keras")
    np.testing.assert_allclose(again.predict(data, verbose=0), raw.predict(data, verbose=0), rtol=1e-5, atol=1e-6)
    joined = kyeo.saving.deserialize_keras_object({  # as it stands in a file of Keras for such a model
        "module": "keras.src.layers.preprocessing.feature_space", "class_name": "TFDConcat",
        "config": {"axis": -1}, "registered_name": "TFDConcat"})
    assert joined([np.ones((2, 1)), np.ones((2, 2))]).shape == (2, 3)


@pytest.mark.parametrize("form", ["array", "column", "list", "generator", "pairs", "stack"])
def test_a_model_of_texts(form):
    vectorize = layers.TextVectorization(output_sequence_length=5)
    vectorize.adapt(TEXTS)
    begin = [] if form == "stack" else [kyeo.Input((1,), dtype="string")]  # a stack finds out by itself
    model = kyeo.Sequential([
        *begin, vectorize, layers.Embedding(vectorize.vocabulary_size(), 3),
        layers.GlobalAveragePooling1D(), layers.Dense(1)])
    model.compile("adam", "mse")
    y, column = np.arange(7.0)[:, None], np.array(TEXTS, object)[:, None]
    x = {"array": np.array(TEXTS), "column": column, "list": TEXTS, "stack": column}.get(form)
    if x is not None:
        model.fit(x, y, batch_size=3, verbose=0)
        assert model.predict(x, verbose=0).shape == (7, 1)
        assert np.isfinite(model.train_on_batch(x, y))
    else:
        batches = [(column[:4], y[:4]), (column[4:], y[4:])]
        model.fit(batches.__iter__() if form == "generator" else Pairs(batches), verbose=0)
        assert np.isfinite(model.evaluate(Pairs(batches), verbose=0))
    ids = vectorize(column)
    np.testing.assert_allclose(model.predict(column, verbose=0), kyeo.Sequential(model.layers[1:])(ids), atol=1e-6)


class Pairs(kyeo.utils.PyDataset):
    """Batches by their number."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@pytest.mark.parametrize(("make", "text"), [
    (lambda: FeatureSpace({}), "features"), (lambda: FeatureSpace({"a": "flaot"}), "did you mean"),
    (lambda: FeatureSpace({"a": "float"}, crosses=[("a", "b")]), "cross names"),
    (lambda: FeatureSpace({"a": "float"}, output_mode="list"), "output_mode"),
    (lambda: layers.Dense(2)(kyeo.Input((1,), dtype="string")), "cannot be applied to text"),
    (lambda: FeatureSpace({"a": "float_normalized"})({"a": [1.0]}), "adapt"),
    (lambda: FeatureSpace({"a": "float"})([1.0]), "columns"),
    (lambda: FeatureSpace({"a": FeatureSpace.integer_hashed(3, output_mode="int")})({"a": [1]}), "put beside others"),
    (lambda: layers.TextVectorization().adapt(["a b", None]), "None in row 1"),
    (lambda: layers.StringLookup(vocabulary=["a"])(["a", float("nan")]), r"(?s)nan in row 1.*\.fillna"),
    (lambda: layers.StringLookup().adapt(np.array(["a", 1], object)), "1 in row 1"),
    (lambda: layers.IntegerLookup().adapt([1.0, np.nan]), r"\.fillna\(-1\)"),
    (lambda: layers.Normalization().adapt([["a", "b"]]), "`data` does not hold numbers"),
    (lambda: layers.Normalization().adapt(np.zeros((2, 1), "M8[s]")), "`data` does not hold numbers"),
])
def test_refused(make, text):
    with pytest.raises((ValueError, TypeError), match=text):
        make()


@pytest.mark.parametrize("mode, size", [("int", 3), ("one_hot", 3), ("one_hot", 1), ("multi_hot", 3), ("count", 3)])
def test_a_model_is_made_before_discretization_has_learned(mode, size):
    values, given = np.arange(300.0, dtype="float32"), np.float32([[7] * size, [180] * size])
    found = []
    for k in (kyeo, keras):
        layer = k.layers.Discretization(num_bins=4, output_mode=mode)
        inputs = k.Input((size,))
        model = k.Model(inputs, layer(inputs))
        if k is kyeo:
            with pytest.raises(ValueError, match="no boundaries"):
                model(given)
        layer.update_state(values)
        layer.finalize_state()
        found.append((layer.compute_output_shape((None, size)), model.output_shape, np.asarray(model(given)).tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize("words", [{"num_bins": 4}, {"num_bins": 3, "epsilon": 0.1}, {"num_bins": 7, "epsilon": 0.5}], ids=str)
def test_discretization_learns_the_ranges_of_keras(words, tmp_path):
    values = np.random.default_rng(0).normal(size=(300, 1)).astype("float32")
    ours, theirs = (k.layers.Discretization(**words) for k in (kyeo, keras))
    for batches in ([values], [values[:100], values[100:]]):
        ours.adapt(iter(batches))
        theirs.reset_state()
        for batch in batches:
            theirs.update_state(batch)
        theirs.finalize_state()
        np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, rtol=1e-6)
    model = kyeo.Sequential([kyeo.Input((1,)), ours])
    model.save(tmp_path / "m.keras")
    assert kyeo.saving.load_model(tmp_path / "m.keras").layers[0].bin_boundaries == ours.bin_boundaries
    ours.adapt(values[:, 0].tolist())
    assert 0 < len(ours.bin_boundaries) <= words["num_bins"] - 1
    with pytest.raises(ValueError, match="no boundaries"):
        layers.Discretization(num_bins=3)(values)
    with pytest.raises(ValueError, match="nothing to adapt"):
        layers.Discretization([0.0]).adapt(values)
    with pytest.raises(ValueError, match="out of range"):
        layers.CategoryEncoding(3)([[1, 3]])
    assert layers.CategoryEncoding(3)(np.array([True, False])).tolist() == [1, 1, 0]
    for broken in ([2.5], [np.nan], [np.inf]):
        with pytest.raises(ValueError, match="takes integers"):
            layers.IntegerLookup(vocabulary=[1, 2])(broken)


@pytest.mark.parametrize("from_file", [False, True])
def test_a_given_vocabulary_need_not_be_learned(from_file, tmp_path):
    """Features whose preprocessors all have what they need are used without `adapt`."""
    vocabulary = ["this", "is"]
    if from_file:
        vocabulary = tmp_path / "words.txt"
        vocabulary.write_text("this\nis\n")
    text = kyeo.layers.TextVectorization(vocabulary=vocabulary, output_sequence_length=3)
    scaled = kyeo.layers.Normalization(mean=12.0, variance=4.0)
    feature = kyeo.utils.FeatureSpace.feature
    space = kyeo.utils.FeatureSpace(
        {"text": feature("string", text, "int"), "size": feature("float32", scaled, "float")}, output_mode="dict")
    found = space({"text": ["This is", "not"], "size": [12.0, 14.0]})
    assert np.asarray(found["text"]).tolist() == [[2, 3, 0], [1, 0, 0]]
    assert np.asarray(found["size"]).ravel().tolist() == [0.0, 1.0]


def reader():
    """A model that takes text, and learns nothing: its loss says which rows it saw."""
    text = layers.TextVectorization(vocabulary=["a", "b"], output_mode="count")
    model = kyeo.Sequential([kyeo.Input((1,), dtype="string"), text, layers.Dense(1, kernel_initializer="zeros")])
    model.compile(kyeo.optimizers.SGD(0.0), "mae")
    return model


class Numbered(kyeo.utils.PyDataset):
    """Batch i has the label i; told of epochs, and may have no end."""

    def __init__(self, size, workers):
        super().__init__(workers=workers)
        self.size, self.told = size, ""

    def __getitem__(self, index):
        return np.array(["a", "b"]), np.full((2, 1), index, "float32")

    @property
    def num_batches(self):
        return self.size

    def on_epoch_begin(self):
        self.told += "b"

    def on_epoch_end(self):
        self.told += "e"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("size", "arguments", "losses"), [
    (4, {}, [1.5, 1.5]), (4, {"steps_per_epoch": 2, "shuffle": False}, [0.5, 2.5]),
    (None, {"steps_per_epoch": 3}, [1.0, 4.0]),
])
def test_a_model_of_text_reads_a_data_set_as_any_other(size, arguments, losses, workers):
    data = Numbered(size, workers)
    history = reader().fit(data, epochs=2, verbose=0, **arguments).history
    assert history["loss"] == losses and data.told == "bebe"


def test_a_model_of_text_reads_a_data_set_in_another_order():
    kyeo.utils.set_random_seed(0)
    losses = reader().fit(Numbered(30, 0), epochs=5, steps_per_epoch=1, verbose=0).history["loss"]
    assert losses != sorted(losses)


def test_validation_split_of_text():
    history = reader().fit(np.array(["a", "b", "a", "b"]), np.arange(4.0), validation_split=0.25, verbose=0).history
    assert history == {"loss": [1.0], "val_loss": [3.0]}
