"""Names <-> classes and functions: the public names, and what the user registers.

A file can only ever name what is in these tables. Nothing here imports by a name that came from a file.
"""

import importlib
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any, Self, TypeVar

from kyeo.core.errors import problem
from kyeo.core.parameters import checked

__all__ = [
    "OPS", "CustomObjectScope", "custom_object_scope", "find", "get_custom_objects", "get_registered_name",
    "get_registered_object", "names_in", "public_module", "public_name", "register_builtin", "register_for_files",
    "register_keras_serializable",
]

T = TypeVar("T")
# "package>Name" -> object, by register_keras_serializable; and the names that users put into get_custom_objects()
_registered: dict[str, Any] = {}
_for_files: dict[str, Any] = {}  # likewise, Kyeo's own for old files: no custom objects, and not to be cleared away
_names: dict[Any, str] = {}
OPS: dict[str, Callable[..., Any]] = {}  # name -> op
_builtins: dict[tuple[str, str], Any] = {}  # (room, name) -> class or function
_scoped: ContextVar[dict[str, Any]] = ContextVar("kyeo_custom_objects", default={})  # noqa: B039
# Rooms whose public classes may stand in a saved file; each is imported when a name in it is first looked up.
_ROOMS = (
    "dtype_policies", "models", "layers", "initializers", "regularizers", "constraints", "activations", "losses",
    "metrics", "optimizers", "quantizers", "random", "utils", "applications", "distillation",
)


def register_builtin(room: str, name: str, value: Any) -> None:
    """File a public class or function of Kyeo under its room ("layers", "Dense")."""
    _builtins.setdefault((room, name), value)


def register_for_files(full: str, value: Any) -> None:
    """Let files name a function of Kyeo that has no public name ("keras2>hard_sigmoid")."""
    _for_files[full] = value
    _names[value] = full


def public_name(cls: type) -> str:
    """The name by which files and users know a class: its own unless it says otherwise, as one of Keras does."""
    return cls.__dict__.get("public_name", cls.__name__)


def names_in(room: str) -> list[str]:
    """Every name filed under a room, and the registered ones: what a misspelt name is compared with."""
    return [name for r, name in _builtins if r == room] + list(_registered)


def public_module(cls: type) -> str | None:
    """The Keras module that names this built-in class in a file ("keras.layers"); None for a user's class."""
    parts = cls.__module__.split(".")
    if parts[0] != "kyeo" or len(parts) < 2:
        return None
    if "public_module" in cls.__dict__:
        return cls.__dict__["public_module"]
    room = parts[1]
    if _builtins.get((room, public_name(cls))) is not cls:
        return None
    if room == "models":
        return "keras.src.models.functional" if cls.__name__ == "Functional" else "keras"
    if room == "applications":
        return "keras.src." + ".".join(parts[1:])
    if parts[1:3] == ["optimizers", "schedules"]:
        return "keras.optimizers.schedules"
    return "keras" if cls.__name__ in ("DTypePolicy", "FloatDTypePolicy") else f"keras.{room}"


@checked
def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """Class or function decorator: let files name this object as "package>name".

    >>> import kyeo
    >>> @kyeo.saving.register_keras_serializable(package="docs")
    ... def twice(x):
    ...     return 2 * x
    >>> kyeo.saving.get_registered_name(twice)
    'docs>twice'
    """

    def decorate(value: T) -> T:
        if isinstance(value, type) and not hasattr(value, "get_config"):
            raise problem("A registered class must have a `get_config` method.", received=value.__name__,
                          fix="derive it from a kyeo class or write get_config and from_config")
        full = f"{package}>{name or value.__name__}"  # type: ignore[attr-defined]
        _registered[full] = value
        _names[value] = full
        return value

    return decorate


@checked
def get_registered_name(obj: Any) -> str:
    """The registered name of an object, or its own name."""
    return _names.get(obj, getattr(obj, "__name__", str(obj)))


@checked
def get_registered_object(
    name: str, custom_objects: dict[str, Any] | None = None, module_objects: dict[str, Any] | None = None,
) -> Any:
    """The object a name stands for: in the scope, in `custom_objects`, among the registered; else None."""
    for table in (_scoped.get(), _registered, _for_files, custom_objects or {}, module_objects or {}):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """The process-wide table of custom objects, the registered ones among them; change it in place to add names."""
    return _registered


class CustomObjectScope(ContextDecorator):
    """Let files and strings name these objects inside the block, or the function it decorates; may be entered again.

    Args:
        custom_objects: a dict from name to class or function.

    Raises:
        TypeError: it is no dict.

    >>> import kyeo
    >>> scope = kyeo.saving.CustomObjectScope({"double": lambda x: 2 * x})
    >>> with scope:
    ...     kyeo.activations.get("double")(3)
    6
    """

    @checked
    def __init__(self, custom_objects: dict[str, Any] | None):
        self.custom_objects = custom_objects or {}
        self._tokens: list[Token[dict[str, Any]]] = []

    def __enter__(self) -> Self:
        self._tokens.append(_scoped.set({**_scoped.get(), **self.custom_objects}))
        return self

    def __exit__(self, *error: object) -> None:
        _scoped.reset(self._tokens.pop())


custom_object_scope = CustomObjectScope


def find(name: str, module: str | None = None, registered_name: str | None = None) -> Any:
    """The class or function a file means by (module, name), or None. Only the tables are consulted."""
    for key in (registered_name, name):
        found = get_registered_object(key) if key else None
        if found is not None:
            return found
    parts = (module or "keras").split(".")
    rooms = [part for part in parts if part in _ROOMS]
    if parts == ["keras", "ops"] and name in OPS:
        return OPS[name]
    if not rooms and parts[:2] == ["kyeo", "ops"]:
        rooms = ["activations"]  # an activation is an op under a second name
    if not rooms:
        if parts[0] not in ("keras", "kyeo", "builtins") or "ops" in parts:
            return None  # a user's module: a class of Kyeo that has the same name is not meant
        rooms = list(_ROOMS)
    for room in rooms:
        importlib.import_module(f"kyeo.{room}")  # `room` is one of the fixed rooms above, never the file's text
        if (room, name) in _builtins:
            return _builtins[room, name]
    if parts == ["builtins"]:  # a registered function in a file of Keras 3.6 or older, which left out the package
        found = [value for full, value in _registered.items() if full.endswith(f">{name}")]
        return found[0] if len(found) == 1 else None
    return None
