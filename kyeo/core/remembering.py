"""Constructors that remember their arguments, and tell of mistakes in them in plain words."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from kyeo.core.errors import is_told, problem, retold
from kyeo.core.parameters import MISTAKES, checks_of, explained
from kyeo.core.plain import plainly

__all__ = ["remembering"]


def remembering(init: Callable[..., None], own: bool) -> Callable[..., None]:
    @functools.wraps(init)
    def remembers(self: Any, *args: Any, **kwargs: Any) -> None:
        if "_given" in self.__dict__:
            return run(self, *args, **kwargs)
        self.__dict__["_given"] = (remembers, args, kwargs)  # the most derived constructor runs first, and counts
        outermost(self, args, kwargs)

    def run(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except MISTAKES as error:
            better = explained(error, init, self, args, kwargs, own)
            if better is error:
                raise
            raise better from None
        if own:  # afterwards: the constructor's own words are more to the point
            checks_of(init).run(self, args, kwargs)

    @plainly
    def outermost(self: Any, args: Any, kwargs: Any) -> None:
        try:
            run(self, *args, **kwargs)
        except (TypeError, ValueError) as error:
            is_layer = hasattr(self, "add_weight") and not hasattr(self, "fit")
            if is_layer and any(hasattr(a, "node") for a in _flat(args)):  # Concatenate([x, y])
                raise problem("A layer is made first, and called on tensors afterwards.", received=list(args),
                              where=type(self), kind=TypeError, fix=f"{type(self).__name__}(...)(tensors)") from None
            if is_told(error):
                raise retold(error, type(self)) from None
            raise
        self._check_made()

    return remembers


def _flat(args: tuple[Any, ...]) -> Iterator[Any]:
    for arg in args:
        yield from arg if isinstance(arg, (list, tuple)) else (arg,)
