"""get_file: a file from the network, kept in the cache."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kyeo.core.errors import problem
from kyeo.core.parameters import checked
from kyeo.datasets.archives import extract, is_archive
from kyeo.datasets.fetch import cache_folder, checksum, download

__all__ = ["get_file"]

_KINDS = {"auto": ("tar", "zip"), "tar": ("tar",), "zip": ("zip",), None: ()}


@checked
def get_file(
    fname: Any = None, origin: str | None = None, untar: bool = False, md5_hash: str | None = None,
    file_hash: str | None = None, cache_subdir: str = "datasets", hash_algorithm: str = "auto",
    extract: bool = False, archive_format: Any = "auto", cache_dir: Any = None, force_download: bool = False,
) -> str:
    """The path of a file from the network, which is downloaded only if it is not in the cache yet.

    A file appears in the cache whole and, if a checksum is given, right; or not at all.

    Args:
        fname: its name in the cache; the last part of `origin` where None.
        origin: its URL.
        untar: as `extract`, for tar archives.
        md5_hash: as `file_hash` with "md5".
        file_hash: the checksum it must have, in hexadecimal digits.
        cache_subdir: folder inside the cache.
        hash_algorithm: "sha256", "md5", or "auto" (by the length of `file_hash`).
        extract: whether to take the files out of an archive; the path of their folder is given back. A name that
            leads out of the folder or a link is refused.
        archive_format: "auto", "tar", "zip", or a list of them.
        cache_dir: the cache; `$KERAS_HOME` or `~/.keras` where None.
        force_download: whether to download it again.

    Raises:
        ValueError: the checksum is another one, or the archive is not safe.
        OSError: it cannot be downloaded.

    >>> import kyeo, pathlib, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> source = pathlib.Path(folder, "source.txt")
    >>> _ = source.write_text("hello")
    >>> path = kyeo.utils.get_file("copy.txt", source.as_uri(), cache_dir=folder)
    >>> pathlib.Path(path).read_text()
    'hello'
    """
    if origin is None:
        raise problem("`origin` is missing.", received="origin=None", where="get_file", expected="a URL")
    name = os.fspath(fname) if fname else os.path.basename(urlsplit(origin).path)
    if not name or name in (".", "..") or Path(name).name != name or "\\" in name:
        raise problem("A cached file is named by its file name alone.", received=f"fname={name!r}", where="get_file",
                      expected="a name such as 'flowers.tgz'", fix="choose the folder by cache_dir and cache_subdir")
    digest = _digest(file_hash or md5_hash, hash_algorithm if file_hash or not md5_hash else "md5")
    _wanted(archive_format)
    folder = (Path(cache_dir).expanduser() if cache_dir is not None else cache_folder().parent) / cache_subdir
    target, unpacked = _places(folder, name, bool(fname))
    if not (extract or untar):
        target = folder / name
    if force_download or not target.is_file() or checksum(target, digest) != digest:
        download(origin, target, digest)
    if not (extract or untar):
        return str(target)
    return str(_unpacked(target, unpacked, "tar" if untar else archive_format))


def _digest(digest: str | None, algorithm: str) -> str | None:
    lengths = {"sha256": (64,), "md5": (32,), "auto": (32, 64)}
    if algorithm not in lengths:
        raise problem("`hash_algorithm` is not known.", received=f"hash_algorithm={algorithm!r}", where="get_file",
                      expected='"sha256", "md5" or "auto"')
    if digest is not None and len(digest) not in lengths[algorithm]:
        raise problem("`file_hash` is not a checksum.", received=f"{digest!r}, {len(digest)} digits", where="get_file",
                      expected=" or ".join(f"{n} hexadecimal digits" for n in lengths[algorithm]))
    return None if digest is None else digest.lower()


def _places(folder: Path, name: str, named: bool) -> tuple[Path, Path]:
    """Where Keras keeps an archive, and what was in it."""
    if named and "." in name:
        return folder / name, folder / f"{name[:name.find('.')]}_extracted"
    return folder / f"{name}_archive", folder / name


def _wanted(kinds: Any) -> list[Any]:
    """The kinds of archives that `archive_format` names."""
    wanted = list(kinds) if isinstance(kinds, (list, tuple)) else [kinds]
    if any(kind not in _KINDS for kind in wanted):
        raise problem("`archive_format` is not known.", received=f"archive_format={kinds!r}", where="get_file",
                      expected='"auto", "tar", "zip", or a list of them')
    return wanted


def _unpacked(archive: Path, folder: Path, kinds: Any) -> Path:
    if not is_archive(archive, tuple(kind for name in _wanted(kinds) for kind in _KINDS[name])):
        raise problem("The file is no archive of this kind.", received=str(archive), where="get_file",
                      expected=f"archive_format={kinds!r}")
    extract(archive, folder)
    return folder
