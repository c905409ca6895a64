"""HDF5 files that are written: groups as mappings that take arrays, for `save_own_variables`."""

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from kyeo.core.variable import Variable

__all__ = ["WriteGroup", "as_array", "open_for_writing"]


@contextlib.contextmanager
def open_for_writing(file: Any) -> Iterator[Any]:
    """An empty HDF5 file in an open binary file.

    Raises:
        OSError: at the end, if a part of it could not be written.
    """
    import h5py

    target = _Unfailing(file)
    with h5py.File(target, "w") as store:
        yield store
    if target.error is not None:
        raise target.error


class _Unfailing(io.RawIOBase):
    """Keeps the first error of a file instead of raising it: HDF5 cannot close what it could not write."""

    def __init__(self, file: Any):
        self._file = file
        self.error: OSError | None = None
        self._at = self._end = 0

    def _tried(self, act: Callable[[], Any]) -> None:
        try:
            if self.error is None:
                act()
        except OSError as error:
            self.error = error

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._tried(lambda: (self._file.seek(self._at), self._file.write(data)))
        self._at += size
        self._end = max(self._end, self._at)
        return size

    def readinto(self, buffer: Any) -> int:
        self._tried(lambda: (self._file.seek(self._at), self._file.readinto(buffer)))
        self._at += len(buffer)
        return len(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None) -> int:
        self._end = self._at if size is None else size
        self._tried(lambda: self._file.truncate(self._end))
        return self._end

    def flush(self) -> None:
        self._tried(self._file.flush)


def as_array(value: Any) -> np.ndarray:
    """What is to be written, as an array that only lives until it is; a variable's is not copied."""
    return np.asarray(value.whole() if isinstance(value, Variable) else value)


class WriteGroup:
    """The group `path`/vars of a file, made at once; takes arrays by key."""

    def __init__(self, file: Any, path: str, name: str | None):
        self._group = file.create_group(f"{path}/vars" if path else "vars")
        if name is not None:
            self._group.attrs["name"] = name

    def __setitem__(self, key: str, value: Any) -> None:
        array = as_array(value)
        dataset = self._group.create_dataset(key, data=array)
        if array.dtype == jnp.bfloat16:  # HDF5 keeps the bytes but not what they mean
            dataset.attrs["dtype"] = "bfloat16"

    def keys(self) -> list[str]:
        """What was written so far."""
        return list(self._group)
