"""TensorBoard's event files, written by hand: records with checksums around small protocol buffers.

A record is its length, a masked CRC-32C of the length, the bytes, a masked CRC-32C of the bytes. A message is fields of
(number, wire type) and a value: 0 a varint, 1 eight bytes, 2 a length and bytes, 5 four bytes.
"""

import contextlib
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kyeo.core.files import append_whole, flush_names
from kyeo.core.folders import make_folder
from kyeo.core.plain import warn

__all__ = ["EventFile", "histogram", "image", "read_scalars", "scalar", "text_of_plugin"]


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def _masked_crc(data: bytes) -> int:
    """CRC-32C (Castagnoli), turned and shifted as the format wants it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


# -- protocol buffers --------------------------------------------------------------------------------------
def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _data(field: int, value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def scalar(tag: str, value: float) -> bytes:
    """A number under a tag, as a value of a summary."""
    return _data(1, tag) + _float(2, float(np.float32(value)))


def histogram(tag: str, values: Any, bins: int = 30) -> bytes:
    """How numbers are spread over `bins` intervals of equal width; those that are not finite are left out."""
    array = np.asarray(values, np.float64).ravel()
    array = array[np.isfinite(array)]
    counts, edges = np.histogram(array, bins) if array.size else (np.zeros(1), np.zeros(2))
    low, high = (array.min(), array.max()) if array.size else (0.0, 0.0)
    body = b"".join((
        _double(1, low), _double(2, high), _double(3, array.size), _double(4, array.sum()),
        _double(5, float(np.square(array).sum())),
        _data(6, edges[1:].astype("<f8").tobytes()), _data(7, counts.astype("<f8").tobytes())))
    return _data(1, tag) + _data(5, body)


def image(tag: str, pixels: np.ndarray) -> bytes:
    """A picture of shape (height, width) or (height, width, 1, 3 or 4), of bytes, packed as PNG."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    height, width, channels = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    color = {1: 0, 3: 2, 4: 6}[channels]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)) \
        + chunk(b"IDAT", zlib.compress(rows.astype(np.uint8).tobytes())) + chunk(b"IEND", b"")
    return _data(1, tag) + _data(4, _int(1, height) + _int(2, width) + _int(3, channels) + _data(4, png))


def text_of_plugin(tag: str, text: str, plugin: str) -> bytes:
    """A text for one of TensorBoard's plugins."""
    tensor = _int(1, 7) + _data(2, b"") + _data(8, text)  # a string, of no axes
    return _data(1, tag) + _data(8, tensor) + _data(9, _data(1, _data(1, plugin) + _data(2, b"1")))


class EventFile:
    """A file of events that is only ever added to.

    Args:
        path: the file; it and its folder are made when there is something to write.
        size: keep so many bytes of what is there, and go on behind them.
    """

    def __init__(self, path: Any, size: int = 0):
        self.path = Path(path)
        self._file: Any = None
        self._waiting = bytearray()
        if self.path.exists():
            os.truncate(self.path, min(size, self.path.stat().st_size))

    def add(self, step: int, values: list[bytes]) -> None:
        """One event: some values at a step."""
        self._write(_int(2, step) + _data(5, b"".join(_data(1, value) for value in values)))

    def _write(self, event: bytes) -> None:
        if self._file is None:
            make_folder(self.path.parent)
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 (kept until `close`)
            with contextlib.suppress(OSError):  # a checkpoint must not know of a file that is lost with the power
                flush_names(self.path)
            if not self._file.tell() and not self._waiting:
                self._write(_data(3, "brain.Event:2"))
        event = _double(1, time.time()) + event
        length = struct.pack("<Q", len(event))
        self._waiting += (length + struct.pack("<I", _masked_crc(length)) + event
                          + struct.pack("<I", _masked_crc(event)))
        if len(self._waiting) > 2**16:
            self.flush()

    def flush(self) -> None:
        """Hand what was added to the operating system, so that TensorBoard sees it. Where the disk refuses there is a
        warning, and it is tried again the next time."""
        if self._file is None or not self._waiting:
            return
        try:
            append_whole(self._file, bytes(self._waiting))
        except OSError as error:
            warn(f"The events of TensorBoard could not be written to {self.path}: {error}. Training goes on; "
                 "they are written when they can be.")
        else:
            self._waiting.clear()

    def on_disk(self) -> int:
        """How many bytes there are, all of them on the disk."""
        if self._file is None:
            return self.path.stat().st_size if self.path.exists() else 0
        self.flush()
        with contextlib.suppress(OSError):  # `flush` has said so, or the next one will
            os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Write what is left; more can be added later."""
        if self._file is not None:
            self.flush()
            self._file.close()
            self._file = None


# -- reading -----------------------------------------------------------------------------------------------
def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}[kind] if kind != 2 else varint()
        part, at = message[at:at + size], at + size
        yield key >> 3, struct.unpack("<d" if kind == 1 else "<f", part)[0] if kind != 2 else part


def read_scalars(folder: Any) -> list[tuple[int, str, float]]:
    """(step, tag, value) of all numbers in the event files of a folder, in the order they were written.

    >>> import tempfile, pathlib
    >>> file = EventFile(pathlib.Path(tempfile.mkdtemp(), "events.out.tfevents.1"))
    >>> file.add(3, [scalar("epoch_loss", 0.5)])
    >>> file.close()
    >>> read_scalars(file.path.parent)
    [(3, 'epoch_loss', 0.5)]
    """
    found: list[tuple[int, str, float]] = []
    for path in sorted(Path(folder).glob("*tfevents*")):
        data, at = path.read_bytes(), 0
        while at + 12 <= len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = data[at + 12:at + 12 + length]
            sums = struct.unpack_from("<I", data, at + 8), struct.unpack_from("<I", data, at + 12 + length)
            if sums != ((_masked_crc(data[at:at + 8]),), (_masked_crc(event),)):
                raise ValueError(f"{path} is damaged at byte {at}")
            at += 16 + length
            fields = dict(_fields(event))
            for number, value in _fields(fields.get(5, b"")):
                parts = dict(_fields(value)) if number == 1 else {}
                if 2 in parts:
                    found.append((fields.get(2, 0), parts[1].decode(), parts[2]))
    return found
