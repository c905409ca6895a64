"""Initializers: the first values of variables, drawn on the host so building compiles nothing."""

from typing import Any

from kyeo.core.gone import answer_for_missing
from kyeo.core.lookup import deserialize_in, register_aliases, resolve, serialize_named
from kyeo.core.naming import snake_case
from kyeo.initializers.base import Initializer
from kyeo.initializers.drawn import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from kyeo.initializers.fixed import STFT, Constant, Identity, Ones, Zeros

__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity",
    "IdentityInitializer", "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal",
    "OrthogonalInitializer", "RandomNormal", "RandomUniform", "STFT", "STFTInitializer",
    "TruncatedNormal", "VarianceScaling", "Zeros", "constant", "deserialize", "get", "glorot_normal",
    "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_normal", "lecun_uniform", "ones",
    "orthogonal", "random_normal", "random_uniform", "serialize", "stft", "truncated_normal",
    "variance_scaling", "zeros",
]

constant, identity, ones, orthogonal, stft, zeros = Constant, Identity, Ones, Orthogonal, STFT, Zeros
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, variance_scaling = LecunNormal, LecunUniform, VarianceScaling
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
IdentityInitializer, OrthogonalInitializer, STFTInitializer = Identity, Orthogonal, STFT

_CLASSES = (
    Constant, GlorotNormal, GlorotUniform, HeNormal, HeUniform, Identity, LecunNormal, LecunUniform, Ones,
    Orthogonal, RandomNormal, RandomUniform, STFT, TruncatedNormal, VarianceScaling, Zeros,
)
register_aliases("initializers", {snake_case(cls.__name__): cls for cls in _CLASSES})
register_aliases("initializers", {
    "IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal, "STFTInitializer": STFT,
    "normal": RandomNormal, "one": Ones, "uniform": RandomUniform, "zero": Zeros,
})


def get(identifier: Any) -> Any:
    """The initializer meant by a name, an object, a class, a config, a function or an array; None stays None.

    Args:
        identifier: any of these.

    Raises:
        ValueError: it is none of them, or a name that is not known.

    >>> import kyeo
    >>> kyeo.initializers.get("he_normal")
    HeNormal()
    """
    if hasattr(identifier, "shape") and hasattr(identifier, "dtype"):
        return Constant(identifier)
    return resolve(identifier, "initializers")


def serialize(initializer: Any) -> Any:
    """The initializer as plain values.

    >>> import kyeo
    >>> kyeo.initializers.serialize(kyeo.initializers.Constant(2))["config"]
    {'value': 2}
    """
    return serialize_named(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initializer that a config from `serialize`, or a name, describes.

    Args:
        config: the plain values, or a name.
        custom_objects: {name: class or function} for the user's own.

    >>> import kyeo
    >>> kyeo.initializers.deserialize({"class_name": "Ones", "config": {}})
    Ones()
    """
    return deserialize_in(config, "initializers", custom_objects)

answer_for_missing(__name__)
