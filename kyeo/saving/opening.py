"""Opening the files of models: paths, and what a `.keras` file or folder holds.

Members of a zip are read by their expected names, never extracted.
"""

import contextlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kyeo.core.errors import problem
from kyeo.saving.assets import AssetReader

__all__ = ["existing", "local_path", "may_write", "opened_archive"]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MAX_CONFIG = 64 * 2**20  # bytes
MAX_MEMBERS = 20_000
_EXPANSION = 100  # how many times bigger than stored a packed member may say it is, beyond MAX_CONFIG


@contextlib.contextmanager
def opened_archive(path: Path) -> Iterator[tuple[bytes, Any, list[str], AssetReader]]:
    """The text of the config and the weights (a path or an open file) of a `.keras` file or folder; the names of all
    that is in it, and what reads one of them."""
    if path.is_dir():
        names = [f.relative_to(path).as_posix() for f in path.rglob("*") if f.is_file() and not f.is_symlink()]
        missing = [name for name in (CONFIG, WEIGHTS) if name not in names]
        if missing:
            raise problem("The folder is not a saved model.", received=f"no {missing[0]} in it", where=str(path),
                          expected="the files themselves, not links to them")
        if (path / CONFIG).stat().st_size > MAX_CONFIG:
            raise problem("The config is too big.", where=str(path / CONFIG), expected=f"at most {MAX_CONFIG:,} bytes")
        yield (path / CONFIG).read_bytes(), path / WEIGHTS, names, lambda name: (path / name).read_bytes()
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise problem("The file is not a whole `.keras` file.", where=str(path), received=str(error),
                      expected="a zip written by `model.save`") from None
    with archive:
        _check_archive(archive, path)
        yield (_member(archive, CONFIG, path, MAX_CONFIG), io.BytesIO(_member(archive, WEIGHTS, path)),
               archive.namelist(), lambda name: _member(archive, name, path))


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Hold what a zip says of itself against the bytes there are; nothing is unpacked yet."""
    members, size = archive.infolist(), path.stat().st_size
    stored, declared = sum(m.compress_size for m in members), sum(m.file_size for m in members)
    if len(members) > MAX_MEMBERS or stored > size or declared > max(MAX_CONFIG, _EXPANSION * size):
        raise problem("The file cannot be read safely.", where=str(path), expected=f"at most {MAX_MEMBERS} members, "
                      f"unpacked at most {_EXPANSION} times as big as the file", fix="write it again by `model.save`",
                      received=f"{size:,} bytes, said to hold {len(members)} members of {stored:,} bytes, unpacked "
                               f"{declared:,}")


def _member(archive: zipfile.ZipFile, name: str, path: Path, limit: int | None = None) -> bytes:
    """The bytes of one member, after looking at what the zip says of it."""
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
    try:
        with archive.open(info) as member:
            data = member.read(info.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, EOFError, RuntimeError, ValueError) as error:
        raise problem("The file is damaged.", where=where, received=str(error)) from None
    if len(data) != info.file_size:
        raise problem("The file is damaged.", where=where, received=f"{len(data)} bytes",
                      expected=f"{info.file_size} bytes")
    return data


def local_path(filepath: Any) -> Path:
    """The path, once it is clear that it is one of this computer."""
    if not isinstance(filepath, (str, os.PathLike)):
        raise problem("A file is named by a path.", received=f"filepath={filepath!r}", kind=TypeError,
                      expected="a string or a pathlib.Path")
    if "://" in str(filepath):
        raise problem("Only files of this computer are read and written.", received=f"filepath={str(filepath)!r}",
                      expected="a path", fix="download it first, and check where it comes from")
    return Path(filepath)


def existing(filepath: Any) -> Path:
    """The path of a file or folder that is there."""
    path = local_path(filepath)
    if not path.exists():
        raise problem("There is no such file.", received=f"filepath={str(filepath)!r}", kind=FileNotFoundError,
                      expected="the path of an existing file", fix=f"this program runs in {Path.cwd()}"
                      if not path.is_absolute() else None)
    if not path.is_file() and not path.is_dir():
        raise problem("This is no file.", received=f"filepath={str(filepath)!r}", expected="a file or a folder")
    return path


def may_write(path: Path, overwrite: bool) -> None:
    """Complain of a file that exists and is not to be replaced."""
    if path.exists() and not overwrite:
        raise problem("The file exists already.", received=f"filepath={str(path)!r}, overwrite=False",
                      kind=FileExistsError, fix="choose another name, or pass overwrite=True")
