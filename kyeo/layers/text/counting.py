"""Counting the words of many texts with NumPy, without an object for each word."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kyeo.layers.text.documents import groups_of, joined, rule_of

__all__ = ["word_counts"]

_LITTLE = 1 << 16  # bytes of text that are counted word by word in less time
_BITS = 16  # of the number of a slot
_FIRST = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)  # the first n bytes of eight
_BLANKS = bytes.maketrans(b"\t\n\v\f\r", b"     ")
_ALL = bytes(range(256))


def word_counts(texts: Sequence[Any], standardize: str | None) -> Iterator[Counter[bytes]]:
    """How often each word is in the texts, in groups of texts.

    >>> next(word_counts(["The cat!", "", "the dog"], "lower_and_strip_punctuation"))
    Counter({b'the': 2, b'cat': 1, b'dog': 1})
    """
    table, without = rule_of(standardize)
    for group in groups_of(texts):
        text = joined(group, " ").translate((table or _ALL).translate(_BLANKS), without)
        yield _counted(text + b" " * 33) if len(text) > _LITTLE else Counter(text.split())


def _counted(text: bytes) -> Counter[bytes]:
    """The words between blanks; at least 33 blanks are at the end.

    A hash sends each word to a slot. The last word there is compared with the others, eight bytes at once, and those
    equal to it are counted together. Very long words, and those that another took the slot of, are counted one by one.
    """
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == 32)
    starts = np.concatenate([[0], ends[:-1] + 1])
    starts, ends = starts[ends > starts], ends[ends > starts]
    sizes = ends - starts
    eight: np.ndarray = np.ndarray(len(text) - 7, "<u8", text, strides=(1,))  # those that begin at each place
    wide = 16 if len(text) < 11 * len(sizes) else 32
    parts = [eight[starts + i] & _FIRST[np.clip(sizes - i, 0, 8)] for i in range(0, wide, 8)]
    mixed = parts[0]
    for part in parts[1:]:
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) ^ part
    mixed = mixed * np.uint64(0xC2B2AE3D27D4EB4F)
    slots = (mixed >> np.uint64(64 - _BITS)).astype(np.int64)
    last = np.zeros(1 << _BITS, np.int64)
    last[slots] = np.arange(len(slots))
    other = last[slots]
    same = (sizes == sizes[other]) & (sizes <= wide)
    for part in parts:
        same &= part == part[other]
    times = np.bincount(slots[same], minlength=1 << _BITS)
    used = np.flatnonzero(times)

    def words(places: np.ndarray) -> list[bytes]:
        return [text[a:b] for a, b in zip(starts[places].tolist(), ends[places].tolist())]

    counts = Counter(dict(zip(words(last[used]), times[used].tolist())))
    counts.update(words(np.flatnonzero(~same)))
    return counts
