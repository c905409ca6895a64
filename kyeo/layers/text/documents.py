"""Texts to lists of tokens, many at a time: one `lower`, one removal of punctuation for a thousand texts together.

TensorFlow's rules are those of bytes: only the letters A to Z have another case, only six bytes are white space.
"""

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["all_words", "character_lists", "cleaned_texts", "ngrams_of", "word_lists"]

PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
_SMALL = bytes(range(256)).lower()
# a table and the bytes to leave out, for bytes.translate
_RULES = {None: (None, b""), "lower": (_SMALL, b""), "strip_punctuation": (None, PUNCTUATION),
          "lower_and_strip_punctuation": (_SMALL, PUNCTUATION)}
_BETWEEN = "\0"  # no rule touches it, and few texts hold it
_AT_ONCE = 2048


def _as_bytes(texts: Sequence[Any]) -> list[bytes]:
    return [t if isinstance(t, bytes) else t.encode("utf-8", "surrogateescape") for t in texts]


def _joined(texts: Sequence[Any], between: str) -> bytes:
    try:
        return between.join(texts).encode()
    except (TypeError, UnicodeEncodeError):  # some are bytes, or hold bytes that were no UTF-8
        return between.encode().join(_as_bytes(texts))


def _groups(texts: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (texts[begin:begin + _AT_ONCE] for begin in range(0, len(texts), _AT_ONCE))


def cleaned_texts(texts: Sequence[Any], standardize: str | None) -> Iterator[list[bytes]]:
    """The texts as standardized bytes, in groups."""
    rule = _RULES[standardize]
    for group in _groups(texts):
        lines = _joined(group, _BETWEEN).translate(*rule).split(_BETWEEN.encode())
        yield lines if len(lines) == len(group) else [text.translate(*rule) for text in _as_bytes(group)]


def all_words(texts: Sequence[Any], standardize: str | None) -> Iterator[list[bytes]]:
    """The words of the texts, as bytes, in groups of texts; which word stands in which text is lost.

    >>> next(all_words(["The cat!", "", "A dog"], "lower_and_strip_punctuation"))
    [b'the', b'cat', b'a', b'dog']
    """
    for group in _groups(texts):
        yield _joined(group, " ").translate(*_RULES[standardize]).split()


def word_lists(texts: Sequence[Any], standardize: str | None, limit: int | None) -> Iterator[list[list[bytes]]]:
    """The words of the texts, as bytes, in groups of texts; at most `limit` of each where that is given.

    >>> next(word_lists(["The cat!", ""], "lower_and_strip_punctuation", None))
    [[b'the', b'cat'], []]
    """
    for lines in cleaned_texts(texts, standardize):
        if limit is None:
            yield [line.split() for line in lines]
        else:
            yield [line.split(None, limit)[:limit] for line in lines]


def character_lists(texts: Sequence[Any], standardize: str | None) -> Iterator[list[list[bytes]]]:
    """The characters of the texts, as bytes of UTF-8, in groups of texts.

    >>> next(character_lists(["Né"], "lower"))
    [[b'n', b'\\xc3\\xa9']]
    """
    for lines in cleaned_texts(texts, standardize):
        yield [[c.encode() for c in line.decode("utf-8", "replace")] for line in lines]


def ngrams_of(tokens: list[bytes], widths: Sequence[int]) -> list[bytes]:
    """All runs of so many tokens, joined by a blank, width by width.

    >>> ngrams_of([b"a", b"b", b"c"], (1, 2))
    [b'a', b'b', b'c', b'a b', b'b c']
    """
    return [b" ".join(tokens[i:i + width]) for width in widths for i in range(len(tokens) - width + 1)]
