"""Sequences, as `keras.preprocessing.sequence` has them."""

from kyeo.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]
