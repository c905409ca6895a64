"""Objects as class name and config, and back, in the form of Keras 2.

>>> import kyeo
>>> spec = kyeo.legacy.saving.serialize_keras_object(kyeo.initializers.Constant(2.0))
>>> spec["class_name"], kyeo.legacy.saving.deserialize_keras_object(spec, vars(kyeo.initializers)).value
('Constant', 2.0)
"""

from typing import Any

from kyeo.core.errors import did_you_mean, problem
from kyeo.core.parameters import checked
from kyeo.core.registry import custom_object_scope, get_registered_name, get_registered_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]


@checked
def serialize_keras_object(instance: Any) -> Any:
    """`{"class_name", "config"}` of an object with `get_config`, the name of a function; None stays None."""
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        return {"class_name": get_registered_name(type(instance)), "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise problem("This cannot be written as a config.", received=instance, where="legacy.saving",
                  expected="an object with `get_config`, a class or a function")


@checked
def deserialize_keras_object(
    identifier: Any, module_objects: dict[str, Any] | None = None, custom_objects: dict[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object that `serialize_keras_object` wrote.

    Args:
        identifier: a config, a name, or a function, which is given back.
        module_objects: names and what they stand for.
        custom_objects: likewise; these come first.
        printable_module_name: what kind of object it is, for messages.
    """
    if isinstance(identifier, dict):
        if "class_name" not in identifier or "config" not in identifier:
            raise problem("This is no config.", received=identifier, where="legacy.saving",
                          expected='a dict with "class_name" and "config"')
        cls = _named(identifier["class_name"], module_objects, custom_objects, printable_module_name)
        if not isinstance(cls, type) or not hasattr(cls, "from_config"):
            raise problem(f"This {printable_module_name} cannot be made from a config.", where="legacy.saving",
                          received=cls, expected="a class with `get_config` and `from_config`", kind=TypeError)
        with custom_object_scope(custom_objects):
            return cls.from_config(identifier["config"])
    if isinstance(identifier, str):
        found = _named(identifier, module_objects, custom_objects, printable_module_name)
        return found() if isinstance(found, type) else found
    if identifier is None or callable(identifier):
        return identifier
    raise problem(f"This {printable_module_name} cannot be read.", received=identifier, where="legacy.saving",
                  expected="a config, a name or a function")


def _named(name: str, module_objects: Any, custom_objects: Any, kind: str) -> Any:
    found = (custom_objects or {}).get(name)
    found = get_registered_object(name, None, module_objects) if found is None else found
    if found is None:
        raise problem(f"This {kind} is not known.", received=repr(name), where="legacy.saving",
                      expected="a name in module_objects or custom_objects",
                      fix=did_you_mean(name, [*(module_objects or {}), *(custom_objects or {})]))
    return found
