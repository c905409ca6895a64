"""Layers as plain values, and back."""

from typing import Any

from kyeo.core.lookup import deserialize_in, serialize_named

__all__ = ["deserialize", "serialize"]


def serialize(layer: Any) -> Any:
    """The layer as plain values, without its weights.

    >>> import kyeo
    >>> kyeo.layers.serialize(kyeo.layers.Dense(3))["config"]["units"]
    3
    """
    return serialize_named(layer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The layer that a config from `serialize` describes.

    >>> import kyeo
    >>> kyeo.layers.deserialize(kyeo.layers.serialize(kyeo.layers.Dense(3, name="head"))).name
    'head'
    """
    return deserialize_in(config, "layers", custom_objects)
