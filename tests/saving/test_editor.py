"""KerasFileEditor: the same contents and edits as Keras's own editor, and the files it must refuse."""

import contextlib
import io

import h5py
import keras
import numpy as np
import pytest

import kyeo
from kyeo.saving import KerasFileEditor


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("editor") / "m.weights.h5"
    stack(keras).save_weights(path)
    return str(path)


def stack(k, units=4):
    return k.Sequential([k.Input((3,)), k.layers.Dense(units), k.layers.BatchNormalization(), k.layers.Dense(2)])


def opened(cls, path):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        editor = cls(path)
    return editor, out.getvalue()


def plain(tree, path=""):
    """Arrays by path."""
    return {p: a for key, value in tree.items() for p, a in (
        plain(value, f"{path}/{key}") if isinstance(value, dict) else {f"{path}/{key}": np.asarray(value)}).items()}


def inside(path):
    found = {}
    with h5py.File(path) as store:
        store.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def assert_same(mine, theirs):
    assert mine.keys() == theirs.keys()
    for key in mine:
        np.testing.assert_array_equal(mine[key], theirs[key])


NEW = {"0": np.ones((2, 5), "float32"), "1": np.zeros(5, "float16")}


@pytest.mark.parametrize("edits", [
    [], [("delete_object", "dense_1")], [("delete_object", "layers/batch_normalization")], [("rename_object", "dense_1", "head")],
    [("rename_object", "layers/dense", "first"), ("delete_weight", "first", "1")], [("add_object", "layers/more", NEW)],
    [("add_object", "other", NEW)], [("add_object", "layers/dense", NEW)], [("add_weights", "dense", NEW)],
    [("add_weights", "layers/dense", {"2": NEW["0"]}), ("delete_weight", "layers/dense", "0")], [("delete_object", "layers")],
    [("add_object", "layers/nest", {"inner": NEW}), ("rename_object", "layers/nest/inner", "in")],
], ids=lambda edits: "+".join(e[0] for e in edits))
def test_edits(edits, file, tmp_path):
    (mine, said), (theirs, _) = opened(KerasFileEditor, file), opened(keras.saving.KerasFileEditor, file)
    assert file[-15:] in said.replace("\n", "")
    for name, *args in edits:
        for editor in (mine, theirs):
            getattr(editor, name)(*args)
    assert_same(plain(mine.weights_dict), plain(theirs.weights_dict))
    mine.save(tmp_path / "a.weights.h5")
    theirs.resave_weights(tmp_path / "b.weights.h5")
    assert_same(inside(tmp_path / "a.weights.h5"), inside(tmp_path / "b.weights.h5"))


@pytest.mark.parametrize("call, message", [
    (("delete_object", "dense_9"), "did you mean|summary"), (("delete_object", "layers/dense_9"), "nothing of this name"),
    (("delete_object", "no/such"), "nothing"), (("delete_object", "0"), "more than one place"),
    (("rename_object", "dense", "a/b"), "no name"), (("add_object", "layers/x", [1]), "must be a dict"),
    (("add_object", "nowhere/x", NEW), "nothing"), (("delete_weight", "dense", "7"), "no such weight"),
    (("add_weights", "dense", 3), "must be a dict"), (("add_weights", "dense_7", NEW), "nothing"), (("save", "x.h5"), "weights.h5"),
])
def test_refusals_of_both(call, message, file):
    name, *args = call
    with pytest.raises(ValueError):
        getattr(opened(keras.saving.KerasFileEditor, file)[0], name)(*args)
    with pytest.raises(ValueError, match=message):
        getattr(opened(KerasFileEditor, file)[0], name)(*args)


@pytest.mark.parametrize("call, message", [  # where Keras loses weights, or fails later
    (("rename_object", "dense", "dense_1"), "taken"), (("add_weights", "dense", {"0": "x"}), "numbers"),
    (("add_weights", "dense", {"a/b": NEW["0"]}), "no name"), (("add_weights", "layers/dense/0", NEW), "no object"),
])
def test_refusals_here(call, message, file):
    with pytest.raises(ValueError, match=message):
        getattr(opened(KerasFileEditor, file)[0], call[0])(*call[1:])


def test_compare_and_summary(file, capsys):
    mine, theirs = opened(KerasFileEditor, file)[0], opened(keras.saving.KerasFileEditor, file)[0]
    assert mine.compare(stack(kyeo)) == {"status": "success", "error_count": 0, "match_count": 8}
    assert theirs.compare(stack(keras))["status"] == "success"  # its count adds up what was counted before
    found = mine.compare(stack(kyeo, 5))
    assert found == {"status": "error", "error_count": 7, "match_count": 1}
    mine.rename_object("dense_1", "head")
    capsys.readouterr()
    assert mine.compare(stack(kyeo))["error_count"] == 2
    said = capsys.readouterr().out
    assert "layers/dense_1 is missing from the file, with 0, 1" in said and "layers/head is missing from the model" in said
    mine.summary()
    said = capsys.readouterr().out
    assert "batch_normalization" in said and "0: shape=(3, 4), dtype=float32" in said


def test_what_keras_loses(tmp_path):
    """Layers in layers, variables of the model itself, and names of layers stay in the file; both load it."""
    def both(k):
        return k.Sequential([k.Input((4, 3)), k.layers.Bidirectional(k.layers.LSTM(2), name="both"), k.layers.Dense(2)])

    model = both(kyeo)
    model.save(tmp_path / "m.keras")
    editor, said = opened(KerasFileEditor, tmp_path / "m.keras")
    assert "Saved with Keras 3" in said and editor.config["class_name"] == "Sequential"
    assert editor.object_metadata["layers/bidirectional"] == {"name": "both"}
    assert editor.compare(model) == {"status": "success", "error_count": 0, "match_count": 8}
    editor.save(tmp_path / "a.weights.h5")
    editor = opened(KerasFileEditor, str(tmp_path / "a.weights.h5"))[0]
    for loaded in (both(kyeo), both(keras)):
        loaded.load_weights(tmp_path / "a.weights.h5")
        for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("change, message", [
    (lambda f: f.__setitem__("layers/x", h5py.SoftLink("/layers")), "SoftLink"),
    (lambda f: f.__setitem__("layers/x", h5py.ExternalLink("other.h5", "/")), "ExternalLink"),
    (lambda f: f.__setitem__("layers/x", f["/"]), "two places|too deep"),
    (lambda f: f.create_dataset("layers/x/vars/0", (10**9,), "float32"), "stored"),
    (lambda f: [f.create_dataset(f"l/x{i}/vars/0", data=np.zeros(2**22, "float32"), compression="gzip", chunks=(2**22,)) for i in range(8)], "memory"),
    (lambda f: f.__setitem__("layers/x", "text"), "dtype"),
    (lambda f: (f.create_dataset("vars/layers", data=[1.0])), "one name"),
])
def test_hostile(change, message, file, tmp_path):
    with open(file, "rb") as good:
        (tmp_path / "m.weights.h5").write_bytes(good.read())
    with h5py.File(tmp_path / "m.weights.h5", "a") as store:
        change(store)
    with pytest.raises(ValueError, match=message):
        opened(KerasFileEditor, tmp_path / "m.weights.h5")


def test_names_of_files(tmp_path):
    (tmp_path / "m.h5").write_bytes(b"x")
    with pytest.raises(ValueError, match="cannot be edited"):
        KerasFileEditor(tmp_path / "m.h5")
    with pytest.raises(FileNotFoundError):
        KerasFileEditor(tmp_path / "no.keras")
