"""What libraries write and read by hand: files of arrays, the weights of LoRA say (`H5IOStore` of Keras's inside), and
models in open files, such as those in memory of a pickle."""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from kyeo.core.errors import one_of, problem
from kyeo.core.files import writing
from kyeo.saving import keras_file
from kyeo.saving.hdf5 import ReadGroup, open_for_reading
from kyeo.saving.hdf5_writing import WriteGroup, open_for_writing

__all__ = ["H5IOStore", "load_model", "save_model"]


def save_model(model: Any, filepath: Any, **kwargs: Any) -> None:
    """`kyeo.saving.save_model`, also into an open binary file."""
    if not hasattr(filepath, "write"):
        return keras_file.save_model(model, filepath, **kwargs)
    with tempfile.TemporaryDirectory() as folder:
        keras_file.save_model(model, path := Path(folder, "model.keras"), **kwargs)
        with path.open("rb") as file:
            shutil.copyfileobj(file, filepath)


def load_model(filepath: Any, *args: Any, **kwargs: Any) -> Any:
    """`kyeo.saving.load_model`, also from an open binary file."""
    if not hasattr(filepath, "read"):
        return keras_file.load_model(filepath, *args, **kwargs)
    with tempfile.TemporaryDirectory() as folder:
        with (path := Path(folder, "model.keras")).open("wb") as file:
            shutil.copyfileobj(filepath, file)
        return keras_file.load_model(path, *args, **kwargs)


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
