"""Convolutions with windows of 3x3, and the gradients of their kernels, by Winograd's products: a quarter of the
multiplications.

A tile of 4x4 results sees 6x6 inputs. Inputs, kernel and results are polynomials' coefficients: evaluated at 6 points
on each axis, one product at each of the 36 pairs of points is enough. So a convolution becomes 36 products of matrices,
tiles by channels, between two passes over inputs and results. Likewise a kernel's gradient, of which nine sums of 16
products are wanted from each tile of gradients: these are found at the very end, after all tiles are added.

S. Winograd, "Arithmetic Complexity of Computations" (1980); A. Lavin and S. Gray, "Fast Algorithms for Convolutional
Neural Networks" (2015), https://arxiv.org/abs/1509.09308
"""

import functools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from kyeo.core.processor import has_wide_products, has_wide_vectors, second_cache
from kyeo.ops.kernels.onednn import MANY_PLACES
from kyeo.ops.kernels.windows import Pads, Sizes, output_size, padded, pads_of_transpose, static, turned

__all__ = ["convolve", "gradients", "kernel_gradient", "suits_forward", "suits_gradients", "suits_kernel_gradient"]

WINDOW, TILE = 3, 4
POINTS = WINDOW + TILE - 1
NUMBER = 4  # bytes
# Where a polynomial is evaluated, beside infinity. The error against float64 is 5e-6 of the largest element (2 and -2:
# 1.6e-5); by oneDNN 1e-6, by YNNPACK 1e-5.
PLACES = (0.0, 1.0, -1.0, 2.0, -0.5)
# With fewer channels all this is passes over arrays rather than products. Both gradients together, with vectors of 512
# bits, gain with 16 channels as well.
FEWEST_CHANNELS, FEWEST_BY_WIDE = 32, 16
# Places of whole tiles for one that is there: at most so many, with fewer channels than this, and in small pictures.
MOST_WASTE, FEW_CHANNELS, MOST_WASTE_OF_FEW, MOST_WASTE_OF_SMALL = 1.6, 64, 1.35, 1.1
# Without oneDNN, from how many operations on: fewer do not win back the 0.2 s that this takes longer to compile.
LEAST_FLOPS = 1.5e9
# In a dispatch of a large prediction, of which there are several, likewise: operations times channels, since the part
# of them that is spared grows with these. On a Zen 4 200 images of 150 x 150 through 32, 64, 128 and 128 filters take
# 0.39 instead of 0.54 s, the first time 1.05 instead of 0.8; 4,000 digits would gain 0.05 s and lose 0.5 at first.
LEAST_PREDICTED = 1e11
# So many images at a time that their tiles at the points take no more than this times a core's second cache, or than
# the kernel there: they stay in the caches, and take no memory to speak of. With 512 kB, on an AMD Zen 3, forward 32 x
# 32 x 32 x 64 into 64 16.8 -> 12 ms, 29 x 72 x 72 x 64 into 128 120 -> 88; kernel's gradients 32 x 32 x 32 x 64 into 64
# 19 -> 14, 20 x 72 x 72 x 32 into 64 50 -> 25. With 1 MB, on a Zen 4, a step of ResNet-20 with half of it takes 1.06
# times as long, with twice as much as long, with four times 1.05.
CACHES, USUAL_CACHE = 4, 2**19


def suits_kernel_gradient(x: Array, kernel: Array, strides: Sizes, pads: Pads) -> bool:
    """Whether `kernel_gradient` is faster for such an input and kernel than XLA's own way, where oneDNN is not at hand.

    Measured on two cores of an AMD EPYC with vectors of 256 bits, in ms, by XLA / this: 64 x 16 x 16 x 32 into 32 8.4
    / 5.6; 32 x 28 x 28 x 32 into 32 17 / 8.2; 64 x 8 x 8 x 64 into 64 6.4 / 3.7; 32 x 32 x 32 x 64 into 64 171 / 19; 16
    x 28 x 28 x 128 into 128 161 / 24; 16 x 14 x 14 x 256 into 256 78 / 23; 32 x 36 x 36 x 64 into 128 465 / 51.
    """
    if not _is_plain(x, kernel, strides, pads, FEWEST_CHANNELS):
        return False
    sizes = _result_sizes(x, pads)
    small = math.prod(sizes) < MANY_PLACES
    if not _fills(sizes, MOST_WASTE_OF_SMALL if small else _most_waste(kernel)):
        return False
    enough = 2.0 * len(x) * math.prod(sizes) * kernel.size >= LEAST_FLOPS
    return enough and _sums_long(len(x), sizes, kernel, 2 if small else 4)


def suits_gradients(x: Array, kernel: Array, strides: Sizes, pads: Pads) -> bool:
    """Whether `gradients` is faster for such an input and kernel than oneDNN.

    Measured on two cores of an AMD EPYC with vectors of 512 bits that are multiplied in halves, in ms, by oneDNN / each
    gradient by itself by whichever is faster / this: 64 x 32 x 32 x 16 into 16 5.7 / 4.2 / 4.1; 64 x 16 x 16 x 32 into
    32 3.8 / 3.2 / 3.0; 64 x 8 x 8 x 64 into 64 3.7 / 2.6 / 2.3; 32 x 28 x 28 x 32 into 32 9.2 / 7.0 / 5.7; 8 x 14 x 14
    x 256 into 256 18 / 12.5 / 11.5; 32 x 7 x 7 x 128 into 128 4.3 / 3.4 / 3.0. Slower: 64 x 13 x 13 x 16 into 16 1.17 /
    1.14 / 1.3; 8 x 7 x 7 x 512 into 512 21.0 / 21.0 / 22.3. A step of ResNet-20 0.96 of the time, of the tutorial's CNN
    0.94 (batch 128). With vectors of 256 bits, by oneDNN / the kernel's gradient by itself: 64 x 16 x 16 x 32 into 32
    5.4 / 4.1; 64 x 8 x 8 x 64 into 64 3.7 / 2.8; 64 x 32 x 32 x 16 into 16 4.9 / 5.5. On an Intel with those of 512
    oneDNN is 2 to 4 times as fast, so it stays there.
    """
    fewest = FEWEST_BY_WIDE if has_wide_vectors() else FEWEST_CHANNELS
    edges = pads_of_transpose(pads, kernel.shape)
    if has_wide_products() is not False or not _is_plain(x, kernel, strides, (*pads, *edges), fewest):
        return False
    sizes = x.shape[1:3]
    return _fills(sizes, _most_waste(kernel)) and _sums_long(len(x), sizes, kernel, 4)


def suits_forward(x: Array, kernel: Array, strides: Sizes, pads: Pads, trains: bool = True) -> bool:
    """Whether `convolve` is faster than oneDNN for such an input and kernel; elsewhere than in a training, whether few
    calls win back that it takes longer to compile.

    Measured on two cores of an AMD EPYC with vectors of 256 bits, in ms, by oneDNN / this: 64 x 8 x 8 x 64 into 64 2.9
    / 1.7; 32 x 7 x 7 x 64 into 128 2.2 / 1.4; 32 x 32 x 32 x 64 into 64 19 / 12; 16 x 28 x 28 x 128 into 128 29 / 17;
    16 x 14 x 14 x 256 into 256 28 / 19; 20 x 36 x 36 x 128 into 128 58 / 31; 20 x 72 x 72 x 48 into 48 34 / 25. With 32
    channels a tenth alone (32 x 28 x 28 x 32 into 32 4.6 / 4.1, into 64 none), and a step of the tutorial's CNN 0.964
    and 0.970 of the time (batch 32 and 128), of ResNet-20 0.966, 0.979 and 0.997; with 16 1.03. On a Zen 4 a step of
    ResNet-20 takes 0.95 of the time, with 16 channels too 1.1. Not tried with 512 bits multiplied at once.
    """
    if not _is_plain(x, kernel, strides, pads, FEWEST_CHANNELS):
        return False
    sizes = _result_sizes(x, pads)
    places = math.prod(sizes)
    if not trains and 2.0 * x.shape[0] * places * kernel.size * min(kernel.shape[-2:]) < LEAST_PREDICTED:
        return False
    return has_wide_products() is False and _fills(sizes, MOST_WASTE)


def _is_plain(x: Array, kernel: Array, strides: Sizes, pads: Pads, fewest: int) -> bool:
    """Whether it is a convolution of the kind that is done here."""
    *window, channels, filters = kernel.shape
    plain = static(x.shape) and x.dtype == "float32" and max(strides) == 1 and min(map(min, pads)) >= 0
    return plain and window == [WINDOW, WINDOW] and min(channels, filters) >= fewest


def _most_waste(kernel: Array) -> float:
    return MOST_WASTE_OF_FEW if min(kernel.shape[-2:]) < FEW_CHANNELS else MOST_WASTE


def _fills(sizes: Sequence[int], most: float) -> bool:
    """Whether there are results, and the places of whole tiles are at most so many for one of them."""
    return 0 < math.prod(_tiles(sizes)) * TILE**2 <= most * math.prod(sizes)


def _sums_long(images: int, sizes: Sequence[int], kernel: Array, times: int) -> bool:
    """Whether the sums over the tiles for a kernel's gradient are not too short beside its channels."""
    return times * images * math.prod(_tiles(sizes)) >= max(kernel.shape[-2:])


def _result_sizes(x: Array, pads: Pads) -> list[int]:
    return [output_size(n, WINDOW, 1, pad) for n, pad in zip(x.shape[1:], pads)]


def convolve(x: Array, kernel: Array, pads: Pads) -> Array:
    """A convolution with a window of 3x3 and no strides, a few images at a time: all have to be on one device.

    >>> import jax.numpy as jnp
    >>> convolve(jnp.ones((1, 4, 3, 1)), jnp.ones((3, 3, 1, 1)), ((0, 0), (1, 1))).round().ravel().tolist()
    [6.0, 9.0, 6.0, 6.0, 9.0, 6.0]
    """
    sizes = _result_sizes(x, pads)
    tiles = _tiles(sizes)
    x = lax.optimization_barrier(_seen_by(tiles, x, pads))  # each of the sums to come reads plain memory
    kernel = _on_both_axes(_matrices().of_kernel, kernel)
    together = _together(len(x), tiles, *kernel.shape[1:])
    if together == len(x):
        y = _tiles_convolved(x, kernel, tiles)
    else:
        y = lax.map(lambda part: _tiles_convolved(part, kernel, tiles), _few_images(x, together))
    y = y.reshape(len(x), *(n * TILE for n in tiles), kernel.shape[-1])
    return lax.slice(y, (0,) * 4, (len(x), *sizes, kernel.shape[-1]))


def _tiles_convolved(x: Array, kernel: Array, tiles: list[int]) -> Array:
    """The results of some images, whose padding is there: shape (images, tiles, 4, tiles, 4, filters)."""
    return _results(_at_points(_matrices().of_input, x, tiles), kernel, tiles)


def _results(inputs: Array, kernel: Array, tiles: list[int]) -> Array:
    """The results of some images that are at the points, shaped likewise."""
    matrices = _matrices()
    products = lax.dot_general(inputs, kernel, (((2,), (1,)), ((0,), (0,))))
    products = lax.optimization_barrier(products.reshape(POINTS, POINTS, -1, *tiles, kernel.shape[-1]))
    rows = lax.optimization_barrier(_weighted(matrices.of_result, list(products), 3))
    return lax.optimization_barrier(_weighted(matrices.of_result, list(rows), 4))


def kernel_gradient(x: Array, g: Array, pads: Pads) -> Array:
    """The gradient of a convolution with a window of 3x3 and no strides by its kernel, from its input and the gradient
    of its output.

    >>> import jax.numpy as jnp
    >>> kernel_gradient(jnp.ones((1, 6, 6, 1)), jnp.ones((1, 4, 4, 1)), ((0, 0), (0, 0))).round(3).ravel().tolist()
    [16.0, 16.0, 16.0, 16.0, 16.0, 16.0, 16.0, 16.0, 16.0]
    """
    tiles = _tiles(g.shape[1:3])
    x, g = lax.optimization_barrier((_seen_by(tiles, x, pads), _whole(tiles, g)))  # sums to come read plain memory
    return _of_kernel(_multiplied(_at_points(_matrices().of_input, x, tiles), g, tiles))


def gradients(x: Array, kernel: Array, g: Array, pads: Pads) -> tuple[Array, Array]:
    """Both gradients of a convolution with a window of 3x3 and no strides, by its input and by its kernel, a few images
    at a time: all have to be on one device.

    The gradient by the input is a convolution of `g`, the one by the kernel, turned, that of a convolution of `g` that
    had `x` for a gradient. So `g` is at the points once for both, and the input needs no padding.

    >>> import jax.numpy as jnp
    >>> of_x, of_kernel = gradients(
    ...     jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), jnp.ones((1, 2, 2, 1)), ((0, 0), (0, 0)))
    >>> of_x.round(3).ravel().tolist()
    [1.0, 2.0, 2.0, 1.0, 2.0, 4.0, 4.0, 2.0, 2.0, 4.0, 4.0, 2.0, 1.0, 2.0, 2.0, 1.0]
    >>> of_kernel.round(3).ravel().tolist()
    [4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]
    """
    tiles = _tiles(x.shape[1:3])
    # Where nothing else reads it, XLA writes `g` with its padding at once (a step of ResNet-20 0.98 of the time).
    g = _seen_by(tiles, g, pads_of_transpose(pads, kernel.shape))
    whole, g = lax.optimization_barrier((_whole(tiles, x), g))
    kernel = _on_both_axes(_matrices().of_kernel, turned(kernel))
    together = _together(len(x), tiles, *kernel.shape[1:])

    def of_some(total: Array, parts: tuple[Array, Array]) -> tuple[Array, Array]:
        x, g = parts
        inputs = _at_points(_matrices().of_input, g, tiles)
        return total + _multiplied(inputs, x, tiles), _results(inputs, kernel, tiles)

    products = jnp.zeros(kernel.shape, x.dtype)
    if together == len(x):
        products, dx = of_some(products, (whole, g))
    else:
        products, dx = lax.scan(of_some, products, (_few_images(whole, together), _few_images(g, together)))
    return lax.slice(dx.reshape(whole.shape), (0,) * 4, x.shape), turned(_of_kernel(products))


def _multiplied(inputs: Array, g: Array, tiles: list[int]) -> Array:
    """The products of inputs that are at the points and of gradients, added over all tiles."""
    return lax.dot_general(inputs, _at_points(_matrices().of_result.T, g, tiles), (((1,), (1,)), ((0,), (0,))))


def _of_kernel(products: Array) -> Array:
    """A kernel's gradient from these sums."""
    return _on_both_axes(_matrices().of_kernel.T, products).reshape(WINDOW, WINDOW, *products.shape[1:])


def _together(images: int, tiles: list[int], channels: int, filters: int) -> int:
    """How many images to take at a time."""
    bytes_of_one = NUMBER * POINTS**2 * math.prod(tiles) * max(channels, filters)
    most = max(_most_bytes(), NUMBER * POINTS**2 * channels * filters) // bytes_of_one
    return max((n for n in range(1, min(most, images) + 1) if images % n == 0), default=1)


def _most_bytes() -> int:
    return CACHES * (second_cache() or USUAL_CACHE)


def _few_images(x: Array, together: int) -> Array:
    return x.reshape(len(x) // together, together, *x.shape[1:])


def _tiles(sizes: Iterable[int]) -> list[int]:
    """How many tiles cover the results on each axis."""
    return [-(-n // TILE) for n in sizes]


def _seen_by(tiles: list[int], x: Array, pads: Pads) -> Array:
    """The images with the padding that the windows of whole tiles see."""
    return padded(x, [(lo, n * TILE + WINDOW - 1 - m - lo) for (lo, _), n, m in zip(pads, tiles, x.shape[1:])])


def _whole(tiles: list[int], x: Array) -> Array:
    """The images with zeros up to whole tiles."""
    return padded(x, [(0, n * TILE - m) for n, m in zip(tiles, x.shape[1:])])


class _Matrices(NamedTuple):
    """What numbers at the places of an axis are multiplied by.

    Attributes:
        of_kernel: 3 of a kernel, to have them at the 6 points.
        of_input: 6 of the input, likewise.
        of_result: 6 at the points, to have 4 results.
    """

    of_kernel: np.ndarray
    of_input: np.ndarray
    of_result: np.ndarray


@functools.cache
def _matrices() -> _Matrices:
    def powers(count: int) -> np.ndarray:
        return np.array([[place**power for power in range(count)] for place in PLACES] + [[0.0] * (count - 1) + [1.0]])

    found = powers(WINDOW), np.linalg.inv(powers(POINTS)).T, powers(TILE).T
    return _Matrices(*(matrix.astype("float32") for matrix in found))


def _at_points(matrix: np.ndarray, x: Array, tiles: list[int]) -> Array:
    """The tiles of `x`, which overlap where the matrix has more than 4 columns, at the points: shape (36, tiles of all
    images, channels).

    An image's rows are read for all points while they are in the cache. As fast as copies of what is written.
    """
    x = _weighted(matrix, _every_fourth(x, matrix.shape[1], tiles[0], 1), 1)
    x = lax.optimization_barrier(x).swapaxes(0, 1)
    x = _weighted(matrix, _every_fourth(x, matrix.shape[1], tiles[1], 3), 1)
    return lax.optimization_barrier(x).reshape(POINTS**2, -1, x.shape[-1])


def _on_both_axes(matrix: np.ndarray, numbers: Array) -> Array:
    """Both axes of a kernel, or of what is found for one, times the matrix: shape (elements, channels, filters).

    One small product. As two passes of sums, a kernel's gradient takes longer, with the rest of it in ms: 16 x 14 x 14
    x 256 into 256 24 instead of 20, 64 x 8 x 8 x 64 into 64 2.2 instead of 1.9; a convolution as long. Channels and
    filters stay axes of their own: they may be divided among devices.
    """
    return jnp.tensordot(np.kron(matrix, matrix), numbers.reshape(-1, *numbers.shape[-2:]), 1)


def _every_fourth(x: Array, count: int, tiles: int, axis: int) -> list[Array]:
    """The first element of each tile along an axis, the second, and so on up to `count`."""
    return [lax.slice_in_dim(x, at, at + TILE * (tiles - 1) + 1, TILE, axis) for at in range(count)]


def _weighted(matrix: np.ndarray, parts: list[Array], axis: int) -> Array:
    """The sums of the parts, each times a row of the matrix, one behind the other along a new axis.

    With the zeros, in one expression: XLA makes one loop of it, and of sums put together one with a condition inside.
    """
    shape = (*parts[0].shape[:axis], len(matrix), *parts[0].shape[axis:])
    others = [at for at in range(len(shape)) if at != axis]
    first, *rest = [lax.broadcast_in_dim(part, shape, others) * lax.broadcast_in_dim(column, shape, (axis,))
                    for part, column in zip(parts, matrix.T)]
    return sum(rest, first)
