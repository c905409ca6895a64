"""Linear algebra: products, decompositions, equations, norms."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import lu_factor as jax_lu_factor
from jax.scipy.linalg import solve_triangular as jax_solve_triangular

from kyeo.core.arrays import to_array
from kyeo.core.errors import one_of, problem
from kyeo.core.op import op
from kyeo.ops.rows import binary, tuple_axis

__all__ = [
    "cholesky", "cross", "det", "dot", "eig", "eigh", "einsum", "inner", "inv", "kron", "logdet", "lstsq",
    "lu_factor", "matmul", "norm", "outer", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd",
    "tensordot", "trace", "vdot",
]

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
    return jnp.einsum(subscripts, *arrays, **{"preferred_element_type": _wide(*arrays), **kwargs})


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
    """Cross product of vectors of 2 or 3 elements; `axis` stands for all three axes.

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


@op
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> jax.Array:
    """Norm of vectors (one axis) or matrices (two): Euclidean unless `ord` says another.

    >>> import kyeo
    >>> float(kyeo.ops.norm([3.0, 4.0]))
    5.0
    """
    x = to_array(x)
    x = x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype("float32")
    return jnp.linalg.norm(x, ord, tuple_axis(axis), keepdims)


def _matrix(x: Any, name: str, square: bool = False) -> jax.Array:
    """x as matrices on the last two axes, checked."""
    x = to_array(x)
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise problem(f"`{name}` takes matrices.", received=x, where=f"ops.{name}",
                      expected="two equal last axes" if square else "at least two axes")
    return x


@op
def cholesky(x: Any, upper: bool = False) -> jax.Array:
    """The triangular L with x = L L^T (or U with x = U^T U), of positive definite matrices.

    >>> import kyeo
    >>> kyeo.ops.cholesky([[4.0, 0.0], [0.0, 9.0]]).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    out = jnp.linalg.cholesky(_matrix(x, "cholesky", square=True), upper=upper)
    if not isinstance(out, jax.core.Tracer) and bool(jnp.isnan(out).any()):
        raise problem("The matrix has no Cholesky decomposition.", received=to_array(x), where="ops.cholesky",
                      expected="a positive definite matrix")
    return out


@op
def det(x: Any) -> jax.Array:
    """Determinant.

    >>> import kyeo
    >>> float(kyeo.ops.det([[2.0, 0.0], [0.0, 3.0]]))
    6.0
    """
    return jnp.linalg.det(_matrix(x, "det", square=True))


@op
def slogdet(x: Any) -> Any:
    """Sign of the determinant, and logarithm of its size.

    >>> import kyeo
    >>> [float(v) for v in kyeo.ops.slogdet([[1.0, 0.0], [0.0, -1.0]])]
    [-1.0, 0.0]
    """
    return tuple(jnp.linalg.slogdet(_matrix(x, "slogdet", square=True)))


@op
def logdet(x: Any) -> jax.Array:
    """Logarithm of the determinant of positive definite matrices.

    >>> import kyeo
    >>> float(kyeo.ops.logdet([[1.0, 0.0], [0.0, 1.0]]))
    0.0
    """
    return jnp.linalg.slogdet(_matrix(x, "logdet", square=True))[1]


@op
def inv(x: Any) -> jax.Array:
    """Inverse.

    >>> import kyeo
    >>> kyeo.ops.inv([[2.0, 0.0], [0.0, 4.0]]).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    return jnp.linalg.inv(_matrix(x, "inv", square=True))


@op
def pinv(x: Any, rcond: float | None = None) -> jax.Array:
    """Pseudo-inverse; singular values below `rcond` times the largest count as 0.

    >>> import kyeo
    >>> kyeo.ops.pinv([[2.0], [0.0]]).round(3).tolist()
    [[0.5, 0.0]]
    """
    return jnp.linalg.pinv(_matrix(x, "pinv"), rtol=rcond)


@op
def qr(x: Any, mode: str = "reduced") -> Any:
    """Q with orthonormal columns and triangular R, x = Q R; "complete" makes Q square.

    >>> import kyeo
    >>> q, r = kyeo.ops.qr(kyeo.ops.ones((3, 2)))
    >>> q.shape, r.shape
    ((3, 2), (2, 2))
    """
    return jnp.linalg.qr(_matrix(x, "qr"), mode=one_of("ops.qr", ("reduced", "complete"), mode=mode))


@op
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values s, largest first, with x = U diag(s) Vh; only s unless `compute_uv`.

    >>> import kyeo
    >>> kyeo.ops.svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False).tolist()
    [4.0, 3.0]
    """
    return jnp.linalg.svd(_matrix(x, "svd"), full_matrices, compute_uv)


@op
def eig(x: Any) -> Any:
    """Eigenvalues and eigenvectors (columns), complex.

    >>> import kyeo
    >>> kyeo.ops.eig([[2.0, 0.0], [0.0, 1.0]])[0].real.tolist()
    [2.0, 1.0]
    """
    return jnp.linalg.eig(_matrix(x, "eig", square=True))


@op
def eigh(x: Any) -> Any:
    """Eigenvalues, rising, and eigenvectors (columns) of symmetric matrices.

    >>> import kyeo
    >>> kyeo.ops.eigh([[2.0, 0.0], [0.0, 1.0]])[0].tolist()
    [1.0, 2.0]
    """
    return jnp.linalg.eigh(_matrix(x, "eigh", square=True))


@op
def lu_factor(x: Any) -> Any:
    """L (below the diagonal, its ones left out) and U in one matrix, and the exchanged rows.

    >>> import kyeo
    >>> kyeo.ops.lu_factor([[2.0, 0.0], [0.0, 4.0]])[0].tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    x, factor = _matrix(x, "lu_factor"), jax_lu_factor
    for _ in range(x.ndim - 2):
        factor = jax.vmap(factor)
    return factor(x)


def _equations(a: Any, b: Any, name: str) -> tuple[jax.Array, jax.Array]:
    a, b = _matrix(a, name, square=True), to_array(b)
    rows = b.shape[-1 if b.ndim == a.ndim - 1 else -2] if b.ndim else None
    if rows != a.shape[-1]:
        raise problem("The right side does not fit the equations.", where=f"ops.{name}",
                      received=f"shapes {a.shape} and {b.shape}", expected=f"{a.shape[-1]} rows in b")
    return a, b


@op
def solve(a: Any, b: Any) -> jax.Array:
    """The x with a x = b.

    >>> import kyeo
    >>> kyeo.ops.solve([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]]).tolist()
    [[1.0], [0.5]]
    """
    return jnp.linalg.solve(*_equations(a, b, "solve"))


@op
def solve_triangular(a: Any, b: Any, lower: bool = False) -> jax.Array:
    """The x with a x = b for triangular a.

    >>> import kyeo
    >>> kyeo.ops.solve_triangular([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]]).tolist()
    [[1.0], [0.5]]
    """
    return jax_solve_triangular(*_equations(a, b, "solve_triangular"), lower=lower)


@op
def lstsq(a: Any, b: Any, rcond: float | None = None) -> jax.Array:
    """The x for which a x is nearest to b.

    >>> import kyeo
    >>> kyeo.ops.lstsq([[1.0], [1.0]], [1.0, 3.0]).round(3).tolist()
    [2.0]
    """
    return jnp.linalg.lstsq(_matrix(a, "lstsq"), to_array(b), rcond)[0]
