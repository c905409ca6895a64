"""Small tools: progress bar, seeds, labels, data sets by index, names of custom objects."""

from kyeo.config import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from kyeo.core.dtypes import standardize_dtype
from kyeo.core.gone import answer_for_missing
from kyeo.core.progbar import Progbar
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
from kyeo.utils.download import get_file
from kyeo.utils.drawing import model_to_dot, plot_model
from kyeo.utils.feature_space import FeatureSpace
from kyeo.utils.from_directory import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    text_dataset_from_directory,
)
from kyeo.utils.images import array_to_img, img_to_array, load_img, save_img
from kyeo.utils.labels import normalize, to_categorical
from kyeo.utils.named_values import Config
from kyeo.utils.seed import set_random_seed
from kyeo.utils.sequences import pad_sequences
from kyeo.utils.session import clear_session, get_source_inputs, is_keras_tensor
from kyeo.utils.windows import split_dataset, timeseries_dataset_from_array

__all__ = [
    "Config", "CustomObjectScope", "FeatureSpace", "Progbar", "PyDataset", "Sequence", "array_to_img",
    "audio_dataset_from_directory", "bounding_boxes", "clear_session", "custom_object_scope",
    "deserialize_keras_object", "disable_interactive_logging", "enable_interactive_logging", "get_custom_objects",
    "get_file", "get_registered_name", "get_registered_object", "get_source_inputs", "image_dataset_from_directory",
    "img_to_array", "is_interactive_logging_enabled", "is_keras_tensor", "legacy", "load_img", "model_to_dot",
    "normalize", "pack_x_y_sample_weight", "pad_sequences", "plot_model", "register_keras_serializable", "save_img",
    "serialize_keras_object", "set_random_seed", "split_dataset", "standardize_dtype", "text_dataset_from_directory",
    "timeseries_dataset_from_array", "to_categorical", "unpack_x_y_sample_weight",
]

CustomObjectScope = custom_object_scope
Sequence = PyDataset

answer_for_missing(__name__)
