"""Linear algebra: decompositions, equations, norms, and what is derived from them."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import as_floats, to_array
from kyeo.core.dtypes import widened
from kyeo.core.errors import one_of, problem
from kyeo.core.op import op
from kyeo.ops.agree import agreed, equal_sides
from kyeo.ops.control import jvp
from kyeo.ops.kernels.derivative import as_one
from kyeo.ops.kernels.extreme import nan_of
from kyeo.ops.kernels.length import root
from kyeo.ops.kernels.settled import settled
from kyeo.ops.rows import Function, differ, tuple_axis

__all__ = [
    "cdist", "cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "jvp", "logdet", "lstsq", "lu_factor",
    "matrix_rank", "norm", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd",
]


def _of_scipy() -> Any:
    """`jax.scipy.linalg`, which few programs need: 10 ms of each start."""
    import jax.scipy.linalg

    return jax.scipy.linalg


@op
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> jax.Array:
    """Norm of vectors (one axis) or matrices (two): Euclidean unless `ord` says another.

    Half precision is summed in float32. Where all is 0 the gradient is 0.

    >>> import kyeo
    >>> float(kyeo.ops.norm([3.0, 4.0]))
    5.0
    """
    return _norm(to_array(x), ord, tuple_axis(axis), keepdims)


@as_one(1, 2, 3)
def _norm(x: jax.Array, ord: Any, axis: Any, keepdims: bool) -> jax.Array:
    x = as_floats(x)
    wide = settled(x.astype(widened(x.dtype)))
    axes = 1 if isinstance(axis, int) else len(x.shape if axis is None else axis)
    if (ord is None and (axis is None or axes <= 2)) or (axes == 2 and ord == "fro") or (axes == 1 and ord == 2):
        out = root(jnp.sum(jnp.real(wide * jnp.conj(wide)), axis, keepdims=keepdims))
    elif axes == 1 and isinstance(ord, (int, float)) and 1 < ord < math.inf:
        nothing = jnp.all(wide == 0, axis, keepdims=True)
        out = jnp.linalg.norm(jnp.where(nothing, 1, wide), ord, axis, keepdims)
        out = jnp.where(nothing if keepdims else jnp.squeeze(nothing, axis), 0, out)
    else:
        out = jnp.linalg.norm(wide, ord, axis, keepdims)
        if ord != 0:  # which counts elements
            out = nan_of(jnp.abs(wide), axis, keepdims, out)
    return out.astype(x.real.dtype)


def _matrix(x: Any, name: str, square: bool = False) -> jax.Array:
    """x as matrices on the last two axes, checked."""
    x = equal_sides(to_array(x)) if square else to_array(x)
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
def cholesky_inverse(x: Any, upper: bool = False) -> jax.Array:
    """The inverse of a matrix, given its Cholesky factor L (or U with `upper`).

    >>> import kyeo
    >>> kyeo.ops.cholesky_inverse([[2.0, 0.0], [0.0, 1.0]]).tolist()
    [[0.25, 0.0], [0.0, 1.0]]
    """
    x = as_floats(_matrix(x, "cholesky_inverse", square=True))
    unit = jnp.broadcast_to(jnp.eye(x.shape[-1], dtype=x.dtype), x.shape)
    inverse = _of_scipy().solve_triangular(x, unit, lower=not upper)
    turned = jnp.swapaxes(inverse, -1, -2)
    return inverse @ turned if upper else turned @ inverse


@op
def matrix_rank(x: Any, tol: Any = None) -> jax.Array:
    """How many rows are independent (int32): singular values below `tol` times the largest count as 0.

    >>> import kyeo
    >>> int(kyeo.ops.matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
    1
    """
    return jnp.linalg.matrix_rank(_matrix(x, "matrix_rank"), tol).astype("int32")


@op
def cdist(x: Any, y: Any) -> jax.Array:
    """Distances of every row of x from every row of y: (..., n, d), (..., m, d) -> (..., n, m).

    Where two rows are equal the gradient is 0.

    >>> import kyeo
    >>> kyeo.ops.cdist([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]).tolist()
    [[5.0, 1.0]]
    """
    x, y = _matrix(x, "cdist"), _matrix(y, "cdist")
    if x.shape[-1] != y.shape[-1]:
        raise problem("Points of different spaces have no distance.", where="ops.cdist",
                      received=f"shapes {x.shape} and {y.shape}", expected="equal last axes")
    return _distances(x, y)


@as_one()
def _distances(x: jax.Array, y: jax.Array) -> jax.Array:
    far = as_floats(x[..., :, None, :] - y[..., None, :, :])
    return root(jnp.sum(jnp.square(far.astype(widened(far.dtype))), -1)).astype(far.dtype)


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
    x, factor = _matrix(x, "lu_factor"), _of_scipy().lu_factor
    for _ in range(x.ndim - 2):
        factor = jax.vmap(factor)
    return factor(x)


def _may_be(shape: Any, other: Any) -> bool:
    """Whether two shapes are the same, where sizes are open for all that is known."""
    return len(shape) == len(other) and not any(map(differ, shape, other))


def _solved(fn: Function, a: Any, b: Any, name: str) -> jax.Array:
    a, b = equal_sides(to_array(a)), to_array(b)
    vectors = b.ndim == 1 or _may_be(b.shape, a.shape[:-1])  # one for each matrix
    right = b[..., None] if vectors else b
    a, right = agreed([[*range(-a.ndim, -2), *"nn"], [*range(-right.ndim, -2), *"nk"]], a, right)
    a = _matrix(a, name, square=True)
    if right.ndim < 2 or differ(right.shape[-2], a.shape[-1]):
        raise problem("The right side does not fit the equations.", where=f"ops.{name}",
                      received=f"shapes {a.shape} and {b.shape}", expected=f"{a.shape[-1]} rows in b")
    x = fn(a, right)
    return x[..., 0] if vectors else x


@op
def solve(a: Any, b: Any) -> jax.Array:
    """The x with a x = b: a matrix, or a vector for each matrix a.

    >>> import kyeo
    >>> kyeo.ops.solve([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]]).tolist()
    [[1.0], [0.5]]
    """
    return _solved(jnp.linalg.solve, a, b, "solve")


@op
def solve_triangular(a: Any, b: Any, lower: bool = False) -> jax.Array:
    """The x with a x = b for triangular a; b as in `solve`.

    >>> import kyeo
    >>> kyeo.ops.solve_triangular([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]]).tolist()
    [[1.0], [0.5]]
    """
    return _solved(functools.partial(_of_scipy().solve_triangular, lower=lower), a, b, "solve_triangular")


@op
def lstsq(a: Any, b: Any, rcond: float | None = None) -> jax.Array:
    """The x for which a x is nearest to b.

    >>> import kyeo
    >>> kyeo.ops.lstsq([[1.0], [1.0]], [1.0, 3.0]).round(3).tolist()
    [2.0]
    """
    a, b = agreed(("nm", "nk"), _matrix(a, "lstsq"), to_array(b))
    if a.ndim != 2 or b.ndim not in (1, 2) or differ(a.shape[0], b.shape[0]):
        return jnp.linalg.lstsq(a, b, rcond)[0]
    least = rcond if rcond is not None and rcond >= 0 else jnp.finfo(as_floats(a).dtype).eps * max(a.shape)
    return _nearest(a, b, float(least))


@as_one(2)
def _nearest(a: jax.Array, b: jax.Array, least: float) -> jax.Array:
    return jnp.linalg.pinv(a, rtol=least) @ b  # where columns are alike in length, lstsq has no gradient in JAX
