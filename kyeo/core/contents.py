"""What is in a file: its checksum, and what it is by how it begins."""

import hashlib
import os
from typing import Any

__all__ = ["looks_like", "sha256_of"]

_SIGNS = {  # how a file begins -> what it is
    b"version https://git-lfs": "a pointer of Git LFS in the place of the file (`git lfs pull` gets it)",
    b"<": "a web page, as a download gives that was refused", b"{": "JSON",
    b"pk": "a zip, or the beginning of one that was cut off",
    b"\x89hdf": "an HDF5 file, or the beginning of one that was cut off",
    b"\x80": "a pickle (of Python or torch)", b"\x1f\x8b": "packed by gzip",
}


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file's content as 64 hexadecimal digits.

    Args:
        path: The file to read.

    Example:
        >>> import os
        >>> from kyeo.core.contents import sha256_of
        >>> sha256_of(os.devnull)[:16]
        'e3b0c44298fc1c14'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def looks_like(path: Any) -> str:
    """What a file is that could not be read as what it should be, by how it begins."""
    with open(path, "rb") as file:
        begin = file.read(512)
    if not begin.strip(b"\0"):
        return "an empty file" if not begin else "zeros, as after a disk that was full or a crash"
    for sign, what in _SIGNS.items():
        if begin.lstrip().lower().startswith(sign):
            return what
    return f"a file that begins with {begin[:20]!r}"
