"""Weights in the layout of Keras 2: what Keras writes is read, what is not as it should be is refused."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

import kyeo


def network(k, units=3, names=("one", "two"), frozen=False):
    """Two dense layers, a normalization, and a model inside that has both kinds of weights."""
    inner = k.Sequential([k.Input((4,)), k.layers.BatchNormalization(name="norm"), k.layers.Dense(4, name="in_it"),
                          k.layers.BatchNormalization(name="norm_2")], name="inner")
    x = k.Input((2,), name="x")
    h = k.layers.Dropout(0.5)(k.layers.Dense(4, name=names[0])(x))
    model = k.Model(x, k.layers.Dense(units, name=names[1])(inner(h)))
    inner.trainable = not frozen
    return model


def numbered(model):
    """The model with weights that are all different."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 2, w.shape).astype("float32") for w in model.weights])
    return model


def written(path, model, inside=None):
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file.create_group(inside) if inside else file, model)
    return path


@pytest.fixture
def saved(tmp_path):
    model = numbered(network(keras))
    return model, written(tmp_path / "w.h5", model)


def same(ours, theirs):
    x = np.ones((2, 2), "float32")
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5)


@pytest.mark.parametrize("name, inside", [("w.h5", None), ("w.hdf5", "model_weights"), ("w.weights.h5", None)])
@pytest.mark.parametrize("by_name", [False, True])
def test_what_keras_wrote(tmp_path, name, inside, by_name):
    theirs = numbered(network(keras))
    ours = network(kyeo)
    ours.load_weights(written(tmp_path / name, theirs, inside), by_name=by_name)
    same(ours, theirs)


@pytest.mark.parametrize("frozen", [(False, True), (True, False), (True, True)], ids=str)
def test_frozen_or_thawed_since(tmp_path, frozen):
    theirs = numbered(network(keras, frozen=frozen[0]))
    ours = network(kyeo, frozen=frozen[1])
    ours.load_weights(written(tmp_path / "w.h5", theirs))
    same(ours, theirs)


def test_long_lists_of_names_are_cut_in_two(saved):
    model, path = saved
    with h5py.File(path, "r+") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:2], names[2:]
    ours = network(kyeo)
    ours.load_weights(path)
    same(ours, model)


def test_by_order_and_by_name(saved):
    model, path = saved
    ours = network(kyeo, names=("first", "two"))
    ours.load_weights(path)
    same(ours, model)
    ours = network(kyeo, names=("first", "two"))
    before = ours.get_layer("first").get_weights()[0]
    ours.load_weights(path, by_name=True)
    np.testing.assert_array_equal(ours.get_layer("first").get_weights()[0], before)
    np.testing.assert_array_equal(ours.get_layer("two").get_weights()[0], model.get_layer("two").get_weights()[0])
    other = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(4, name="else")])
    with pytest.warns(UserWarning, match="No layer of the model has a name"):
        other.load_weights(path, by_name=True)


def test_nothing_or_all_of_it(saved):
    model, path = saved
    ours = network(kyeo, units=5)
    before = ours.get_weights()
    with pytest.raises(ValueError, match=r'Dense "two": kernel has shape \(4, 5\), in the file \(4, 3\)'):
        ours.load_weights(path)
    for old, new in zip(before, ours.get_weights()):
        np.testing.assert_array_equal(old, new)
    with pytest.warns(UserWarning, match="skipped.*kernel has shape"):
        ours.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(ours.get_layer("one").get_weights()[0], model.get_layer("one").get_weights()[0])
    with pytest.raises(ValueError, match="3 layers with weights"):
        kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(4)]).load_weights(path)


def test_a_model_with_weights_of_its_own(tmp_path):
    def owner(k):
        class Shifted(k.Model):
            def __init__(self):
                super().__init__()
                self.dense = k.layers.Dense(2, name="dense")
                self.shift = self.add_weight(shape=(2,), name="shift")

            def call(self, x):
                return self.dense(x) + self.shift

        model = Shifted()
        model(np.ones((1, 2), "float32"))
        return model

    theirs, ours = numbered(owner(keras)), owner(kyeo)
    ours.load_weights(written(tmp_path / "w.h5", theirs))
    same(ours, theirs)


def group_of(file):
    return file["one/one"]


def soft(file, path):
    del group_of(file)["kernel"]
    group_of(file)["kernel"] = h5py.SoftLink("/two/two/kernel")


def external(file, path):
    del file["one"]
    file["one"] = h5py.ExternalLink(str(path.with_name("other.h5")), "/one")


def outside(file, path):
    del group_of(file)["kernel"]
    group_of(file).create_dataset("kernel", (2, 4), "f4", external=[(str(path.with_name("secret")), 0, 32)])


def bomb(file, path):
    del group_of(file)["kernel"]
    group_of(file).create_dataset("kernel", (2**20, 2**20), "f4", chunks=(1024, 1024))


def texts(file, path):
    del group_of(file)["kernel"]
    group_of(file)["kernel"] = [b"a", b"b"]


def missing(file, path):
    del group_of(file)["kernel"]


def is_group(file, path):
    missing(file, path)
    group_of(file).create_group("kernel")


def through_a_dataset(file, path):
    file["one"].attrs["weight_names"] = ["one/kernel/kernel", "one/bias"]


def dot(file, path):
    file["one"].attrs["weight_names"] = ["one/./kernel", "one/bias"]


def numbers_for_names(file, path):
    file["one"].attrs["weight_names"] = [1.5, 2.5]


def no_text(file, path):
    file["one"].attrs["weight_names"] = np.array([b"\xff", b"\xfe"])


def references(file, path):
    file.attrs.create("layer_names", np.array([file["one"].ref], dtype=object), dtype=h5py.ref_dtype)


@pytest.mark.parametrize("spoil", [
    soft, external, outside, bomb, texts, missing, is_group, through_a_dataset, dot, numbers_for_names, no_text, references])
def test_hostile_files(saved, spoil):
    _, path = saved
    with h5py.File(path, "r+") as file:
        spoil(file, path)
    ours = network(kyeo)
    before = ours.get_weights()
    with pytest.raises(ValueError, match="not as Keras writes it"):
        ours.load_weights(path)
    for old, new in zip(before, ours.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_what_is_no_such_file(tmp_path):
    ours = network(kyeo)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(ValueError):
        ours.load_weights(tmp_path / "w.h5")
    ours.save_weights(tmp_path / "v.weights.h5")
    with pytest.raises(ValueError, match="Only files of Keras 2 are matched by names"):
        ours.load_weights(tmp_path / "v.weights.h5", by_name=True)
    with pytest.raises(ValueError, match="not a file of weights"):
        ours.load_weights(__file__)


def test_weights_of_2_12_in_graphs_inside_of_graphs(tmp_path):
    """Layers with weights count twice in the numbers of that version; what nobody asks for is told."""
    inner = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(2), kyeo.layers.Dropout(0.5), kyeo.layers.Dense(2)])
    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(2), inner, kyeo.layers.Dropout(0.1), kyeo.layers.Dense(2)])
    top = "_layer_checkpoint_dependencies"
    places = [f"{top}/dense", f"{top}/sequential/{top}/dense", f"{top}/sequential/{top}/dense_2", f"{top}/dense_2"]
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        for number, place in enumerate(places):
            file[f"{place}/vars/0"], file[f"{place}/vars/1"] = np.full((2, 2), number, "float32"), np.full(2, number, "float32")
    model.load_weights(tmp_path / "m.weights.h5")
    assert [w.flat[0] for w in model.get_weights()] == [0, 0, 1, 1, 2, 2, 3, 3]
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        file[f"{top}/dense_4/vars/0"] = np.ones((2, 2), "float32")
    with pytest.warns(UserWarning, match="dense_4"):
        model.load_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        del file[f"{top}/dense_2"]
    with pytest.raises(ValueError, match="layers/dense_1"):
        model.load_weights(tmp_path / "m.weights.h5")
