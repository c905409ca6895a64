"""Download a file once into the cache that Keras uses too, and check it against a known checksum."""

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from kyeo.core.errors import problem
from kyeo.core.files import atomic_write
from kyeo.core.progbar import Progbar, is_live

__all__ = ["cache_folder", "checksum", "download", "fetch"]


def cache_folder(name: str = "datasets") -> Path:
    """Give the folder for downloaded data: `$KERAS_HOME/datasets`, by default `~/.keras/datasets`.

    Args:
        name: Another folder beside it, such as "models".

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
    return home / name


def fetch(name: str, url: str, digest: str | None, folder: str = "datasets") -> Path:
    """Give the path of the cached file `name`, downloading it from `url` first where needed.

    A cached file with another checksum is downloaded again. A download with another checksum is thrown
    away: what is in the cache is always the whole, right file.

    Args:
        name: File name inside the cache folder.
        url: Where the file is.
        digest: The checksum of the right file: SHA-256 (64 hexadecimal digits), or MD5 (32) where no other
            was published; None where none was, then whatever comes is taken.
        folder: Which folder of the cache.

    Raises:
        ValueError: `name` has a folder in it, or what was downloaded has another checksum.
        OSError: The file cannot be downloaded.
    """
    if name in ("", "..") or Path(name).name != name:
        raise problem("A cached file is named by its file name alone.", received=f"path={name!r}",
                      expected="a name such as 'mnist.npz'",
                      fix="set the environment variable KERAS_HOME to choose the folder")
    path = cache_folder(folder) / name
    if path.is_file() and checksum(path, digest) == digest:
        return path
    download(url, path, digest)
    return path


def checksum(path: Path, like: str | None) -> str | None:
    """The checksum of a file, of the kind that `like` is; None for None."""
    if like is None:
        return None
    with open(path, "rb") as file:
        if len(like) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest()
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
    import urllib.request
    from http.client import HTTPException

    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"Downloading {url} to {path}", file=sys.stderr, flush=True)
    with atomic_write(path) as temporary:
        try:
            with urllib.request.urlopen(url, timeout=30) as response, open(temporary, "wb") as file:
                _copy(response, file)
        except (OSError, HTTPException) as error:
            wrong = path.is_file() and checksum(path, digest) != digest
            hint = f"Connect to the network, or put the file at {path}" + (
                ": the one there has another checksum." if wrong else ".")
            raise OSError(f"Cannot download {url}: {error}. {hint}") from error
        except ValueError:
            raise problem("This is no address.", received=repr(url), expected="a URL, as https://... or file:///...",
                          fix="pathlib.Path(name).absolute().as_uri() is that of a file") from None
        if (found := checksum(temporary, digest)) != digest:
            kind = "SHA-256" if len(found or "") == 64 else "MD5"
            raise problem("The download gave another file than it should.", received=f"{kind} {found}", where=url,
                          expected=f"{kind} {digest}", fix="try again on another network")


def _copy(response: Any, file: Any) -> None:
    """Write what comes, under a bar on a terminal; a connection that breaks off does not say so by itself."""
    expected = int(getattr(response, "headers", {}).get("Content-Length") or 0)
    bar, received = Progbar(expected or None, unit_name="byte") if is_live() else None, 0
    while block := response.read(2**16):
        received += file.write(block)
        if bar is not None:
            bar.update(received, finalize=received == expected)
    if bar is not None and not expected:
        bar.update(received, finalize=True)
    if received < expected:
        if bar is not None:
            bar.leave()
        raise OSError(f"the connection broke off after {received} of {expected} bytes")
