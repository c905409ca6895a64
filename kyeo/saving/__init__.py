"""Files of models: the `.keras` zip, weights in HDF5, JSON; and the names under which files know classes."""

from kyeo.core.reading import reading_limits
from kyeo.core.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from kyeo.saving.config import (
    deserialize_keras_object,
    model_from_config,
    model_from_json,
    model_to_json,
    serialize_keras_object,
)
from kyeo.saving.editor import KerasFileEditor
from kyeo.saving.keras_file import load_model, load_weights, save_model, save_weights

CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope", "KerasFileEditor", "custom_object_scope", "deserialize_keras_object", "get_custom_objects",
    "get_registered_name", "get_registered_object", "load_model", "load_weights", "model_from_config",
    "model_from_json", "model_to_json", "reading_limits", "register_keras_serializable", "save_model", "save_weights",
    "serialize_keras_object",
]
