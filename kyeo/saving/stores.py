"""Where the variables of a model are kept: an HDF5 file, or named arrays in the form of safetensors.

A store gives, for the path of an object in the model, a mapping of arrays by "0", "1", ... In HDF5 that is the group
`layers/dense/vars`; in safetensors the arrays `layers/dense/kernel`, named as the variables are.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from kyeo.core.errors import problem
from kyeo.core.owned import VariableOwner
from kyeo.core.tensors import Tensors
from kyeo.saving.hdf5 import ReadGroup
from kyeo.saving.hdf5_contents import is_known_part, stray_groups
from kyeo.saving.hdf5_writing import WriteGroup, as_array

__all__ = ["Group", "Hdf5Reader", "Hdf5Writer", "Reader", "TensorReader", "TensorWriter", "Writer"]


class Group(Protocol):
    """Arrays by key, and what can be said of one before it is read."""

    def __getitem__(self, key: str) -> np.ndarray: ...
    def __contains__(self, key: object) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of an array."""

    def dtype(self, key: str) -> Any:
        """Its number type."""

    def check(self, key: str) -> None:
        """Raise where it cannot be read whole."""


class Writer(Protocol):
    """Takes the arrays of one object after the other."""

    def group(self, path: str, item: Any) -> Any:
        """A mapping to write the arrays of `item` into."""


class Reader(Protocol):
    """Gives the arrays of one object after the other."""

    where: str

    def group(self, path: str, item: Any) -> Group:
        """The arrays of `item`; none where the file has nothing for it."""

    def strays(self, used: set[str]) -> list[str]:
        """Paths of objects with arrays that nobody asked for."""


class Hdf5Writer:
    """One open HDF5 file."""

    def __init__(self, file: Any):
        self._file = file

    def group(self, path: str, item: Any) -> WriteGroup:
        """A mapping to write the arrays of `item` into."""
        return WriteGroup(self._file, path, name_of(item))


class Hdf5Reader:
    """One open HDF5 file."""

    def __init__(self, file: Any, where: str):
        self._file, self.where = file, where
        self._chain: dict[str, Any] = {}

    def group(self, path: str, item: Any) -> ReadGroup:
        """The arrays of `item`."""
        return ReadGroup(self._file, path, self.where, chain=self._chain)

    def strays(self, used: set[str]) -> list[str]:
        """Paths of objects with arrays that nobody asked for."""
        return stray_groups(self._file, used, self.where)


def name_of(item: Any) -> str | None:
    """The name an object goes by, which Keras notes beside its arrays."""
    name = getattr(item, "name", None)
    return name if isinstance(name, str) else None


# -- safetensors -------------------------------------------------------------------------------------------
class TensorWriter:
    """Gathers all arrays under their names; they are not copied."""

    def __init__(self) -> None:
        self._groups: list[tuple[str, Any, dict[str, Any]]] = []

    def group(self, path: str, item: Any) -> dict[str, Any]:
        """A mapping to write the arrays of `item` into."""
        arrays: dict[str, Any] = {}
        self._groups.append((path, item, arrays))
        return arrays

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, when every object has written its own."""
        found: dict[str, np.ndarray] = {}
        for path, item, arrays in self._groups:
            names = _names(item)
            fits = list(arrays) == [str(i) for i in range(len(names))]
            for key, array in arrays.items():
                if "/" in key:
                    raise problem("The key of an array cannot be a part of its name.", where=item,
                                  received=f"store[{key!r}] in save_own_variables", expected="a key without /")
                found[_joined(path, names[int(key)] if fits else key)] = as_array(array)
        return found


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _names(item: Any) -> list[str]:
    """What the arrays of an object are called; none where its variables do not tell."""
    if not isinstance(item, VariableOwner):
        return []  # an optimizer's have the model's name in theirs, which may be another one later
    names = [variable.name for variable in item.own_variables()]
    return names if len(set(names)) == len(names) and not any("/" in n or n.isdigit() for n in names) else []


class TensorReader:
    """Open files of arrays.

    Args:
        files: the file by the name of each array in it.
        where: how messages name the file.
    """

    def __init__(self, files: Mapping[str, Tensors], where: str):
        self._files, self.where = files, where
        self._of: dict[str, list[str]] = {}  # names of arrays by the path of their owner
        for name in files:
            path, _, last = name.rpartition("/")
            self._of.setdefault(path, []).append(last)

    def group(self, path: str, item: Any) -> "TensorGroup":
        """The arrays of `item`."""
        return TensorGroup(self._files, path, self._of.get(path, []), _names(item))

    def strays(self, used: set[str]) -> list[str]:
        """Paths of objects with arrays that nobody asked for."""
        return [path for path in self._of if path not in used and not is_known_part(path)]


class TensorGroup(Mapping[str, np.ndarray]):
    """The arrays of one object, found by "0", "1", ... or by their own names."""

    def __init__(self, files: Mapping[str, Tensors], path: str, there: list[str], names: list[str]):
        self._files, self._path = files, path
        self._names = {str(i): n for i, n in enumerate(names)} if set(there) & set(names) else {}
        self._there = set(there)

    def _name(self, key: str) -> str:
        name = self._names.get(key, key)
        if name not in self._there:
            raise KeyError(key)
        return _joined(self._path, name)

    def __getitem__(self, key: str) -> np.ndarray:
        name = self._name(key)
        return self._files[name][name]

    def __contains__(self, key: object) -> bool:
        return self._names.get(str(key), str(key)) in self._there

    def __iter__(self) -> Iterator[str]:
        keys = {name: key for key, name in self._names.items()}
        return iter(sorted(keys.get(name, name) for name in self._there))

    def __len__(self) -> int:
        return len(self._there)

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of an array."""
        name = self._name(key)
        return self._files[name].shape(name)

    def dtype(self, key: str) -> np.dtype:
        """Its number type."""
        name = self._name(key)
        return self._files[name].dtype(name)

    def check(self, key: str) -> None:
        """Raise where it cannot be read whole; in a file with checksums all was read when it was opened."""
        name = self._name(key)
        if not self._files[name].has_sums:
            self._files[name].read_through(name)
