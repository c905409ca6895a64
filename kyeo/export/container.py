"""The file of an ExportArchive: a header of JSON that says what is where, then the bytes; nothing in it can act.

    8 bytes   what kind of file it is, and the version of its layout
    8 bytes   length of the header
    32 bytes  SHA-256 of the header
    header    {"parts": [{"size": ..., "sha256": ...}, ...], and whatever else was given}
    parts     one after the other, to the end of the file

Every length is compared with the size of the file before a byte is read for it, every part with its checksum.
"""

import hashlib
import json
import os
from typing import Any

from kyeo.core.errors import problem
from kyeo.core.files import writing
from kyeo.core.headers import read_header

__all__ = ["read_parts", "write_parts"]

_KIND = b"KYEOEXP1"
_HEAD = len(_KIND) + 8 + 32
_LONGEST_HEADER = 1 << 26


def write_parts(path: Any, facts: dict[str, Any], parts: list[bytes]) -> None:
    """Write the facts (plain values) and the parts; the file appears whole or not at all."""
    listed = [{"size": len(part), "sha256": hashlib.sha256(part).hexdigest()} for part in parts]
    header = json.dumps({**facts, "parts": listed}).encode()
    with writing(path) as file:
        file.write(_KIND + len(header).to_bytes(8, "little") + hashlib.sha256(header).digest() + header)
        for part in parts:
            file.write(part)


def _broken(path: Any, what: str, fix: str = "write or copy it again") -> Exception:
    return problem("This file is not whole, or was not written by `ExportArchive.write_out`.", received=what,
                   where=os.fspath(path), expected="a file as it was written", fix=fix)


def read_parts(path: Any) -> tuple[dict[str, Any], list[bytes]]:
    """The facts and the parts of a file, all of them checked.

    Raises:
        ValueError: the file is not one of these, is cut off, or a byte of it was changed.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        length = int.from_bytes(head[len(_KIND):len(_KIND) + 8], "little")
        if len(head) < _HEAD or not head.startswith(_KIND):
            raise _broken(path, "another beginning", "a program of `model.export` is read by "
                          "jax.export.deserialize(bytearray(file.read())); an archive: write or copy it again")
        if length > min(_LONGEST_HEADER, size - _HEAD):
            raise _broken(path, f"a header of {length} bytes in a file of {size}")
        header = file.read(length)
        if hashlib.sha256(header).digest() != head[-32:]:
            raise _broken(path, "a header with another checksum")
        facts = read_header(header, lambda what: _broken(path, what))
        listed = facts.get("parts")
        if not isinstance(listed, list) or not all(map(_is_part, listed)):
            raise _broken(path, "parts without a size and a checksum")
        sizes = [part["size"] for part in listed]
        if sum(sizes) != size - _HEAD - length:
            raise _broken(path, "parts of another size than the file's")
        parts = [file.read(count) for count in sizes]
    for number, (part, said) in enumerate(zip(parts, listed)):
        if hashlib.sha256(part).hexdigest() != said["sha256"]:
            raise _broken(path, f"part {number} with another checksum")
    return facts, parts


def _is_part(said: Any) -> bool:
    return (isinstance(said, dict) and type(said.get("size")) is int and said["size"] >= 0
            and isinstance(said.get("sha256"), str))
