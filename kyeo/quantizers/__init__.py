"""Quantizers: weights and products in 8 and 4 bits. `Layer.quantize` and `Model.quantize` use them."""

from typing import Any

from kyeo.core.configurable import serialize_value
from kyeo.core.errors import problem
from kyeo.core.lookup import deserialize_in, register_aliases
from kyeo.quantizers.config import (
    AbsMaxQuantizer,
    AWQConfig,
    Float8QuantizationConfig,
    GPTQConfig,
    Int4QuantizationConfig,
    Int8QuantizationConfig,
    QuantizationConfig,
    Quantizer,
)
from kyeo.quantizers.functions import (
    abs_max_quantize,
    abs_max_quantize_grouped_with_zero_point,
    compute_float8_amax_history,
    compute_float8_scale,
    fake_quant_with_min_max_vars,
    pack_int4,
    quantize_and_dequantize,
    unpack_int4,
)

__all__ = [
    "AWQConfig", "AbsMaxQuantizer", "Float8QuantizationConfig", "GPTQConfig", "Int4QuantizationConfig",
    "Int8QuantizationConfig", "QuantizationConfig", "Quantizer", "abs_max_quantize",
    "abs_max_quantize_grouped_with_zero_point", "compute_float8_amax_history", "compute_float8_scale", "deserialize",
    "fake_quant_with_min_max_vars", "get", "pack_int4", "quantize_and_dequantize", "serialize", "unpack_int4",
]

register_aliases("quantizers", {"quantizer": Quantizer, "abs_max_quantizer": AbsMaxQuantizer})


def get(identifier: Any, **kwargs: Any) -> Any:
    """The quantizer meant by an object, a name, a config, or None (none).

    >>> import kyeo
    >>> kyeo.quantizers.get("abs_max_quantizer", axis=0).axis
    (0,)
    """
    if identifier is None or (callable(identifier) and not isinstance(identifier, type)):
        return identifier
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": kwargs})
    if isinstance(identifier, (dict, QuantizationConfig)):
        return deserialize(identifier) if isinstance(identifier, dict) else identifier
    raise problem("This cannot be read as a quantizer.", received=identifier, where="kyeo.quantizers",
                  expected='"abs_max_quantizer", an object of kyeo.quantizers, or a config')


def serialize(initializer: Any) -> Any:
    """The quantizer as plain values.

    >>> import kyeo
    >>> kyeo.quantizers.serialize(kyeo.quantizers.AbsMaxQuantizer())["class_name"]
    'AbsMaxQuantizer'
    """
    return serialize_value(initializer)  # the name Keras has for it


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The quantizer `serialize` wrote."""
    return deserialize_in(config, "quantizers", custom_objects)
