"""Weights in several files, none larger than a limit, and an index that says which holds what.

Keras's form: `x.weights.json` and `x_00000.weights.h5`, ...; that of others: `x.safetensors.index.json` and
`x-00001-of-00002.safetensors`, ... Files that are replaced keep their place until the new index is in its own: the new
ones take numbers that the old index does not name. So whoever reads finds the old weights or the new, and who writes
waits for another who does.
"""

import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kyeo.core.errors import problem
from kyeo.core.files import atomic_write, is_at, one_at_a_time, writing
from kyeo.core.tensors import DamagedFile, Tensors, write_tensors
from kyeo.saving.config import read_json
from kyeo.saving.forms import HDF5, TENSORS, metadata
from kyeo.saving.hdf5 import ReadGroup, open_for_reading
from kyeo.saving.hdf5_contents import is_known_part
from kyeo.saving.hdf5_writing import WriteGroup, as_array, open_for_writing
from kyeo.saving.stores import Reader, TensorReader, TensorWriter, name_of
from kyeo.saving.weights import save_variables

__all__ = ["INDEXES", "opened_shards", "shard_sizes", "write_shards"]

INDEXES = {HDF5: ".weights.json", TENSORS: ".safetensors.index.json"}  # the ending of an index by that of its files
_MAX_INDEX, _MAX_FILES = 64 * 2**20, 10_000
_TRIES = 20  # how often files are opened anew that others replace meanwhile


def _base(index: Path) -> str:
    return index.name.removesuffix(INDEXES[HDF5]).removesuffix(INDEXES[TENSORS])


# -- writing -----------------------------------------------------------------------------------------------
def write_shards(model: Any, index: Path, limit: int, skip: Iterable[Any] = ()) -> None:
    """Write all weights into files of at most `limit` bytes of numbers each, and their index.

    Raises:
        ValueError: an array alone is larger.
    """
    with one_at_a_time(index):
        _write_shards(model, index, limit, skip)


def _write_shards(model: Any, index: Path, limit: int, skip: Iterable[Any]) -> None:
    old = _names_in(index)
    taken = {int(number) for name in old for number in re.findall(rf"{re.escape(_base(index))}[-_](\d{{5,}})", name)}
    placed: list[Path] = []
    try:
        with contextlib.ExitStack() as stack:  # left in the order of a stack: the index is put in place last
            index_file = stack.enter_context(writing(index))
            is_hdf5 = index.name.endswith(INDEXES[HDF5])
            shards = (_Hdf5Shards if is_hdf5 else _TensorShards)(index, limit, taken, stack, placed)
            save_variables(model, shards, skip)
            shards.finish()
            size = sum(shards.sizes)
            text = json.dumps({"metadata": {"total_size": size}, "weight_map": shards.weight_map}, indent=4)
            index_file.write(text.encode())
    finally:  # whichever index is in place, its files stay and the others go
        named = _names_in(index)
        _clear_away(index, (old | {path.name for path in placed}) - named)


def _names_in(index: Path) -> set[str]:
    """The files an index names; none where there is none that can be read."""
    try:
        return set(_read_index(index)[1])
    except (OSError, ValueError):
        return set()


def _clear_away(index: Path, old: set[str]) -> None:
    """Remove files that no index names. Keras opens number 0 always, so an empty one is left in its place."""
    pattern = re.compile(rf"{re.escape(_base(index))}(_\d{{5,}}{HDF5}|-\d{{5}}-of-\d{{5}}{TENSORS})")
    for name in filter(pattern.fullmatch, old):
        with contextlib.suppress(OSError):  # what cannot be removed does no harm
            if name == _hdf5_name(index, 0) and index.exists():
                with writing(index.with_name(name)) as file, open_for_writing(file):
                    pass
            else:
                index.with_name(name).unlink()


def _hdf5_name(index: Path, number: int) -> str:
    return f"{_base(index)}_{number:05}{HDF5}"


class _Shards:
    """Divides arrays among files, in their order."""

    def __init__(self, index: Path, limit: int, taken: set[int], stack: contextlib.ExitStack, placed: list[Path]):
        self._index, self._limit, self._taken = index, limit, taken
        self._stack, self._placed = stack, placed
        self.sizes: list[int] = []
        self.weight_map: dict[str, Any] = {}

    def _begins_another(self, name: str, size: int) -> bool:
        """Whether an array of some bytes goes into a new file; the sizes of the files are kept."""
        if size > self._limit:
            raise problem("An array is larger than a file may be.", where="save_weights",
                          received=f"{name} of {size:,} bytes, max_shard_size={self._limit / 2**30:g} (GB)",
                          fix=f"max_shard_size={size / 2**30 * 1.01:.2g}")
        another = not self.sizes or self.sizes[-1] + size > self._limit
        if another:
            self.sizes.append(0)
        self.sizes[-1] += size
        return another

    @contextlib.contextmanager
    def _file(self, name: str) -> Iterator[Path]:
        with atomic_write(self._index.with_name(name)) as temporary:
            yield temporary
        self._placed.append(self._index.with_name(name))


class _Hdf5Shards(_Shards):
    """Files of HDF5; the arrays of one layer may be in two."""

    _store: Any = None

    def group(self, path: str, item: Any) -> "_Spread":
        return _Spread(self, path, name_of(item))

    def put(self, path: str, name: str | None, key: str, array: np.ndarray) -> None:
        if self._begins_another(f"{path}/{key}", array.nbytes):
            self._begin()
        if path not in self._groups:
            self._groups[path] = WriteGroup(self._store, path, name)
        self._groups[path][key] = array
        place = f"/{path}/vars" if path else "/vars"
        there = self.weight_map.setdefault(place, self._name)
        if self._name not in (there if isinstance(there, list) else [there]):
            self.weight_map[place] = [*(there if isinstance(there, list) else [there]), self._name]

    def _begin(self) -> None:
        self.finish()
        number = next(n for n in itertools.count() if n not in self._taken)
        self._taken.add(number)
        self._name = _hdf5_name(self._index, number)
        temporary = self._stack.enter_context(self._file(self._name))
        self._open = contextlib.ExitStack()
        self._stack.enter_context(self._open)  # closed if saving fails
        file = self._open.enter_context(open(temporary, "w+b"))  # noqa: SIM115
        self._store = self._open.enter_context(open_for_writing(file))
        self._groups: dict[str, WriteGroup] = {}

    def finish(self) -> None:
        if self._store is not None:
            self._open.close()
        elif not self.sizes:
            self.sizes.append(0)
            self._begin()
            self.finish()


class _Spread:
    """The arrays of one object, each in the file where there is room."""

    def __init__(self, shards: _Hdf5Shards, path: str, name: str | None):
        self._shards, self._path, self._name = shards, path, name
        self._keys: list[str] = []

    def __setitem__(self, key: str, value: Any) -> None:
        self._shards.put(self._path, self._name, key, as_array(value))
        self._keys.append(key)

    def keys(self) -> list[str]:
        return self._keys


class _TensorShards(_Shards):
    """Files of safetensors; their number stands in their names, so all arrays are looked at first."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        self._writer = TensorWriter()
        self.group = self._writer.group

    def finish(self) -> None:
        parts: list[dict[str, np.ndarray]] = []
        for name, array in self._writer.arrays().items():
            if self._begins_another(name, array.nbytes):
                parts.append({})
            parts[-1][name] = array
        free = (n for n in itertools.count(1) if n not in self._taken)
        numbers = list(itertools.islice(free, len(parts)))
        for number, part in zip(numbers, parts):
            file = f"{_base(self._index)}-{number:05}-of-{numbers[-1]:05}{TENSORS}"
            write_tensors(self._stack.enter_context(self._file(file)), part, metadata(), summed=True)
            self.weight_map.update(dict.fromkeys(part, file))


# -- reading -----------------------------------------------------------------------------------------------
def _read_index(index: Path) -> tuple[dict[str, list[str]], dict[str, Path]]:
    """The names of the files that hold something, by its name, and the paths of all files by name."""
    where = str(index)
    if index.stat().st_size > _MAX_INDEX:
        raise problem("The index is too big.", where=where, expected=f"at most {_MAX_INDEX:,} bytes")
    told = read_json(index.read_bytes(), where)
    places = told.get("weight_map") if isinstance(told, dict) else None
    if not isinstance(places, dict):
        raise problem("The file is not an index of weights.", where=where, received="no weight_map in it",
                      expected="what save_weights(..., max_shard_size=...) writes")
    lists = {name: place if isinstance(place, list) else [place] for name, place in places.items()}
    paths: dict[str, Path] = {}
    for name in itertools.chain.from_iterable(lists.values()):
        if not isinstance(name, str) or name not in paths:
            paths[name] = _beside(index, name)
    if len(paths) > _MAX_FILES or not all(lists.values()):
        raise problem("The index names too many files, or none.", where=where, expected=f"at most {_MAX_FILES:,}")
    return lists, paths


def _beside(index: Path, name: Any) -> Path:
    """The path of a file that an index names; only files that lie beside it are meant."""
    ending = next(files for files, ending in INDEXES.items() if index.name.endswith(ending))
    is_plain = isinstance(name, str) and name.endswith(ending) and not set(name) & set('/\\:\0') and name[0] != "."
    path = index.with_name(name) if is_plain else index
    # a hub's cache has links for both, into one folder
    if not is_plain or os.path.dirname(os.path.realpath(path)) != os.path.dirname(os.path.realpath(index)):
        raise problem("The index names a file that it may not.", where=str(index), received=repr(name)[:200],
                      expected=f"plain names that end in {ending}, of files in the same folder")
    return path


def shard_sizes(index: Path) -> int:
    """How many bytes all files of an index have that are there."""
    size = 0
    for path in _read_index(index)[1].values():
        with contextlib.suppress(FileNotFoundError):  # another save may just be clearing it away
            size += path.stat().st_size
    return size


@contextlib.contextmanager
def opened_shards(index: Path) -> Iterator[Reader]:
    """The weights an index leads to, all from one save: the index is the same before and after its files are opened."""
    for left in reversed(range(_TRIES)):
        with open(index, "rb") as seen, contextlib.ExitStack() as stack:
            try:
                reader = _opened(index, stack)
            except (OSError, ValueError):
                if left and _is_replaced(index, seen):
                    continue
                raise
            if left and _is_replaced(index, seen):
                continue
            yield reader
            return


def _is_replaced(index: Path, seen: Any) -> bool:
    return not is_at(seen, Path(os.path.realpath(index)))


def _opened(index: Path, stack: contextlib.ExitStack) -> Reader:
    lists, paths = _read_index(index)
    missing = [name for name, path in paths.items() if not path.is_file()]
    if missing:
        raise problem("A file of these weights is missing.", kind=FileNotFoundError, where=str(index),
                      received=f"no {missing[0]}" + f", nor {len(missing) - 1} more" * (len(missing) > 1),
                      fix="keep all files of the index in its folder")
    if index.name.endswith(INDEXES[HDF5]):
        return _ShardedHdf5Reader(lists, {name: stack.enter_context(open_for_reading(path, str(path)))
                                          for name, path in paths.items()}, index)
    files = {name: stack.enter_context(Tensors(path)) for name, path in paths.items()}
    for name, (file, *_) in lists.items():
        if name not in files[file]:
            raise problem("The index and a file do not go together.", where=str(index), kind=DamagedFile,
                          received=f"{name[:200]!a} is not in {file}")
    for tensors in files.values():
        tensors.check()
    return TensorReader({name: files[file] for name, (file, *_) in lists.items()}, str(index))


class _ShardedHdf5Reader:
    """Several HDF5 files."""

    def __init__(self, lists: dict[str, list[str]], stores: dict[str, Any], index: Path):
        self._lists, self._stores, self._index, self.where = lists, stores, index, str(index)

    def group(self, path: str, item: Any) -> Any:
        names = self._lists.get(f"/{path}/vars" if path else "/vars", [])
        return _Joined([ReadGroup(self._stores[name], path, str(self._index.with_name(name))) for name in names])

    def strays(self, used: set[str]) -> list[str]:
        owners = [place.removeprefix("/").removesuffix("vars").removesuffix("/") for place in self._lists]
        return [owner for owner in owners if owner not in used and not is_known_part(owner)]


class _Joined(Mapping[str, np.ndarray]):
    """One group that is spread over files."""

    def __init__(self, groups: list[ReadGroup]):
        self._of = {key: group for group in groups for key in group}

    def __getitem__(self, key: str) -> np.ndarray:
        return self._of[key][key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)

    def shape(self, key: str) -> tuple[int, ...]:
        return self._of[key].shape(key)

    def dtype(self, key: str) -> np.dtype:
        return self._of[key].dtype(key)

    def check(self, key: str) -> None:
        self._of[key].check(key)
