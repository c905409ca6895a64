"""Layers for text and categories that work on the host: hashing, looking up, vectorizing."""

from kyeo.layers.text.hashing import HashedCrossing, Hashing
from kyeo.layers.text.lookups import IntegerLookup, StringLookup
from kyeo.layers.text.vectorize import TextVectorization

__all__ = ["HashedCrossing", "Hashing", "IntegerLookup", "StringLookup", "TextVectorization"]
