"""Preparing data, under the names of `keras.preprocessing`: images and sequences."""

from kyeo.preprocessing import image as image
from kyeo.preprocessing import sequence as sequence

__all__ = ["image", "sequence"]
