"""Download a file once into the cache that Keras uses too, and check it against a known SHA-256."""

import hashlib
import os
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path

from kyeo.core.files import atomic_write, sha256_of

__all__ = ["cache_folder", "checksum", "download", "fetch"]


def cache_folder() -> Path:
    """Give the folder for downloaded data: `$KERAS_HOME/datasets`, by default `~/.keras/datasets`.

    Where the home folder cannot be written, a folder beside the system's temporary files serves.

    Example:
        >>> from kyeo.datasets.fetch import cache_folder
        >>> cache_folder().name
        'datasets'
    """
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    nearest = next(folder for folder in (home, *home.absolute().parents) if folder.exists())
    if not os.access(nearest, os.W_OK):
        home = Path(tempfile.gettempdir(), ".keras")
    return home / "datasets"


def fetch(name: str, url: str, sha256: str, subfolder: str = "") -> Path:
    """Give the path of the cached file `name`, downloading it from `url` first where needed.

    A cached file with another checksum is downloaded again. A download with another checksum is thrown
    away: what is in the cache is always the whole, right file.

    Args:
        name: File name inside the cache folder.
        url: Where the file is.
        sha256: The checksum of the right file, 64 hexadecimal digits; 32 are taken for an MD5.
        subfolder: A folder inside the cache folder.

    Raises:
        ValueError: `name` has a folder in it, or what was downloaded has another checksum.
        OSError: The file cannot be downloaded.
    """
    if name in ("", "..") or Path(name).name != name:
        raise ValueError(
            "A cached file is named by its file name alone. "
            f"Received: path={name!r}. Expected: a name such as 'mnist.npz'. "
            "Set the environment variable KERAS_HOME to choose the folder."
        )
    path = cache_folder() / subfolder / name
    if path.is_file() and checksum(path, sha256) == sha256:
        return path
    download(url, path, sha256)
    return path


def checksum(path: Path, like: str) -> str:
    """The SHA-256 of a file, or its MD5 where `like` has the length of one."""
    if len(like) != 32:
        return sha256_of(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def download(url: str, path: Path, digest: str | None) -> None:
    """Put what is at `url` at `path`, whole and with the right checksum, or leave `path` as it is.

    Args:
        url: Where the file is.
        path: Where it goes; its folder is made.
        digest: SHA-256 or MD5 in hexadecimal digits; None where it is not known.

    Raises:
        ValueError: The checksum is another one.
        OSError: The file cannot be downloaded.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"Downloading {url} to {path}", file=sys.stderr, flush=True)
    with atomic_write(path) as temporary:
        try:
            with urllib.request.urlopen(url, timeout=30) as response, open(temporary, "wb") as file:
                shutil.copyfileobj(response, file)
        except OSError as error:
            hint = f"Connect to the network, or put the file at {path}."
            raise OSError(f"Cannot download {url}: {error}. {hint}") from error
        if digest is not None and (found := checksum(temporary, digest)) != digest:
            kind = "MD5" if len(digest) == 32 else "SHA-256"
            raise ValueError(
                f"{url} gave another file than it should. "
                f"Received: {kind} {found}. Expected: {kind} {digest}. Try again on another network."
            )
