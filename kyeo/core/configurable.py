"""Configurable: an object is its constructor call. Config, copy and repr are read off the signature.

The class, not the instance, does the work: `__init_subclass__` wraps `__init__` once so that it remembers
its arguments. Reading a config prefers the live attribute named like the parameter (so `layer.rate = 0.2` is
saved) and falls back on the argument.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Self

import jax
import numpy as np

from kyeo.core.errors import describe, problem
from kyeo.core.registry import find, get_registered_name, public_module, register_builtin

__all__ = ["Configurable", "deserialize_value", "parameters_of", "serialize_value"]


class Configurable:
    """Base of everything that can be described by its constructor's arguments."""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        parts = cls.__module__.split(".")
        if parts[0] == "kyeo" and len(parts) > 1 and not cls.__name__.startswith("_"):
            register_builtin(parts[1], cls.__name__, cls)
        if "__init__" in cls.__dict__:
            cls.__init__ = _remembering(cls.__init__)  # type: ignore[method-assign]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain, JSON-ready values."""
        given = _given(self)
        config = {}
        for name, default in parameters_of(type(self)).items():
            value = getattr(self, name, given.get(name, default))
            if name not in given and value is inspect.Parameter.empty:
                continue
            config[name] = serialize_value(value, owner=self, name=name)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """An object like the one whose `get_config` gave `config`."""
        return cls(**{name: deserialize_value(value) for name, value in config.items()})

    def __repr__(self) -> str:
        given = _given(self)
        inner = ", ".join(f"{k}={describe(getattr(self, k, v))}" for k, v in given.items())
        return f"{type(self).__name__}({inner})"


def _remembering(init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def remembering(self: Any, *args: Any, **kwargs: Any) -> None:
        if "_given" not in self.__dict__:  # the most derived constructor runs first and is the one that counts
            self.__dict__["_given"] = (remembering, args, kwargs)
        init(self, *args, **kwargs)

    return remembering


def _given(owner: Any) -> dict[str, Any]:
    """The arguments the constructor got, by parameter name."""
    init, args, kwargs = owner.__dict__.get("_given", (None, (), {}))
    if init is None:
        return {}
    signature = inspect.signature(init)
    if args and any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
        raise problem(f"{type(owner).__name__} takes *args, so its config cannot be derived.", where=owner,
                      fix="name the constructor's arguments, or write get_config and from_config")
    bound = signature.bind(owner, *args, **kwargs).arguments
    extra = next((bound.pop(n) for n, p in signature.parameters.items() if p.kind is p.VAR_KEYWORD and n in bound), {})
    return {**dict(list(bound.items())[1:]), **extra}


@functools.cache
def parameters_of(cls: type) -> dict[str, Any]:
    """Constructor parameters with their defaults, `**kwargs` followed to the next class; base ones first."""
    levels: list[dict[str, Any]] = []
    for base in cls.__mro__:
        init = base.__dict__.get("__init__")
        if init is None or base is object:
            continue
        parameters = list(inspect.signature(init).parameters.values())[1:]
        plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        levels.append({p.name: p.default for p in parameters if p.kind in plain})
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    # base first, as Keras orders a config; but the most derived default of a name wins
    merged: dict[str, Any] = {}
    for level in reversed(levels):
        merged.update(level)
    return merged


def serialize_value(value: Any, owner: Any = None, name: str = "") -> Any:
    """One value of a config in plain form; what cannot be written raises here, naming parameter and class."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [serialize_value(v, owner, name) for v in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {k: serialize_value(v, owner, name) for k, v in value.items()}
    if isinstance(value, (np.integer, np.floating, np.bool_)):
        return value.item()
    if isinstance(value, (np.ndarray, jax.Array)):
        array = np.asarray(value)
        return {"class_name": "__numpy__", "config": {"value": array.tolist(), "dtype": array.dtype.name}}
    if isinstance(value, np.dtype):
        return value.name
    if hasattr(value, "get_config") and not isinstance(value, type):
        return serialize_object(value)
    if callable(value):
        return _serialize_function(value, owner, name)
    raise problem(f"`{name}` cannot be written into a config.", received=value, where=owner,
                  expected="plain values, arrays, registered functions, or objects with get_config")


def serialize_object(value: Any) -> dict[str, Any]:
    """The four fields by which a file names an object."""
    cls = type(value)
    module = public_module(cls)
    return {
        "module": module or cls.__module__, "class_name": cls.__name__, "config": value.get_config(),
        "registered_name": None if module else get_registered_name(cls),
    }


def _serialize_function(function: Any, owner: Any, name: str) -> Any:
    text = getattr(function, "__name__", "")
    if function is find(text, getattr(function, "__module__", "")):
        if getattr(function, "__module__", "").startswith("kyeo."):
            return text
        return {"module": function.__module__, "class_name": "function", "config": text,
                "registered_name": get_registered_name(function)}
    registered = get_registered_name(function)
    if ">" in registered:
        return {"module": function.__module__, "class_name": "function", "config": text,
                "registered_name": registered}
    if "<lambda>" in text or not text:
        raise problem(f"`{name}` is a lambda, which has no name to be saved by.", received=function, where=owner,
                      fix="define it with `def` under @kyeo.saving.register_keras_serializable()")
    return {"module": "builtins", "class_name": "function", "config": text, "registered_name": text}


def deserialize_value(value: Any) -> Any:
    """The value `serialize_value` wrote; objects are made by the class the registry finds, nothing else."""
    if isinstance(value, (list, tuple)):
        return type(value)(deserialize_value(v) for v in value)
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__numpy__":
        return np.array(value["config"]["value"], dtype=value["config"]["dtype"])
    if "class_name" in value and "config" in value:
        return _deserialize_object(value)
    return {k: deserialize_value(v) for k, v in value.items()}


def _deserialize_object(spec: dict[str, Any]) -> Any:
    is_function = spec["class_name"] == "function"
    wanted = spec["config"] if is_function else spec["class_name"]
    found = find(wanted, spec.get("module"), spec.get("registered_name"))
    if found is None:
        raise problem(
            f"The {'function' if is_function else 'class'} `{wanted}` is not known here.",
            received=f"module={spec.get('module')!r}, registered_name={spec.get('registered_name')!r}",
            expected="a public Kyeo name, or one you registered",
            fix=f'pass custom_objects={{"{wanted}": {wanted}}}, or decorate it with '
                "@kyeo.saving.register_keras_serializable()",
        )
    return found if is_function else found.from_config(spec["config"])
