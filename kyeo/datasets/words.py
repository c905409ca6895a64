"""What IMDB and Reuters share: texts as lists of the ranks of their words."""

from typing import Any

import numpy as np

from kyeo.core.errors import problem

__all__ = ["as_objects", "prepared", "shuffled"]


def shuffled(rng: np.random.RandomState, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    """Rows of both in one new order."""
    order = np.arange(len(x))
    rng.shuffle(order)
    return x[order], y[order]


def prepared(texts: Any, labels: Any, start_char: int | None, index_from: int, maxlen: int | None) -> tuple[Any, Any]:
    """Texts with the mark of their start and shifted ranks; those shorter than `maxlen` alone."""
    shift = (index_from or 0) if start_char is None else index_from
    begin = [] if start_char is None else [start_char]
    texts = [begin + [word + shift for word in text] for text in texts]
    if maxlen:
        kept = [i for i, text in enumerate(texts) if len(text) < maxlen]
        texts, labels = [texts[i] for i in kept], np.asarray(labels)[kept]
        if not texts:
            raise problem("No text is short enough.", received=f"maxlen={maxlen}", where="load_data",
                          expected="a larger maxlen")
    return texts, labels


def as_objects(texts: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None) -> np.ndarray:
    """The texts as an array of lists, in which words out of range are replaced or left out."""
    limit = num_words or max(map(max, texts))
    if oov_char is None:
        rows = [[w for w in text if skip_top <= w < limit] for text in texts]
    else:
        rows = [[w if skip_top <= w < limit else oov_char for w in text] for text in texts]
    out = np.empty(len(rows), object)
    out[:] = rows
    return out
