"""Compare the public names and signatures of the installed Keras with Kyeo's; print what is missing or different.

    KERAS_BACKEND=jax python scripts/compare_api.py [room ...]

What is left out or different on purpose stands in docs/differences.md, in the tables "Names left out", "Signatures
that differ" and "Methods left out": the first cell of a row holds the names, in backticks, without "keras." before
them, for a method with the class of Keras that has it (`Layer.build`). Exit code 1 when something else is missing or
different, or when a row of those tables has nothing left to explain.
"""

import dis
import functools
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
# Methods that Keras calls, by place, and whose parameters have several names in Keras itself.
BY_PLACE = {"build", "call", "compute_mask", "update_step", "transform_bounding_boxes", "transform_labels",
            "transform_segmentation_masks", "get_random_transformation"}
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


def members(cls: type) -> Iterator[tuple[str, list[str]]]:
    """Each public method and property of a class, and the classes of Keras that write it, the nearest one first."""
    for name in dir(cls):
        home = [base for base in cls.__mro__ if name in base.__dict__]
        if name[0] != "_" and home[-1].__module__.startswith("keras."):
            yield name, [base.__name__ for base in home]


def has(cls: type, name: str) -> bool:
    """Whether objects of a class have a name: the class has it, or its methods assign it."""
    return hasattr(cls, name) or any(
        name in assigned(base) or name in inspect.get_annotations(base) for base in cls.__mro__)


@functools.cache
def assigned(cls: type) -> tuple[str, ...]:
    """The attributes that the methods of a class assign to `self`, which Python keeps from 3.13 on."""
    if sys.version_info >= (3, 13):
        return tuple(getattr(cls, "__static_attributes__", ()))
    methods = [inspect.unwrap(f) for f in vars(cls).values() if inspect.isfunction(f)]
    return tuple(name for method in methods for name in stored_by(method.__code__))


def stored_by(code: types.CodeType) -> set[str]:
    """The names of all attributes that a piece of code sets."""
    found = {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"}
    return found.union(*(stored_by(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def method_differences(keras: Any, kyeo: Any) -> dict[str, str]:
    """What is wrong with each method, named `Class.method`, of the classes that both have."""
    wrong: dict[str, str] = {}
    for path, theirs in names(keras):
        try:
            ours = found(kyeo, path)
        except AttributeError:
            continue
        if not inspect.isclass(theirs) or not inspect.isclass(ours):
            continue
        for name, homes in members(theirs):
            if not has(ours, name):
                wrong.setdefault(f"{homes[-1]}.{name}", f"missing in {path}")
            elif not _same_method(getattr(theirs, name), getattr(ours, name, None), name):
                wanted, given = (shown(parameters(getattr(cls, name)) or []) for cls in (theirs, ours))
                wrong.setdefault(f"{homes[0]}.{name}", f"{path} ({wanted})\n    here: ({given})")
    return wrong


def _same_method(theirs: Any, ours: Any, name: str) -> bool:
    """Methods are compared as functions are, but for those in BY_PLACE."""
    wanted, given = parameters(theirs), parameters(ours)
    if not inspect.isroutine(theirs) or wanted is None:
        return True
    if given is None:
        return False
    if {STARS, inspect.Parameter.VAR_KEYWORD} <= {kind for _, kind, _ in given}:
        return True  # takes everything
    if name in BY_PLACE:
        wanted, given = ([(str(i), k, None) for i, (_, k, _) in enumerate(p) if k not in (STARS, p[0][1].VAR_KEYWORD)]
                         for p in (wanted, given))
    return same(wanted, given)


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
    methods = documented("Methods left out")
    for path, what in sorted(method_differences(keras, kyeo).items()) if not rooms else ():
        used |= {path} & methods
        if path not in methods:
            wrong += 1
            print(f"{path}: {what}")
    stale = {name for name in (left_out | different | methods) - used if not in_work(name)}
    for name in sorted(stale if not rooms else ()):
        wrong += 1
        print(f"{name}: documented in {DOCUMENT.name}, but Kyeo has it as Keras does")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
    sys.exit(main(sys.argv[1:]))
