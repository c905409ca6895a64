"""Pickles of arrays, read without running anything: only lists, numbers, text and NumPy arrays can come out.

The old data sets are pickled. A pickle names functions to be called; here the names of four are known, those that
make a NumPy array, and any other name is an error.
"""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct

from kyeo.core.errors import problem

__all__ = ["read_npz", "read_pickle"]

_KNOWN = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): lambda text, encoding: text.encode(encoding),  # bytes, as protocol 2 writes them
}


class _Restricted(pickle.Unpickler):
    def __init__(self, file: Any, where: Path, **kwargs: Any):
        super().__init__(file, **kwargs)
        self._where = where

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        raise problem("The file names something that is not an array, so it is not read.", where=str(self._where),
                      received=f"{module}.{name}", expected="NumPy arrays, lists, numbers and text")

    def persistent_load(self, pid: Any) -> Any:
        raise problem("The file names something outside of it.", received=repr(pid), where=str(self._where))


def read_pickle(data: bytes, where: Path) -> Any:
    """The arrays, lists and dicts in a pickle; strings of Python 2 as bytes."""
    return _Restricted(io.BytesIO(data), where, encoding="bytes").load()


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays in an `.npz` file, arrays of lists among them."""
    with zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    return {name: _array(data, path) for name, data in members.items()}


def _array(data: bytes, where: Path) -> np.ndarray:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
    dtype = read_header(file)[2]
    if dtype.kind != "O":
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return _Restricted(file, where).load()
