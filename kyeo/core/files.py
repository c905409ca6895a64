"""Files written whole or not at all, and checksums of files."""

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["atomic_write", "sha256_of"]


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`, and put it in place of `path` when the block ends well.

    Whoever opens `path` finds the old content or the new, never a part of it: the temporary file is
    in the same folder (so renaming it is one step), and it is on the disk before it is renamed. When the
    block raises, Ctrl-C included, the temporary file is removed and `path` stays what it was.

    Args:
        path: The file to write or replace. Its folder must exist. A symbolic link is followed.

    Yields:
        The temporary path, an empty file with the same suffix as `path`.

    Raises:
        FileNotFoundError: The folder of `path` does not exist.

    Example:
        >>> import tempfile, pathlib
        >>> from kyeo.core.files import atomic_write
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "notes.txt")
        ...     with atomic_write(file) as temporary:
        ...         _ = temporary.write_text("all of it")
        ...     file.read_text()
        'all of it'
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"Cannot write {target}: its folder does not exist. Make the folder first.")
    temporary = target.with_name(f".{target.stem[:100]}.{secrets.token_hex(6)}{target.suffix}")
    try:
        temporary.touch(exist_ok=False)
        if target.exists():
            shutil.copymode(target, temporary)
        yield temporary
        _flush(temporary, os.O_RDWR)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # Windows cannot open a folder
        _flush(target.parent, os.O_RDONLY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file's content as 64 hexadecimal digits.

    Args:
        path: The file to read.

    Example:
        >>> import os
        >>> from kyeo.core.files import sha256_of
        >>> sha256_of(os.devnull)[:16]
        'e3b0c44298fc1c14'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
