"""Drawings of models, and small tools of `kyeo.utils`."""

import inspect
import re
import shutil

import keras
import pytest

import kyeo


def nested():
    x, y = kyeo.Input((4,), name="x"), kyeo.Input((4,), name="y")
    inner = kyeo.Sequential([kyeo.Input((4,), name="in"), kyeo.layers.Dense(3, name="d"),
                             kyeo.layers.Dense(2, "relu", name="e")], name="inner")
    shared = kyeo.ops.relu(inner(x) + inner(y))
    return kyeo.Model([x, y], kyeo.layers.Dense(1, name='a "b"')(shared), name="outer")


def source(model, **options):
    return kyeo.utils.model_to_dot(model, **options).to_string()


def test_boxes_and_lines():
    text = source(nested())
    for words in ("x (InputLayer)", "inner (Sequential)", "(relu)", '\\"b\\" (Dense)', "rankdir=TB"):
        assert words in text, text
    assert text.count("->") == 5  # x and y into inner, inner into add, add into relu, relu into the last


def test_what_can_be_shown():
    text = source(nested(), show_shapes=True, show_dtype=True, show_layer_names=False, show_layer_activations=True,
                  show_trainable=True, expand_nested=True, rankdir="LR", splines="curved")
    for words in ("output: (None, 2)", "input: (None, 4)", "dtype: float32", "activation: relu", "trainable",
                  "cluster_", "rankdir=LR", "splines=curved"):
        assert words in text, text
    assert "a (Dense)" not in text
    frozen = nested()
    frozen.trainable = False
    assert "not trainable" in source(frozen, show_trainable=True)
    frame = source(nested(), subgraph=True)
    assert frame.startswith("subgraph")


def test_lines_go_into_and_out_of_frames():
    text = source(nested(), expand_nested=True)
    names = {line.split(" [")[0].strip(): re.sub(r"_\d+$", "", line.split('label="')[1].split(" (")[0])
             for line in text.splitlines() if "[label=" in line}
    lines = {tuple(names[end.strip()] for end in line.split("->")) for line in text.splitlines() if "->" in line}
    assert {("x", "in"), ("y", "in"), ("in", "d"), ("d", "e"), ("e", "add")} <= lines


def test_files(tmp_path):
    kyeo.utils.plot_model(nested(), tmp_path / "m.dot")
    assert (tmp_path / "m.dot").read_text().startswith("digraph")
    if shutil.which("dot") is None:
        with pytest.raises(ImportError, match=r"install Graphviz(.|\n)*\.dot"):
            kyeo.utils.plot_model(nested(), tmp_path / "m.png")
    else:
        kyeo.utils.plot_model(nested(), tmp_path / "m.png")
        assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="not built"):
        kyeo.utils.plot_model(kyeo.Sequential([kyeo.layers.Dense(1)]))
    with pytest.raises(ValueError, match="no such argument"):
        kyeo.utils.plot_model(nested(), layer_rnage=1)
    with pytest.raises(ValueError, match="rankdir"):
        kyeo.utils.model_to_dot(nested(), rankdir="up")


@pytest.mark.parametrize("name", [
    "Config", "plot_model", "model_to_dot", "get_source_inputs", "clear_session", "set_random_seed", "normalize",
    "to_categorical", "Progbar", "PyDataset", "is_keras_tensor", "custom_object_scope", "get_registered_name",
    "pack_x_y_sample_weight", "unpack_x_y_sample_weight", "register_keras_serializable", "standardize_dtype"])
def test_signatures_are_those_of_keras(name):
    ours, theirs = (inspect.signature(getattr(room.utils, name)).parameters.values() for room in (kyeo, keras))
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


def test_config_is_as_in_keras():
    for room in (kyeo, keras):
        config = room.utils.Config(b=1, a=[2])
        config.c, config["d"] = 3, 4
        config.update({"e": 5}, f=6)
        assert config.pop("f") == 6 and config.get("zz", 7) == 7 and "e" in config
        assert config.as_dict() == {"b": 1, "a": [2], "c": 3, "d": 4, "e": 5}
        assert config.to_json() == '{"b": 1, "a": [2], "c": 3, "d": 4, "e": 5}'
        assert list(config) == ["a", "b", "c", "d", "e"] and len(config) == 5 and next(iter(config.keys())) == "b"
        config.freeze()
        for change in (lambda c: setattr(c, "x", 1), lambda c: c.pop("a"), lambda c: c.update(a=1)):
            with pytest.raises(ValueError, match="frozen"):
                change(config)
        config.unfreeze()
        del config["c"]
        with pytest.raises(AttributeError):
            config.c


def test_inputs_of_a_tensor():
    x, y = kyeo.Input((2,)), kyeo.Input((2,))
    z = kyeo.layers.Dense(2)(x) + y
    assert [t is o for t, o in zip(kyeo.utils.get_source_inputs(z * z), (x, y), strict=True)] == [True, True]
    assert kyeo.utils.get_source_inputs(3) == 3
