"""Dtype policies: which number type a layer computes in, and which its variables have."""

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

import jax

from kyeo.core.configurable import Configurable, deserialize_value, serialize_value
from kyeo.core.dtypes import is_float, standardize_dtype
from kyeo.core.errors import did_you_mean, positive_int, problem
from kyeo.core.parameters import checked
from kyeo.core.plain import warn
from kyeo.core.settings import settings
from kyeo.ops.core import cast as cast_to
from kyeo.ops.core import convert_to_tensor

__all__ = [
    "AWQDTypePolicy", "DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "GPTQDTypePolicy", "Int4DTypePolicy",
    "QuantizedDTypePolicy", "QuantizedFloat8DTypePolicy", "deserialize", "dtype_policy", "get", "serialize",
    "set_dtype_policy",
]

QUANTIZATION_MODES = ("int8", "float8", "int4", "gptq", "awq")

_MIXED = {"mixed_float16": ("float16", "float32"), "mixed_bfloat16": ("bfloat16", "float32")}


def _computed(name: str) -> str:
    """The number type that JAX computes in where it is asked for this one."""
    dtype = standardize_dtype(name)
    if dtype != "float64" or jax.config.jax_enable_x64:
        return dtype
    warn("float64 was asked for, and float32 is used: JAX computes in 32 bits, unless it is told otherwise before it "
         "starts, by jax.config.update('jax_enable_x64', True).")
    return "float32"


class DTypePolicy(Configurable):
    """The number types of a layer.

    Args:
        name: a dtype ("float32", "bfloat16", ...) for both, or "mixed_float16" / "mixed_bfloat16": compute in
            the short type, keep variables in float32. The process-wide policy's where None.

    >>> import kyeo
    >>> policy = kyeo.DTypePolicy("mixed_bfloat16")
    >>> policy.compute_dtype, policy.variable_dtype
    ('bfloat16', 'float32')
    """

    name: str

    def __init__(self, name: str | None = None):
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise problem("A dtype policy is named by a string.", received=f"name={name!r}", kind=TypeError,
                          expected='a dtype such as "float32", or "mixed_float16", "mixed_bfloat16"')
        self.name = name
        if name.startswith("mixed") and name not in _MIXED:
            raise problem("This dtype policy is not known.", received=f"name={name!r}", fix=did_you_mean(name, _MIXED),
                          expected="a dtype, or one of " + ", ".join(_MIXED))
        self.compute_dtype, self.variable_dtype = _MIXED.get(name) or (_computed(name),) * 2

    @property
    def quantization_mode(self) -> str | None:
        """How the layer is quantized; None where it is not."""
        return None

    def convert_input(self, x: Any, autocast: bool, dtype: Any) -> Any:
        """A float tensor, symbolic tensor or array of NumPy in `dtype` if `autocast`; anything else as it is."""
        if not hasattr(x, "dtype"):
            return convert_to_tensor(x, dtype) if isinstance(x, float) and autocast else x
        wanted = standardize_dtype(dtype)
        cast = autocast and is_float(standardize_dtype(x.dtype)) and standardize_dtype(x.dtype) != wanted
        return cast_to(x, wanted) if cast else x

    def for_path(self, path: str) -> "DTypePolicy":
        """The policy of the layer at this path."""
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


class FloatDTypePolicy(DTypePolicy):
    """Another name of `DTypePolicy`.

    >>> import kyeo
    >>> kyeo.dtype_policies.FloatDTypePolicy("float32") == kyeo.DTypePolicy("float32")
    True
    """


class QuantizedDTypePolicy(DTypePolicy):
    """The policy of a layer whose weights are quantized.

    Args:
        mode: "int8", "int4" or "float8".
        source_name: the policy the layer had before; the process-wide one where None.

    >>> import kyeo
    >>> kyeo.dtype_policies.QuantizedDTypePolicy("int8", "mixed_bfloat16").name
    'int8_from_mixed_bfloat16'
    """

    numbers: tuple[str, ...] = ()  # what stands behind the mode, as in "gptq/4/128"

    def __init__(self, mode: str, source_name: str | None = None):
        super().__init__(source_name if source_name is not None else dtype_policy().name)
        self.source_name = self.name
        parts = str(mode).split("/")
        values = [int(p) if p.removeprefix("-").isdecimal() else None for p in parts[1:]]
        if parts[0] not in QUANTIZATION_MODES or len(values) != len(self.numbers) or None in values:
            raise problem("`mode` is not valid.", received=f"mode={mode!r}", where=type(self), expected=(
                "one of " + ", ".join("/".join([m, *self.numbers]) for m in QUANTIZATION_MODES)))
        self.mode = parts[0]
        for number, value in zip(self.numbers, values):
            setattr(self, number, value)
        if self.mode == "int8" and self.compute_dtype == "float16":
            raise problem("int8 does not go together with float16.", received=f"source_name={source_name!r}",
                          where=type(self), expected='such as "float32" or "mixed_bfloat16"')
        self.name = f"{mode}_from_{self.source_name}"

    @property
    def quantization_mode(self) -> str:
        """How the layer is quantized."""
        return self.mode

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments: the mode with its numbers."""
        numbers = [str(getattr(self, number)) for number in self.numbers]
        return {**super().get_config(), "mode": "/".join([self.mode, *numbers])}

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self.name}">'


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """The policy of a layer that computes with float8.

    Args:
        mode: "float8".
        source_name: the policy the layer had before.
        amax_history_length: over how many steps the largest values are remembered.

    >>> import kyeo
    >>> kyeo.dtype_policies.QuantizedFloat8DTypePolicy("float8", "float32", 8).amax_history_length
    8
    """

    default_amax_history_length = 1024

    def __init__(self, mode: str, source_name: str | None = None, amax_history_length: int = 1024):
        super().__init__(mode, source_name)
        self.amax_history_length = positive_int(self, amax_history_length=amax_history_length)

    def __eq__(self, other: object) -> bool:
        same = getattr(other, "amax_history_length", None) == self.amax_history_length
        return same and super().__eq__(other)

    __hash__ = DTypePolicy.__hash__


class Int4DTypePolicy(QuantizedDTypePolicy):
    """The policy of a layer with weights of 4 bits.

    Args:
        mode: "int4/128": how many weights share a scale; -1 where a whole column does.
        source_name: the policy the layer had before.

    >>> import kyeo
    >>> kyeo.dtype_policies.Int4DTypePolicy("int4/32", "float32").block_size
    32
    """

    numbers = ("block_size",)
    block_size: int


class GPTQDTypePolicy(QuantizedDTypePolicy):
    """The policy by which files name layers quantized by GPTQ.

    Args:
        mode: "gptq/4/128": bits of a weight, and how many share a scale.
        source_name: the policy the layer had before.

    >>> import kyeo
    >>> kyeo.dtype_policies.GPTQDTypePolicy("gptq/4/128", "float32").weight_bits
    4
    """

    numbers = ("weight_bits", "group_size")
    weight_bits: int
    group_size: int


class AWQDTypePolicy(GPTQDTypePolicy):
    """The policy by which files name layers quantized by AWQ.

    Args:
        mode: "awq/4/128": bits of a weight, and how many share a scale.
        source_name: the policy the layer had before.

    >>> import kyeo
    >>> kyeo.dtype_policies.AWQDTypePolicy("awq/4/128", "float32").group_size
    128
    """

    def __init__(self, mode: str, source_name: str | None = None):
        super().__init__(mode, source_name)
        if self.weight_bits != 4:
            raise problem("AWQ makes weights of 4 bits.", received=f"mode={mode!r}", where=type(self),
                          expected=f"awq/4/{self.group_size}", fix="or GPTQ, for another number of bits")


class DTypePolicyMap(DTypePolicy, MutableMapping):
    """A policy for each layer by its path, or by a regular expression for whole paths.

    Args:
        default_policy: the policy of layers that nothing matches; None: that of the process when the map is made.
        policy_map: the mapping to begin with.

    >>> import kyeo
    >>> policies = kyeo.dtype_policies.DTypePolicyMap("float32", {"encoder/.*": kyeo.DTypePolicy("bfloat16")})
    >>> policies["encoder/dense"].name, policies["head"].name
    ('bfloat16', 'float32')
    """

    def __init__(self, default_policy: Any = None, policy_map: dict[str, Any] | None = None):
        if isinstance(default_policy, DTypePolicyMap) or not isinstance(policy_map, dict | None):
            raise problem("The policies are not valid.", kind=TypeError, where=type(self), expected="a policy, a dict",
                          received=f"default_policy={default_policy!r}, policy_map={policy_map!r}")
        self._default_policy = default_policy
        self.policy_map = {path: get(policy) for path, policy in (policy_map or {}).items()}
        self._source = source = get(default_policy)  # once: what dtypes and name say holds for `default_policy` too
        self.compute_dtype, self.variable_dtype = source.compute_dtype, source.variable_dtype
        self.name = f"map_{source.name}"

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of layers that nothing matches."""
        return self._source

    @property
    def quantization_mode(self) -> str | None:
        """How layers that nothing matches are quantized; None where they are not."""
        return self.default_policy.quantization_mode

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the default policy is None where it was not given."""
        return {**super().get_config(), "default_policy": serialize_value(self._default_policy)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The map whose `get_config` gave `config`; expressions that could take very long to match are refused."""
        for pattern in config.get("policy_map") or {}:
            repeats, choices = len(re.findall(r"[*+{]", pattern)), pattern.count("|")
            if len(pattern) > 200 or repeats > 2 or choices > 8 or re.search(r"\)[*+{]", pattern):
                raise problem("A config cannot hold such an expression.", received=repr(pattern[:200]), where=cls,
                              expected="at most two repeats, none of a group, and eight choices",
                              fix="make the map in code")
        return super().from_config(config, custom_objects)

    def for_path(self, path: str) -> DTypePolicy:
        """The policy of the layer at this path."""
        return self[path]

    def __getitem__(self, path: str) -> DTypePolicy:
        if path in self.policy_map:
            return self.policy_map[path]
        matching = [pattern for pattern in self.policy_map if re.fullmatch(pattern, path)]
        if len(matching) > 1:
            raise problem("More than one entry matches this path.", received=path, where=type(self),
                          expected="one of " + ", ".join(map(repr, matching)))
        return self.policy_map[matching[0]] if matching else self.default_policy

    def __setitem__(self, path: str, policy: Any) -> None:
        if path in self.policy_map:
            raise problem("There is a policy for this path.", received=path, where=type(self),
                          fix="delete it first")
        self.policy_map[path] = get(policy)

    def __delitem__(self, path: str) -> None:
        del self.policy_map[path]

    def __contains__(self, path: object) -> bool:
        return path in self.policy_map

    def __len__(self) -> int:
        return len(self.policy_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self.policy_map)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicyMap) and (self.name, self.policy_map) == (other.name, other.policy_map)

    __hash__ = DTypePolicy.__hash__

    def __repr__(self) -> str:
        return f"<DTypePolicyMap {self.name}, {self.policy_map}>"


def _quantized(name: str) -> DTypePolicy:
    """The policy with such a name as "int8_from_float32"."""
    mode, _, source = name.partition("_from_")
    kinds = {"int4/": Int4DTypePolicy, "gptq": GPTQDTypePolicy, "awq": AWQDTypePolicy,
             "float8": QuantizedFloat8DTypePolicy}
    kind = next((kind for start, kind in kinds.items() if mode.startswith(start)), QuantizedDTypePolicy)
    return kind(mode, source)


def dtype_policy() -> DTypePolicy:
    """The policy that layers get when they name none."""
    return settings.dtype_policy or DTypePolicy(settings.floatx)


@checked
def set_dtype_policy(policy: "DTypePolicy | str") -> None:
    """Set the policy of layers made from now on.

    >>> import kyeo
    >>> kyeo.config.set_dtype_policy("mixed_bfloat16")
    >>> kyeo.layers.Dense(3).compute_dtype
    'bfloat16'
    >>> kyeo.config.set_dtype_policy("float32")
    """
    if policy is None:
        raise problem("A dtype policy is needed.", received="None", where="set_dtype_policy", kind=TypeError,
                      expected='a policy or its name, such as "float32" or "mixed_bfloat16"')
    settings.dtype_policy = get(policy)


def get(identifier: Any) -> DTypePolicy:
    """The policy meant by a policy, a name, a dtype, a config, or None (the process-wide one)."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        policy = deserialize(identifier)
        if not isinstance(policy, DTypePolicy):
            raise problem("This does not describe a dtype policy.", received=identifier, where="kyeo.dtype_policies")
        return policy
    if isinstance(identifier, str):
        return _quantized(identifier) if "_from_" in identifier else DTypePolicy(identifier)
    return DTypePolicy(standardize_dtype(identifier))


def serialize(dtype_policy: DTypePolicy) -> Any:
    """The policy as plain values."""
    return serialize_value(dtype_policy)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> DTypePolicy:
    """The policy `serialize` wrote."""
    return deserialize_value(config)
