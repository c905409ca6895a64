"""Files of arrays that libraries write and read by hand, the weights of LoRA say: `H5IOStore` of Keras's inside."""

import contextlib
from typing import Any

from kyeo.core.errors import one_of, problem
from kyeo.core.files import writing
from kyeo.saving.hdf5 import ReadGroup, open_for_reading
from kyeo.saving.hdf5_writing import WriteGroup, open_for_writing

__all__ = ["H5IOStore"]


class H5IOStore:
    """An HDF5 file of arrays by path and name.

    Args:
        path_or_io: A path, or an open binary file.
        archive: Keras's way into a zip; not supported.
        mode: `"w"` makes the file anew, `"r"` reads it.
    """

    def __init__(self, path_or_io: Any, archive: Any = None, mode: str = "r") -> None:
        if archive is not None:
            raise problem("A store inside a zip is Keras's inside.", where=self, received=f"archive={archive!r}",
                          expected="a path, or an open file")
        self._open, self._where = contextlib.ExitStack(), str(path_or_io)
        if one_of(self, ("r", "w"), mode=mode) == "r":
            self._file = self._open.enter_context(open_for_reading(path_or_io, self._where))
        else:
            if not hasattr(path_or_io, "write"):
                path_or_io = self._open.enter_context(writing(path_or_io))
            self._file = self._open.enter_context(open_for_writing(path_or_io))

    def make(self, path: str, metadata: Any = None) -> WriteGroup:
        """A new mapping at a path, to write arrays into."""
        return WriteGroup(self._file, path, None)

    def get(self, path: str) -> ReadGroup:
        """The arrays at a path; none where the file has nothing there."""
        return ReadGroup(self._file, path, self._where)

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._open.close()
