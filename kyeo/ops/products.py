"""Products of arrays: matrix products, sums of products, distances."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.errors import problem
from kyeo.core.op import op
from kyeo.ops.agree import agreed, spelled
from kyeo.ops.kernels.derivative import as_one
from kyeo.ops.rows import binary

__all__ = [
    "cross", "dot", "einsum", "inner", "kron", "matmul", "outer", "tensordot", "trace", "vdot",
]

_summed = as_one(0, "optimize", "precision", "preferred_element_type")(jnp.einsum)

dot = binary(
    "dot", jnp.dot, "Sum over the last axis of x1 and the last but one of x2.", "[1, 2], [3, 4]", "11")
inner = binary("inner", jnp.inner, "Sum over the last axis of both.", "[1, 2], [3, 4]", "11")
kron = binary("kron", jnp.kron, "Kronecker product.", "[1, 2], [1, 10]", "[1, 10, 2, 20]")
outer = binary("outer", jnp.outer, "Every element times every other.", "[1, 2], [3, 4]", "[[3, 4], [6, 8]]")
vdot = binary("vdot", jnp.vdot, "Sum of the products of all elements.", "[1, 2], [3, 4]", "11")


def _wide(*arrays: jax.Array) -> Any:
    """int8 times int8 is summed in int32."""
    return jnp.int32 if all(a.dtype == jnp.int8 for a in arrays) else None


@op
def matmul(x1: Any, x2: Any) -> jax.Array:
    """Matrix product over the last two axes; the others broadcast.

    Args:
        x1: shape (..., n, k), or (k,) for a vector.
        x2: shape (..., k, m), or (k,).

    Returns: shape (..., n, m), without the axis of a vector.

    >>> import kyeo
    >>> kyeo.ops.matmul([[1, 2]], [[3], [4]]).tolist()
    [[11]]
    """
    x1, x2 = to_array(x1), to_array(x2)
    if x1.ndim and x2.ndim and x1.shape[-1] != x2.shape[-2 if x2.ndim > 1 else 0]:
        raise problem("These matrices cannot be multiplied.", received=f"shapes {x1.shape} and {x2.shape}",
                      expected=f"{x1.shape[-1]} rows in the second", where="ops.matmul")
    return jnp.matmul(x1, x2, preferred_element_type=_wide(x1, x2))


@op
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> jax.Array:
    """Sums of products, as written in Einstein's notation.

    >>> import kyeo
    >>> kyeo.ops.einsum("ij,j->i", [[1, 2], [3, 4]], [1, 10]).tolist()
    [21, 43]
    """
    arrays = [to_array(x) for x in operands]
    arrays = [*agreed(spelled(subscripts, *arrays), *arrays)]
    return _summed(subscripts, *arrays, **{"preferred_element_type": _wide(*arrays), **kwargs})


@op
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> jax.Array:
    """Sum over the last `axes` axes of x1 and the first of x2, or over two lists of axes.

    >>> import kyeo
    >>> kyeo.ops.tensordot([[1, 2], [3, 4]], [1, 10], axes=1).tolist()
    [21, 43]
    """
    return jnp.tensordot(to_array(x1), to_array(x2), axes)


@op
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None,
) -> jax.Array:
    """Cross product of vectors of 3 elements; `axis` stands for all three axes.

    >>> import kyeo
    >>> kyeo.ops.cross([1, 0, 0], [0, 1, 0]).tolist()
    [0, 0, 1]
    """
    return jnp.cross(to_array(x1), to_array(x2), axisa, axisb, axisc, axis)


@op
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> jax.Array:
    """Sum of a diagonal of the matrices that two axes span.

    >>> import kyeo
    >>> int(kyeo.ops.trace([[1, 2], [3, 4]]))
    5
    """
    return jnp.trace(to_array(x), offset, axis1, axis2)
