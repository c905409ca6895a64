"""Whole models in one HDF5 file (`.h5`), as Keras 2 and tf.keras wrote them and Keras 3 still does.

Attributes of the file hold the descriptions as JSON (`model_config`, `training_config`), the group `model_weights` the
weights, `optimizer_weights` the state of the optimizer.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from kyeo.core.errors import problem
from kyeo.core.registry import custom_object_scope
from kyeo.saving.config import deserialize_keras_object, read_json
from kyeo.saving.hdf5 import ReadGroup, open_for_reading
from kyeo.saving.legacy import load_legacy
from kyeo.saving.legacy_config import modern, version_of
from kyeo.saving.legacy_training import compile_config, load_optimizer

__all__ = ["SIGNATURE", "load_h5_model"]

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
            raise problem("The file holds no description of a model, so it can only fill one that is there.", where=where,
                          received="no attribute model_config", expected="a file written by model.save",
                          fix="make the model and call model.load_weights(...)")
        version = version_of(_text(file, "keras_version", where) or _text(file, "keras_version", where, "model_weights"))
        spec = modern(described, version)
        training = _values(file, "training_config", where) if compile else None
        spec["compile_config"] = compile_config(training, version, _output_names(spec))
        with _told(where):
            model = deserialize_keras_object(spec, custom_objects)
        if not hasattr(model, "load_weights"):
            raise problem("The file holds something that is not a model.", where=where, received=type(model).__name__)
        load_legacy(model, file, where, whole=True)
        if spec["compile_config"] is not None:
            load_optimizer(model, file, where)
    return model


@contextlib.contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"  while {where} was loaded")
        raise


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
