"""Small tools: progress bar, seeds, labels, data sets by index, names of custom objects."""

from kyeo.callbacks.progbar import Progbar
from kyeo.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from kyeo.core.dtypes import standardize_dtype
from kyeo.core.registry import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from kyeo.data.pydataset import PyDataset
from kyeo.data.unpack import pack_x_y_sample_weight, unpack_x_y_sample_weight
from kyeo.saving.config import deserialize_keras_object, serialize_keras_object
from kyeo.utils import bounding_boxes as bounding_boxes
from kyeo.utils import legacy as legacy
from kyeo.utils.feature_space import FeatureSpace
from kyeo.utils.images import array_to_img, img_to_array, load_img, save_img
from kyeo.utils.labels import normalize, to_categorical
from kyeo.utils.named_values import Config
from kyeo.utils.seed import set_random_seed
from kyeo.utils.sequences import pad_sequences
from kyeo.utils.session import clear_session, get_source_inputs, is_keras_tensor

__all__ = [
    "Config", "CustomObjectScope", "FeatureSpace", "Progbar", "PyDataset", "Sequence", "array_to_img",
    "bounding_boxes", "clear_session", "custom_object_scope", "deserialize_keras_object",
    "disable_interactive_logging", "enable_interactive_logging", "get_custom_objects", "get_registered_name",
    "get_registered_object", "get_source_inputs", "img_to_array", "is_interactive_logging_enabled",
    "is_keras_tensor", "legacy", "load_img", "normalize", "pack_x_y_sample_weight", "pad_sequences",
    "register_keras_serializable", "save_img", "serialize_keras_object", "set_random_seed", "standardize_dtype",
    "to_categorical", "unpack_x_y_sample_weight",
]

CustomObjectScope = custom_object_scope
Sequence = PyDataset
