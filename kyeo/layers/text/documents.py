"""Texts to lists of tokens, many at a time: one `lower`, one removal of punctuation for a thousand texts together.

TensorFlow's rules are those of bytes: only the letters A to Z have another case, only six bytes are white space.
"""

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["character_lists", "ngrams_of", "word_lists"]

PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
_BETWEEN = b"\xff"  # in no text of UTF-8
_AT_ONCE = 2048


def _as_bytes(texts: Sequence[Any]) -> list[bytes]:
    return [t if isinstance(t, bytes) else t.encode("utf-8", "surrogateescape") for t in texts]


def _cleaned(text: bytes, standardize: str | None) -> bytes:
    if standardize in ("lower", "lower_and_strip_punctuation"):
        text = text.lower()
    if standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
        text = text.translate(None, PUNCTUATION)
    return text


def cleaned_texts(texts: Sequence[Any], standardize: str | None) -> Iterator[list[bytes]]:
    """The texts as standardized bytes, in groups."""
    for begin in range(0, len(texts), _AT_ONCE):
        group = _as_bytes(texts[begin:begin + _AT_ONCE])
        lines = _cleaned(_BETWEEN.join(group), standardize).split(_BETWEEN)
        yield lines if len(lines) == len(group) else [_cleaned(text, standardize) for text in group]


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
