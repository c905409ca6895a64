"""Preparing data, under the names of `keras.preprocessing`: images, sequences, and data sets from folders."""

from typing import TYPE_CHECKING

from kyeo.core.gone import missing
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

if not TYPE_CHECKING:  # else type checkers would take every name for one that is there
    __getattr__, __dir__ = missing(__name__)
