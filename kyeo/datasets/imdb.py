"""IMDB: 50,000 reviews of films, good or bad, by Maas et al. (2011), Learning Word Vectors for Sentiment Analysis."""

import json
from typing import Any

import numpy as np

from kyeo.core.parameters import checked
from kyeo.datasets.fetch import fetch
from kyeo.datasets.restricted import read_npz
from kyeo.datasets.words import as_objects, prepared, shuffled

__all__ = ["get_word_index", "load_data"]

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_SHA256 = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_INDEX_MD5 = "bfafd718b763782e994055a2d397834f"  # no other checksum was published


@checked
def load_data(
    path: str = "imdb.npz", num_words: int | None = None, skip_top: int = 0, maxlen: int | None = None,
    seed: int = 113, start_char: int | None = 1, oov_char: int | None = 2, index_from: int = 3, **kwargs: Any,
) -> Any:
    """Load the reviews as lists of words by rank: 1 is the most frequent word, plus `index_from`.

    Args:
        path: The file's name inside the cache folder.
        num_words: Words from this number on count as unknown; None: none.
        skip_top: Words below this number count as unknown.
        maxlen: Longer reviews are left out.
        seed: For the order.
        start_char: The mark of the start of a review; None for no mark.
        oov_char: What unknown words become; None leaves them out.
        index_from: What is added to ranks.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays of lists of ints; labels 0 (bad) or 1 (good).

    Raises:
        OSError: There is no network, and the file is not in the cache.

    Example:
        >>> from kyeo.datasets import imdb
        >>> (x_train, y_train), (x_test, y_test) = imdb.load_data(num_words=10_000)  # doctest: +SKIP
    """
    if kwargs:
        raise TypeError(f"load_data has no argument {next(iter(kwargs))!r}. Expected: num_words, maxlen, ...")
    arrays, rng = read_npz(fetch(path, _URL + "imdb.npz", _SHA256)), np.random.RandomState(seed)
    parts = [shuffled(rng, arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")]
    (train, y_train), (test, y_test) = (prepared(x, y, start_char, index_from, maxlen) for x, y in parts)
    words = as_objects(train + test, num_words, skip_top, oov_char)
    return (words[:len(train)], y_train), (words[len(train):], y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Load the rank of each word, without `index_from`.

    Args:
        path: The file's name inside the cache folder.
    """
    return json.loads(fetch(path, _URL + "imdb_word_index.json", _INDEX_MD5).read_bytes())
