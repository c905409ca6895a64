"""What older Keras code looks for in `keras.backend`; the same functions as in `kyeo.config` and `kyeo.utils`.

>>> import kyeo
>>> kyeo.backend.backend(), kyeo.backend.floatx()
('jax', 'float32')
"""

from typing import Any

import jax.numpy as jnp

from kyeo.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from kyeo.core.dtypes import is_float, is_integer, standardize_dtype
from kyeo.core.errors import problem
from kyeo.core.gone import answer_for_missing
from kyeo.core.naming import uid
from kyeo.utils import clear_session, is_keras_tensor

__all__ = [
    "backend", "clear_session", "epsilon", "floatx", "get_uid", "image_data_format", "is_float_dtype", "is_int_dtype",
    "is_keras_tensor", "result_type", "set_epsilon", "set_floatx", "set_image_data_format", "standardize_dtype",
]


def get_uid(prefix: str = "") -> int:
    """The next number for a prefix, from 1; `clear_session` begins anew.

    >>> import kyeo
    >>> kyeo.backend.get_uid("docs"), kyeo.backend.get_uid("docs")
    (1, 2)
    """
    return uid(prefix)


def is_float_dtype(dtype: Any) -> bool:
    """Whether it is float16, bfloat16, float32, float64 or a float8 type.

    >>> import kyeo
    >>> kyeo.backend.is_float_dtype("bfloat16"), kyeo.backend.is_float_dtype("int8")
    (True, False)
    """
    return is_float(standardize_dtype(dtype))


def is_int_dtype(dtype: Any) -> bool:
    """Whether it is an integer type, with or without sign.

    >>> import kyeo
    >>> kyeo.backend.is_int_dtype("uint8"), kyeo.backend.is_int_dtype("bool")
    (True, False)
    """
    return is_integer(standardize_dtype(dtype))


def result_type(*dtypes: Any) -> str:
    """The type of the result when values of these types meet. `int` and `float` stand for Python's numbers.

    >>> import kyeo
    >>> kyeo.backend.result_type("bfloat16", int), kyeo.backend.result_type("int32", "float16")
    ('bfloat16', 'float16')
    """
    if not dtypes:
        return floatx()
    weak = {int: int, float: float, "int": int, "float": float}
    kinds = [weak[d] if d in (int, float, "int", "float") else _narrow(standardize_dtype(d)) for d in dtypes]
    if any(isinstance(kind, str) and kind.startswith("float8") for kind in kinds):
        raise problem("A float8 type has no common type with others.", received=f"dtypes={dtypes}",
                      where="backend.result_type", fix="cast first")
    return standardize_dtype(jnp.result_type(*kinds))


def _narrow(dtype: str) -> str:
    """A 64-bit type as the 32-bit one that JAX has for it."""
    return {"complex128": "complex64"}.get(dtype, dtype if dtype.startswith("complex") else dtype.replace("64", "32"))

answer_for_missing(__name__)
