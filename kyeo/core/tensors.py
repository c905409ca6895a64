"""Named arrays in one file, in the form of safetensors: a JSON header, then the bytes of all arrays.

Checkpoints and `save_weights("x.safetensors")` are such files. A file can be sealed: each array has its SHA-256 in the
header, and the last array is the SHA-256 of the header. Then no part of the file can be cut off or changed unseen.
Files of weights hold nothing but weights: each has a CRC-32 in the metadata, of its bytes, name, number type and shape.
"""

import contextlib
import hashlib
import json
import math
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from kyeo.core.contents import looks_like
from kyeo.core.errors import problem
from kyeo.core.headers import read_header

__all__ = ["DamagedFile", "Tensors", "write_tensors"]

_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu", "C64": "complex64",
}
_CODES = {name: code for code, name in _NAMES.items()}
_MAX_HEADER = 100_000_000  # bytes, as in the specification
_MAX_RANK = 32
_SEAL, _SUMS, _CRCS, _META = "seal", "sha256", "crc32", "__metadata__"
_PIECE = 2**18  # bytes that a checksum is taken of at a time: they stay in the processor's cache


class DamagedFile(ValueError):
    """A file of arrays that is not whole, or not as it was written."""


def write_tensors(path: Any, arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None,
                  sealed: bool = False, summed: bool = False, emptied: bool = False) -> None:
    """Write a file; whoever wants it to appear at once writes it through `core.files.atomic_write`.

    Args:
        path: the file, or one that is open.
        arrays: arrays by name; NumPy's or what NumPy takes.
        metadata: texts by name.
        sealed: whether to add checksums, so that any damage is found; the header is written again at the end.
        summed: whether to add quick checksums, to the metadata alone; `Tensors.check` compares them.
        emptied: whether `arrays` is emptied, so that the memory of each goes when it is written.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.safetensors")
    >>> write_tensors(file, {"w": np.arange(3)}, {"made": "today"}, sealed=True)
    >>> with Tensors(file, sealed=True) as tensors:
    ...     tensors["w"].tolist(), tensors.metadata["made"]
    ([0, 1, 2], 'today')
    """
    # the wide ones first, so that each begins at a multiple of its size
    parts = {name: _plain(array, name) for name, array in arrays.items()}
    parts = dict(sorted(parts.items(), key=lambda item: -item[1].dtype.itemsize))
    texts = dict(metadata or {})
    if emptied:
        arrays.clear()  # type: ignore[attr-defined]
    if sealed:
        texts[_SUMS] = json.dumps(dict.fromkeys(parts, "0" * 64))  # as long as it will be
        parts[_SEAL] = np.zeros(32, np.uint8)
    if summed:
        texts[_CRCS] = json.dumps(dict(zip(parts, _side_by_side(_crc, parts.items()))))
    header: dict[str, Any] = {_META: texts} if texts else {}
    at = 0
    for name, array in parts.items():
        header[name] = {"dtype": _CODES[array.dtype.name], "shape": list(array.shape),
                        "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    with open(path, "wb") if isinstance(path, (str, os.PathLike)) else contextlib.nullcontext(path) as file:
        file.write(_head(header))
        sums: dict[str, str] = {}
        while parts:
            name = next(iter(parts))
            array = parts.pop(name)
            if sealed and name == _SEAL:
                header[_META][_SUMS] = json.dumps(sums)
                file.write(hashlib.sha256(_head(header)).digest())
                file.seek(0)
                file.write(_head(header))
            else:
                sums[name] = _sum(array) if sealed else ""
                file.write(_bytes(array))


def _head(header: dict[str, Any]) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _plain(value: Any, name: str) -> np.ndarray:
    array = np.asarray(value)
    if name in (_SEAL, _META) or array.dtype.name not in _CODES:
        raise problem("This array cannot be written.", received=array, where=name,
                      expected="numbers of a type among " + ", ".join(_CODES))
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return np.ascontiguousarray(array).reshape(array.shape)  # a scalar stays one


def _bytes(array: np.ndarray) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8))


def _sum(array: np.ndarray) -> str:
    return hashlib.sha256(_bytes(array)).hexdigest()


def _crc(name: str, array: np.ndarray) -> str:
    return _crc_with(name, array.dtype, array.shape, zlib.crc32(_bytes(array)))


def _crc_with(name: str, dtype: np.dtype, shape: Iterable[int], of_bytes: int) -> str:
    what = f"{name} {_CODES[dtype.name]} {list(shape)}".encode("utf-8", "surrogatepass")
    return f"{zlib.crc32(what, of_bytes):08x}"


def _side_by_side(function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """What a function gives for each of some arguments, by a few threads: zlib lets go of the interpreter."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        yield from pool.map(function, *zip(*arguments))


class Tensors(Mapping[str, np.ndarray]):
    """The arrays in a file, each read when it is asked for. What the header says is checked before it is used.

    They are not mapped into memory: what the disk refuses, or another process cut off, would end this one.

    Args:
        path: the file.
        sealed: whether the file must have checksums; then all of them are compared.

    Raises:
        DamagedFile: it is not a whole file of this form, or a checksum differs.
        OSError: the disk does not give it; as an array is read, too.
    """

    def __init__(self, path: Any, sealed: bool = False):
        self._path = Path(path)
        self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115 (kept until `close`)
        self._lock = threading.Lock()  # the file has one place where it is read
        try:
            self._read_header()
            if sealed:
                self._check_seal()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Tensors":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; arrays that were read from it stay valid."""
        self._file.close()

    def _bad(self, what: str) -> Exception:
        return problem("The file is damaged, or no file of arrays.", received=what, where=str(self._path),
                       expected="a whole file in the form of safetensors", kind=DamagedFile)

    def _read_header(self) -> None:
        size = self._path.stat().st_size
        start = self._read(0, min(8, size))
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= min(_MAX_HEADER, size - 8):
            raise self._bad(f"{looks_like(self._path)}: {size:,} bytes, a header of {length:,}")
        self._head = start + self._read(8, length)
        header = read_header(self._head[8:], self._bad)
        metadata = header.pop(_META, {})
        if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
            raise self._bad("metadata that is not texts by name")
        self.metadata: dict[str, str] = metadata
        self._entries = {name: self._entry(name, fields) for name, fields in header.items()}
        at = 0
        for begin, end in sorted((begin, end) for _, _, begin, end in self._entries.values()):
            if begin != at:
                raise self._bad(f"arrays that overlap or leave a gap at byte {at:,}")
            at = end
        if at != size - 8 - length:
            raise self._bad(f"{size - 8 - length:,} bytes of arrays, where the header says {at:,}")

    def _entry(self, name: str, fields: Any) -> tuple[np.dtype, tuple[int, ...], int, int]:
        """(number type, shape, begin, end), once it is clear that they go together."""
        if not isinstance(fields, dict) or set(fields) != {"dtype", "shape", "data_offsets"}:
            raise self._bad(f'{name[:100]!a} without dtype, shape and data_offsets')
        code, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
        if not isinstance(code, str) or code not in _NAMES:
            raise self._bad(f'{name[:100]!a} of an unknown number type')
        if not (_sizes(shape) and len(shape) <= _MAX_RANK and _sizes(offsets) and len(offsets) == 2):
            raise self._bad(f'{name[:100]!a} with sizes that are none')
        dtype = np.dtype(getattr(ml_dtypes, _NAMES[code], _NAMES[code]))
        begin, end = offsets
        if end - begin != math.prod(shape) * dtype.itemsize:
            raise self._bad(f'{name[:100]!a} of {end - begin:,} bytes for shape {tuple(shape)} of {dtype}')
        return dtype, tuple(shape), begin, end

    def _check_seal(self) -> None:
        if _SEAL not in self._entries or _SUMS not in self.metadata:
            raise self._bad("no checksums")
        if bytes(self[_SEAL]) != hashlib.sha256(self._head).digest():
            raise self._bad("a header that does not have the checksum it was written with")
        sums = read_header(self.metadata[_SUMS].encode("utf-8", "surrogatepass"), self._bad)
        for name in self:
            checksum = hashlib.sha256()
            for piece in self._pieces(name):
                checksum.update(piece)
            if name != _SEAL and sums.get(name) != checksum.hexdigest():
                raise self._bad(f'"{name}" does not have the checksum it was written with')

    def check(self, told: Callable[[int], None] = lambda size: None) -> None:
        """Compare all arrays with their quick checksums, if the file has such.

        Args:
            told: called with the number of bytes, after each array.

        Raises:
            DamagedFile: one differs.
            OSError: one cannot be read.
        """
        if not self.has_sums:
            return
        sums = read_header(self.metadata[_CRCS].encode("utf-8", "surrogatepass"), self._bad)

        def compare(name: str) -> int:
            checksum = 0
            for piece in self._pieces(name):
                checksum = zlib.crc32(piece, checksum)
            if sums.get(name) != _crc_with(name, self.dtype(name), self.shape(name), checksum):
                raise self._bad(f"{name[:100]!a} does not have the checksum it was written with")
            return self.nbytes(name)

        for size in _side_by_side(compare, ((name,) for name in self)):
            told(size)

    @property
    def has_sums(self) -> bool:
        """Whether the file has quick checksums."""
        return _CRCS in self.metadata

    def read_through(self, name: str) -> None:
        """Read an array and forget it, to see whether the disk gives it."""
        for _ in self._pieces(name):
            pass

    def __getitem__(self, name: str) -> np.ndarray:
        dtype, shape, begin, _ = self._entries[name]
        array = np.empty(shape, dtype)
        self._fill(_bytes(array), len(self._head) + begin)
        return array

    def _pieces(self, name: str) -> Iterator[memoryview]:
        """The bytes of an array; each piece until the next is asked for."""
        _, _, begin, end = self._entries[name]
        buffer = memoryview(bytearray(min(_PIECE, end - begin)))
        for at in range(begin, end, _PIECE):
            piece = buffer[:end - at]
            self._fill(piece, len(self._head) + at)
            yield piece

    def _read(self, at: int, size: int) -> bytes:
        buffer = bytearray(size)
        self._fill(memoryview(buffer), at)
        return bytes(buffer)

    def _fill(self, view: memoryview, at: int) -> None:
        """Read as many bytes of the file as go into a buffer."""
        with self._lock:
            self._file.seek(at)
            while view:
                done = self._file.readinto(view)
                if not done:
                    raise self._bad(f"{len(view):,} bytes fewer than it had as it was opened")
                view = view[done:]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array that is not read yet."""
        return self._entries[name][1]

    def dtype(self, name: str) -> np.dtype:
        """The number type of an array that is not read yet."""
        return self._entries[name][0]

    def nbytes(self, name: str) -> int:
        """How many bytes an array has."""
        return self._entries[name][3] - self._entries[name][2]


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**62 for v in values)
