"""What losses and metrics called by themselves, outside of any compiled step, share: each is one program instead of one
for each of its operations, and those that are alike share it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kyeo.core.arrays import check_32_bits, holds_numbers
from kyeo.core.scope import current
from kyeo.core.settings import settings
from kyeo.core.variable import Variable

__all__ = ["Programs", "as_argument", "by_itself", "plain"]

_PLAIN = frozenset({type(None), bool, int, float, str})
_MOST = 256  # programs kept


class Programs(dict[Any, Callable[..., Any]]):
    """Compiled functions by keys that tell all that their traces can read.

    >>> Programs().of("twice", lambda x: x * 2)(3).item()
    6
    """

    def of(self, key: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        """The program of a key; if there is none, `function` becomes it."""
        if key not in self:
            if len(self) >= _MOST:
                self.clear()
            self[key] = jax.jit(function)
        return self[key]


def by_itself() -> bool:
    """Whether nothing around is compiled: no step, no row of padding."""
    now = current()
    return now.overlay is None and now.row_mask is None and not settings.run_eagerly


def as_argument(value: Any) -> Any:
    """`value` for a program; raises for what it would see otherwise than the function does: structures of arrays,
    masked arrays, integers that need 64 bits."""
    if type(value) in (int, float) or (isinstance(value, (list, tuple)) and all(
            type(leaf) in (bool, int, float) for leaf in jax.tree.leaves(value))):
        value = np.asarray(value)
        value = value.astype("float32") if value.dtype == np.float64 else value
    if type(value) is np.ndarray:
        check_32_bits(value)
        if not holds_numbers(value):
            raise TypeError
    elif value is not None and (not isinstance(value, (jax.Array, Variable)) or isinstance(value, jax.core.Tracer)):
        raise TypeError
    return value.value if isinstance(value, Variable) else value


def plain(value: Any) -> tuple[Any, ...]:
    """A number, a text or a list of them as part of a key, in which 1 is not True; raises for anything else.

    >>> plain([1, 2.5])
    (<class 'list'>, (<class 'int'>, <class 'float'>), (1, 2.5))
    """
    kind = type(value)
    if kind in (list, tuple):
        kinds = tuple(map(type, value))
        if _PLAIN.issuperset(kinds):
            return kind, kinds, tuple(value)
    if kind not in _PLAIN or value != value:
        raise TypeError
    return kind, value
