"""Checkpoints on disk: a tree of plain values and arrays in one sealed file; the newest whole one in a folder.

Nothing remembers which file is the latest: it is looked for each time among those that are whole.
"""

import contextlib
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kyeo.core.errors import problem
from kyeo.core.files import atomic_write, clear_leftovers
from kyeo.core.folders import hold_folder, make_folder
from kyeo.core.tensors import DamagedFile, Tensors, write_tensors

__all__ = ["Checkpoints", "Writer", "packed", "read_tree", "unpacked", "write_tree"]

_FORM = "kyeo checkpoint 1"
_ARRAY, _TUPLE, _DICT, _BYTES, _TORCH = "__array__", "__tuple__", "__dict__", "__bytes__", "__torch__"
_ENDING = ".checkpoint"
_NAME = re.compile(r"epoch-(\d{6,})-step-(\d{8,})\.checkpoint")


def write_tree(path: Any, tree: Any, emptied: bool = False) -> None:
    """Write dicts, lists and tuples of numbers, texts, bytes and arrays into one file, with checksums.

    Args:
        path: of the file.
        tree: what to write.
        emptied: whether the tree, a dict, is emptied, so that the memory of each array goes when it is written.

    Raises:
        TypeError: something in it is of another kind; the message says where.

    >>> import tempfile, pathlib, numpy as np
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a")
    >>> write_tree(file, {"step": 3, "weights": [np.ones(2)]})
    >>> read_tree(file)
    {'step': 3, 'weights': [array([1., 1.])]}
    """
    text, arrays = packed(tree)
    if emptied:
        tree.clear()
    write_tensors(path, arrays, {"form": _FORM, "tree": text}, sealed=True, emptied=True)


def read_tree(path: Any) -> Any:
    """What `write_tree` wrote.

    Raises:
        DamagedFile: the file is not whole.
        OSError: the disk does not give it.
    """
    with Tensors(path, sealed=True) as tensors:
        if tensors.metadata.get("form") != _FORM:
            raise problem("The file is no checkpoint of this version.", where=str(path), kind=DamagedFile,
                          received=f"form={tensors.metadata.get('form')!r}", expected=f"form={_FORM!r}")
        try:
            return unpacked(tensors.metadata["tree"], tensors)
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise problem("The checkpoint is not as it is written.", where=str(path), kind=DamagedFile,
                          received=f"{type(error).__name__}: {str(error)[:200]}",
                          expected="what `write_tree` wrote") from None


def packed(tree: Any) -> tuple[str, dict[str, np.ndarray]]:
    """A tree as a text and the arrays in it by name.

    >>> packed([1, np.ones(2)])
    ('[1, {"__array__": "/1", "scalar": false}]', {'/1': array([1., 1.])})
    """
    arrays: dict[str, np.ndarray] = {}
    return json.dumps(_packed(tree, "", arrays)), arrays


def unpacked(text: str, arrays: Mapping[str, np.ndarray]) -> Any:
    """The tree that `packed` took apart.

    >>> unpacked(*packed({"a": (1, 2)}))
    {'a': (1, 2)}
    """
    return _unpacked(json.loads(text), arrays)


def _packed(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, np.generic, jax.Array)) or _is_torch(value):
        name = _keep(np.asarray(value), path, arrays)
        return {_TORCH if _is_torch(value) else _ARRAY: name, "scalar": isinstance(value, np.generic)}
    if isinstance(value, bytes):
        return {_BYTES: _keep(np.frombuffer(value, np.uint8), path, arrays)}
    if isinstance(value, (list, tuple)):
        items = [_packed(item, f"{path}/{i}", arrays) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {_TUPLE: items}
    if isinstance(value, dict):
        parts = {key: _packed(item, f"{path}/{key}" if path else str(key), arrays) for key, item in value.items()}
        plain = all(isinstance(key, str) and not key.startswith("__") for key in parts)
        return parts if plain else {_DICT: [[_packed(k, f"{path}/key", arrays), v] for k, v in parts.items()]}
    raise problem("This cannot be kept in a checkpoint.", received=value, where=path, kind=TypeError,
                  expected="numbers, texts, bytes, arrays, and lists, tuples and dicts of them")


def _keep(array: np.ndarray, path: str, arrays: dict[str, np.ndarray]) -> str:
    """File an array by its path, and give the name; two paths may read alike, as those of `1` and "1" do."""
    name = path or "value"
    while name in arrays:
        name += "'"
    arrays[name] = array
    return name


def _is_torch(value: Any) -> bool:
    return "torch" in sys.modules and isinstance(value, sys.modules["torch"].Tensor)


def _unpacked(value: Any, tensors: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _ARRAY in value:
        array = tensors[value[_ARRAY]]
        return array[()] if value["scalar"] else array
    if _TORCH in value:
        array = tensors[value[_TORCH]]
        return sys.modules["torch"].from_numpy(array) if "torch" in sys.modules else array
    if _BYTES in value:
        return tensors[value[_BYTES]].tobytes()
    if _TUPLE in value:
        return tuple(_unpacked(item, tensors) for item in value[_TUPLE])
    if _DICT in value:
        return {_unpacked(key, tensors): _unpacked(item, tensors) for key, item in value[_DICT]}
    return {key: _unpacked(item, tensors) for key, item in value.items()}


class Checkpoints:
    """The checkpoints in a folder, named by how far training had come.

    Args:
        folder: made when the first is written.
        keep: how many are left, at least two.
    """

    def __init__(self, folder: Any, keep: int = 2):
        self.folder, self.keep = Path(folder), max(keep, 2)
        self._held: int | None = None

    def places(self) -> list[tuple[int, int]]:
        """(epoch, step) of all that are there, whole or not, in order. Links and pipes are none."""
        entries = os.scandir(self.folder) if self.folder.is_dir() else ()
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        return sorted((int(m[1]), int(m[2])) for m in map(_NAME.fullmatch, names) if m)

    def hold(self, complain: Callable[[str], None]) -> None:
        """Hold the folder, if it is there, until `release`; another process that holds it is named to `complain`."""
        self.release()
        if not self.folder.is_dir():
            return
        self._held, by_another = hold_folder(self.folder)
        if by_another:
            complain(f"Another process keeps its checkpoints in {self.folder} now. Both go on from the same and write "
                     "to the same; give each training a folder of its own.")

    def release(self) -> None:
        """Hold the folder no more."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def path(self, place: tuple[int, int]) -> Path:
        """The file for a place."""
        return self.folder / f"epoch-{place[0]:06}-step-{place[1]:08}{_ENDING}"

    def write(self, place: tuple[int, int], tree: Any, emptied: bool = False) -> None:
        """Write one: it is on the disk, whole, before an older one goes. `emptied`: as for `write_tree`."""
        make_folder(self.folder)
        with atomic_write(self.path(place)) as temporary:
            write_tree(temporary, tree, emptied)
        older = [other for other in self.places() if other < place]
        for other in older[:max(len(older) - self.keep + 1, 0)]:
            with contextlib.suppress(OSError):
                self.path(other).unlink()

    def latest(self, complain: Callable[[str], None]) -> Any:
        """The tree in the newest whole one, or None; those that are damaged are named to `complain` and put aside.

        Raises:
            OSError: none could be read, and of one of them it is not known whether it is whole.
        """
        self._clear_leftovers()
        places, unknown = self.places()[::-1], None
        for number, place in enumerate(places):
            path = self.path(place)
            before = f"going on from {self.path(places[number + 1]).name}" if number + 1 < len(places) else ""
            try:
                return read_tree(path)
            except DamagedFile as error:
                facts = str(error).split("\n")[1].strip().removeprefix("Received:").strip()
                complain(f"The checkpoint {path} is damaged ({facts}); "
                         f"{before or 'there is none before it: training begins anew'}.")
                with contextlib.suppress(OSError):  # in a folder that can only be read it stays
                    os.replace(path, path.with_name(path.name + ".damaged"))
            except OSError as error:
                unknown = error
                complain(f"The checkpoint {path} cannot be read ({error.strerror}); "
                         f"{before or 'there is none before it'}.")
        if unknown is not None:
            raise unknown
        return None

    def _clear_leftovers(self) -> None:
        """Remove what a process left that was killed while it wrote."""
        clear_leftovers(self.folder, rf"\.epoch-.*{re.escape(_ENDING)}")

    def delete(self) -> None:
        """Remove them all, the newest last, and the folder if nothing else is in it."""
        self._clear_leftovers()
        for place in self.places():
            self.path(place).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


class Writer:
    """Does work in a thread of its own, one item after the other. An item that nobody began to work on yet gives way
    to a newer one. The thread ends when there is nothing to do.

    Args:
        work: what is done with an item.
    """

    def __init__(self, work: Callable[[Any], None]):
        self._work = work
        self._lock = threading.Lock()
        self._waiting: Any = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def put(self, item: Any) -> None:
        """Have an item worked on; comes back at once."""
        with self._lock:
            self._waiting = item
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kyeo_checkpoints")
                self._thread.start()

    def drop(self) -> None:
        """Forget the item that nobody began to work on yet, since a newer one is being made."""
        with self._lock:
            self._waiting = None

    def wait(self) -> None:
        """Come back when all is done."""
        while (thread := self._thread) is not None:
            thread.join()

    def error(self) -> BaseException | None:
        """The last exception that nobody asked for yet."""
        error, self._error = self._error, None
        return error

    def _run(self) -> None:
        while True:
            with self._lock:
                item, self._waiting = self._waiting, None
                if item is None:
                    self._thread = None
                    return
            try:
                self._work(item)
            except BaseException as error:
                self._error = error
