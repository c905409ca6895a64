"""per_class: what is read off a class once and kept."""

import functools
from collections.abc import Callable
from typing import TypeVar, cast

__all__ = ["per_class"]

R = TypeVar("R")


def per_class(fn: Callable[[type], R]) -> Callable[[type], R]:
    """Remember `fn(cls)` for each class."""
    return cast(Callable[[type], R], functools.cache(fn))
