"""Groups of HDF5 files as mappings of arrays, for `load_own_variables`.

What is read is taken for hostile: links, data outside of the file, virtual datasets, odd types and filters, and
sizes that the file does not hold are refused before a byte is read.
"""

import io
import itertools
import math
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from kyeo.core.contents import looks_like
from kyeo.core.errors import problem
from kyeo.core.reading import spend
from kyeo.saving.hdf5_contents import MAX_DEPTH, PACKED, OpenArray, name_in_file, refused, stored_size, telling
from kyeo.saving.heaps import check_heaps, is_text_type

__all__ = ["ReadGroup", "open_for_reading", "read_all"]

_FILTERS = {1, 2, 3}  # deflate, shuffle, checksum: those every build of HDF5 has
_MAX_ATTRIBUTE = 2**24  # bytes
_EXPANSION = 1100  # deflate cannot blow up more than 1032 times
_FREE = 2**26  # bytes that may be packed closer
_CHUNK = 2**24  # bytes of a chunk, which is read whole
_PATIENCE = 3  # seconds to wait for who writes a file
_HELD = 2**24  # bytes of a file inside of another that are read at once
_numbers = itertools.count()


def open_for_reading(file: Any, where: str) -> Any:
    """The HDF5 file in an open binary file or at a path; never opened for writing."""
    try:
        store = _unlocked(file)
    except (KeyError, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, BlockingIOError):
            raise problem("The file is being written by another program, or another part of this one.", where=where,
                          received=f"it was still locked after {_PATIENCE} s", expected="a file that nobody has open "
                          "to write", fix="try again when it is done; close what opened it", kind=type(error)) from None
        seen = f"{looks_like(file)}: " if isinstance(file, (str, os.PathLike)) and os.path.isfile(file) else ""
        raise problem("The weights cannot be read.", where=where, received=seen + str(error).split("\n")[0],
                      expected="an HDF5 file, whole and not damaged") from None
    store.source = file  # for `check_heaps`
    return store


def _unlocked(file: Any) -> Any:
    """The same, once who writes the file is done: HDF5 locks it until then."""
    import h5py

    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return _held(file) if isinstance(file, io.RawIOBase) else h5py.File(file, "r")
        except BlockingIOError:
            if time.monotonic() > end:
                raise
        time.sleep(0.01)


def _held(file: io.RawIOBase) -> Any:
    """The same for a file inside of another: a small one in memory, else HDF5 asks Python for each piece of it."""
    import h5py

    size = file.seek(0, os.SEEK_END)
    if not 0 < size <= _HELD:
        return h5py.File(file, "r")
    file.seek(0)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_file_image(file.read(size))
    # HDF5 takes two of one name for the same file
    return h5py.File(h5py.h5f.open(b"kyeo %d, in memory" % next(_numbers), h5py.h5f.ACC_RDONLY, fapl=access))


class ReadGroup(Mapping[str, np.ndarray]):
    """The arrays in the group `path`/vars of a file, empty where there is none.

    With `plain` it is the group `path` itself, and a key may lead through groups inside: "dense/kernel:0". `group`:
    that group, where it is open already, found by plain links. `chain`: the groups that the last path led through,
    by their paths; the next path mostly begins with the same.
    """

    def __init__(self, file: Any, path: str, where: str, plain: bool = False, group: Any = None,
                 chain: dict[str, Any] | None = None):
        self._where = where
        self._file, self._plain = file, plain
        self._path = path if plain else f"{path}/vars" if path else "vars"
        self._checked: dict[str, Any] = {}
        self._contents = getattr(file, "contents", None)  # where the file was gone through
        known = None if self._contents is None else self._contents.groups.get(self._path)
        self._links = None if known is None else known.links
        if group is None and known is not None:
            self._group = _group(known.id) if self._path else file
        else:
            self._group = self._found({} if chain is None else chain) if group is None else group

    def _found(self, chain: dict[str, Any]) -> Any:
        """The group of this path, {} where there is none; `chain` holds what leads there instead of what it held."""
        before, found, at = dict(chain), self._file, ""
        chain.clear()
        for part in filter(None, self._path.split("/")):
            at = f"{at}/{part}"
            if at in before:
                found = before[at]
            else:
                with self._telling(part):
                    link = _link(found, part)
                    if link is None:
                        return {}
                    found = self._inside(found, part, link)
                if not hasattr(found, "keys"):
                    raise self._refused("a dataset where a group is expected")
            chain[at] = found
        return found

    def texts(self, name: str) -> list[str] | None:
        """The list of texts in an attribute, which Keras 2 cuts into `name0`, `name1`, ... where it is long; None
        where there is none."""
        with self._telling(name):
            attributes = getattr(self._group, "attrs", {})
            if name in attributes:
                return self._text_list(attributes, name)
            parts: list[str] = []
            while f"{name}{len(parts)}" in attributes:
                parts.append(f"{name}{len(parts)}")
        return [text for part in parts for text in self._text_list(attributes, part)] if parts else None

    def _text_list(self, attributes: Any, name: str) -> list[str]:
        with self._telling(name):
            attribute = attributes.get_id(name)
            shape, dtype = attribute.shape, attribute.dtype
            if shape is None or 0 in shape:
                return []
            size, is_text = attribute.get_storage_size(), is_text_type(attribute.get_type())
        if not is_text or max(size, math.prod(shape) * dtype.itemsize) > _MAX_ATTRIBUTE:
            raise self._refused(f'the attribute "{name}" of dtype {dtype} and {size:,} bytes')
        with self._telling(name):
            if dtype.kind == "O":
                check_heaps(self._file, self._where)
            values = np.asarray(attributes[name]).ravel().tolist()
        try:
            texts = [v.decode() if isinstance(v, bytes) else v + "" for v in values]
            "".join(texts).encode()
            return texts
        except (TypeError, UnicodeError):
            raise self._refused(f'the attribute "{name}" that holds something else than text') from None

    def _refused(self, what: str) -> Exception:
        return refused(what, f"{self._path} in {self._where}")

    def _inside(self, group: Any, key: str, link: Any = None) -> Any:
        """What a plain link leads to. `link`: its kind, where it was looked up."""
        import h5py

        if not hasattr(group, "keys"):
            raise self._refused("a dataset where a group is expected")
        link = _link(group, key) if link is None else link
        if link is None:
            raise self._refused(f'no "{key}" in it')
        if link != h5py.h5l.TYPE_HARD:
            kind = "ExternalLink" if link == h5py.h5l.TYPE_EXTERNAL else "SoftLink"
            raise self._refused(f'"{key}" as a {kind}, which can lead out of the file')
        return _opened(group, name_in_file(key))

    def __len__(self) -> int:
        if self._links is not None:
            return len(self._links)
        with self._telling("vars"):
            return len(self._group)

    def __iter__(self) -> Iterator[str]:
        with self._telling("vars"):
            keys = list(self._group if self._links is None else self._links)
        if not all(isinstance(key, str) for key in keys):
            raise self._refused("a name that is no text")
        return iter(keys)

    def __contains__(self, key: object) -> bool:
        if self._links is not None and "/" not in str(key):
            return str(key) in self._links
        with self._telling(str(key)):
            return _link(self._group, str(key)) is not None

    def __getitem__(self, key: str) -> np.ndarray:
        dataset, shape, dtype = self._dataset(key)
        with self._telling(key):
            array = np.empty(shape, dtype)
            if array.size:
                dataset.read_direct(array)
            if array.dtype.kind != "V":
                return array
            if "dtype" not in dataset.attrs:  # only bfloat16 is written with one
                raise self._refused(f'"{key}" of dtype {array.dtype}')
            return array.view(jnp.bfloat16)

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape an array has, without reading it."""
        return self._dataset(key)[1]

    def _telling(self, key: str) -> Any:
        return telling(f'"{key}"', f"{self._path} in {self._where}")

    def dtype(self, key: str) -> np.dtype:
        """The number type an array has."""
        dataset, _, raw = self._dataset(key)
        with self._telling(key):
            is_bfloat16 = raw.kind == "V" and raw.itemsize == 2 and "dtype" in dataset.attrs
            return np.dtype(jnp.bfloat16) if is_bfloat16 else raw

    def check(self, key: str) -> None:
        """Raise where it cannot be read whole."""
        self[key]

    def _dataset(self, key: str) -> tuple[Any, tuple[int, ...], np.dtype]:
        """An array that may be read, its shape and number type: h5py looks them up in the file each time."""
        if key not in self._checked:
            self._checked[key] = self._checked_dataset(key)
        return self._checked[key]

    def _checked_dataset(self, key: str) -> tuple[Any, tuple[int, ...], np.dtype]:
        if self._links is not None:
            known = self._contents.arrays.get(f"{self._path}/{key}".lstrip("/"))
            if known is not None:
                return self._allowed(key, known)
        *through, last = key.split("/")
        link = None
        if not through:
            with self._telling(key):
                link = _link(self._group, key)
            if link is None and not self._plain and key not in iter(self):
                raise KeyError(key)
        with self._telling(key):
            dataset = self._group
            for part in (*through, last):
                dataset = self._inside(dataset, part, link)
            shape = getattr(dataset, "shape", None)
            if shape is None:
                raise self._refused(f'"{key}" is no array')
            return self._allowed(key, OpenArray(dataset.id, shape, dataset.dtype, stored_size(dataset.id)))

    def _allowed(self, key: str, found: OpenArray) -> tuple[Any, tuple[int, ...], np.dtype]:
        """An array that was looked at, and may be read."""
        import h5py

        with self._telling(key):
            self._check(key, found)
            return h5py.Dataset(found.id), found.shape, found.dtype

    def _check(self, key: str, found: OpenArray) -> None:
        import h5py

        dtype = found.dtype
        properties = found.id.get_create_plist()  # once: h5py's own words ask for it each time
        layout = properties.get_layout()
        if layout == h5py.h5d.VIRTUAL or properties.get_external_count():
            raise self._refused(f'"{key}" has its data in another file')
        if dtype.kind not in "biufc" and not (dtype.kind == "V" and dtype.itemsize == 2):
            raise self._refused(f'"{key}" of dtype {dtype}')
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        if not filters <= _FILTERS:
            raise self._refused(f'"{key}" packed by the filters {sorted(filters - _FILTERS)}')
        stored, declared = found.stored, math.prod(found.shape) * dtype.itemsize
        if declared > stored * (_EXPANSION if filters else 1) or (declared > max(_FREE, stored * PACKED)):
            raise self._refused(f'"{key}" says it has {declared:,} bytes, but {stored:,} are stored')
        chunk = math.prod(properties.get_chunk() if layout == h5py.h5d.CHUNKED else ()) * dtype.itemsize
        if chunk > max(_CHUNK, 4 * declared):
            raise self._refused(f'"{key}" in pieces of {chunk:,} bytes, though it has {declared:,}')


def _group(opened: Any) -> Any:
    import h5py

    return h5py.Group(opened)


def _link(group: Any, key: str) -> Any:
    """The kind of link under a key, or None. `key in group` would follow it, also out of the file."""
    if key in ("", ".") or not group:  # "." is HDF5's word for the group itself, which has no link
        return None
    links, name = group.id.links, name_in_file(key)  # h5py's own words are far slower
    return links.get_info(name).type if links.exists(name) else None


def _opened(group: Any, name: bytes) -> Any:
    """What a hard link leads to."""
    import h5py

    kinds = {h5py.h5g.GroupID: h5py.Group, h5py.h5d.DatasetID: h5py.Dataset}
    opened = h5py.h5o.open(group.id, name)
    return kinds.get(type(opened), h5py.Datatype)(opened)


def read_all(file: Any, where: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """All arrays of a file by their paths, and the names that stand beside groups; only inside of `reading`.

    What may be in memory is what the bytes in the file speak for.
    """
    import h5py

    arrays, names = dict[str, np.ndarray](), dict[str, str]()
    seen: set[int] = set()
    stack = [("", file)]
    while stack:
        path, opened = stack.pop()
        group = ReadGroup(file, path, where, plain=True, group=opened)
        for name in (group.texts("name") or [])[:1] if path else []:
            names[path] = name
        inner = []
        for key in group:
            with telling(f'"{key}"', where):
                item = group._inside(group._group, key)
                address = h5py.h5o.get_info(item.id).addr
            if address in seen or path.count("/") >= MAX_DEPTH:
                raise refused(f'"{key}", which is in two places or too deep', f"{path or 'the top'} in {where}")
            seen.add(address)
            full = f"{path}/{key}" if path else key
            if isinstance(item, h5py.Group):
                inner.append((full, item))
            else:
                spend(group.shape(key), group.dtype(key), where)
                arrays[full] = group[key]
        stack += reversed(inner)
    return arrays, names
