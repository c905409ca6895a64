"""Configurable: an object is its constructor call. Config, copy and repr are read off the signature.

The class, not the instance, does the work: `__init_subclass__` wraps `__init__` once so that it remembers
its arguments. Reading a config prefers the live attribute named like the parameter (so `layer.rate = 0.2` is
saved) and falls back on the argument.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self, cast

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import describe, did_you_mean, problem
from kyeo.core.naming import is_kyeos
from kyeo.core.per_class import per_class
from kyeo.core.reading import as_read, making, reading
from kyeo.core.registry import (
    OPS,
    custom_object_scope,
    find,
    get_registered_name,
    get_registered_object,
    names_in,
    public_module,
    public_name,
    register_builtin,
)
from kyeo.core.remembering import remembering

__all__ = [
    "Configurable", "described_by", "deserialize_value", "given_arguments", "parameters_of", "serialize_object",
    "serialize_value", "sharing",
]


class Configurable:
    """Base of everything that can be described by its constructor's arguments."""

    _not_in_config: frozenset[str] = frozenset()  # parameters that a config leaves out
    _keeps_keywords: bool  # set by a class whose `**kwargs` are not for the constructors of its bases

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise problem(f"{cls.__name__} takes no arguments.", where=cls, kind=TypeError, received=", ".join(
                [*map(describe, args), *(f"{name}={describe(value)}" for name, value in kwargs.items())]))
        return super().__new__(cls)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        parts = cls.__module__.split(".")
        if parts[0] == "kyeo" and len(parts) > 1 and not cls.__name__.startswith("_"):
            register_builtin(parts[1], public_name(cls), cls)
        if isinstance(cls.__dict__.get("from_config"), classmethod):
            cls.from_config = classmethod(as_read(cls.__dict__["from_config"].__func__))  # type: ignore[assignment]
        if "__init__" in cls.__dict__:
            own = parts[0] == "kyeo"
            cls.__init__ = remembering(cls.__init__, own)  # type: ignore[method-assign]

    def _check_made(self) -> None:
        """Called after the constructor; raises where a subclass has left something out."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain, JSON-ready values."""
        given, left_out = given_arguments(self), self._not_in_config
        config = {}
        for name, default in described_by(type(self)).items():
            value = getattr(self, name, given.get(name, default))
            if name in left_out or (name not in given and value is inspect.Parameter.empty):
                continue
            config[name] = serialize_value(value, owner=self, name=name)
        return config

    @classmethod
    @as_read
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """An object like the one whose `get_config` gave `config`; classes it names are looked for in
        `custom_objects` too."""
        known = parameters_of(cls)
        with custom_object_scope(custom_objects):
            # a file of Keras may name arguments that do not exist here; where they are None they say nothing
            return cls(**{name: deserialize_value(value) for name, value in config.items()
                          if value is not None or name in known})

    def __repr__(self) -> str:
        given = given_arguments(self)
        inner = ", ".join(f"{k}={describe(getattr(self, k, v))}" for k, v in given.items())
        return f"{type(self).__name__}({inner})"


# For each constructor once: thousands of layers are described in 0.6 of the time.
_signature = functools.lru_cache(maxsize=1024)(inspect.signature)


def given_arguments(owner: Any) -> dict[str, Any]:
    """The arguments the constructor got, by parameter name."""
    init, args, kwargs = owner.__dict__.get("_given", (None, (), {}))
    if init is None:
        return {}
    signature = _signature(init)
    several = [n for n, p in signature.parameters.items() if p.kind is p.VAR_POSITIONAL]
    if args and several and is_kyeos(type(owner).get_config):
        raise problem(f"{type(owner).__name__} takes *args, so its config cannot be derived.", where=owner,
                      kind=NotImplementedError,
                      fix="name the constructor's arguments, or write get_config and from_config")
    bound = signature.bind(owner, *args, **kwargs).arguments
    for name in several:  # a class of the user's that writes its own config
        bound.pop(name, None)
    keywords = (n for n, p in signature.parameters.items() if p.kind is p.VAR_KEYWORD and n in bound)
    extra: dict[str, Any] = next((bound.pop(n) for n in keywords), {})
    return {**dict(list(bound.items())[1:]), **extra}


@per_class
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
        if not any(p.kind is p.VAR_KEYWORD for p in parameters) or "_keeps_keywords" in base.__dict__:
            break
    # base first, as Keras orders a config; but the most derived default of a name wins
    merged: dict[str, Any] = {}
    for level in reversed(levels):
        merged.update(level)
    return merged


@per_class
def described_by(cls: type) -> dict[str, Any]:
    """The parameters that `get_config` tells of, with their defaults.

    Where a class of the user's has a `get_config`, what it asks its base for is what the base knows: it adds its own.
    """
    ours = next((base for base in cls.__mro__ if base.__module__.partition(".")[0] == "kyeo"), cls)
    users = cls.__mro__[:cls.__mro__.index(ours)]
    known = parameters_of(cls)
    if not any("get_config" in vars(base) for base in users):
        return known
    return {name: default for name, default in known.items() if name in parameters_of(ours)}


def serialize_value(value: Any, owner: Any = None, name: str = "") -> Any:
    """One value of a config in plain form; what cannot be written raises here, naming parameter and class."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [serialize_value(v, owner, name) for v in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {k: serialize_value(v, owner, name) for k, v in value.items()}
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        return value.item()
    if isinstance(value, (np.ndarray, jax.Array)):
        array = np.asarray(value)
        kind = "__numpy__" if isinstance(value, np.ndarray) else "__tensor__"
        return {"class_name": kind, "config": {"value": array.tolist(), "dtype": array.dtype.name}}
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, bytes):
        return {"class_name": "__bytes__", "config": {"value": value.decode("utf-8")}}
    if isinstance(value, slice):
        parts = {key: serialize_value(getattr(value, key), owner, name) for key in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": parts}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if hasattr(value, "get_config") and not isinstance(value, type):
        return serialize_object(value)
    if callable(value):
        return _serialize_function(value, owner, name)
    raise problem(f"`{name}` cannot be written into a config.", received=value, where=owner, kind=NotImplementedError,
                  expected="plain values, arrays, registered functions, or objects with get_config",
                  fix="give its class a get_config(), under @kyeo.saving.register_keras_serializable(), or make it in "
                      "__init__ from plain values")


def serialize_object(value: Any) -> dict[str, Any]:
    """The fields by which a file names an object: module, class, config, how it was built and compiled."""
    cls = type(value)
    module = public_module(cls)
    spec: dict[str, Any] = {
        "module": module or (None if cls.__module__ == "__main__" else cls.__module__),
        "class_name": public_name(cls),
        "config": serialize_value(value.get_config(), owner=value, name="config"),
        "registered_name": None if module and "src" not in module else get_registered_name(cls),
    }
    for key in ("build_config", "compile_config"):
        get = getattr(value, f"get_{key}", None)
        found = get() if get is not None else None
        if found is not None:
            spec[key] = serialize_value(found, owner=value, name=key)
    shared = _shared.get()
    if shared is not None and shared.describing:
        spec["shared_object_id"] = shared.number(value)
    return spec


class SharedObjects:
    """Which objects stand more than once in one description, so that reading makes each of them once.

    Attributes:
        describing: whether objects are being described.
        made: while reading, what was made for a number.
    """

    def __init__(self) -> None:
        self.describing, self.made = False, dict[Any, Any]()
        self._met: dict[int, list[Any]] = {}  # by id; the objects are held, so that none is given away twice

    def described(self, value: Any) -> Any:
        """A value in plain form, with numbers for the objects in it that stand there more than once."""
        self.describing = True
        try:
            tree = serialize_value(value, name="object")
        finally:
            self.describing = False
        shared = [key for key, objects in self._met.items() if len(objects) > 1]
        return _with_numbers(tree, {key: number for number, key in enumerate(shared, 1)})

    def number(self, value: Any) -> int:
        """What stands for the number of an object that may be met once more."""
        self._met.setdefault(id(value), []).append(value)
        return _Number(id(value))


class _Number(int):
    """The id of an object in a description of which it is not known yet what stands there twice."""


def _with_numbers(tree: Any, final: dict[int, int]) -> Any:
    """A description with the final numbers in it, and without those of the objects that have none."""
    if isinstance(tree, dict):
        return {key: final[value] if isinstance(value, _Number) else _with_numbers(value, final)
                for key, value in tree.items() if not isinstance(value, _Number) or value in final}
    return type(tree)(_with_numbers(v, final) for v in tree) if isinstance(tree, (list, tuple)) else tree


_shared: ContextVar[SharedObjects | None] = ContextVar("kyeo_shared_objects", default=None)


@contextmanager
def sharing() -> Iterator[SharedObjects]:
    """Inside, an object that stands at two places of a description is one object again when it is read."""
    token = _shared.set(SharedObjects())
    try:
        yield cast(SharedObjects, _shared.get())
    finally:
        _shared.reset(token)


def _does_the_same(known: Any, function: Any) -> bool:
    """Whether it is the known function, or the op that it calls, such as `ops.relu`, with the same defaults."""
    if known is function or known is None:
        return known is function
    given, taken = (inspect.signature(f).parameters for f in (function, known))
    return all(name in taken and taken[name].default == p.default for name, p in given.items())


def _serialize_function(function: Any, owner: Any, name: str) -> Any:
    text, module = getattr(function, "__name__", ""), getattr(function, "__module__", "") or ""
    if module.startswith("kyeo.") and _does_the_same(find(text, "builtins"), function):
        return text
    if OPS.get(text) is function:  # not `builtins`: `ops.gelu` is not quite the activation of that name
        return {"module": "keras.ops", "class_name": "function", "config": text, "registered_name": text}
    if "<lambda>" in text or not text:
        raise problem(f"`{name}` is a lambda, which has no name to be saved by.", received=function,
                      where=owner, fix="define it with `def` under @kyeo.saving.register_keras_serializable()")
    registered = get_registered_name(function)
    known = find(registered, "builtins")
    if known is not None and known is not function and not isinstance(known, type):
        raise problem(f"`{name}` is a function with the name of another, which would be loaded in its place.",
                      received=f"{module}.{text}", where=owner,
                      fix="give it another name, or decorate it with "
                          "@kyeo.saving.register_keras_serializable()")
    return {"module": "builtins", "class_name": "function", "config": registered,
            "registered_name": "function"}


def deserialize_value(value: Any) -> Any:
    """The value `serialize_value` wrote; objects are made by the class the registry finds, nothing else."""
    if isinstance(value, (list, tuple)):
        return type(value)(deserialize_value(v) for v in value)
    if not isinstance(value, dict):
        return value
    if "class_name" in value and "config" in value:
        with reading():
            special = _SPECIAL.get(value["class_name"])
            return special(value["config"]) if special is not None else _deserialize_object(value)
    return {k: deserialize_value(v) for k, v in value.items()}


def _array(config: dict[str, Any]) -> np.ndarray:
    return np.asarray(config["value"], dtype=np.dtype(standardize_dtype(config["dtype"])))


def _refuse_bytecode(config: Any) -> Any:
    raise problem("This description holds a function as bytecode, which is never run.",
                  expected="functions by their names", fix="pass the function itself instead")


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "__numpy__": _array,
    "__tensor__": lambda config: jnp.asarray(_array(config)),
    "__bytes__": lambda config: config["value"].encode("utf-8"),
    "__slice__": lambda config: slice(*(deserialize_value(config[key]) for key in ("start", "stop", "step"))),
    "__ellipsis__": lambda config: Ellipsis,
    "__lambda__": _refuse_bytecode,
}


def _deserialize_object(spec: dict[str, Any]) -> Any:
    shared, number = _shared.get(), spec.get("shared_object_id")
    if shared is not None and number is not None and number in shared.made:
        return shared.made[number]
    found = _found(spec)
    if spec["class_name"] == "function":
        return found
    if not isinstance(found, type):
        raise problem("A function stands where an object is described.", received=f"class_name={spec['class_name']!r}",
                      expected="the name of a class", where=_name_in(spec), kind=TypeError)
    build, compiled = spec.get("build_config"), spec.get("compile_config")
    with making(found, _name_in(spec)):  # a class that is not a Configurable has no such frame of its own
        made = found.from_config(_without_bytecode(spec))  # type: ignore[attr-defined]
        if build and not getattr(made, "built", True):
            made.build_from_config(build)
        if compiled and hasattr(made, "compile_from_config"):
            made.compile_from_config(compiled)
    if shared is not None and number is not None:
        shared.made[number] = made
    return made


def _found(spec: dict[str, Any]) -> Any:
    """The class or function a description names."""
    is_function = spec["class_name"] == "function"
    wanted = spec["config"] if is_function else spec["class_name"]
    module = spec.get("module", "keras") or "__main__"  # Keras writes null for what was defined in a script
    found = find(wanted, module, spec.get("registered_name")) if isinstance(wanted, str) else None
    if found is not None and not (is_function and isinstance(found, type)):  # `recall` is a name of Recall, too
        return found
    kind = "function" if is_function else "class"
    bare = str(wanted).rsplit(">", 1)[-1]
    fix = f'pass custom_objects={{"{wanted}": {bare}}}, or decorate the {kind} with ' \
          "@kyeo.saving.register_keras_serializable()" + ("" if is_function else " before loading")
    if module.split(".")[0] in ("keras", "kyeo"):
        near = did_you_mean(wanted, names_in(module.split(".")[-1]))
        fix = f"this version of Kyeo has no such {kind}" + (f"; {near}" if near else "")
    raise problem(f"The {kind} `{wanted}` is not known here.", fix=fix, where=_name_in(spec), kind=TypeError,
                  received=f"module={module!r}, class_name={spec['class_name']!r}, "
                           f"registered_name={spec.get('registered_name')!r}",
                  expected="a public name of Kyeo, or a class or function you registered")


def _name_in(spec: dict[str, Any]) -> str | None:
    config = spec["config"]
    name = config.get("name") if isinstance(config, dict) else None
    return f'{spec["class_name"]} "{name}"' if isinstance(name, str) else None


def _without_bytecode(spec: dict[str, Any]) -> dict[str, Any]:
    """The config of an object; a function stored as bytecode is refused, unless the caller gave one by the
    name of the layer."""
    config = spec["config"] if spec["config"] is not None else {}
    if not isinstance(config, dict):
        raise problem("The config of an object must be a dict.", received=config, where=spec["class_name"])
    stored = [k for k, v in config.items() if isinstance(v, dict) and v.get("class_name") == "__lambda__"]
    if not stored:
        return config
    name = config.get("name")
    given = get_registered_object(name) if isinstance(name, str) else None
    if given is None or len(stored) > 1:
        raise problem(
            f"The {spec['class_name']} layer \"{name}\" is stored as Python bytecode, which is never run: it "
            "could do anything on this computer.", received=", ".join(f"`{k}` as bytecode" for k in stored),
            expected="functions by their names", where=_name_in(spec),
            fix=f'write the function again and pass custom_objects={{"{name}": function}}')
    return {**config, stored[0]: given}
