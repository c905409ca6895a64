"""Automatic names: `dense`, `dense_1`, ... counted per process until `clear_session`."""

import functools
import re
from collections import Counter
from typing import Any

__all__ = ["auto_name", "is_kyeos", "reset_names", "snake_case", "uid"]

_counts: Counter[str] = Counter()
_uids: Counter[str] = Counter()


@functools.lru_cache(maxsize=1024)
def snake_case(name: str) -> str:
    """`MaxPooling2D` -> `max_pooling2d`, as Keras names its layers."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """The next free name that begins with `prefix` in snake case."""
    prefix = snake_case(prefix)
    count = _counts[prefix]
    _counts[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def uid(prefix: str = "") -> int:
    """The next number for a prefix, from 1."""
    _uids[prefix] += 1
    return _uids[prefix]


def reset_names() -> None:
    """Start counting anew."""
    _counts.clear()
    _uids.clear()


def is_kyeos(thing: Any) -> bool:
    """Whether a class, function or method is Kyeo's own; code that runs without a module's name is not.

    >>> is_kyeos(is_kyeos), is_kyeos(print)
    (True, False)
    """
    return str(getattr(thing, "__module__", "")).startswith("kyeo.")
