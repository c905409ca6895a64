"""The heaps of an HDF5 file, in which texts of any length lie, looked at before libhdf5 walks through them.

It follows the sizes that stand in a heap, and goes round for ever where one of them is 0. The look itself takes a time
that grows as the file does: no byte is in two heaps, and no model has a million texts.
"""

import os
from typing import Any

from kyeo.core.errors import problem

__all__ = ["HEAP", "check_heaps", "is_text_type"]

HEAP = b"GCOL\x01"  # how each begins
_HEAD = 16  # bytes before the first object, and before the data of each
_LEAST, _MOST = 4096, 2**32  # bytes of a heap
_PIECE = 2**20  # bytes that are read at once
_OBJECTS = 2**20  # in all heaps together


def check_heaps(file: Any, where: str) -> None:
    """Refuse a file in which a heap's objects do not follow each other to its end.

    Args:
        file: the open file.
        where: how messages name it.
    """
    if getattr(file, "heaps_are_checked", False):
        return
    if file.id.get_create_plist().get_sizes() != (8, 8):
        raise _damaged("places and lengths of another width than 8 bytes", where)
    if file.driver == "sec2":
        with open(file.filename, "rb", buffering=0) as data:
            _walk(_Pieces(data), where)
    elif getattr(file.source, "has_heaps", True):
        _walk(_Pieces(file.source), where)
    file.heaps_are_checked = True


def is_text_type(kind: Any) -> bool:
    """Whether a type of HDF5 is one of its texts; where another number says what kind of text, libhdf5 reads wildly."""
    import h5py

    return isinstance(kind, h5py.h5t.TypeStringID) and kind.get_cset() in (0, 1) and kind.get_strpad() in (0, 1, 2)


class _Pieces:
    """The bytes of a file, of which one piece is held at a time.

    A memory map would end the process where the disk fails or another program cuts the file off.
    """

    def __init__(self, file: Any):
        self._file, self._begin, self._piece = file, 0, b""
        self._size = file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return int(self._size)

    def __getitem__(self, place: slice) -> bytes:
        if not self._begin <= place.start <= place.stop <= self._begin + len(self._piece):
            self._file.seek(place.start)
            self._begin, self._piece = place.start, self._file.read(max(_PIECE, place.stop - place.start))
            if len(self._piece) < place.stop - place.start:  # else `find` would look for the end for ever
                raise OSError("the file has become shorter")
        return self._piece[place.start - self._begin:place.stop - self._begin]

    def find(self, sign: bytes, start: int = 0) -> int:
        """Where some bytes are first found, or -1."""
        while start + len(sign) <= self._size:
            self[start:start + len(sign)]  # the piece that is held begins there or before
            found = self._piece.find(sign, start - self._begin)
            if found >= 0:
                return self._begin + found
            start = self._begin + len(self._piece) - len(sign) + 1
        return -1


def _walk(data: Any, where: str) -> None:
    at, end, left = data.find(HEAP), 0, _OBJECTS
    while at >= 0:
        size = int.from_bytes(data[at + 8:at + 16], "little")
        if not _LEAST <= size <= min(_MOST, len(data) - at):
            raise _damaged(f"a heap of {size:,} bytes", where)
        if at < end:  # heaps in each other would be walked through over and over
            raise _damaged("a heap inside of another", where)
        place, end = at + _HEAD, at + size
        while end - place >= _HEAD:
            number = int.from_bytes(data[place:place + 2], "little")
            length = int.from_bytes(data[place + 8:place + 16], "little")
            step = length if number == 0 else _HEAD + -(-length // 8) * 8
            if step < _HEAD or place + step > end or (number == 0 and place + step != end):
                raise _damaged(f"an object of {length:,} bytes in a heap of {size:,}", where)
            place, left = place + step, left - 1
            if left < 0:
                raise _damaged(f"more than {_OBJECTS:,} texts", where)
        at = data.find(HEAP, at + 1)


def _damaged(what: str, where: str) -> Exception:
    return problem("The weights file is not as Keras writes it, so nothing was loaded.", received=what, where=where,
                   expected="an HDF5 file, whole and not damaged")
