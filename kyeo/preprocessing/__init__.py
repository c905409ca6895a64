"""Preparing data, under the names of `keras.preprocessing`: images, sequences, and data sets from folders."""

from kyeo.core.gone import answer_for_missing
from kyeo.preprocessing import image as image
from kyeo.preprocessing import sequence as sequence
from kyeo.utils import (
    image_dataset_from_directory,
    text_dataset_from_directory,
    timeseries_dataset_from_array,
)

__all__ = [
    "image", "image_dataset_from_directory", "sequence", "text_dataset_from_directory", "timeseries_dataset_from_array",
]

answer_for_missing(__name__)
