"""Files written whole or not at all."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kyeo.core.errors import is_told, problem

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["MENDS", "append_whole", "atomic_write", "cannot_write", "check_folder_of", "clear_leftovers", "flush",
           "flush_names", "is_at", "lock", "numbers", "one_at_a_time", "short", "unlock", "writing"]

_TRIED = 100  # numbered names of a file that is being written; after these, names by chance
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
MENDS = {  # what a disk refuses with
    errno.ENOSPC: "free some space on this disk, or write to another",
    errno.EDQUOT: "free some space of your quota, or write to another disk",
    errno.EFBIG: "the system's limit on the size of a file is too low for it (ulimit -f)",
    errno.EROFS: "this disk can only be read; write to another",
    errno.EACCES: "write to a folder that you may change",
    errno.EPERM: "write to a folder that you may change",
    errno.EIO: "the disk fails; write to another",
}


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
        FileNotFoundError: The folder of `path` does not exist, or went away meanwhile.
        IsADirectoryError: There is a folder at `path`.
        OSError: The disk is full, fails, or may not be written to; the message names `path` and a mend.

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
    check_folder_of(target)
    if target.is_dir():
        raise problem("The file to write is a folder.", received=f"filepath={str(target)!r}",
                      expected="the name of a file", kind=IsADirectoryError)
    try:
        temporary, held = _held_beside(target)
        with held, _removed_if_failed(temporary, held):
            if target.exists():
                shutil.copymode(target, temporary)
            yield temporary
            flush(temporary, os.O_RDWR)
            if os.name != "posix":  # Windows renames no open file
                held.close()
            os.replace(temporary, target)
    except OSError as error:
        if not is_told(error):
            check_folder_of(target)
            if error.errno in MENDS:
                raise cannot_write(target, error) from error
        raise
    flush_names(target)


def check_folder_of(target: Path) -> None:
    """Complain of a file or folder to be written whose folder is not there, or not any more."""
    if target.parent.is_dir():
        return
    is_file = any(folder.exists() and not folder.is_dir() for folder in target.parents)
    home = next((i for i, part in enumerate(target.parts) if part.startswith("~")), None)
    fix = f"os.makedirs({str(target.parent)!r}, exist_ok=True)"
    if is_file:
        fix = "choose another: a file has this name"
    if home is not None:
        fix = f"os.path.expanduser({os.path.join(*target.parts[home:])!r}): Python does not look up `~` by itself"
    raise problem("The file's folder does not exist.", received=f"filepath={str(target)!r}", fix=fix,
                  expected="a file in a folder that is there",
                  kind=NotADirectoryError if is_file else FileNotFoundError)


def short(name: str) -> str:
    """What a temporary name begins with: systems count the bytes of a name, of which a letter may have four."""
    return name.encode(errors="ignore")[:100].decode(errors="ignore")


@contextlib.contextmanager
def _removed_if_failed(path: Path, held: BinaryIO) -> Iterator[None]:
    """Remove a file where the block raises: while it is held, since then no other can have made one of that name."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, ValueError):  # the latter: closed
            _remove(path, held)
        raise


def _remove(path: Path, held: BinaryIO) -> None:
    """Remove a file that is held, unless another has its path by now."""
    if is_at(held, path):
        if os.name != "posix":  # Windows removes no open file
            held.close()
        path.unlink(missing_ok=True)


def _held_beside(target: Path) -> tuple[Path, BinaryIO]:
    """An empty file beside `target`, and what holds it until it is closed.

    The names are numbered, so that a file which a killed process left is found without a look at all the folder: nobody
    holds it, and it gives way. Who opens a file may come to hold another by the time it has the lock, since the first
    got its final name or was removed; so it looks again. The lock is a shared one: the file still has it for a moment
    under its final name, where HDF5 opens no file to read that is locked otherwise.
    """
    for name in numbers():
        path = target.with_name(f".{short(target.stem)}.{name}{target.suffix}")
        if path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError), open(path, "r+b") as left:
                if lock(left):
                    _remove(path, left)
        with contextlib.suppress(FileExistsError):
            file = os.fdopen(os.open(path, _NEW, 0o666), "r+b")  # NFS locks only what may be written
            if lock(file, unknown=True, shared=True) and is_at(file, path):
                return path, file
            file.close()
    raise AssertionError


def numbers() -> Iterator[str]:
    """What tells temporary names apart: the same numbers each time, where the system can say which are held."""
    yield from (f"{number:012x}" for number in range(_TRIED) if fcntl is not None)
    while True:
        yield secrets.token_hex(6)


def is_at(file: BinaryIO | int, path: Path) -> bool:
    """Whether an open file or folder is the one that has this path now."""
    try:
        return os.path.samestat(os.fstat(file if isinstance(file, int) else file.fileno()), os.lstat(path))
    except OSError:
        return False


@contextlib.contextmanager
def one_at_a_time(target: Path) -> Iterator[None]:
    """Wait until nobody else is in such a block for a file that stands for several, where the system can lock files.

    A file beside `target` is held meanwhile; one that a killed process left is nobody's.
    """
    path = target.with_name(f".{short(target.name)}.saving")
    while True:
        try:
            held = open(path, "ab")  # noqa: SIM115
        except OSError:  # which the write itself will tell of
            yield
            return
        with held:
            free = lock(held, unknown=True)
            if free and (is_at(held, path) or fcntl is None):
                try:
                    yield
                finally:
                    if os.name != "posix":  # Windows removes no open file
                        held.close()
                    with contextlib.suppress(OSError):
                        path.unlink()
                return
        time.sleep(0 if free else 0.01)


def unlock(descriptor: int) -> None:
    """Hold a file no longer."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def lock(file: Any, unknown: bool = False, shared: bool = False) -> bool:
    """Whether nobody else holds a file, `unknown` where the system cannot tell; from now on this process holds it,
    `shared` with others who do so."""
    if fcntl is None:
        return unknown
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return unknown
    return True


def clear_leftovers(folder: str | os.PathLike[str], name: str) -> None:
    """Remove what processes left that were killed while they wrote, in a folder that only this program writes to.

    Args:
        folder: The folder.
        name: A pattern of names.

    Example:
        >>> import tempfile
        >>> from kyeo.core.files import clear_leftovers
        >>> clear_leftovers(tempfile.mkdtemp(), r"\\.a\\..*")
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not re.fullmatch(name, entry.name) or not entry.is_file(follow_symlinks=False):
                continue
            with open(entry.path, "r+b") as file:
                if lock(file, unknown=True):
                    _remove(Path(entry.path), file)


def flush_names(target: Path) -> None:
    """Have the name of a file, or of another thing in a folder, on the disk.

    Args:
        target: The file.

    Raises:
        OSError: The folder cannot be flushed.

    Example:
        >>> import pathlib, tempfile
        >>> from kyeo.core.files import flush_names
        >>> flush_names(pathlib.Path(tempfile.mkdtemp(), "log.csv"))
    """
    if os.name == "posix":  # Windows cannot open a folder
        try:
            flush(target.parent, os.O_RDONLY)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot flush a folder
                raise cannot_write(target, error, "The file is written, but may be lost with the power.") from error


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give an open binary file that is put in place of `path` when the block ends well; see `atomic_write`.

    Args:
        path: The file to write or replace.

    Example:
        >>> import tempfile, pathlib
        >>> from kyeo.core.files import writing
        >>> path = pathlib.Path(tempfile.mkdtemp(), "numbers")
        >>> with writing(path) as file:
        ...     file.write(bytes(3))
        3
        >>> path.read_bytes()
        b'\\x00\\x00\\x00'
    """
    with atomic_write(path) as temporary, open(temporary, "w+b") as file:
        yield file


def append_whole(file: Any, data: bytes) -> None:
    """Add bytes to the end of a file, or, where the disk refuses, none of them, and raise.

    Args:
        file: An unbuffered file open for appending.
        data: The bytes.

    Example:
        >>> import os, tempfile
        >>> from kyeo.core.files import append_whole
        >>> path = os.path.join(tempfile.mkdtemp(), "log")
        >>> with open(path, "ab", buffering=0) as file:
        ...     append_whole(file, b"a line")
        >>> os.path.getsize(path)
        6
    """
    size = file.seek(0, os.SEEK_END)
    try:
        while data:
            data = data[file.write(data):]
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(file.name, size)
        raise


def cannot_write(path: str | os.PathLike[str], error: OSError,
                 what: str = "The file could not be written; what was there is as it was.") -> Exception:
    """The exception for a disk that refused: the same class and `errno`, with the path and a mend.

    Args:
        path: The file.
        error: What the system said.
        what: The first line.

    Example:
        >>> from kyeo.core.files import cannot_write
        >>> print(cannot_write("a.keras", OSError(28, "No space left on device")))
        The file could not be written; what was there is as it was.
          Received: No space left on device
          Where:    a.keras
          Fix:      free some space on this disk, or write to another
    """
    told = problem(what, received=error.strerror, where=os.fspath(path), fix=MENDS.get(error.errno or 0),
                   kind=type(error))
    told.errno = error.errno  # type: ignore[attr-defined]
    return told


def flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
