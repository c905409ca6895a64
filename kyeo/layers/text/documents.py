"""Texts to lists of tokens, many at a time: one `lower`, one removal of punctuation for a thousand texts together.

TensorFlow's rules are those of bytes: only the letters A to Z have another case, only six bytes are white space.
"""

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["character_lists", "cleaned_texts", "groups_of", "joined", "ngrams_of", "rule_of", "word_lists"]

PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
_SMALL = bytes(range(256)).lower()
_RULES = {None: (None, b""), "lower": (_SMALL, b""), "strip_punctuation": (None, PUNCTUATION),
          "lower_and_strip_punctuation": (_SMALL, PUNCTUATION)}
_BETWEEN = "\0"  # no rule touches it, and few texts hold it
_AT_ONCE = 2048


def rule_of(standardize: str | None) -> tuple[bytes | None, bytes]:
    """The arguments of `bytes.translate` that standardize a text."""
    return _RULES[standardize]


def _as_bytes(texts: Sequence[Any]) -> list[bytes]:
    return [t if isinstance(t, bytes) else t.encode("utf-8", "surrogateescape") for t in texts]


def joined(texts: Sequence[Any], between: str) -> bytes:
    """All texts as one, in UTF-8."""
    try:
        return between.join(texts).encode()
    except (TypeError, UnicodeEncodeError):  # some are bytes, or hold bytes that were no UTF-8
        return between.encode().join(_as_bytes(texts))


def groups_of(texts: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Some texts at a time."""
    return (texts[begin:begin + _AT_ONCE] for begin in range(0, len(texts), _AT_ONCE))


def cleaned_texts(texts: Sequence[Any], standardize: str | None) -> Iterator[list[bytes]]:
    """The texts as standardized bytes, in groups."""
    rule = rule_of(standardize)
    for group in groups_of(texts):
        lines = joined(group, _BETWEEN).translate(*rule).split(_BETWEEN.encode())
        yield lines if len(lines) == len(group) else [text.translate(*rule) for text in _as_bytes(group)]


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
