"""What was noted in a file when it was saved (`core/notes.py`)."""

import contextlib
from pathlib import Path
from typing import Any

from kyeo.core.notes import NOTES
from kyeo.core.tensors import Tensors
from kyeo.saving.config import read_json
from kyeo.saving.hdf5 import ReadGroup, open_for_reading
from kyeo.saving.zips import METADATA, opened_archive

__all__ = ["notes_in"]


def notes_in(path: Path) -> dict[str, Any]:
    """What was noted in a file; empty where nothing was, or the file is not there or cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        found = read_json(_text_in(path) or "{}", str(path))
        return found if isinstance(found, dict) else {}
    return {}


def _text_in(path: Path) -> Any:
    if path.suffix == ".keras":
        with opened_archive(path) as (_, _, names, read):
            metadata = read_json(read(METADATA), METADATA) if METADATA in names else None
        text = metadata.get(NOTES) if isinstance(metadata, dict) else None
        return text if isinstance(text, str) else None
    if path.suffix == ".safetensors":
        with Tensors(path) as tensors:
            return tensors.metadata.get(NOTES)
    with open_for_reading(path, str(path)) as file:
        return "".join(ReadGroup(file, "", str(path), plain=True).texts(NOTES) or [])
