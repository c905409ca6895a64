"""What a user may write where an object is wanted: the object, its class, its name, its config, a function.

The rooms of rows (initializers, losses, ...) share this one reading of an identifier; each gives its name.
"""

import re
from collections.abc import Mapping
from typing import Any

from kyeo.core.configurable import deserialize_value, serialize_value
from kyeo.core.errors import did_you_mean, problem
from kyeo.core.registry import custom_object_scope, find, names_in, register_builtin

__all__ = ["deserialize_in", "register_aliases", "resolve", "serialize_named"]


def register_aliases(room: str, aliases: Mapping[str, Any]) -> None:
    """File further names of the room's classes and functions ("glorot_uniform", "mse")."""
    for name, value in aliases.items():
        register_builtin(room, name, value)


def resolve(identifier: Any, room: str) -> Any:
    """The object an identifier means, as the `get` of a room; None stays None, a class is called.

    >>> resolve("zeros", "initializers"), resolve(None, "initializers")
    (Zeros(), None)
    """
    if isinstance(identifier, dict):
        identifier = deserialize_in(identifier, room)
    elif isinstance(identifier, str):
        identifier = _named(identifier, room)
    if identifier is None:
        return None
    if isinstance(identifier, type):
        identifier = identifier()
    if not callable(identifier):
        raise problem(f"This cannot be read as one of the {room}.", received=identifier, where=f"kyeo.{room}",
                      expected=f"a name, an object or class of kyeo.{room}, a config, or a function",
                      fix=_mend(identifier, room))
    return identifier


# What programs ask for by a name that the room does not have.
_MEANT = {"rmse": "root_mean_squared_error", "f1": "f1_score", "r2": "r2_score"}


def _mend(value: Any, room: str) -> str | None:
    if isinstance(value, (int, float)):
        return {"initializers": f"Constant({value}) of kyeo.initializers", "constraints": f"MaxNorm({value})",
                "regularizers": f"L2({value}) of kyeo.regularizers",
                "activations": "a layer is told the size of its output alone; it reads that of the input off the data",
                }.get(room)
    if hasattr(value, "shape") and room in ("losses", "metrics"):
        return "give the function itself, not what it gives for some labels"
    return None


def _named(name: str, room: str) -> Any:
    found = find(name, room)
    if found is None:
        raise problem(f"There is no {name!r} in kyeo.{room}.", received=repr(name), where=f"kyeo.{room}",
                      expected=f"a name of kyeo.{room}, or one you registered",
                      fix=_name_meant(name, room))
    return found


def _name_meant(name: str, room: str) -> str | None:
    call = re.fullmatch(r"(\w+)\(.*\)", name)
    if call and find(call[1], room):
        return f"without quotation marks: kyeo.{room}.{name}"
    if room == "metrics" and name in _MEANT:
        return f'call it "{_MEANT[name]}"'
    if room == "metrics" and name.removeprefix("val_") in ("loss", *names_in(room)):
        return "leave it out: the loss, and what is worked out for validation data, is there by itself"
    return did_you_mean(name, names_in(room)) or _elsewhere(name, room)


def _elsewhere(name: str, room: str) -> str | None:
    found = next((r for r in ("optimizers", "losses", "metrics", "layers") if r != room and find(name, r)), None)
    return f"it is a name of kyeo.{found}: compile(optimizer, loss, metrics=[...])" if found else None


def serialize_named(value: Any) -> Any:
    """An object as plain values; a function of Kyeo as its name."""
    return serialize_value(value)


def deserialize_in(config: Any, room: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """The object a config (or a name) describes, looked for in `custom_objects` and in the room."""
    with custom_object_scope(custom_objects):
        if isinstance(config, str):
            found = _named(config, room)
            return found() if isinstance(found, type) else found
        if isinstance(config, dict) and not (config.get("module") and "config" in config):
            module = config.get("module") or f"keras.{room}"
            config = {**config, "module": module, "config": config.get("config", {})}
        return deserialize_value(config)
