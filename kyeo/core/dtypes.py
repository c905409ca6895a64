"""Names of number types, as Keras spells them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.errors import did_you_mean, problem
from kyeo.core.settings import settings

__all__ = ["ALLOWED_DTYPES", "array_dtype", "is_float", "is_integer", "standardize_dtype", "widened"]

ALLOWED_DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128", "string",
    "float8_e4m3fn", "float8_e5m2",
)
_PYTHON_TYPES: dict[Any, str] = {
    bool: "bool", int: "int32", float: "float32", str: "string", complex: "complex64",
    "int": "int32", "float": "float32", "complex": "complex64"}


def standardize_dtype(dtype: Any) -> str:
    """The Keras name of any spelling of a dtype; None means `floatx()`.

    >>> standardize_dtype(np.float32), standardize_dtype(int)
    ('float32', 'int32')
    """
    if dtype is None:
        return settings.floatx
    if isinstance(dtype, str) and dtype in ALLOWED_DTYPES:
        return dtype
    if isinstance(dtype, (type, str)) and dtype in _PYTHON_TYPES:
        return _PYTHON_TYPES[dtype]
    try:
        name = jnp.dtype(dtype).name
    except TypeError:
        name = str(getattr(dtype, "name", dtype))
    if name.startswith("torch."):
        name = name.split(".", 1)[1]
    name = "string" if name.startswith("str") or name == "object" else name
    if name not in ALLOWED_DTYPES:
        raise problem("This dtype is not known.", received=f"dtype={dtype!r}",
                      expected="one of " + ", ".join(ALLOWED_DTYPES), fix=did_you_mean(name, ALLOWED_DTYPES))
    return name


def array_dtype(dtype: Any) -> str:
    """The dtype of an array that is asked for by `dtype`: integers of 64 bits have 32, unless JAX was told otherwise.

    JAX warns of it at each such request; here numbers that do not fit are refused where they come in.

    >>> array_dtype("int64"), array_dtype(None)
    ('int32', 'float32')
    """
    name = standardize_dtype(dtype)
    return jax.dtypes.canonicalize_dtype(name).name if name in ("int64", "uint64") else name


@functools.cache  # NumPy puts a type's name together each time
def is_float(dtype: Any) -> bool:
    """True for float16, bfloat16, float32, float64 and the float8 types."""
    return "float" in (dtype if isinstance(dtype, str) else np.dtype(dtype).name)


def widened(dtype: Any) -> str:
    """The dtype, or float32 where it is a shorter float: in it sums keep their digits.

    >>> widened("bfloat16"), widened("int32")
    ('float32', 'int32')
    """
    name = standardize_dtype(dtype)
    return "float32" if is_float(name) and jnp.dtype(name).itemsize < 4 else name


def is_integer(dtype: Any) -> bool:
    """True for signed and unsigned integers, not for bool."""
    return "int" in (dtype if isinstance(dtype, str) else np.dtype(dtype).name)
