"""Objects <-> plain values <-> JSON text, in the form Keras's files have.

The work is in `kyeo.core.configurable`, which knows classes and functions only through the registry. Here are
its public faces, and the reading of JSON text, which is checked before anything is made of it.
"""

import json
from typing import Any

from kyeo.core.configurable import deserialize_value, sharing
from kyeo.core.errors import problem
from kyeo.core.parameters import checked
from kyeo.core.reading import reading
from kyeo.core.registry import custom_object_scope, get_registered_object

__all__ = [
    "deserialize_keras_object", "model_from_config", "model_from_json", "model_to_json", "read_json",
    "serialize_keras_object",
]

MAX_DEPTH = 400  # of lists and dicts in each other; a model inside a model costs about six


@checked
def serialize_keras_object(obj: Any) -> Any:
    """An object as plain values, as they stand in a file.

    Args:
        obj: a layer, model, loss, optimizer, function, array, ..., or a list or dict of them.

    Raises:
        ValueError: something in it has no name to be found by, such as a lambda.

    >>> import kyeo
    >>> kyeo.saving.serialize_keras_object(kyeo.initializers.Zeros())["class_name"]
    'Zeros'
    """
    with sharing() as shared:
        return shared.described(obj)


@checked
def deserialize_keras_object(
    config: Any, custom_objects: dict[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any,
) -> Any:
    """The object that `serialize_keras_object` described.

    Args:
        config: what it gave, or what stands in a file of Keras.
        custom_objects: {name: class or function} for the user's own; registered ones need not be named.
        safe_mode: there is no unsafe mode; False is refused.
        kwargs: `module_objects`, {name: class or function}, lets a name alone, or a dict of `class_name` and `config`,
            stand for one of these; `printable_module_name` is what they are called in errors.

    Raises:
        TypeError: a class or function is not known here.
        ValueError: the description holds bytecode, or is not well formed.

    >>> import kyeo
    >>> kyeo.saving.deserialize_keras_object(kyeo.saving.serialize_keras_object(kyeo.initializers.Ones()))
    Ones()
    """
    objects, _ = kwargs.pop("module_objects", None), kwargs.pop("printable_module_name", None)
    if kwargs:
        raise problem("There is no such argument.", received=", ".join(kwargs), kind=TypeError,
                      where="deserialize_keras_object", expected="config, custom_objects, module_objects")
    check_safe_mode(safe_mode)
    check_depth(config)
    with custom_object_scope(custom_objects), sharing(), reading():
        if objects is not None:
            return _by_name(config, objects)
        if deserialize_keras_object is not _OWN and _is_container(config):
            return _by_whoever(config)
        return deserialize_value(config)


_OWN = deserialize_keras_object


def _is_container(config: Any) -> bool:
    if isinstance(config, dict):
        return not {"class_name", "config"} <= set(config)
    return isinstance(config, (list, tuple))


def _by_whoever(config: Any) -> Any:
    """A list or dict, each value read by what a library has put in the place of `deserialize_keras_object`: so
    BayesFlow reads the classes that it writes as texts."""
    if isinstance(config, dict):
        return {key: deserialize_keras_object(value) for key, value in config.items()}
    return type(config)(deserialize_keras_object(value) for value in config)


def _by_name(config: Any, objects: dict[str, Any]) -> Any:
    """One of `objects`, made from its name or from a dict that holds it; a registered one of this name comes first."""
    whole = config if isinstance(config, dict) else {"class_name": config}
    inner, full = whole.get("config") or {}, whole.get("registered_name")
    name = inner if whole.get("class_name") == "function" else whole.get("class_name")
    found = get_registered_object(name, None, objects) if isinstance(name, str) else None
    if found is None or (isinstance(full, str) and get_registered_object(full) is not None):
        return deserialize_value(config)  # a text may be meant as it is
    return found.from_config(inner) if isinstance(found, type) else found  # type: ignore[attr-defined]


def check_safe_mode(safe_mode: bool) -> None:
    """Refuse `safe_mode=False`: there is no code here that it could let loose."""
    if safe_mode is False:
        raise problem("There is no unsafe mode: code that stands in a file is never run.",
                      received="safe_mode=False", expected="safe_mode=True",
                      fix="give the functions of Lambda layers by custom_objects={layer name: function}")


def check_depth(tree: Any) -> None:
    """Refuse plain values that are nested too deep to be walked."""
    level, depth = [tree], 0
    while level:
        level = [child for value in level if isinstance(value, (dict, list, tuple))
                 for child in (value.values() if isinstance(value, dict) else value)]
        depth += 1
        if depth > MAX_DEPTH:
            raise problem("The description is nested too deep.", received=f"more than {MAX_DEPTH} levels",
                          expected=f"at most {MAX_DEPTH}")


def read_json(text: str | bytes, where: str) -> Any:
    """The values in JSON text; what is no JSON raises and says where it stood."""
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            raise ValueError("a name that stands twice in one object")
        return values

    try:
        values = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise problem("This is not the JSON of a model.", where=where, received=str(error)) from None
    check_depth(values)
    return values


@checked
def model_to_json(model: Any, **kwargs: Any) -> str:
    """The architecture of a model, and how it is compiled, as JSON text.

    Args:
        model: the model.
        kwargs: for `json.dumps`, for example `indent=2`.

    >>> import kyeo
    >>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2, name="head")])
    >>> kyeo.models.model_from_json(model.to_json()).layers[0].name
    'head'
    """
    return json.dumps(serialize_keras_object(model), **kwargs)


@checked
def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """The model, with fresh weights, that `model_to_json` (or Keras's `to_json`) described.

    Args:
        json_string: the text.
        custom_objects: {name: class or function} for the user's own.
    """
    return model_from_config(read_json(json_string, "model_from_json"), custom_objects)


@checked
def model_from_config(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The model, with fresh weights, that a description stands for.

    Args:
        config: what `serialize_keras_object(model)` gave.
        custom_objects: {name: class or function} for the user's own.
    """
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        raise problem("This does not describe a model.", received=config, where="model_from_config",
                      expected="a dict with class_name and config, as kyeo.saving.serialize_keras_object gives",
                      fix="for what model.get_config() gave, use type(model).from_config")
    model = deserialize_keras_object(config, custom_objects)
    if not hasattr(model, "load_weights"):
        raise problem("This describes something that is not a model.", received=type(model).__name__,
                      where="model_from_config", expected="a model")
    return model
