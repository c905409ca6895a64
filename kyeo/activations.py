"""Activation functions by the names layers take: the ops themselves, and the few that are no ops."""

from collections.abc import Callable
from typing import Any

import jax

from kyeo.core.errors import problem
from kyeo.core.gone import answer_for_missing
from kyeo.core.lookup import deserialize_in, register_aliases, resolve, serialize_named
from kyeo.ops.activate import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh_shrink,
    threshold,
)
from kyeo.ops.activate import gelu as gelu_op
from kyeo.ops.activate import relu as relu_op
from kyeo.ops.choose import where
from kyeo.ops.elementwise import clip, exp, less_equal, multiply, subtract, tanh

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid",
    "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish",
    "relu", "relu6", "selu", "serialize", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold",
]


def linear(x: Any) -> Any:
    """x itself.

    >>> import kyeo
    >>> kyeo.activations.linear(3.0)
    3.0
    """
    return x


def exponential(x: Any) -> jax.Array:
    """e to the power of x.

    >>> import kyeo
    >>> kyeo.activations.exponential([0.0]).tolist()
    [1.0]
    """
    return exp(x)


def gelu(x: Any, approximate: bool = False) -> jax.Array:
    """`kyeo.ops.gelu`, but exact unless told otherwise.

    >>> import kyeo
    >>> kyeo.activations.gelu([0.0, 100.0]).tolist()
    [0.0, 100.0]
    """
    return gelu_op(x, approximate)


def mish(x: Any) -> jax.Array:
    """x times tanh(softplus(x)) (Misra, 2019, https://arxiv.org/abs/1908.08681).

    >>> import kyeo
    >>> kyeo.activations.mish([0.0, 100.0]).tolist()
    [0.0, 100.0]
    """
    return multiply(x, tanh(softplus(x)))


def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0,
) -> jax.Array:
    """x where above `threshold`, else `negative_slope * (x - threshold)`; at most `max_value`.

    >>> import kyeo
    >>> kyeo.activations.relu([-2.0, 0.5, 9.0], negative_slope=0.5, max_value=6, threshold=1).tolist()
    [-1.5, -0.25, 6.0]
    """
    if threshold == 0 and max_value is None:
        return leaky_relu(x, negative_slope) if negative_slope else relu_op(x)
    if threshold == 0 and max_value == 6:
        above = relu6(x)
    else:
        above = where(less_equal(x, threshold), 0, x)  # a NaN stays one
        if max_value is not None:  # as an int where it is one: integers stay integers
            above = clip(above, 0, int(max_value) if float(max_value).is_integer() else max_value)
    return subtract(above, multiply(relu_op(subtract(threshold, x)), negative_slope)) if negative_slope else above


_FUNCTIONS: dict[str, Callable[..., Any]] = {name: globals()[name] for name in __all__
                                             if name not in ("deserialize", "get", "serialize")}
register_aliases("activations", _FUNCTIONS)


def get(identifier: Any) -> Any:
    """The activation meant by a name, a function, an object, a class or a config; None is `linear`.

    Args:
        identifier: any of these.

    Raises:
        ValueError: it is none of them, or a name that is not known.

    >>> import kyeo
    >>> kyeo.activations.get("relu").__name__, kyeo.activations.get(None).__name__
    ('relu', 'linear')
    """
    if isinstance(identifier, type) and hasattr(identifier, "add_weight"):
        raise problem("The activation is a class of layers.", received=identifier, kind=TypeError,
                      expected="a name, a function, or a layer", fix=f"make a layer of it: {identifier.__name__}()")
    return linear if identifier is None else resolve(identifier, "activations")


def serialize(activation: Any) -> Any:
    """The activation as plain values: a built-in one as its name.

    >>> import kyeo
    >>> kyeo.activations.serialize(kyeo.activations.softmax)
    'softmax'
    """
    return serialize_named(activation)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The activation that a name, or a config from `serialize`, describes.

    Args:
        config: the plain values, or a name.
        custom_objects: {name: class or function} for the user's own.

    >>> import kyeo
    >>> kyeo.activations.deserialize("relu").__name__
    'relu'
    """
    return deserialize_in(config, "activations", custom_objects)

answer_for_missing(__name__)
