"""Dtype policies: which number type a layer computes in, and which its variables have."""

from typing import Any

from kyeo.core.configurable import Configurable, deserialize_value
from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import did_you_mean, problem
from kyeo.core.settings import settings

__all__ = ["DTypePolicy", "deserialize", "dtype_policy", "get", "serialize", "set_dtype_policy"]

_MIXED = {"mixed_float16": ("float16", "float32"), "mixed_bfloat16": ("bfloat16", "float32")}


class DTypePolicy(Configurable):
    """The number types of a layer.

    Args:
        name: a dtype ("float32", "bfloat16", ...) for both, or "mixed_float16" / "mixed_bfloat16": compute in
            the short type, keep variables in float32.

    >>> import kyeo
    >>> policy = kyeo.DTypePolicy("mixed_bfloat16")
    >>> policy.compute_dtype, policy.variable_dtype
    ('bfloat16', 'float32')
    """

    def __init__(self, name: str):
        if not isinstance(name, str):
            raise problem("A dtype policy is named by a string.", received=f"name={name!r}", kind=TypeError,
                          expected='a dtype such as "float32", or "mixed_float16", "mixed_bfloat16"')
        self.name = name
        if name.startswith("mixed") and name not in _MIXED:
            raise problem("This dtype policy is not known.", received=f"name={name!r}", fix=did_you_mean(name, _MIXED),
                          expected="a dtype, or one of " + ", ".join(_MIXED))
        self.compute_dtype, self.variable_dtype = _MIXED.get(name) or (standardize_dtype(name),) * 2

    @property
    def quantization_mode(self) -> None:
        """None: the layer is not quantized."""
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


def dtype_policy() -> DTypePolicy:
    """The policy that layers get when they name none."""
    return settings.dtype_policy or DTypePolicy(settings.floatx)


def set_dtype_policy(policy: "DTypePolicy | str | None") -> None:
    """Set the policy of layers made from now on.

    >>> import kyeo
    >>> kyeo.config.set_dtype_policy("mixed_bfloat16")
    >>> kyeo.layers.Dense(3).compute_dtype
    'bfloat16'
    >>> kyeo.config.set_dtype_policy("float32")
    """
    settings.dtype_policy = None if policy is None else get(policy)


def get(identifier: Any) -> DTypePolicy:
    """The policy meant by a policy, a name, a dtype, a config, or None (the process-wide one)."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    return DTypePolicy(standardize_dtype(identifier))


def serialize(policy: DTypePolicy) -> Any:
    """The policy as plain values."""
    return {"module": "keras", "class_name": "DTypePolicy", "config": policy.get_config(), "registered_name": None}


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> DTypePolicy:
    """The policy `serialize` wrote."""
    return deserialize_value(config)
