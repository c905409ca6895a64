"""The paths of the files of models, as they are given."""

import os
from pathlib import Path
from typing import Any

from kyeo.core.errors import problem

__all__ = ["existing", "local_path", "may_write"]


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
