"""Sequences, as `keras.preprocessing.sequence` has them."""

from kyeo.core.gone import answer_for_missing
from kyeo.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]

answer_for_missing(__name__)
