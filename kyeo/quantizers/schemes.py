"""What each mode makes of the weights of each kind of layer: a table of (layer class, mode)."""

import re
from collections.abc import Callable
from typing import Any

import jax

from kyeo.core.configurable import given_arguments
from kyeo.core.errors import describe, did_you_mean, problem
from kyeo.core.naming import is_kyeos, snake_case
from kyeo.core.owned import Structure
from kyeo.dtype_policies import DTypePolicyMap
from kyeo.dtype_policies import get as policy_of
from kyeo.quantizers.config import (
    AbsMaxQuantizer,
    AWQConfig,
    CalibratedConfig,
    Float8QuantizationConfig,
    GPTQConfig,
    Int4QuantizationConfig,
    Int8QuantizationConfig,
    QuantizationConfig,
)
from kyeo.quantizers.float8 import Float8
from kyeo.quantizers.functions import pack_int4
from kyeo.quantizers.ints import FORMS, Calibrated, Int4, Int8, drop, kind_of

__all__ = ["SCHEMES", "can_be", "chosen", "policy_to_save", "put", "quantize", "quantize_layers", "resolved",
           "scheme_of"]

_CONFIGS: dict[str, type[QuantizationConfig]] = {
    "int8": Int8QuantizationConfig, "int4": Int4QuantizationConfig, "float8": Float8QuantizationConfig,
    "gptq": GPTQConfig, "awq": AWQConfig}
_BY_DATA = [mode for mode, config in _CONFIGS.items() if issubclass(config, CalibratedConfig)]
_INTS = {"int8": Int8(), "int4": Int4()}
SCHEMES: dict[tuple[str, str], Any] = {
    **{(name, mode): scheme for name in FORMS for mode, scheme in _INTS.items()},
    ("Dense", "float8"): Float8(), ("EinsumDense", "float8"): Float8(),
    **{(name, mode): Calibrated(mode) for name in ("Dense", "EinsumDense") for mode in _BY_DATA},
}


def scheme_of(layer: Any) -> Any:
    """The scheme that the layer's dtype policy names; None where it is not quantized."""
    mode = layer.quantization_mode
    return None if mode is None else _scheme(layer, mode)


def _scheme(layer: Any, mode: str, type_check: bool = False) -> Any:
    if mode not in _CONFIGS:
        raise problem("This mode is not valid.", received=f"mode={mode!r}", where=layer, kind=ValueError,
                      expected="one of " + ", ".join(_CONFIGS), fix=did_you_mean(mode, _CONFIGS))
    found = SCHEMES.get((kind_of(layer), mode))
    if found is None or (type_check and not is_kyeos(type(layer))):
        raise problem(f"This layer cannot be quantized to {mode}.", where=layer, kind=NotImplementedError,
                      expected=", ".join(sorted(name for name, m in SCHEMES if m == mode)))
    return found


def resolved(mode: Any, config: Any) -> QuantizationConfig:
    """The config meant by the two arguments of `quantize`."""
    if isinstance(config, str):
        mode, config = config, None
    if config is None and mode in _CONFIGS and mode not in _BY_DATA:
        return _CONFIGS[mode]()
    if not isinstance(config, QuantizationConfig) or mode not in (None, config.mode):
        raise problem("`mode` and `config` do not say how to quantize.", where="quantize",
                      received=f"mode={mode!r}, config={describe(config)}",
                      expected="one of " + ", ".join(map(repr, _CONFIGS)) + ", or a QuantizationConfig",
                      fix=f"config={_CONFIGS[mode].__name__}(dataset, tokenizer)" if mode in _BY_DATA else None)
    return config


def quantize(layer: Any, mode: Any, config: Any, type_check: bool = True) -> None:
    """Quantize a built layer; see `Layer.quantize`."""
    config = resolved(mode, config)
    if not layer.built or layer.quantization_mode is not None:
        raise problem("Only a built layer that is not quantized yet can be quantized.", where=layer,
                      received="a layer that is not built" if not layer.built else layer.quantization_mode,
                      fix=None if layer.built else "call it on data, or `build(input_shape)`, first")
    scheme, name = _scheme(layer, config.mode, type_check), layer.dtype_policy.name
    if isinstance(config, CalibratedConfig):
        raise problem(f"A layer alone cannot be quantized by {config.mode}.", where=layer, received=config,
                      expected="a model, through which the data runs", fix="model.quantize(config=...)")
    mode = config.mode
    if isinstance(config, Int4QuantizationConfig):
        mode = f"int4/{-1 if config.block_size is None else config.block_size}"
    policy = policy_of(f"{mode}_from_{name}")  # complains where the two do not go together
    layer.quantization_config = config
    scheme.quantize(layer)
    layer.scheme, layer.dtype_policy = scheme, policy
    given = config.activation_quantizer
    layer.mixes_rows = layer.mixes_rows or config.mode == "float8" or type(given) not in (type(None), AbsMaxQuantizer)
    Structure.version += 1


def put(layer: Any, config: CalibratedConfig, values: tuple[Any, ...]) -> None:
    """Give a layer the ints, scales, zeros, groups (and stretches) that were found for its weight."""
    ints, scale, zero, groups, *stretches = values
    name, weight = layer.dtype_policy.name, layer._kernel
    scheme, policy = _scheme(layer, config.mode), policy_of(f"{config.dtype_policy_string()}_from_{name}")
    layer.quantization_config = type(config).from_config(config.get_config())
    drop(layer, "_kernel", weight)
    scheme.build(layer, weight.shape)
    packed = pack_int4(ints, dtype="uint8")[0] if config.weight_bits == 4 else ints  # type: ignore[attr-defined]
    for attribute, value in zip(("_kernel", "kernel_scale", "kernel_zero", "g_idx", "awq_scales"),
                                (packed, scale, zero.astype("uint8"), groups, *stretches)):
        getattr(layer, attribute).assign(value)
    layer.scheme, layer.dtype_policy = scheme, policy
    Structure.version += 1


def policy_to_save(layer: Any) -> Any:
    """The dtype policy for the config of a layer: where it made quantized layers itself, a map that names theirs, so
    that the layer which is made of the config makes them so again."""
    policy = layer.dtype_policy
    inside = [one for one in layer._flatten_layers(include_self=False) if getattr(one, "scheme", None) is not None]
    if not inside:
        return policy
    arguments = [v for v in jax.tree.leaves(given_arguments(layer)) if hasattr(v, "_flatten_layers")]
    given = {id(one) for v in arguments for one in v._flatten_layers()}  # those say it in configs of their own
    made = {_pattern(one, layer): one.dtype_policy.for_path(one.path) for one in inside if id(one) not in given}
    known, default = ((policy.policy_map, policy._default_policy) if isinstance(policy, DTypePolicyMap) else
                      ({}, policy))
    return DTypePolicyMap(default, {**known, **made}) if made else policy


def _pattern(one: Any, owner: Any) -> str:
    """The path of a layer that `owner` made; names that were counted match with every count, if that says the same
    of all layers it matches."""
    layers = owner._flatten_layers()
    counted = {snake_case(type(layer).__name__) for layer in layers if layer is not owner}
    parts = one.path.removeprefix(f"{owner.path}/").split("/")
    plain = [re.sub(r"_\d+$", "", part) for part in parts]
    parts = [f"{base}[_0-9]*" if base in counted else re.escape(part) for part, base in zip(parts, plain)]
    pattern = "/".join([re.escape(owner.path), *parts])
    policies = [repr(layer.dtype_policy.for_path(layer.path)) for layer in layers if re.fullmatch(pattern, layer.path)]
    return pattern if pattern.count("*") in (1, 2) and len(set(policies)) == 1 else one.path


def can_be(layer: Any, mode: str, type_check: bool) -> bool:
    """Whether a layer can be quantized so."""
    known = (kind_of(layer), mode) in SCHEMES and (not type_check or is_kyeos(type(layer)))
    if mode not in _BY_DATA:
        return known
    axes = layer.summed_axes() if known and layer.built and hasattr(layer, "summed_axes") else (0,)
    return known and layer.built and axes == tuple(range(len(axes))) and not layer.lora_enabled


def chosen(model: Any, filters: Any) -> Callable[[Any], bool]:
    """Which layers the argument `filters` means."""
    patterns = [filters] if isinstance(filters, str) else filters
    if patterns is not None and not callable(patterns) and not isinstance(patterns, (list, tuple)):
        raise problem("`filters` is not valid.", received=f"filters={describe(filters)}", where=model, kind=TypeError,
                      expected="a regular expression, a list of them, or a function of a layer")
    return lambda layer: patterns is None or (patterns(layer) if callable(patterns) else any(
        re.search(pattern, layer.name) for pattern in patterns))


def quantize_layers(model: Any, mode: Any, config: Any, filters: Any, type_check: bool = True) -> None:
    """Quantize the layers of a model by a config that needs no data; see `Model.quantize`."""
    wanted, config = chosen(model, filters), resolved(mode, config)
    for layer in model._flatten_layers():
        if wanted(layer) and can_be(layer, config.mode, type_check):
            quantize(layer, None, config, type_check)
