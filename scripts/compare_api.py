"""Compare the public names and signatures of the installed Keras with Kyeo's; print what is missing or different.

    KERAS_BACKEND=jax python scripts/compare_api.py [room ...]

What is left out or different on purpose stands in docs/differences.md, in the tables "Names left out" and "Signatures
that differ": the first cell of a row holds the names, in backticks, without "keras." before them. Exit code 1 when
something else is missing or different, or when a row of those tables has nothing left to explain.
"""

import inspect
import os
import pathlib
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

__all__ = ["differences", "documented", "main"]

# Rooms and names that are being built: what they lack is no mistake yet.
IN_WORK: tuple[str, ...] = ()
DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "differences.md"
EVERYWHERE = ("name", "trainable", "dtype")
EMPTY, STARS = inspect.Parameter.empty, inspect.Parameter.VAR_POSITIONAL
_SKIPPED = {"src"}  # Keras's own inside


def names(module: types.ModuleType, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every public name below a module of Keras, as a path without "keras.", and what it stands for."""
    for name in sorted(dir(module)):
        value = getattr(module, name)
        if name.startswith("_") or (not prefix and name in _SKIPPED):
            continue
        yield prefix + name, value
        if isinstance(value, types.ModuleType) and value.__name__.startswith("keras."):
            yield from names(value, f"{prefix}{name}.")


def found(root: Any, path: str) -> Any:
    """What a path names below a module; AttributeError if there is nothing."""
    for name in path.split("."):
        root = getattr(root, name)
    return root


def parameters(value: Any) -> list[tuple[str, Any, Any]] | None:
    """Name, kind and default of every parameter of a function or constructor; None for other things."""
    if not callable(value):
        return None
    is_class = inspect.isclass(value)
    try:
        listed = list(inspect.signature(value.__init__ if is_class else value).parameters.values())[is_class:]
    except (TypeError, ValueError):
        return None
    return [("kwargs" if p.kind is p.VAR_KEYWORD else p.name, p.kind,
             "callable" if callable(p.default) and p.default is not EMPTY else p.default) for p in listed]


def plain(default: Any) -> str:
    """A default as a text: (1, 1) means what 1 means, a list what a tuple means."""
    if isinstance(default, (tuple, list)) and default and all(type(v) is int and v == default[0] for v in default):
        default = default[0]
    return repr(tuple(default) if isinstance(default, list) else default)


def same(theirs: list[tuple[str, Any, Any]], ours: list[tuple[str, Any, Any]] | None) -> bool:
    """Whether every call of theirs is one of ours and means the same.

    Ours may have more parameters if they are optional and come last, and a default where theirs has none. What every
    layer takes (its name, ...) may be a parameter or among the keywords.
    """
    if ours is None:
        return False
    star = inspect.Parameter.VAR_KEYWORD
    ours_by_name, open_ended = {n: (i, k, d) for i, (n, k, d) in enumerate(ours)}, any(k is star for _, k, _ in ours)
    for place, (name, kind, default) in enumerate(theirs):
        if kind is star:
            if not open_ended and not set(ours_by_name) >= set(EVERYWHERE):
                return False
        elif name in EVERYWHERE and (open_ended or name in ours_by_name):
            continue
        elif name not in ours_by_name:
            return False
        else:
            own_place, own_kind, own_default = ours_by_name[name]
            if (own_place, own_kind) != (place, kind) or plain(default) not in (plain(own_default), plain(EMPTY)):
                return False
    rest = set(ours_by_name) - {name for name, _, _ in theirs}
    return all(ours_by_name[n][2] is not EMPTY or ours_by_name[n][1] in (star, STARS) for n in rest)


def shown(listed: list[tuple[str, Any, Any]]) -> str:
    """Parameters as one would write them."""
    stars = {STARS: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return ", ".join(stars.get(k, "") + n + ("" if d is EMPTY else f"={d!r}") for n, k, d in listed)


def differences(keras: Any, kyeo: Any) -> Iterator[tuple[str, str]]:
    """(path, what is wrong) of every public name of Keras that is missing in Kyeo or takes other arguments."""
    for path, theirs in names(keras):
        try:
            ours = found(kyeo, path)
        except AttributeError:
            if "." not in path or path.rpartition(".")[0] not in _missing_rooms(keras, kyeo):
                yield path, "missing"
            continue
        wanted, given = parameters(theirs), parameters(ours)
        if wanted is not None and not same(wanted, given):
            yield path, f"({shown(wanted)})\n    here: ({shown(given or [])})"


def _missing_rooms(keras: Any, kyeo: Any, cache: dict[int, set[str]] = {}) -> set[str]:  # noqa: B006
    """Modules of Keras that are missing whole: said once, not for each name in them."""
    if id(kyeo) not in cache:
        rooms = [path for path, value in names(keras) if isinstance(value, types.ModuleType)]
        cache[id(kyeo)] = {room for room in rooms if not _is_there(kyeo, room)}
    return cache[id(kyeo)]


def _is_there(root: Any, path: str) -> bool:
    try:
        found(root, path)
    except AttributeError:
        return False
    return True


def documented(title: str) -> set[str]:
    """The names in the first cells of the table below a heading of the document; `layers.*` stands for a room."""
    text = DOCUMENT.read_text(encoding="utf-8")
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\|([^|]*)\|", section[1], re.MULTILINE) if section else []
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def in_work(path: str) -> bool:
    """Whether somebody builds this room now."""
    return any(path == room or path.startswith(room + ".") for room in IN_WORK)


def main(rooms: list[str]) -> int:
    """Print the differences that are neither documented nor in work, or all of them in `rooms`; the exit code."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    import kyeo

    left_out, different = documented("Names left out"), documented("Signatures that differ")
    used, wrong = set(), 0
    for path, what in differences(keras, kyeo):
        allowed = left_out if what == "missing" else different
        reasons = {path, path.split(".")[0] + ".*"} & allowed
        used |= reasons
        if reasons or (not rooms and in_work(path)) or (rooms and path.split(".")[0] not in rooms):
            continue
        wrong += 1
        print(f"{path}: {what}")
    stale = {name for name in (left_out | different) - used if not in_work(name)}
    for name in sorted(stale if not rooms else ()):
        wrong += 1
        print(f"{name}: documented in {DOCUMENT.name}, but Kyeo has it as Keras does")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    sys.exit(main(sys.argv[1:]))
