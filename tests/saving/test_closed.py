"""A file can only name what Kyeo or the running program gave a name, and runs nothing."""

import io
import json
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest

import kyeo


def small():
    return kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2, name="only")], name="small")


def spec_of(model):
    return json.loads(model.to_json())


def with_layer(**fields):
    spec = spec_of(small())
    spec["config"]["layers"][1].update(fields)
    return json.dumps(spec)


@pytest.mark.parametrize("module, class_name", [
    ("os", "system"), ("builtins", "eval"), ("subprocess", "Popen"), ("kyeo.saving", "load_model"),
    ("keras.utils", "get_file"), ("keras.config", "enable_unsafe_deserialization"), ("kyeo.core.registry", "find"),
    ("numpy", "load"), ("my_project", "Dense"), (None, "Dense"), ("keras.layers", "../Dense"),
    ("keras.src.ops.numpy", "Dense"), ("keras.layers", "__class__"), ("keras.layers", "Dense.__init__"),
])
def test_classes_that_are_not_known(module, class_name):
    with pytest.raises(TypeError, match="is not known here"):
        kyeo.models.model_from_json(with_layer(module=module, class_name=class_name))


@pytest.mark.parametrize("function", ["eval", "os.system", "load_model", "<lambda>", "__import__"])
def test_functions_that_are_not_known(function):
    spec = spec_of(small())
    for named in ({"module": "builtins", "class_name": "function", "config": function}, function):
        spec["config"]["layers"][1]["config"]["activation"] = named
        with pytest.raises((TypeError, ValueError), match=r"not known|There is no"):
            kyeo.models.model_from_json(json.dumps(spec))


def test_the_message_says_what_to_pass():
    text = with_layer(module="my_project.parts", class_name="Gate", registered_name="Gate")
    with pytest.raises(TypeError) as caught:
        kyeo.models.model_from_json(text)
    for words in ("`Gate`", "my_project.parts", 'custom_objects={"Gate": Gate}', "register_keras_serializable",
                  'Gate "only"'):
        assert words in str(caught.value)
    made = kyeo.models.model_from_json(text, custom_objects={"Gate": kyeo.layers.Dense})
    assert made.layers[0].name == "only"


def test_bytecode_is_refused_and_can_be_replaced(tmp_path):
    path = tmp_path / "m.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 3, name="thrice")]).save(path)
    for load in (kyeo.saving.load_model, lambda p: kyeo.models.model_from_json(
            zipfile.ZipFile(p).read("config.json").decode())):
        with pytest.raises(ValueError, match='"thrice" is stored as Python bytecode'):
            load(path)
    with pytest.raises(ValueError, match="no unsafe mode"):
        kyeo.saving.load_model(path, safe_mode=False)
    loaded = kyeo.saving.load_model(path, custom_objects={"thrice": lambda x: x * 3})
    np.testing.assert_array_equal(loaded(np.ones((1, 3), "float32")), [[3, 3, 3]])
    spec = spec_of(small())
    spec["config"]["layers"][1]["config"]["activation"] = [{"class_name": "__lambda__", "config": {"code": ""}}]
    with pytest.raises(ValueError, match="bytecode"):
        kyeo.models.model_from_json(json.dumps(spec))


@pytest.mark.parametrize("change, words", [
    (lambda c: c["layers"][1]["inbound_nodes"][0]["args"][0]["config"].update(keras_history=["only", 0, 0]), "wait"),
    (lambda c: c["layers"][1]["inbound_nodes"][0]["args"][0]["config"].update(keras_history=["no", 0, 0]), "wait"),
    (lambda c: c["layers"][1]["inbound_nodes"][0]["args"][0]["config"].update(keras_history=None), "origin"),
    (lambda c: c["layers"][1]["inbound_nodes"][0]["args"][0]["config"].update(keras_history=["x", 0, 7]), "not there"),
    (lambda c: c["layers"][1].update(inbound_nodes=[7]), "args"),
    (lambda c: c["layers"].append(7), "entry"),
    (lambda c: c["layers"].append(c["layers"][1]), "two layers"),
    (lambda c: c.update(output_layers=[["no", 0, 0]]), "not there"),
    (lambda c: c.update(output_layers="x"), "among inputs or outputs"),
    (lambda c: c["layers"][1].update(module="keras.losses", class_name="MeanSquaredError", config={}, name="m"),
     "not a layer"),
])
def test_graphs_that_are_not_well_formed(change, words):
    x = kyeo.Input((3,), name="x")
    spec = spec_of(kyeo.Model(x, kyeo.layers.Dense(2, name="only")(x)))
    change(spec["config"])
    with pytest.raises(ValueError, match=words):
        kyeo.models.model_from_json(json.dumps(spec))


# -- HDF5 --------------------------------------------------------------------------------------------------
def weights_file(tmp_path, change):
    """A file of weights of `small()`, changed by `change(open file, group of the layer)`."""
    path = tmp_path / "m.weights.h5"
    small().save_weights(path)
    (tmp_path / "secret.bin").write_bytes(bytes(range(24)))
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["0"] = np.ones((3, 2), "float32")
    with h5py.File(path, "a") as file:
        change(file, file["layers/dense/vars"], tmp_path)
    return path


def external_storage(file, group, folder):
    del group["0"]
    group.create_dataset("0", (3, 2), "float32", external=[(str(folder / "secret.bin"), 0, 24)])


def external_link(file, group, folder):
    del group["0"]
    group["0"] = h5py.ExternalLink(str(folder / "secret.h5"), "/0")


def external_group(file, group, folder):
    del file["layers/dense"]
    file["layers/dense"] = h5py.ExternalLink(str(folder / "secret.h5"), "/")


def soft_link(file, group, folder):
    del group["0"]
    file["elsewhere"] = np.ones((3, 2), "float32")
    group["0"] = h5py.SoftLink("/elsewhere")


def virtual(file, group, folder):
    del group["0"]
    layout = h5py.VirtualLayout((3, 2), "float32")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "0", (3, 2))
    group.create_virtual_dataset("0", layout)


def never_written(file, group, folder):
    del group["0"]
    group.create_dataset("0", (3, 2), "float32")


def bomb(file, group, folder):
    del group["0"]
    group.create_dataset("0", (3, 2), "float32", chunks=(3, 2), compression="gzip", fillvalue=1)


def objects(file, group, folder):
    del group["0"]
    group.create_dataset("0", (3, 2), h5py.string_dtype())


def group_in_place(file, group, folder):
    del group["0"]
    group.create_group("0")


def array_in_place(file, group, folder):
    del file["layers/dense"]
    file["layers/dense"] = np.ones(3)


@pytest.mark.parametrize("change", [external_storage, external_link, external_group, soft_link, virtual,
                                    never_written, bomb, objects, group_in_place, array_in_place],
                         ids=lambda c: c.__name__)
def test_hostile_weights(change, tmp_path):
    path = weights_file(tmp_path, change)
    model = small()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"not as Keras writes it|do not fit"):
        model.load_weights(path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_packed_weights_are_read(tmp_path):
    def packed(file, group, folder):
        value = group["0"][()]
        del group["0"]
        group.create_dataset("0", data=value, chunks=(3, 2), compression="gzip", shuffle=True, fletcher32=True)

    small().load_weights(weights_file(tmp_path, packed))


def test_huge_shapes_are_not_read(tmp_path):
    def huge(file, group, folder):
        del group["0"]
        group.create_dataset("0", (10**6, 10**6), "float32", chunks=(1000, 1000))

    with pytest.raises(ValueError, match="stored"):
        small().load_weights(weights_file(tmp_path, huge))


# -- zip ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("write, words", [
    (lambda a, m: a["config.json"], "0 such members"),
    (lambda a, m: m.writestr("x/../config.json", a["config.json"]), "0 such members"),
    (lambda a, m: [m.writestr("config.json", a["config.json"]) for _ in range(2)], "2 such members"),
    (lambda a, m: m.writestr("config.json", b"x" * (65 * 2**20), zipfile.ZIP_DEFLATED), "said to hold"),
    (lambda a, m: m.writestr("config.json", b"\xff\xfe"), "JSON"),
    (lambda a, m: m.writestr("config.json", b"[]"), "does not describe"),
])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_zip(write, words, tmp_path):
    buffer = io.BytesIO()
    small().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as good, zipfile.ZipFile(buffer, "w") as archive:
        members = {name: good.read(name) for name in good.namelist()}
        write(members, archive)
        archive.writestr("model.weights.h5", members["model.weights.h5"])
    (tmp_path / "m.keras").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=words):
        kyeo.saving.load_model(tmp_path / "m.keras")
