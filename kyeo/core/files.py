"""Files written whole or not at all."""

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kyeo.core.errors import is_told, problem

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["append_whole", "atomic_folder", "atomic_write", "cannot_write", "clear_leftovers", "flush_names",
           "hold_folder", "make_folder", "writing"]

_TRIED = 100  # numbered names of a file that is being written; after these, names by chance
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_MENDS = {  # what a disk refuses with
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
        FileNotFoundError: The folder of `path` does not exist.
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
    if not target.parent.is_dir():
        raise problem("The file's folder does not exist.", received=f"filepath={str(target)!r}",
                      expected="a file in a folder that is there", kind=FileNotFoundError,
                      fix=f"os.makedirs({str(target.parent)!r}, exist_ok=True)")
    temporary: Path | None = None
    try:
        temporary, held = _held_beside(target)
        with held:
            if target.exists():
                shutil.copymode(target, temporary)
            yield temporary
            _flush(temporary, os.O_RDWR)
            if os.name != "posix":  # Windows renames no open file
                held.close()
            os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            if temporary is not None:
                temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _MENDS and not is_told(error):
            raise cannot_write(target, error) from error
        raise
    flush_names(target)


def _held_beside(target: Path) -> tuple[Path, BinaryIO]:
    """An empty file beside `target`, and what holds it until it is closed.

    The names are numbered, so that a file which a killed process left is found without a look at all the folder: nobody
    holds it, and it gives way. Who opens a file may come to hold another by the time it has the lock, since the first
    got its final name or was removed; so it looks again.
    """
    for name in _numbers():
        path = target.with_name(f".{target.stem[:100]}.{name}{target.suffix}")
        if path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError), open(path, "r+b") as left:
                if _lock(left) and _is_at(left, path):
                    path.unlink()
        with contextlib.suppress(FileExistsError):
            file = os.fdopen(os.open(path, _NEW, 0o666), "r+b")  # NFS locks only what may be written
            if _lock(file, unknown=True) and _is_at(file, path):
                return path, file
            file.close()
    raise AssertionError


def _numbers() -> Iterator[str]:
    """What tells temporary names apart: the same numbers each time, where the system can say which are held."""
    yield from (f"{number:012x}" for number in range(_TRIED) if fcntl is not None)
    while True:
        yield secrets.token_hex(6)


def _new_folder(parent: Path, target: Path, stack: contextlib.ExitStack) -> Path:
    """An empty folder in `parent` for what becomes `target`, held until the stack is closed; as `_held_beside`."""
    for name in _numbers():
        path = parent / f".{target.name[:100]}.{name}"
        with contextlib.ExitStack() as left:
            if (old := _opened_folder(path, left)) is not None and _lock(old) and _is_at(old, path):
                shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            held = _opened_folder(path, stack)
            if held is None:  # another removed it before it was held, or it cannot be held
                mine = path.is_dir()
            else:
                mine = _lock(held, unknown=True) and _is_at(held, path)
            if mine:
                return path
    raise AssertionError


def _opened_folder(path: Path, stack: contextlib.ExitStack) -> int | None:
    """A folder opened until the stack is closed; None where there is none, or the system opens no folders."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (AttributeError, OSError):  # the first on Windows
        return None
    stack.callback(os.close, folder)
    return folder


def _is_at(file: BinaryIO | int, path: Path) -> bool:
    """Whether an open file or folder is the one that has this path now."""
    try:
        return os.path.samestat(os.fstat(file if isinstance(file, int) else file.fileno()), os.lstat(path))
    except OSError:
        return False


def _lock(file: Any, unknown: bool = False) -> bool:
    """Whether nobody else holds a file, `unknown` where the system cannot tell; from now on this process holds it."""
    if fcntl is None:
        return unknown
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return unknown
    return True


def hold_folder(folder: str | os.PathLike[str]) -> tuple[int | None, bool]:
    """Hold a folder that one program at a time should use: (what to close in the end, whether another holds it).

    Args:
        folder: The folder.

    Example:
        >>> import os, tempfile
        >>> from kyeo.core.files import hold_folder
        >>> folder = tempfile.mkdtemp()
        >>> held, by_another = hold_folder(folder)
        >>> by_another, hold_folder(folder)[1]
        (False, True)
        >>> os.close(held)
    """
    if os.name != "posix":
        return None, False
    descriptor = os.open(folder, os.O_RDONLY)
    return descriptor, not _lock(descriptor, unknown=True)


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
                gone = _lock(file, unknown=True)
            if gone:
                os.unlink(entry.path)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder and those it is in, unless they are there; their names are on the disk before this returns.

    Args:
        path: The folder.

    Example:
        >>> import os, tempfile
        >>> from kyeo.core.files import make_folder
        >>> path = os.path.join(tempfile.mkdtemp(), "a", "b")
        >>> make_folder(path)
        >>> os.path.isdir(path)
        True
    """
    target = Path(os.path.realpath(path))
    missing = [folder for folder in (target, *target.parents) if not folder.exists()]
    target.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        flush_names(folder)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str], names: Collection[str], last: str) -> Iterator[Path]:
    """Give an empty temporary folder beside `path`, and put it in place of `path` when the block ends well.

    Where the system can exchange two folders (Linux, macOS), and nothing but `names` is in the old one, whoever looks
    finds the old folder or the new. Else the files are put into the old one by one, and a reader has to find out.

    Args:
        path: The folder to write or replace. The one it is in must exist.
        names: What the old folder may hold to be replaced whole.
        last: The file that is put in place last, where that goes one by one.

    Example:
        >>> import tempfile, pathlib
        >>> from kyeo.core.files import atomic_folder
        >>> path = pathlib.Path(tempfile.mkdtemp(), "notes")
        >>> with atomic_folder(path, ["a.txt"], "a.txt") as temporary:
        ...     _ = (temporary / "a.txt").write_text("all of it")
        >>> [file.name for file in path.iterdir()]
        ['a.txt']
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_dir():
        raise problem("There is a file where the folder should be.", received=f"filepath={str(target)!r}",
                      expected="a folder, or a name that is not taken", kind=FileExistsError)
    inside = target.exists() and (os.path.ismount(target) or not os.access(target.parent, os.W_OK))
    temporary: Path | None = None
    held = contextlib.ExitStack()
    try:
        temporary = _new_folder(target if inside else target.parent, target, held)
        yield temporary
        files = [file for file in temporary.rglob("*") if file.is_file()]
        for file in files:
            _flush(file, os.O_RDWR)
        for folder in {file.parent for file in files} if os.name == "posix" else ():
            _flush(folder, os.O_RDONLY)
        if (old := _opened_folder(target, held)) is not None:
            _lock(old)  # nobody else is to remove it while this does, where it has the temporary name in the end
        if not target.exists():
            os.replace(temporary, target)
        elif inside or not set(os.listdir(target)) <= set(names) or not _exchange(temporary, target):
            for file in sorted(files, key=lambda file: file == temporary / last):
                place = target / file.relative_to(temporary)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, place)
                flush_names(place)
    except OSError as error:
        if error.errno in _MENDS and not is_told(error):
            raise cannot_write(target, error) from error
        raise
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        held.close()
    flush_names(target)


def _exchange(one: Path, other: Path) -> bool:
    """Give two folders each other's name, in one step; False where the system cannot."""
    try:
        library = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return library.renamex_np(os.fsencode(one), os.fsencode(other), 2) == 0
        return library.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2) == 0  # AT_FDCWD, RENAME_EXCHANGE
    except (AttributeError, OSError, TypeError):  # another C library, Windows
        return False


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
            _flush(target.parent, os.O_RDONLY)
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
    told = problem(what, received=error.strerror, where=os.fspath(path), fix=_MENDS.get(error.errno or 0),
                   kind=type(error))
    told.errno = error.errno  # type: ignore[attr-defined]
    return told


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
