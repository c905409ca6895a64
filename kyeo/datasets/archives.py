"""Archives: files taken out of zip and tar archives, none of which can leave its folder.

Only plain files and folders are taken. A name that leads out, a link, a device: the archive is refused as a whole.
"""

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from kyeo.core.errors import problem

__all__ = ["extract", "is_archive", "plain_path"]

_EXPANSION, _FREE = 1100, 2**30  # how much bigger than the archive files may be; and bytes that are free


def is_archive(path: Path, kinds: tuple[str, ...] = ("tar", "zip")) -> bool:
    """Whether a file is an archive of one of these kinds."""
    return ("tar" in kinds and tarfile.is_tarfile(path)) or ("zip" in kinds and zipfile.is_zipfile(path))


def extract(archive: Path, folder: Path) -> None:
    """Take all files out of an archive into a folder, which appears whole or stays as it is.

    Args:
        archive: a zip file or a tar file, packed by gzip, bzip2, xz or not.
        folder: where to; files in it that are not in the archive stay.

    Raises:
        ValueError: a name leads out of the folder, or a member is no plain file.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    limit = max(_FREE, _EXPANSION * archive.stat().st_size)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".extracting_") as temporary:
        inside = Path(temporary, "files")
        inside.mkdir()
        members = _from_zip if zipfile.is_zipfile(archive) else _from_tar
        for name, file in members(archive):
            target = inside / plain_path(name, archive)
            if file is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as out:
                while block := file.read(2**20):
                    limit -= out.write(block)
                    if limit < 0:
                        raise problem("The archive grows beyond measure.", where=str(archive), received=name)
        if folder.exists():
            shutil.copytree(inside, folder, dirs_exist_ok=True)
        else:
            inside.rename(folder)


def plain_path(name: str, where: Any) -> Path:
    """A relative path that stays below its folder on every system."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    bad = name.startswith("/") or any(p == ".." or any(c in p for c in '\\:\0') for p in parts)
    if bad:
        raise problem("A name in the archive leads out of its folder.", received=repr(name), where=str(where),
                      expected="relative names")
    return Path(*parts)


def _from_zip(path: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = info.external_attr >> 28  # the kind of file, where the archive comes from Unix
            if kind not in (0, 4, 8):
                raise _no_file(info.filename, path)
            if info.is_dir():
                yield info.filename, None
            else:
                with archive.open(info) as file:
                    yield info.filename, file


def _from_tar(path: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    with tarfile.open(path, "r:*") as archive:
        for info in archive:
            if info.isdir():
                yield info.name, None
            elif info.isreg():
                yield info.name, archive.extractfile(info)
            else:
                raise _no_file(info.name, path)


def _no_file(name: str, path: Path) -> Exception:
    return problem("A member of the archive is no plain file.", received=repr(name), where=str(path),
                   expected="files and folders; no links or devices")
