"""Assets: the files that layers keep beside their weights, such as a vocabulary, at assets/<path of the layer>/.

A layer writes them into a folder by `save_assets` and reads them from one by `load_assets`, as in Keras. Reading,
Kyeo's own layers get the bytes (`read_assets`); a class of the user's own sees a fresh folder that holds nothing but
its own files, under names that were checked.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from kyeo.core.errors import problem
from kyeo.core.naming import is_kyeos
from kyeo.saving.weights import walk

__all__ = ["ASSETS", "AssetReader", "load_assets", "saved_assets"]

ASSETS = "assets"
MAX_ASSETS = 10_000  # files in all
AssetReader = Callable[[str], bytes]  # the name of a member -> what is in it


def _owners(model: Any, method: str) -> Iterator[tuple[str, Any]]:
    return ((path, item) for path, item in walk(model) if callable(getattr(item, method, None)))


def saved_assets(model: Any) -> Iterator[tuple[str, Path]]:
    """Each file that a layer of the model writes, as its name in the zip and where it lies for now."""
    for path, item in _owners(model, "save_assets"):
        with tempfile.TemporaryDirectory() as folder:
            item.save_assets(folder)
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file() and not file.is_symlink():
                    yield "/".join(filter(None, (ASSETS, path, file.relative_to(folder).as_posix()))), file


def load_assets(model: Any, names: list[str], read: AssetReader, where: str) -> None:
    """Give each layer that takes assets those that lie under its path.

    Args:
        model: the model, with its weights.
        names: the names of all members of the file.
        read: gives the bytes of a member.
        where: how messages name the file.
    """
    members = [name for name in names if name.startswith(ASSETS + "/") and not name.endswith("/")]
    if len(members) > MAX_ASSETS:
        raise problem("The file holds too many assets.", where=where, received=f"{len(members)} files",
                      expected=f"at most {MAX_ASSETS}")
    owners = list(_owners(model, "load_assets")) if members else []
    paths = {path for path, _ in owners}
    for path, item in owners:
        begin = f"{ASSETS}/{path}/" if path else f"{ASSETS}/"
        mine = [n for n in members if n.startswith(begin) and not _of_another(n, path, paths)]
        if not mine:
            continue
        files = {_checked(name[len(begin):], where): name for name in mine}
        if is_kyeos(type(item).load_assets):
            item.read_assets({short: read(name) for short, name in files.items()})
            continue
        with tempfile.TemporaryDirectory() as folder:
            for short, name in files.items():
                target = Path(folder, short)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(read(name))
            item.load_assets(folder)


def _of_another(name: str, path: str, paths: set[str]) -> bool:
    """Whether a member lies under a longer path, that of a layer inside this one."""
    parents = {str(p).removeprefix(ASSETS).lstrip("/") for p in PurePosixPath(name).parents}
    return any(len(other) > len(path) for other in parents & paths)


def _checked(name: str, where: str) -> str:
    """A relative name that stays below its folder on every system."""
    parts = name.split("/")
    bad = [p for p in parts if p in ("", ".", "..") or any(c in p for c in '\\:\0') or len(p) > 200]
    if bad:
        raise problem("The name of an asset cannot be one of a file.", received=repr(name), where=where,
                      expected="plain names, divided by /")
    return name

