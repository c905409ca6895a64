"""What lies in an HDF5 file: all groups and arrays that plain links lead to, found once, before anything is read.

They stay open, in h5py's low words: HDF5 takes longer to open one than to read a small array. A link that leads out of
the file is never followed.
"""

import contextlib
import math
from collections.abc import Container, Iterator
from typing import Any, NamedTuple

import numpy as np

from kyeo.core.errors import is_told, problem
from kyeo.core.tensors import DamagedFile

__all__ = ["LAYERS_2_12", "MAX_DEPTH", "PACKED", "Contents", "OpenArray", "evidence", "is_known_part",
           "name_in_file", "refused", "stored_size", "stray_groups", "telling"]

PACKED = 20  # how often packed bytes count as evidence
MAX_DEPTH = 100  # groups in groups
_KEPT_OPEN = 2**14  # objects; each takes 15 kB of HDF5's memory
LAYERS_2_12 = "_layer_checkpoint_dependencies"  # where Keras 2.12 kept the layers of a graph


class OpenGroup(NamedTuple):
    """A group, and the kinds of its links by name."""

    id: Any
    links: dict[str, int]


class OpenArray(NamedTuple):
    """An array, its shape and number type, and the bytes it takes in the file."""

    id: Any
    shape: tuple[int, ...]
    dtype: np.dtype
    stored: int


class Contents:
    """The groups and arrays of a file by their paths.

    What is not among them may be there all the same, under a name that is no text or a second name of its own;
    `is_whole` is False where there were too many, and none was kept.
    """

    def __init__(self) -> None:
        self.groups: dict[str, OpenGroup] = {}
        self.arrays: dict[str, OpenArray] = {}
        self.total = self.count = 0
        self.is_whole = True

    def add(self, path: str, found: OpenGroup | OpenArray) -> None:
        """Keep what was found at a path, if what it lies in was kept: two paths may be written alike."""
        if not self.is_whole or (path and path.rpartition("/")[0] not in self.groups):
            return
        if len(self.groups) + len(self.arrays) >= _KEPT_OPEN:
            self.groups, self.arrays, self.is_whole = {}, {}, False
        elif isinstance(found, OpenGroup):
            self.groups[path] = found
        else:
            self.arrays[path] = found


def refused(what: str, where: str) -> Exception:
    """The error for a file that nobody should read."""
    return problem("The weights file is not as Keras writes it, so nothing was loaded.", received=what, where=where,
                   expected="plain groups and arrays", kind=DamagedFile)


@contextlib.contextmanager
def telling(what: str, where: str) -> Iterator[None]:
    """What HDF5 finds wrong inside the block is damage."""
    try:
        yield
    except (AttributeError, LookupError, OSError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        if is_told(error):
            raise
        raise refused(f"{what}, which is damaged: {str(error).strip()[:200]}", where) from None


def name_in_file(key: str) -> bytes:
    """A name as HDF5 keeps it."""
    return key.encode(errors="surrogateescape")


def _gone_through(file: Any, where: str) -> Contents:
    known = Contents()
    for path, item, links in _objects(file, where):
        if links is not None:
            named = {key.decode(errors="surrogateescape"): kind for key, kind in links.items()}
            known.add(path, OpenGroup(item, named))
        elif _is_array(item):
            with telling(f'"{path}"', where):
                array = OpenArray(item, item.shape, item.dtype, stored_size(item))
                size = math.prod(array.shape) * array.dtype.itemsize
                if array.stored < size:
                    is_packed = _is_in_chunks(item)
                    size = min(size, array.stored * (PACKED if is_packed else 1))
            known.total, known.count = known.total + size, known.count + (size > 0)
            known.add(path, array)
    return known


def evidence(file: Any, where: str) -> tuple[int, int]:
    """How many bytes of arrays the file holds, and how many arrays: that a model with so many weights was saved.

    Packed bytes count up to twenty times.
    """
    if getattr(file, "contents", None) is None:  # gone through once
        file.contents = _gone_through(file, where)
    known: Contents = file.contents
    return min(known.total, PACKED * file.id.get_filesize()), known.count


def _objects(file: Any, where: str, until: str = "", without: Container[str] = ()
             ) -> Iterator[tuple[str, Any, dict[bytes, int] | None]]:
    """(path, group or array, kinds of a group's links) for all that plain links lead to, each once, but for what is in
    groups named `until` and for the paths in `without`."""
    import h5py

    seen: set[int] = set()
    stack = [("", file.id)]
    while stack:
        path, group = stack.pop()
        with telling(f'"{path}"', where):
            links = _links(group)
        yield path, group, {key: kind for key, kind, _ in links}
        if path and path.rpartition("/")[2] == until:
            continue
        for key, kind, address in links:
            name = f"{path}/{key.decode(errors='backslashreplace')}".lstrip("/")
            if kind != h5py.h5l.TYPE_HARD or address in seen or name in without:
                continue
            with telling(f'"{name}"', where):
                item = h5py.h5o.open(group, key)
            seen.add(address)
            if not isinstance(item, h5py.h5g.GroupID):
                yield name, item, None
            elif name.count("/") < MAX_DEPTH:
                stack.append((name, item))
            else:
                raise refused(f"groups more than {MAX_DEPTH} deep", where)


def _links(group: Any) -> list[tuple[bytes, int, int]]:
    """(name, kind, address) of the links in a group, in h5py's order: as they were made, where HDF5 noted it."""
    import h5py

    found: list[tuple[bytes, int, int]] = []

    def add(name: bytes, link: Any) -> None:
        found.append((name, link.type, link.u))  # `link` is the same object each time

    order = group.get_create_plist().get_link_creation_order()
    by = h5py.h5.INDEX_CRT_ORDER if order & h5py.h5p.CRT_ORDER_TRACKED else h5py.h5.INDEX_NAME
    group.links.iterate(add, idx_type=by, info=True)
    return found


def _is_array(item: Any) -> bool:
    import h5py

    return isinstance(item, h5py.h5d.DatasetID)


def _is_in_chunks(array: Any) -> bool:
    import h5py

    return bool(array.get_create_plist().get_layout() == h5py.h5d.CHUNKED)


def stored_size(array: Any) -> int:
    """The bytes an array takes in the file. What it says of that is believed up to the size of the file."""
    import h5py

    return int(min(array.get_storage_size(), h5py.h5i.get_file_id(array).get_filesize()))


def is_known_part(path: str) -> bool:
    """Whether a path is that of something a model may do without, such as its optimizer."""
    parts = path.split("/")
    private = any(part.startswith("_") and part != LAYERS_2_12 for part in parts)
    return private or bool({"optimizer", "metrics", "seed_generator"} & set(parts))


def stray_groups(file: Any, used: set[str], where: str) -> list[str]:
    """Paths of the groups that hold variables of layers and that nobody asked for."""
    taken = {f"{path}/vars" if path else "vars" for path in used}
    known: Contents | None = getattr(file, "contents", None)  # weights alone are read without
    if known is not None and known.is_whole:
        full = [path for path, group in known.groups.items() if group.links and path not in taken]
    else:
        full = [path for path, _, links in _objects(file, where, until="vars", without=taken) if links]
    owners = [path.rpartition("/") for path in full]
    return sorted(owner for owner, _, last in owners if last == "vars" and not is_known_part(owner))
