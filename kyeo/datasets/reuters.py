"""Reuters: 11,228 newswires of 1987 on 46 topics, of the Reuters-21578 collection by David D. Lewis."""

import json
from typing import Any

import numpy as np

from kyeo.core.parameters import checked
from kyeo.datasets.fetch import fetch
from kyeo.datasets.restricted import read_npz
from kyeo.datasets.words import as_objects, prepared, shuffled

__all__ = ["get_label_names", "get_word_index", "load_data"]

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_SHA256 = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_INDEX_MD5 = "4d44cc38712099c9e383dc6e5f11a921"  # no other checksum was published
_TOPICS = (
    "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass "
    "crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi "
    "iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead"
)


@checked
def load_data(
    path: str = "reuters.npz", num_words: int | None = None, skip_top: int = 0, maxlen: int | None = None,
    test_split: float = 0.2, seed: int = 113, start_char: int | None = 1, oov_char: int | None = 2,
    index_from: int = 3,
) -> Any:
    """Load the newswires as lists of words by rank, with the number of their topic.

    Args:
        path: The file's name inside the cache folder.
        num_words, skip_top, maxlen, seed, start_char, oov_char, index_from: As for IMDB.
        test_split: The part to test with.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays of lists of ints; labels 0 to 45.

    Raises:
        OSError: There is no network, and the file is not in the cache.

    Example:
        >>> from kyeo.datasets import reuters
        >>> (x_train, y_train), (x_test, y_test) = reuters.load_data(num_words=1_000)  # doctest: +SKIP
    """
    arrays = read_npz(fetch(path, _URL + "reuters.npz", _SHA256))
    x, y = shuffled(np.random.RandomState(seed), arrays["x"], arrays["y"])
    texts, y = prepared(x, y, start_char, index_from, maxlen)
    words, at = as_objects(texts, num_words, skip_top, oov_char), int(len(texts) * (1 - test_split))
    return (words[:at], np.array(y[:at])), (words[at:], np.array(y[at:]))


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Load the rank of each word, without `index_from`.

    Args:
        path: The file's name inside the cache folder.
    """
    return json.loads(fetch(path, _URL + "reuters_word_index.json", _INDEX_MD5).read_bytes())


def get_label_names() -> tuple[str, ...]:
    """The topics, each at its number.

    >>> from kyeo.datasets import reuters
    >>> reuters.get_label_names()[3]
    'earn'
    """
    return tuple(_TOPICS.split())
