"""Ops on the pixels of images: blocks, patches, the noise between two images."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.errors import int_tuple, one_of, positive_int, problem
from kyeo.core.op import op
from kyeo.core.settings import settings

__all__ = ["depth_to_space", "fold", "psnr", "space_to_depth", "unfold"]

_FORMATS = ("channels_last", "channels_first")


def _images(name: str, x: Any, block_size: int, data_format: str | None) -> tuple[jax.Array, int, bool]:
    """The images, the checked size of a block, and whether channels come last."""
    x, where = to_array(x), f"ops.{name}"
    size = positive_int(where, block_size=block_size, minimum=2)
    found = one_of(where, _FORMATS, data_format=data_format or settings.image_data_format)
    if x.ndim != 4:
        raise problem("Blocks are parts of images.", received=x, expected="an array of 4 axes", where=where)
    return x, size, found == "channels_last"


def _divides(name: str, block: int, **sizes: Any) -> None:
    for what, size in sizes.items():
        if isinstance(size, int) and size % block:
            raise problem(f"The {what} cannot be divided into blocks.", received=f"{what} of {size}",
                          expected=f"a multiple of {block}", where=f"ops.{name}")


@op
def depth_to_space(x: Any, block_size: int, data_format: str | None = "channels_last") -> jax.Array:
    """Channels laid out as blocks of pixels: (n, h, w, c) -> (n, h * b, w * b, c / b^2), b the size of a block.

    Shi et al., 2016 (https://arxiv.org/abs/1609.05158).

    Args:
        x: images.
        block_size: the side of a block, at least 2.
        data_format: "channels_last", "channels_first", or None for that of `kyeo.config`.

    >>> import kyeo
    >>> kyeo.ops.depth_to_space([[[[1, 2, 3, 4]]]], 2)[0, :, :, 0].tolist()
    [[1, 2], [3, 4]]
    """
    x, b, last = _images("depth_to_space", x, block_size, data_format)
    n, h, w, c = x.shape if last else (x.shape[0], *x.shape[2:], x.shape[1])
    _divides("depth_to_space", b * b, channels=c)
    if last:
        return x.reshape(n, h, w, b, b, c // b**2).transpose(0, 1, 3, 2, 4, 5).reshape(n, h * b, w * b, c // b**2)
    return x.reshape(n, c // b**2, b, b, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // b**2, h * b, w * b)


@op
def space_to_depth(x: Any, block_size: int, data_format: str | None = "channels_last") -> jax.Array:
    """Blocks of pixels as channels: (n, h, w, c) -> (n, h / b, w / b, c * b^2), b the size of a block.

    The way back from `depth_to_space`; its arguments.

    >>> import kyeo
    >>> kyeo.ops.space_to_depth([[[[1], [2]], [[3], [4]]]], 2).tolist()
    [[[[1, 2, 3, 4]]]]
    """
    x, b, last = _images("space_to_depth", x, block_size, data_format)
    n, h, w, c = x.shape if last else (x.shape[0], *x.shape[2:], x.shape[1])
    _divides("space_to_depth", b, height=h, width=w)
    if last:
        return x.reshape(n, h // b, b, w // b, b, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // b, w // b, c * b**2)
    return x.reshape(n, c, h // b, b, w // b, b).transpose(0, 1, 3, 5, 2, 4).reshape(n, c * b**2, h // b, w // b)


_Pairs = tuple[tuple[int, ...], ...]


def _windows(where: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> _Pairs:
    """Kernel, dilation, padding and stride, each as (rows, columns)."""
    return (int_tuple(where, 2, kernel_size=kernel_size), int_tuple(where, 2, dilation=dilation),
            int_tuple(where, 2, minimum=0, padding=padding), int_tuple(where, 2, stride=stride))


def _count(size: Any, kernel: int, dilation: int, padding: int, stride: int) -> Any:
    """How many windows lie along an axis."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _cut(x: jax.Array, windows: _Pairs) -> jax.Array:
    """Windows of (n, c, h, w) as (n, c * kh * kw, windows): strided slices of the rows, then of the columns."""
    kernel, dilation, padding, stride = windows
    n, c = x.shape[:2]
    x = jnp.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    for axis in (2, 4):  # (n, c, h, w) -> (n, c, kh, rows, w) -> (n, c, kh, rows, kw, columns)
        k, d, s = (pair[axis // 2 - 1] for pair in (kernel, dilation, stride))
        count = _count(x.shape[axis], k, d, 0, s)
        parts = [jax.lax.slice_in_dim(x, i * d, i * d + s * (count - 1) + 1, s, axis) for i in range(k)]
        x = jnp.stack(parts, axis)
    return x.transpose(0, 1, 2, 4, 3, 5).reshape(n, c * kernel[0] * kernel[1], x.shape[3] * x.shape[5])


@op
def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> jax.Array:
    """Windows of images as columns: (n, c, h, w) -> (n, c * kh * kw, windows).

    Args:
        x: images with channels first.
        kernel_size: the sides of a window, one int or two.
        dilation: the distance of its pixels.
        padding: zeros added at every border.
        stride: the distance of the windows.

    >>> import kyeo
    >>> kyeo.ops.unfold([[[[1, 2, 3], [4, 5, 6]]]], 2).tolist()
    [[[1, 2], [2, 3], [4, 5], [5, 6]]]
    """
    x, windows = to_array(x), _windows("ops.unfold", kernel_size, dilation, padding, stride)
    if x.ndim != 4:
        raise problem("Windows are parts of images.", received=x, where="ops.unfold",
                      expected="an array of 4 axes: batch, channels, rows, columns")
    counts = [_count(size, *pairs) for size, *pairs in zip(x.shape[2:], *windows)]
    if any(isinstance(count, int) and count < 1 for count in counts):
        raise problem("The images are smaller than the window.", received=x, where="ops.unfold",
                      expected=f"sides that hold a window of {windows[0]}", fix="use padding, or a smaller window")
    return _cut(x, windows)


@op
def fold(
    x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1,
) -> jax.Array:
    """Windows put back at their places and added up where they overlap: the transposed `unfold`.

    Args:
        x: windows of shape (n, c * kh * kw, windows).
        output_size: the sides of the images, one int or two.
        kernel_size, dilation, padding, stride: as in `unfold`.

    Returns: images of shape (n, c, h, w).

    >>> import kyeo
    >>> kyeo.ops.fold([[[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]]], (2, 3), 2).tolist()
    [[[[1.0, 4.0, 3.0], [4.0, 10.0, 6.0]]]]
    """
    x, windows = to_array(x), _windows("ops.fold", kernel_size, dilation, padding, stride)
    size, pixels = int_tuple("ops.fold", 2, output_size=output_size), windows[0][0] * windows[0][1]
    rows, columns = (_count(side, *pairs) for side, *pairs in zip(size, *windows))
    if x.ndim != 3 or x.shape[1] % pixels or (isinstance(x.shape[2], int) and x.shape[2] != rows * columns):
        raise problem("These are not the windows of such images.", received=x, where="ops.fold",
                      expected=f"shape (n, a multiple of {pixels}, {rows * columns})")
    images = jax.ShapeDtypeStruct((x.shape[0], x.shape[1] // pixels, *size), x.dtype)
    return jax.linear_transpose(lambda images: _cut(images, windows), images)(x)[0]


@op
def psnr(x1: Any, x2: Any, max_val: Any) -> jax.Array:
    """Peak signal-to-noise ratio in decibels: 10 log10(max_val^2 / mean((x1 - x2)^2)).

    Args:
        x1, x2: images of one shape.
        max_val: the largest value a pixel can have, such as 1 or 255.

    >>> import kyeo
    >>> float(kyeo.ops.psnr([0.0, 1.0], [0.0, 0.0], 1.0).round(3))
    3.01...
    """
    x1, x2 = to_array(x1), to_array(x2)
    if x1.shape != x2.shape:
        raise problem("Only images of one shape can be compared.", where="ops.psnr",
                      received=f"shapes {x1.shape} and {x2.shape}", expected="equal shapes")
    peak = to_array(max_val, x2.dtype)
    return 20 * jnp.log10(peak) - 10 * jnp.log10(jnp.mean(jnp.square(x1 - x2)))
