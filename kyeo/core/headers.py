"""The JSON header of a file that somebody else wrote: counted before it is parsed, each name once."""

import json
from collections.abc import Callable
from typing import Any

__all__ = ["read_header"]

_MAX_SIGNS = {b"{": 200_000, b"[": 400_000, b":": 1_000_000, b",": 4_000_000}  # what JSON takes memory for


def read_header(text: bytes, refused: Callable[[str], Exception]) -> dict[str, Any]:
    """The object in JSON text.

    Args:
        text: the bytes, UTF-8.
        refused: makes the exception for what is wrong with them.

    >>> read_header(b'{"a": [1, 2]}', ValueError)
    {'a': [1, 2]}
    >>> read_header(b'{"a": 1, "a": 2}', ValueError)
    Traceback (most recent call last):
    ValueError: a header that is no JSON: a name that stands twice
    """
    if text[:1] != b"{":
        raise refused("a header that is no JSON object")
    if any(text.count(sign) > most for sign, most in _MAX_SIGNS.items()):
        raise refused("a header of too many parts")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a name that stands twice")
        return dict(pairs)

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise refused(f"a header that is no JSON: {error}") from None
    return header
