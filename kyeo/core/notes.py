"""Notes that go into files beside the weights: what a callback knows of a model as it saves it."""

import contextlib
import json
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

__all__ = ["NOTES", "notes", "noting"]

NOTES = "kyeo_notes"  # an attribute of HDF5, a text in the metadata of other files
_now: ContextVar[str] = ContextVar(NOTES, default="")


@contextlib.contextmanager
def noting(**values: Any) -> Iterator[None]:
    """Files that are written inside hold these values, which JSON can write."""
    token = _now.set(json.dumps(values) if values else "")
    try:
        yield
    finally:
        _now.reset(token)


def notes() -> dict[str, str]:
    """What goes into the metadata of a file that is being written; empty without notes."""
    return {NOTES: _now.get()} if _now.get() else {}
