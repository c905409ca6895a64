"""Folders written whole or not at all, and held by one program at a time."""

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from kyeo.core.errors import is_told, problem
from kyeo.core.files import (
    MENDS,
    cannot_write,
    check_folder_of,
    flush,
    flush_names,
    is_at,
    lock,
    numbers,
    short,
    unlock,
)

__all__ = ["atomic_folder", "hold_folder", "make_folder"]

_PATIENCE = 2000  # milliseconds to wait for another who removes a folder


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder and those it is in, unless they are there; their names are on the disk before this returns.

    Args:
        path: The folder.

    Example:
        >>> import os, tempfile
        >>> from kyeo.core.folders import make_folder
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
        >>> from kyeo.core.folders import atomic_folder
        >>> path = pathlib.Path(tempfile.mkdtemp(), "notes")
        >>> with atomic_folder(path, ["a.txt"], "a.txt") as temporary:
        ...     _ = (temporary / "a.txt").write_text("all of it")
        >>> [file.name for file in path.iterdir()]
        ['a.txt']
    """
    target = Path(os.path.realpath(path))
    check_folder_of(target)
    if target.exists() and not target.is_dir():
        raise problem("There is a file where the folder should be.", received=f"filepath={str(target)!r}",
                      expected="a folder, or a name that is not taken", kind=FileExistsError)
    inside = target.exists() and (os.path.ismount(target) or not os.access(target.parent, os.W_OK))
    temporary: Path | None = None
    new: int | None = None
    held = contextlib.ExitStack()
    try:
        temporary, new = _new_folder(target if inside else target.parent, target, held)
        yield temporary
        files = [file for file in temporary.rglob("*") if file.is_file()]
        for file in files:
            flush(file, os.O_RDWR)
        for folder in {file.parent for file in files} if os.name == "posix" else ():
            flush(folder, os.O_RDONLY)
        if not _moved(temporary, target) and (
                inside or not set(os.listdir(target)) <= set(names) or not _exchange(temporary, target)):
            for file in sorted(files, key=lambda file: file == temporary / last):
                place = target / file.relative_to(temporary)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, place)
                flush_names(place)
    except OSError as error:
        if not is_told(error):
            check_folder_of(target)
            if error.errno in MENDS:
                raise cannot_write(target, error) from error
        raise
    finally:
        if temporary is not None:
            _remove_folder(temporary, new)
        held.close()
    flush_names(target)


def _remove_folder(path: Path, new: int | None) -> None:
    """Remove what has a temporary name after all: the folder held under it, or the one exchanged for it.

    A name may be taken anew once its folder is gone, so a folder is removed only by who holds it and saw it there. Two
    who exchange at the same time may each hold what the other has to remove: what has its final name is let go first.
    """
    if new is None or is_at(new, path):
        shutil.rmtree(path, ignore_errors=True)
        return
    unlock(new)
    with contextlib.ExitStack() as held:
        old = _opened_folder(path, held)
        for _ in range(_PATIENCE):
            if old is None or not is_at(old, path):
                return
            if lock(old, unknown=True) and is_at(old, path):
                shutil.rmtree(path, ignore_errors=True)
                return
            time.sleep(0.001)


def _moved(temporary: Path, target: Path) -> bool:
    """Whether the folder got its final name, since no other has it."""
    if target.exists():
        return False
    try:
        os.replace(temporary, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False  # another came just now
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Give two folders each other's name, in one step; False where the system cannot."""
    try:
        library = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return library.renamex_np(os.fsencode(one), os.fsencode(other), 2) == 0
        return library.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2) == 0  # AT_FDCWD, RENAME_EXCHANGE
    except (AttributeError, OSError, TypeError):  # another C library, Windows
        return False


def _new_folder(parent: Path, target: Path, stack: contextlib.ExitStack) -> tuple[Path, int | None]:
    """An empty folder in `parent` for what becomes `target`, and what holds it until the stack is closed."""
    for name in numbers():
        path = parent / f".{short(target.name)}.{name}"
        with contextlib.ExitStack() as left:
            if (old := _opened_folder(path, left)) is not None and lock(old) and is_at(old, path):
                shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            held = _opened_folder(path, stack)
            if held is None:  # it cannot be held; or another removed it before it was, and may have made it anew
                mine = path.is_dir() and not (os.name == "posix" and os.access(path, os.R_OK))
            else:
                mine = lock(held, unknown=True) and is_at(held, path)
            if mine:
                return path, held
    raise AssertionError


def _opened_folder(path: Path, stack: contextlib.ExitStack) -> int | None:
    """A folder opened until the stack is closed; None where there is none, or the system opens no folders."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (AttributeError, OSError):  # the first on Windows
        return None
    stack.callback(os.close, folder)
    return folder


def hold_folder(folder: str | os.PathLike[str]) -> tuple[int | None, bool]:
    """Hold a folder that one program at a time should use: (what to close in the end, whether another holds it).

    Args:
        folder: The folder.

    Example:
        >>> import os, tempfile
        >>> from kyeo.core.folders import hold_folder
        >>> folder = tempfile.mkdtemp()
        >>> held, by_another = hold_folder(folder)
        >>> by_another, hold_folder(folder)[1]
        (False, True)
        >>> os.close(held)
    """
    if os.name != "posix":
        return None, False
    descriptor = os.open(folder, os.O_RDONLY)
    return descriptor, not lock(descriptor, unknown=True)
