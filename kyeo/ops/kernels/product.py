"""The product of layers: the last axes of the input with the first of a kernel."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero

from kyeo.core.scope import current
from kyeo.ops.kernels.windows import on_cpu, static

__all__ = ["int_product", "matrix_product", "product", "suits_ints"]

LEAST_INTS = 2**16  # elements of a matrix from which on its int8 product is faster than one of floats
MOST_SUMMED = 2**17  # products of two int8 that an int32 can hold the sum of
# From how many rows on the gradient of a tall kernel is found turned; with few columns, of which little is turned back,
# from how many elements of the input on.
MANY_ROWS, FEW_COLUMNS, LEAST_INPUTS = 256, 16, 2**13
# Up to how many elements of input and kernel its gradient is found with the input turned beforehand, where steps run in
# a loop. In one by itself XLA, with so much to begin with, would wake another thread: 280 instead of 170 us a step.
SMALL_INPUT, SMALL_KERNEL = 2**11, 2**12


def product(x: Array, kernel: Array, summed: int = 1) -> Array:
    """Sum over the last `summed` axes of x and the first of the kernel.

    Both are made matrices first. Of a dot product of three axes XLA's CPU makes a slower program, above all for the
    gradient of the kernel: 2.1 ms against 3.7 ms, forward and both gradients, for (32, 64, 128) by (128, 256).

    >>> import jax.numpy as jnp
    >>> product(jnp.ones((2, 3, 4, 5)), jnp.ones((4, 5, 6)), 2).shape
    (2, 3, 6)
    """
    kept, new = x.shape[:x.ndim - summed], kernel.shape[summed:]
    if len(kept) == len(new) == summed == 1:
        return matrix_product(x, kernel)
    depth = math.prod(kernel.shape[:summed])
    flat = matrix_product(jnp.reshape(x, (math.prod(kept), depth)), jnp.reshape(kernel, (depth, math.prod(new))))
    return jnp.reshape(flat, (*kept, *new))


def matrix_product(x: Array, kernel: Array) -> Array:
    """The product of two matrices whose gradient is fast where the kernel is tall, or small, as well.

    >>> import jax.numpy as jnp
    >>> matrix_product(jnp.ones((2, 3)), jnp.ones((3, 1))).tolist()
    [[3.0], [3.0]]
    """
    if not on_cpu() or not static(x.shape) or not x.dtype == kernel.dtype == "float32":
        return jnp.matmul(x, kernel)
    if current().looped and x.size <= SMALL_INPUT and kernel.size <= SMALL_KERNEL:
        return by_turned_input(x, kernel)
    return by_turned_gradient(x, kernel) if is_tall(x, kernel) else jnp.matmul(x, kernel)


def is_tall(x: Array, kernel: Array) -> bool:
    """Whether XLA's CPU finds the kernel's gradient sooner with its rows as columns."""
    rows, (inputs, outputs) = x.shape[0], kernel.shape
    return 2 * inputs >= 3 * outputs and (
        rows >= MANY_ROWS or (outputs <= FEW_COLUMNS and rows * inputs >= LEAST_INPUTS))


def _with_gradient(by_kernel: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """The product, whose change with the kernel is `by_kernel(x, change of the kernel)`: of what JAX makes of that
    backwards, the kernel's gradient, XLA's CPU makes a faster program than of the product's own."""
    @jax.custom_jvp
    def run(x: Array, kernel: Array) -> Array:
        return jnp.matmul(x, kernel)

    def tangent(primals: Any, tangents: Any) -> tuple[Array, Any]:
        (x, kernel), (dx, dkernel) = primals, tangents
        parts = []
        if not isinstance(dx, SymbolicZero):  # no data's
            parts.append(jnp.matmul(dx, kernel))
        if not isinstance(dkernel, SymbolicZero):
            parts.append(by_kernel(x, dkernel))
        y = jnp.matmul(x, kernel)
        return y, sum(parts) if parts else SymbolicZero(jax.typeof(y).to_tangent_aval())

    run.defjvp(tangent, symbolic_zeros=True)
    return run


def _turned_twice(x: Array, change: Array) -> Array:
    """Backwards: the gradient found as `(g^T x)^T`. The barrier, which JAX turns as well, keeps XLA from turning the
    product itself.

    XLA's CPU divides a product that sums over rows by the columns of its result only, and few of them make it slow.
    Measured on two cores of an AMD EPYC in ms, as it is / turned: rows, inputs and outputs 2,048, 512, 128: 4.1 / 2.8;
    32,768, 64, 16: 1.7 / 0.61; 128, 512, 10: 0.20 / 0.07; 64, 2,048, 10: 0.51 / 0.12; 2,560, 64, 1: 0.23 / 0.03. A step
    of a transformer 46.9 / 44.2, of an MLP for digits 3.7 / 3.5. To turn the result back costs more than it saves
    where it is large and the rows are few: 16, 4,096, 1,000: 2.2 / 13.
    """
    return jnp.matmul(x, lax.optimization_barrier(change.T).T)


def _of_turned(x: Array, change: Array) -> Array:
    """Backwards: the gradient of the input turned, and written out so. XLA's CPU calls a library for a product that
    sums over rows, which asks for memory each time; other small ones it computes by itself.

    Measured in a loop on two cores of an Intel with AMX, in us, as it is / turned: rows, inputs and outputs 32, 8, 8:
    1.2 / 0.65; 32, 13, 64: 1.9 / 1.3; 32, 32, 16: 2.1 / 1.8; 32, 64, 64: 4.9 / 4.4; 128, 64, 32: 10.5 / 12. A step of a
    network of 20-32-16-1 in the loop of `fit` 12.3 / 11.1.
    """
    return jnp.matmul(lax.optimization_barrier(x.T).T, change)


by_turned_gradient, by_turned_input = _with_gradient(_turned_twice), _with_gradient(_of_turned)


def suits_ints(x: Array, kernel: Array) -> bool:
    """Whether `int_product` is faster than the product with the floats that the ints stand for."""
    return (on_cpu() and x.dtype == "float32" and kernel.dtype == "int8" and kernel.ndim == 2 and x.ndim >= 2
            and kernel.size >= LEAST_INTS and kernel.shape[0] < MOST_SUMMED)


@jax.custom_jvp
def int_product(x: Array, ints: Array, scale: Array, kernel: Array, kernel_scale: Array) -> Array:
    """The product of int8 inputs and an int8 matrix, exact in int32, divided by both scales.

    The gradient is that of the product of `x`, which the ints were rounded from, with the matrix as floats. Measured on
    two cores of a Sapphire Rapids, in ms, a float32 product / that of floats made from the ints / this one, rounding of
    the inputs included: 1 x 1,024 by 1,024 x 1,024 0.12 to 0.7 / 0.5 / 0.13, 32 rows 1.5 / 1.1 / 0.16, 1,024 rows 12.8
    / 13 / 2.6; 1 x 4,096 by 4,096 x 4,096 2 to 48 / 25 / 1.6, 32 rows 69 / 42 / 2.0.

    Args:
        x: shape (..., summed).
        ints, scale: `x` as int8, and what it was multiplied by, shape (..., 1).
        kernel, kernel_scale: int8 of shape (summed, outputs), and (outputs,).

    >>> import jax.numpy as jnp
    >>> ints = jnp.array([[2, 4]], "int8")
    >>> int_product(ints / 2.0, ints, jnp.array([[2.0]]), jnp.array([[1], [3]], "int8"), jnp.array([10.0])).tolist()
    [[0.699999988079071]]
    """
    flat = ints.reshape(math.prod(ints.shape[:-1]), ints.shape[-1])
    # One row would go to a loop of XLA's own: 29 instead of 1.6 ms for 4,096 x 4,096.
    rows = lax.pad(flat, jnp.zeros((), "int8"), [(0, 1, 0), (0, 0, 0)]) if flat.shape[0] == 1 else flat
    sums = jnp.matmul(rows, kernel, preferred_element_type="int32")[:flat.shape[0]]
    return sums.reshape(*ints.shape[:-1], kernel.shape[-1]).astype(x.dtype) / (scale * kernel_scale)


@int_product.defjvp
def _int_product_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    kernel, kernel_scale = primals[3:]
    return int_product(*primals), product(tangents[0], kernel.astype(tangents[0].dtype) / kernel_scale)
