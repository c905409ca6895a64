"""The `.keras` file as a zip: what it says of itself is held against the bytes there are, and members are read where
they lie, by their expected names, never extracted.

The weights are read in place, so of a large file little is in memory. Those that somebody has packed are unpacked in
blocks; what the unpacker knows at the beginning of each block is kept, so that HDF5 may go back and forth. The blocks
of a small file are kept too: the weights are gone through twice (checksum and whether there are heaps; values).
"""

import contextlib
import io
import os
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kyeo.core.contents import looks_like
from kyeo.core.errors import problem
from kyeo.core.reading import memory
from kyeo.saving.assets import ASSETS, AssetReader
from kyeo.saving.config import read_json
from kyeo.saving.heaps import HEAP

__all__ = ["CONFIG", "FILES", "METADATA", "WEIGHTS", "checksums", "opened_archive"]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
FILES = "files"  # in the metadata of a folder: the checksum of each other file
MAX_CONFIG = 64 * 2**20  # bytes
MAX_MEMBERS = 20_000
_EXPANSION = 100  # how many times bigger than stored a packed member may say it is, beyond MAX_CONFIG
_PATIENCE, _PAUSE = 3.0, 0.05  # seconds in all, and at a time, to wait for who replaces a folder
_PIECE = 2**20  # bytes that are looked at together
_PACKED_PIECE = 2**14  # packed bytes that are given to the unpacker together
_BLOCK = 2**22  # unpacked bytes of a block
_KEPT = 8  # how many blocks are kept of any file; all of one that has at least half as many packed bytes ...
_MEMORY, _MOST_KEPT = 8, 2**26  # ... and takes no more than this part of the memory, and no more than these bytes
_TIMES = 20  # how often a member may be unpacked; a file that is read in any sensible order needs less


@contextlib.contextmanager
def opened_archive(path: Path) -> Iterator[tuple[bytes, Any, list[str], AssetReader]]:
    """The text of the config and the weights (an open file) of a `.keras` file or folder; the names of what is in it,
    and what reads one of them."""
    if path.is_dir():
        with contextlib.ExitStack() as stack:
            files, weights = _read_folder(path, stack)
            yield files[CONFIG], weights, [*files, WEIGHTS], files.__getitem__
        return
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
            raise problem("The file is not a whole `.keras` file.", where=str(path), expected="a zip written by "
                          "`model.save`", received=f"{looks_like(path)}: {str(error).lower()}") from None
        with archive:
            _check_archive(archive, path)
            yield (_member(archive, CONFIG, path, MAX_CONFIG), _window(archive, file, WEIGHTS, path),
                   archive.namelist(), lambda name: _member(archive, name, path))


def checksums(folder: Path) -> dict[str, str]:
    """The CRC-32 of each file in a folder by its name."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            found[path.relative_to(folder).as_posix()] = _told(_checksum(file)[0])
    return found


def _told(checksum: int) -> str:
    return f"{checksum:08x}"


def _checksum(file: Any, sought: bytes = b"") -> tuple[int, bool]:
    """The CRC-32 of what is left of an open file, read in pieces, and whether some bytes are in it."""
    checksum, found, end = 0, False, b""
    while piece := file.read(_PIECE):
        checksum = zlib.crc32(piece, checksum)
        found = found or sought in piece or sought in end + piece[:len(sought)]
        end = piece[-len(sought):] if len(piece) >= len(sought) else end + piece
    return checksum, found


def _read_folder(path: Path, stack: contextlib.ExitStack) -> tuple[dict[str, bytes], BinaryIO]:
    """What is in the files of a folder by their names, and the weights, open until the stack is closed; all of them
    written together. A folder that another program replaces meanwhile is read again."""
    end = time.monotonic() + _PATIENCE
    while True:
        before = _places(path)
        try:
            with contextlib.ExitStack() as opened:
                files, weights = _files_of(path, opened)
                _check_folder(path, files, weights)
                stack.push(opened.pop_all())
                return files, weights
        except (OSError, ValueError):
            time.sleep(_PAUSE)
            if _places(path) == before or time.monotonic() > end:
                raise


def _places(path: Path) -> list[Any]:
    """Where the files of a folder lie on the disk, and since when: something else once one of them is replaced."""
    found: list[Any] = []
    for name in (CONFIG, METADATA, WEIGHTS):
        with contextlib.suppress(OSError):
            told = (path / name).stat()
            found.append((name, told.st_dev, told.st_ino, told.st_mtime_ns, told.st_size))
    return found


def _files_of(path: Path, stack: contextlib.ExitStack) -> tuple[dict[str, bytes], BinaryIO]:
    names = [f.relative_to(path).as_posix() for f in path.rglob("*") if f.is_file() and not f.is_symlink()]
    missing = [name for name in (CONFIG, WEIGHTS) if name not in names]
    if missing:
        raise problem("The folder is not a saved model.", received=f"no {missing[0]} in it", where=str(path),
                      expected="the files themselves, not links to them")
    weights = stack.enter_context((path / WEIGHTS).open("rb"))
    limits = {CONFIG: MAX_CONFIG, METADATA: MAX_CONFIG}
    return {name: _whole(path / name, limits.get(name)) for name in names
            if name in limits or name.startswith(ASSETS + "/")}, weights


def _check_folder(path: Path, files: dict[str, bytes], weights: BinaryIO) -> None:
    """Hold the files of a folder against what was written with them. Keras notes nothing."""
    notes = read_json(files[METADATA], METADATA) if METADATA in files else None
    written = notes.get(FILES) if isinstance(notes, dict) else None
    if not isinstance(written, dict):
        return
    there = {name: _told(zlib.crc32(data)) for name, data in files.items()}
    there[WEIGHTS] = _told(_checksum(weights)[0])
    other = [str(name) for name, checksum in written.items() if there.get(name) != checksum]
    if other:
        raise problem("The files of the folder were not written together, or one is damaged.", where=str(path),
                      received=f"another content of {', '.join(other[:5])} than {METADATA} was written with",
                      fix=f"save the model again (a save was killed here); after a change by hand, delete {METADATA}")


def _whole(path: Path, limit: int | None = None) -> bytes:
    """The bytes of a file in a folder. Without a limit they are believed where they are on the disk: one with holes may
    say that it is far bigger than what is stored of it."""
    told = path.stat()
    stored = told.st_blocks * 512 if hasattr(told, "st_blocks") else told.st_size
    limit = max(MAX_CONFIG, _EXPANSION * stored) if limit is None else limit
    if told.st_size > limit:
        raise problem("This file of the folder is too big.", where=str(path), received=f"{told.st_size:,} bytes",
                      expected=f"at most {limit:,} bytes")
    return path.read_bytes()


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Hold what a zip says of itself against the bytes there are; nothing is unpacked yet."""
    members, size = archive.infolist(), path.stat().st_size
    stored, declared = sum(m.compress_size for m in members), sum(m.file_size for m in members)
    if len(members) > MAX_MEMBERS or stored > size or declared > max(MAX_CONFIG, _EXPANSION * size):
        raise problem("The file cannot be read safely.", where=str(path), expected=f"at most {MAX_MEMBERS} members, "
                      f"unpacked at most {_EXPANSION} times as big as the file", fix="write it again by `model.save`",
                      received=f"{size:,} bytes, said to hold {len(members)} members of {stored:,} bytes, unpacked "
                               f"{declared:,}")


def _checked(archive: zipfile.ZipFile, name: str, path: Path, limit: int | None = None) -> zipfile.ZipInfo:
    """What the zip says of one member, after looking at it."""
    found = [info for info in archive.infolist() if info.filename == name]
    where = f"{name} in {path}"
    if len(found) != 1:
        raise problem("The file is not as `model.save` writes it.", where=where, received=f"{len(found)} such members",
                      expected="one")
    (info,) = found
    limit = max(MAX_CONFIG, _EXPANSION * info.compress_size) if limit is None else limit
    wrong = ("it is encrypted" if info.flag_bits & 1 else f"it is packed in the way {info.compress_type}"
             if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else
             f"it says it has {info.file_size:,} bytes" if info.file_size > limit else None)
    if wrong:
        raise problem("This member of the file cannot be read safely.", where=where, received=wrong,
                      expected=f"at most {limit:,} bytes, plain or deflated, not encrypted")
    return info


@contextlib.contextmanager
def _telling(where: str) -> Iterator[None]:
    """What is wrong with a member inside the block is damage."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, EOFError, RuntimeError, ValueError) as error:
        raise problem("The file is damaged.", where=where, received=str(error)) from None


def _member(archive: zipfile.ZipFile, name: str, path: Path, limit: int | None = None) -> bytes:
    """The bytes of one member."""
    info = _checked(archive, name, path, limit)
    with _telling(f"{name} in {path}"):
        with archive.open(info) as member:
            data = member.read(info.file_size + 1)
        if len(data) != info.file_size:
            raise EOFError(f"{len(data):,} bytes instead of {info.file_size:,}")
    return data


def _window(archive: zipfile.ZipFile, file: BinaryIO, name: str, path: Path) -> "_Window":
    """One member as a file. All its bytes were held against their checksum when this returns, and few are in memory."""
    info = _checked(archive, name, path)
    is_plain = info.compress_type == zipfile.ZIP_STORED
    with _telling(f"{name} in {path}"):
        archive.open(info).close()  # compares what stands before the member with the list at the end of the zip
        if is_plain and info.compress_size != info.file_size:
            raise EOFError(f"{info.compress_size:,} bytes instead of {info.file_size:,}")
        file.seek(info.header_offset + 26)
        begin = info.header_offset + 30 + sum(int.from_bytes(file.read(2), "little") for _ in range(2))
        window = (_Window if is_plain else _Unpacked)(file, begin, info.compress_size, info.file_size)
        checksum, window.has_heaps = _checksum(window, HEAP)
        if checksum != info.CRC:
            raise zipfile.BadZipFile("another checksum than was written")
    return window


class _Window(io.RawIOBase):
    """Some bytes of a file as a file of their own, to be read.

    Args:
        file: the open file.
        begin: where they begin in it.
        stored: how many they are there.
        size: how many they are.

    Attributes:
        has_heaps: whether heaps of HDF5 may be in them.
    """

    has_heaps = True

    def __init__(self, file: BinaryIO, begin: int, stored: int, size: int):
        self._file, self._begin, self._stored, self._size, self._at = file, begin, stored, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        there = max(0, min(len(view), self._size - self._at))
        self._fill(view[:there], self._at)
        view[there:] = bytes(len(view) - there)  # HDF5 asks for more than there is, and expects zeros
        self._at += there
        return there

    def _fill(self, view: memoryview, at: int) -> None:
        self._file.seek(self._begin + at)
        while view:
            done = self._file.readinto(view)  # type: ignore[attr-defined]
            if not done:
                raise OSError("the file has become shorter")
            view = view[done:]


class _Unpacked(_Window):
    """The same for packed bytes."""

    def __init__(self, file: BinaryIO, begin: int, stored: int, size: int):
        super().__init__(file, begin, stored, size)
        self._marks = [(begin, zlib.decompressobj(-zlib.MAX_WBITS))]  # where block i begins, and what unpacks it
        self._blocks: dict[int, bytes] = {}  # the last one used is the last
        self._kept = max(_KEPT, min(memory() // _MEMORY, _MOST_KEPT, 2 * stored) // _BLOCK)
        self._done = 0  # bytes unpacked so far

    def _fill(self, view: memoryview, at: int) -> None:
        while view:
            number, inside = divmod(at, _BLOCK)
            part = self._block(number)[inside:inside + len(view)]
            view[:len(part)] = part
            view, at = view[len(part):], at + len(part)

    def _block(self, number: int) -> bytes:
        data = self._blocks.pop(number, b"")
        if not data:
            for i in range(min(number, len(self._marks) - 1), number + 1):
                data = self._unpack(i)
        self._blocks[number] = data
        if len(self._blocks) > self._kept:  # the file is read from end to end: what was just left comes again last
            del self._blocks[list(self._blocks)[-3]]
        return data

    def _unpack(self, number: int) -> bytes:
        left = min(_BLOCK, self._size - number * _BLOCK)
        self._done += left
        if self._done > _TIMES * self._size:
            raise OSError("it leads back and forth, so that it would be unpacked over and over")
        place, unpacker = self._marks[number][0], self._marks[number][1].copy()
        parts = []
        while left:
            self._file.seek(place)
            piece = self._file.read(min(_PACKED_PIECE, self._begin + self._stored - place))
            try:
                parts.append(unpacker.decompress(piece, left))
            except zlib.error as error:
                raise OSError(str(error)) from None
            place += len(piece) - len(unpacker.unconsumed_tail)
            left -= len(parts[-1])
            if left and (unpacker.eof or (not piece and not parts[-1])):
                raise OSError("the file has become shorter")
        if len(self._marks) == number + 1:
            self._marks.append((place, unpacker))
        return b"".join(parts)
