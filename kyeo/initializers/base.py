"""Initializer: the base of initializers."""

from collections.abc import Callable, Sequence
from typing import Any

from kyeo.core.configurable import Configurable
from kyeo.core.errors import problem

__all__ = ["Initializer"]


class Initializer(Configurable):
    """Base of initializers: a callable `(shape, dtype=None)` that gives the first value of a variable.

    Subclasses write `__call__`; their constructor arguments are their config.

    >>> import kyeo, numpy as np
    >>> class Halves(kyeo.initializers.Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.full(shape, 0.5, dtype)
    >>> Halves()((2,), "float32").tolist()
    [0.5, 0.5]
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        raise problem("An initializer must say how to make its values.", where=self, kind=NotImplementedError,
                      fix=f"write {type(self).__name__}.__call__(self, shape, dtype=None)")

    def _later(self, shape: tuple[int, ...], dtype: str) -> Callable[[], Any] | None:
        """What gives the same values whenever it is called, and cannot fail; None where they must be made at once."""
        return None

    def clone(self) -> "Initializer":
        """Another initializer with the same config."""
        return type(self).from_config(self.get_config())
