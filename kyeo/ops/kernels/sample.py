"""Reading images between their pixels, and filters that run along rows and columns.

A warped image is four reads a pixel of whole channel rows, for all images of the batch at once: a gather over
(pixels, channels), which XLA runs at the speed of memory. A separable filter is a sum of shifted copies; XLA's
depthwise convolutions are many times slower on a CPU.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from kyeo.ops.kernels.derivative import as_one

__all__ = ["FILL_MODES", "bell", "filtered", "homography", "inverted", "projected", "sample"]


def _mirrored(index: Array, size: int) -> Array:
    period = max(2 * size - 2, 1)
    place = index % period
    return jnp.minimum(place, period - place)


def _reflected(index: Array, size: int) -> Array:
    place = index % (2 * size)
    return jnp.minimum(place, 2 * size - 1 - place)


FILL_MODES: dict[str, Callable[[Array, int], Array]] = {  # where an index outside reads
    "constant": lambda index, size: jnp.clip(index, 0, size - 1),  # the value is replaced afterwards
    "nearest": lambda index, size: jnp.clip(index, 0, size - 1),
    "wrap": lambda index, size: index % size,
    "mirror": _mirrored,
    "reflect": _reflected,
}


@as_one(3, 4)
def sample(images: Array, y: Array, x: Array, order: int, fill_mode: str, fill_value: Any) -> Array:
    """Values of images at real coordinates.

    Args:
        images: shape (batch, height, width, channels).
        y, x: rows and columns, shape (batch, ...).
        order: 0 for the nearest pixel, 1 for the plane through the four around.
        fill_mode: a key of `FILL_MODES`.
        fill_value: what is outside of the image where the mode is "constant".

    Returns: shape (batch, ..., channels), in the dtype of the images (integers are rounded).

    >>> image = jnp.array([[0.0, 10.0], [20.0, 30.0]])[None, :, :, None]
    >>> sample(image, jnp.array([[0.5]]), jnp.array([[0.5]]), 1, "nearest", 0).tolist()
    [[[15.0]]]
    """
    batch, height, width, channels = images.shape
    pixels, fix = images.reshape(-1, channels), FILL_MODES[fill_mode]
    first = lax.broadcasted_iota(jnp.int32, (batch,) + (1,) * (y.ndim - 1), 0) * (height * width)

    def read(row: Array, column: Array) -> Array:
        values = pixels.at[first + fix(row, height) * width + fix(column, width)].get(mode="promise_in_bounds")
        if fill_mode != "constant":
            return values
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return jnp.where(inside[..., None], values, jnp.asarray(fill_value, images.dtype))

    if order == 0:
        return read(lax.round(y).astype(jnp.int32), lax.round(x).astype(jnp.int32))
    top, left = jnp.floor(y), jnp.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]
    row, column = top.astype(jnp.int32), left.astype(jnp.int32)
    upper = read(row, column) * (1 - right) + read(row, column + 1) * right
    lower = read(row + 1, column) * (1 - right) + read(row + 1, column + 1) * right
    mixed = upper * (1 - down) + lower * down
    return (lax.round(mixed) if jnp.issubdtype(images.dtype, jnp.integer) else mixed).astype(images.dtype)


@as_one()
def projected(transform: Array, y: Any, x: Any) -> tuple[Array, Array]:
    """Where points go: (y, x) after `transform`, shape (batch, 8): a0, a1, a2, b0, b1, b2, c0, c1.

    x becomes (a0 x + a1 y + a2) / k and y becomes (b0 x + b1 y + b2) / k, with k = c0 x + c1 y + 1.

    >>> shift = jnp.array([[1.0, 0, 2, 0, 1, 3, 0, 0]])
    >>> [float(v[0]) for v in projected(shift, jnp.array([10.0]), jnp.array([20.0]))]
    [13.0, 22.0]
    """
    a0, a1, a2, b0, b1, b2, c0, c1 = (part.reshape(-1, *(1,) * max(jnp.ndim(x) - 1, 0))
                                      for part in jnp.unstack(transform, axis=-1))
    k = c0 * x + c1 * y + 1
    return (y * b1 + x * b0 + b2) / k, (y * a1 + x * a0 + a2) / k


@as_one()
def homography(start: Array, end: Array) -> Array:
    """The transform of `projected` that takes the four points `end` to the four points `start`.

    Args:
        start, end: points as (x, y), shape (batch, 4, 2).

    >>> corners = jnp.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
    >>> bool(jnp.allclose(homography(2 * corners, corners), jnp.array([2.0, 0, 0, 0, 2.0, 0, 0, 0]), atol=1e-5))
    True
    """
    (a0, a1, a2, b0, b1, b2, c0, c1), back = _from_square(start), inverted(jnp.stack(_from_square(end), -1))
    d0, d1, d2, e0, e1, e2, f0, f1 = jnp.unstack(back, axis=-1)
    rows = [(p * d0 + q * e0 + r * f0, p * d1 + q * e1 + r * f1, p * d2 + q * e2 + r)
            for p, q, r in ((a0, a1, a2), (b0, b1, b2), (c0, c1, 1.0))]
    numbers = [*rows[0], *rows[1], *rows[2]]
    return jnp.stack(numbers[:8], -1) / numbers[8][..., None]


def _from_square(points: Array) -> list[Array]:
    """The eight numbers that take (0, 0), (1, 0), (0, 1), (1, 1) to four points: P. Heckbert, "Fundamentals of texture
    mapping and image warping", 1989. Solving eight equations by LAPACK instead is slow to compile."""
    (x0, x1, x2, x3), (y0, y1, y2, y3) = (jnp.unstack(points[..., i], axis=-1) for i in (0, 1))
    wide, tall = (x1 - x3, y1 - y3), (x2 - x3, y2 - y3)
    rest = x0 - x1 - x2 + x3, y0 - y1 - y2 + y3
    area = wide[0] * tall[1] - tall[0] * wide[1]
    g, h = (rest[0] * tall[1] - tall[0] * rest[1]) / area, (wide[0] * rest[1] - rest[0] * wide[1]) / area
    return [x1 - x0 + g * x1, x2 - x0 + h * x2, x0, y1 - y0 + g * y1, y2 - y0 + h * y2, y0, g, h]


@as_one()
def inverted(transform: Array) -> Array:
    """The transform, shape (batch, 8), that undoes another.

    >>> inverted(jnp.array([[2.0, 0, 6, 0, 4.0, 0, 0, 0]])).tolist()
    [[0.5, 0.0, -3.0, 0.0, 0.25, 0.0, 0.0, 0.0]]
    """
    a0, a1, a2, b0, b1, b2, c0, c1 = jnp.unstack(transform, axis=-1)
    entries = [b1 - b2 * c1, a2 * c1 - a1, a1 * b2 - a2 * b1, b2 * c0 - b0, a0 - a2 * c0, a2 * b0 - a0 * b2,
               b0 * c1 - b1 * c0, a1 * c0 - a0 * c1]
    scale = a0 * b1 - a1 * b0
    scale = jnp.where(scale == 0, 1e-6, scale)  # what lies on one line comes from far away, not from nowhere
    return jnp.stack(entries, -1) / scale[:, None] + 0.0  # + 0: no -0


def filtered(images: Array, weights: Sequence[Any] | Array, axis: int, padding: str = "same") -> Array:
    """Images filtered along one axis, zeros outside: element i is the sum of weights[j] x[i + j - before].

    Args:
        images: any shape.
        weights: numbers, or an array of them.
        axis: the axis.
        padding: "same" keeps the size, "valid" keeps only what needs no padding.

    >>> filtered(jnp.array([1.0, 2.0, 4.0]), [-1, 0, 1], 0).tolist()
    [2.0, 3.0, -2.0]
    """
    length = len(weights)
    if padding == "same":
        pads = [(0, 0, 0)] * images.ndim
        pads[axis] = ((length - 1) // 2, length // 2, 0)
        images = lax.pad(images, jnp.zeros((), images.dtype), pads)
    size = images.shape[axis] - length + 1
    return sum(lax.slice_in_dim(images, j, j + size, axis=axis) * weights[j] for j in range(length)
               if not (isinstance(weights[j], int) and weights[j] == 0))  # type: ignore[return-value]


def bell(size: int, sigma: Any, dtype: Any = "float32", reach: Any = None) -> Array:
    """`size` weights of a Gaussian window, their sum 1; those further than `reach` from the middle are 0.

    A deviation of 0 leaves the middle alone.

    >>> [f"{float(v):.3f}" for v in bell(3, 1.0)]
    ['0.274', '0.452', '0.274']
    """
    x = jnp.arange(size, dtype="float32") - (size - 1) / 2
    exponents = -0.5 * (x / jnp.maximum(jnp.abs(jnp.asarray(sigma, "float32")), 1e-6)) ** 2
    if reach is not None:
        exponents = jnp.where(jnp.abs(x) <= reach, exponents, -jnp.inf)
    return jax.nn.softmax(exponents).astype(dtype)
