"""What stands beside objects that take no attributes of their own."""

import weakref
from typing import Any

__all__ = ["Beside"]


class Beside:
    """Values by the identity of objects, each gone with its object.

    >>> class Thing: pass
    >>> beside, thing = Beside(), Thing()
    >>> beside.put(thing, 1)
    >>> beside.get(thing), beside.get(Thing()), len(beside)
    (1, None, 1)
    >>> del thing
    >>> len(beside)
    0
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, thing: Any, value: Any) -> None:
        """Remember a value, which is not None, beside an object."""
        key, entries = id(thing), self._entries
        entries[key] = weakref.ref(thing, lambda _: entries.pop(key, None)), value

    def get(self, thing: Any) -> Any:
        """The value beside an object, or None."""
        entry = self._entries.get(id(thing))
        return entry[1] if entry is not None and entry[0]() is thing else None

    def drop(self, thing: Any) -> None:
        """Forget what is beside an object, if anything is."""
        self._entries.pop(id(thing), None)
