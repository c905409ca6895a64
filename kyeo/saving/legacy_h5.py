"""Whole models in one HDF5 file (`.h5`), as Keras 2 and tf.keras wrote them and Keras 3 still does.

Attributes of the file hold the descriptions as JSON (`model_config`, `training_config`), the group `model_weights` the
weights, `optimizer_weights` the state of the optimizer.
"""

import json
from typing import Any

import jax.numpy as jnp
import numpy as np

from kyeo.core.errors import problem
from kyeo.core.files import writing
from kyeo.core.notes import notes
from kyeo.core.plain import warn
from kyeo.core.reading import reading
from kyeo.core.registry import custom_object_scope
from kyeo.saving.config import deserialize_keras_object, read_json, serialize_keras_object
from kyeo.saving.forms import KERAS_VERSION
from kyeo.saving.hdf5 import ReadGroup, open_for_reading
from kyeo.saving.hdf5_contents import evidence
from kyeo.saving.hdf5_writing import open_for_writing
from kyeo.saving.legacy import load_legacy
from kyeo.saving.legacy_config import modern, version_of
from kyeo.saving.legacy_training import compile_config, load_optimizer

__all__ = ["SIGNATURE", "load_h5_model", "save_h5_model", "save_h5_weights"]

_HEADER = 64_000  # bytes; a longer list of names does not fit the header of a group and is cut into several
SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of every HDF5 file


def load_h5_model(path: Any, custom_objects: dict[str, Any] | None, compile: bool) -> Any:
    """The model in a `.h5` file.

    Args:
        path: of the file.
        custom_objects: {name: class or function} for the user's own.
        compile: whether to compile it as it was.
    """
    where = str(path)
    with open_for_reading(path, where) as file, custom_object_scope(custom_objects):
        described = _values(file, "model_config", where)
        if not isinstance(described, dict):
            raise problem("The file holds no description of a model, so it can only fill one that is there.",
                          where=where, received="no attribute model_config", expected="a file written by model.save",
                          fix="make the model and call model.load_weights(...)")
        with reading(where, *evidence(file, where)):
            version = version_of(
                _text(file, "keras_version", where) or _text(file, "keras_version", where, "model_weights"))
            spec = modern(described, version)
            training = _values(file, "training_config", where) if compile else None
            spec["compile_config"] = compile_config(training, version, _output_names(spec))
            model = deserialize_keras_object(spec, custom_objects)
        if not hasattr(model, "load_weights"):
            raise problem("The file holds something that is not a model.", where=where, received=type(model).__name__)
        load_legacy(model, file, where, whole=True)
        if spec["compile_config"] is not None:
            load_optimizer(model, file, where)
    return model


def _text(file: Any, name: str, where: str, group: str = "") -> str | None:
    texts = ReadGroup(file, group, where, plain=True).texts(name)
    return texts[0] if texts else None


def _values(file: Any, name: str, where: str) -> Any:
    text = _text(file, name, where)
    return None if text is None else read_json(text, f"{name} in {where}")


def _output_names(spec: dict[str, Any]) -> list[str]:
    places = spec["config"].get("output_layers") if isinstance(spec["config"], dict) else None
    if not isinstance(places, list):
        return []
    places = [places] if places and isinstance(places[0], str) else places
    return [place[0] for place in places if isinstance(place, list) and place and isinstance(place[0], str)]


# -- writing -----------------------------------------------------------------------------------------------
def save_h5_model(model: Any, path: Any, include_optimizer: bool = True) -> None:
    """Write a model as Keras 3 writes a `.h5`, with a warning that the form is old.

    Args:
        model: a built model.
        path: of the file, which is written anew.
        include_optimizer: whether how it is compiled, and the state of its optimizer, go with it.
    """
    warn("A `.h5` file is the old form of saved models: it keeps no states of metrics, vocabularies or seeds. "
         'Write a ".keras" file unless old programs are to read it.')
    spec = serialize_keras_object(model)
    described = {"class_name": spec.get("registered_name") or spec["class_name"], "config": spec["config"]}
    described["class_name"] = described["class_name"].removeprefix("keras>")
    training = _training_config(spec.get("compile_config")) if include_optimizer else None
    with writing(path) as raw, open_for_writing(raw) as file:
        file.attrs["keras_version"], file.attrs["backend"] = KERAS_VERSION, "jax"
        file.attrs.update(notes())
        file.attrs["model_config"] = json.dumps(described).encode()
        save_h5_weights(model, file.create_group("model_weights"))
        if training is not None:
            file.attrs["training_config"] = json.dumps(training).encode()
            variables = model.optimizer.variables
            _write(file.create_group("optimizer_weights"), variables,
                   [f"{model.optimizer.name}/{v.name}" for v in variables])


def save_h5_weights(model: Any, group: Any) -> None:
    """Write the weights of a model, layer by layer, into an open group."""
    group.attrs["keras_version"], group.attrs["backend"] = KERAS_VERSION, "jax"
    _write_names(group, "layer_names", [layer.name for layer in model.layers])
    for layer in model.layers:
        weights = [*layer.trainable_weights, *layer.non_trainable_weights]
        _write(group.create_group(layer.name), weights, [w.path for w in weights])
    own = sorted(model.own_variables(), key=lambda v: not v.trainable)
    _write(group.create_group("top_level_model_weights"), own, [v.path for v in own])


def _training_config(compiled: dict[str, Any] | None) -> dict[str, Any] | None:
    if not compiled or not isinstance(compiled.get("optimizer"), dict):
        return None
    optimizer = compiled["optimizer"]
    rest = {key: compiled.get(key) for key in ("loss", "metrics", "weighted_metrics", "loss_weights")}
    return {**rest, "optimizer_config": {"class_name": optimizer.get("registered_name") or optimizer["class_name"],
                                         "config": optimizer["config"]}}


def _write(group: Any, variables: list[Any], paths: list[str]) -> None:
    """Arrays under the paths of their variables; a path that is taken already gets a number."""
    names: list[str] = []
    for variable, path in zip(variables, paths):
        name, number = path, 0
        while name in names or name in group:
            number += 1
            name = f"{path}_{number}"
        array = np.asarray(variable.whole())
        group.create_dataset(name, data=array.astype("float32") if array.dtype == jnp.bfloat16 else array)
        names.append(name)
    _write_names(group, "weight_names", names)


def _write_names(group: Any, key: str, names: list[str]) -> None:
    texts = [name.encode() for name in names]
    room = max(1, _HEADER // max((len(text) for text in texts), default=1))
    if len(texts) <= room:
        group.attrs[key] = texts
        return
    for number, start in enumerate(range(0, len(texts), room)):
        group.attrs[f"{key}{number}"] = texts[start:start + room]
