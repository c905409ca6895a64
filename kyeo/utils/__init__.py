"""Small tools: progress bar, seeds, labels, data sets by index, names of custom objects."""

from kyeo.callbacks.progbar import Progbar
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
from kyeo.utils import bounding_boxes as bounding_boxes
from kyeo.utils.drawing import get_source_inputs, model_to_dot, plot_model
from kyeo.utils.feature_space import FeatureSpace
from kyeo.utils.images import array_to_img, img_to_array, load_img, save_img
from kyeo.utils.labels import normalize, to_categorical
from kyeo.utils.seed import set_random_seed
from kyeo.utils.sequences import pad_sequences
from kyeo.utils.session import clear_session, is_keras_tensor
from kyeo.utils.settings_dict import Config

__all__ = [
    "Config", "CustomObjectScope", "FeatureSpace", "Progbar", "PyDataset", "Sequence", "array_to_img",
    "bounding_boxes", "clear_session", "custom_object_scope", "get_custom_objects", "get_registered_name",
    "get_registered_object", "get_source_inputs", "img_to_array", "is_keras_tensor", "load_img", "model_to_dot",
    "normalize", "pack_x_y_sample_weight", "pad_sequences", "plot_model", "register_keras_serializable", "save_img",
    "set_random_seed", "standardize_dtype", "to_categorical", "unpack_x_y_sample_weight",
]

CustomObjectScope = custom_object_scope
Sequence = PyDataset
