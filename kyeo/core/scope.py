"""Scope: the one ambient thing. An immutable record in one ContextVar, so nothing can stay behind.

A layer call needs a few facts that are not arguments: are we training, which path are we under, which
number type do we compute in, where do variable values live. They ride here for the length of a `with`.
"""

import dataclasses
from contextvars import ContextVar, Token
from typing import Any

__all__ = ["Scope", "current", "scope"]


@dataclasses.dataclass(frozen=True, slots=True, weakref_slot=True)
class Scope:
    """What surrounds the running call.

    Attributes:
        training: the mode chosen by the outermost call; None where nobody chose.
        path: names of the enclosing layers, joined by "/"; the prefix of variable paths.
        compute_dtype: float variables are read in this type; None reads them as they are.
        overlay: values of variables while a pure function runs, instead of those in the boxes.
        losses: where `add_loss` puts its values; None outside of a call.
        row_mask: 0/1 per row of the batch while padding rows are in it; None when every row is real.
        symbolic: True while only shapes are wanted; a number where that stands for each size that is open.
        onednn: True in a step that is compiled with the options of `ops/kernels/onednn.py`.
        looped: True in a step of many that one dispatch runs in a loop.
        flat: True while variables hold vectors of their elements (`optimizers/together.py`).
        plain: True while a program is traced for a file: kernels take their plain forms, equations bear layers' names.
        made: the layers made so far in the `call` of a user's layer; None outside of one.
        remat: what layers made now compute again for the gradient; None where all is kept.
    """

    training: bool | None = None
    path: str = ""
    compute_dtype: str | None = None
    overlay: dict[Any, Any] | None = None
    losses: list[Any] | None = None
    row_mask: Any = None
    symbolic: bool | int = False
    onednn: bool = False
    looped: bool = False
    flat: bool = False
    plain: bool = False
    made: list[Any] | None = None
    remat: Any = None


_NAMES = tuple(field.name for field in dataclasses.fields(Scope))
_current: ContextVar[Scope] = ContextVar("kyeo_scope", default=Scope())  # noqa: B039 (Scope is immutable)


def current() -> Scope:
    """The scope that holds now."""
    return _current.get()


class scope:
    """`with scope(training=True) as s:` changes the named facts for the block and puts them back after it."""

    __slots__ = ("_changes", "_token")

    def __init__(self, **changes: Any):
        self._changes = changes
        self._token: Token[Scope] | None = None

    def __enter__(self) -> Scope:
        now = _current.get()
        changed = Scope(**{name: getattr(now, name) for name in _NAMES} | self._changes)  # quicker than `replace`
        self._token = _current.set(changed)
        return changed

    def __exit__(self, *exc: object) -> None:
        assert self._token is not None
        _current.reset(self._token)
