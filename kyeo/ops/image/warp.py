"""Images in another size, place or shape: resizing, and reading them at other coordinates."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from kyeo.core.arrays import as_floats, to_array
from kyeo.core.dtypes import is_integer
from kyeo.core.errors import boolean, int_tuple, number, one_of, problem
from kyeo.core.keys import key_of
from kyeo.core.op import op
from kyeo.ops.agree import agreed
from kyeo.ops.core import saturate_cast
from kyeo.ops.image.layout import as_batch, format_of, image_of, side_axes
from kyeo.ops.kernels.bits import normal_numbers
from kyeo.ops.kernels.sample import FILL_MODES, bell, filtered, homography, projected, sample

__all__ = [
    "affine_transform", "elastic_transform", "map_coordinates", "perspective_transform", "resize",
    "scale_and_translate",
]

_ORDERS = {"nearest": 0, "bilinear": 1}
_RESIZERS = ("bilinear", "nearest", "lanczos3", "lanczos5", "bicubic")
_SCALERS = ("linear", "bilinear", "trilinear", "cubic", "bicubic", "tricubic", "lanczos3", "lanczos5")


@op
def resize(
    images: Any, size: Sequence[int], interpolation: str = "bilinear", antialias: bool = False,
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, fill_mode: str = "constant",
    fill_value: float = 0.0, data_format: str | None = None,
) -> Array:
    """Images in another size, in the same dtype.

    Args:
        images: an image or a batch.
        size: (height, width) of the result.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        antialias: whether to smooth where images become smaller.
        crop_to_aspect_ratio: whether to cut off what would distort the picture.
        pad_to_aspect_ratio: whether to add what would keep it from distorting.
        fill_mode: "constant".
        fill_value: what is added.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo
    >>> kyeo.ops.image.resize(kyeo.ops.ones((2, 6, 4, 3)), (3, 2)).shape
    (2, 3, 2, 3)
    """
    where = "ops.image.resize"
    if isinstance(size, int):
        raise problem("`size` is not valid.", received=f"size={size}", expected="(height, width)", where=where)
    target = int_tuple(where, 2, size=size)
    method = one_of(where, _RESIZERS, interpolation=interpolation)
    one_of(where, ("constant",), fill_mode=fill_mode)
    axes, images = side_axes(format_of(where, data_format)), image_of(where, images)
    crop, pad = boolean(where, crop=crop_to_aspect_ratio), boolean(where, pad=pad_to_aspect_ratio)
    if crop and pad:
        raise problem("An image is either cropped or padded.", where=where, expected="one of the two",
                      received="crop_to_aspect_ratio=True, pad_to_aspect_ratio=True")
    values = images
    if crop:
        values = _cropped(values, axes, target)
    elif pad:
        values = as_floats(values)
        values = _padded(values, axes, target, fill_value)
    shape = list(values.shape)
    shape[axes[0]], shape[axes[1]] = target
    resized = jax.image.resize(values, tuple(shape), method=method, antialias=bool(antialias))
    if resized.dtype == images.dtype:
        return resized
    return saturate_cast(jnp.round(resized) if is_integer(images.dtype) else resized, images.dtype)


def _alike(size: Sequence[int], target: Sequence[int]) -> tuple[int, int]:
    """The height that goes with the width, and the width that goes with the height, to be shaped as the target."""
    (height, width), (goal_height, goal_width) = size, target
    return int(float(width * goal_height) / goal_width), int(float(height * goal_width) / goal_height)


def crop_window(size: Sequence[int], target: Sequence[int]) -> list[tuple[int, int]]:
    """(start, length) along height and width of the largest part in the middle that is shaped as the target."""
    kept = [max(min(have, wanted), 1) for have, wanted in zip(size, _alike(size, target))]
    return [(int(float(have - length) / 2), length) for have, length in zip(size, kept)]


def _cropped(images: Array, axes: Sequence[int], target: Sequence[int]) -> Array:
    """The middle of the images that is shaped as the target."""
    for axis, (start, length) in zip(axes, crop_window([images.shape[a] for a in axes], target)):
        images = lax.slice_in_dim(images, start, start + length, axis=axis % images.ndim)
    return images


def _padded(images: Array, axes: Sequence[int], target: Sequence[int], value: Any) -> Array:
    """The images with as much added on both sides as makes them shaped as the target."""
    pads, size = [(0, 0)] * images.ndim, [images.shape[a] for a in axes]
    for axis, have, wanted in zip(axes, size, _alike(size, target)):
        pads[axis] = (int(float(max(have, wanted) - have) / 2),) * 2
    return jnp.pad(images, pads, constant_values=value)


def _grid(batch: Array) -> tuple[Array, Array]:
    """The row and column of every pixel, as floats, shapes (1, height, width)."""
    shape = (1, *batch.shape[1:3])
    return (lax.broadcasted_iota(jnp.int32, shape, 1).astype("float32"),
            lax.broadcasted_iota(jnp.int32, shape, 2).astype("float32"))


@op
def affine_transform(
    images: Any, transform: Any, interpolation: str = "bilinear", fill_mode: str = "constant", fill_value: Any = 0,
    data_format: str | None = None,
) -> Array:
    """Images read at transformed places: pixel (x, y) of the result is that of the image at
    ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), with k = c0 x + c1 y + 1.

    Args:
        images: an image or a batch.
        transform: a0, a1, a2, b0, b1, b2, c0, c1: shape (8,) for all images, or (batch, 8).
        interpolation: "bilinear" or "nearest".
        fill_mode: what is outside: "constant", "nearest" (the edge goes on), "reflect" (d c b a | a b c d),
            "mirror" (d c b | a b c d), or "wrap" (a b c d | a b c d).
        fill_value: the constant.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo
    >>> image = kyeo.ops.reshape(kyeo.ops.arange(4.0), (1, 4, 1))
    >>> kyeo.ops.image.affine_transform(image, [1.0, 0, 1, 0, 1, 0, 0, 0])[0, :, 0].tolist()
    [1.0, 2.0, 3.0, 0.0]
    """
    where = "ops.image.affine_transform"
    transform = to_array(transform)
    transform, = agreed(["bn"[-transform.ndim:]], transform, n=8)
    order = _ORDERS[one_of(where, _ORDERS, interpolation=interpolation)]
    mode = one_of(where, FILL_MODES, fill_mode=fill_mode)
    if transform.ndim not in (1, 2) or transform.shape[-1] != 8:
        raise problem("`transform` has a wrong shape.", received=transform, where=where,
                      expected="8 numbers, or 8 for each image: shape (8,) or (batch, 8)")
    transform = as_floats(transform)
    return as_batch(where, images, data_format, lambda batch: _warped(
        batch, transform.reshape(-1, 8), order, mode, fill_value))


def _warped(batch: Array, transform: Array, order: int, mode: str, fill_value: Any) -> Array:
    y, x = projected(transform, *_grid(batch))
    batch, y, x = agreed(("bhwc", "b", "b"), batch, y, x)
    shape = batch.shape[:3]
    return sample(batch, jnp.broadcast_to(y, shape), jnp.broadcast_to(x, shape), order, mode, fill_value)


@op
def perspective_transform(
    images: Any, start_points: Any, end_points: Any, interpolation: str = "bilinear", fill_value: Any = 0,
    data_format: str | None = None,
) -> Array:
    """Images seen from another side: what is at the four start points comes to the four end points.

    Args:
        images: an image or a batch.
        start_points, end_points: points as (x, y), shape (4, 2), or (batch, 4, 2).
        interpolation: "bilinear" or "nearest".
        fill_value: what is outside of the image.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo
    >>> corners = kyeo.ops.array([[0.0, 0.0], [0.0, 3.0], [3.0, 0.0], [3.0, 3.0]])
    >>> kyeo.ops.image.perspective_transform(kyeo.ops.ones((4, 4, 1)), corners, corners).shape
    (4, 4, 1)
    """
    where = "ops.image.perspective_transform"
    order = _ORDERS[one_of(where, _ORDERS, interpolation=interpolation)]
    start, end = to_array(start_points, "float32"), to_array(end_points, "float32")
    start, end = agreed(["bpc"[-points.ndim:] for points in (start, end)], start, end, p=4, c=2)
    for name, points in (("start_points", start), ("end_points", end)):
        if points.ndim not in (2, 3) or points.shape[-2:] != (4, 2) or points.shape != start.shape:
            raise problem(f"`{name}` has a wrong shape.", received=points, where=where,
                          expected="four points for all images or for each, shape (4, 2) or (batch, 4, 2), and as "
                                   "many start points as end points")
    transform = homography(start.reshape(-1, 4, 2), end.reshape(-1, 4, 2))
    return as_batch(where, images, data_format, lambda batch: _warped(
        batch, transform, order, "constant", fill_value))


@op
def map_coordinates(inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant",
                    fill_value: Any = 0) -> Array:
    """Values of an array of any number of axes at real coordinates.

    Args:
        inputs: the array.
        coordinates: for each axis of the array the places along it, shape (axes, ...).
        order: 0 for the nearest element, 1 for linear interpolation.
        fill_mode: what is outside, as in `affine_transform`.
        fill_value: the constant.

    Returns: the shape of the coordinates without their first axis.

    >>> import kyeo
    >>> kyeo.ops.image.map_coordinates([[0.0, 10.0], [20.0, 30.0]], [[0.5], [0.5]], 1).tolist()
    [15.0]
    """
    import jax.scipy.ndimage

    where = "ops.image.map_coordinates"
    inputs, coordinates = to_array(inputs), to_array(coordinates)
    one_of(where, (0, 1), order=order)
    one_of(where, FILL_MODES, fill_mode=fill_mode)
    if coordinates.ndim < 2 or coordinates.shape[0] != inputs.ndim:
        raise problem("The coordinates do not fit the array.", where=where,
                      received=f"coordinates of shape {coordinates.shape} for an array of {inputs.ndim} axes",
                      expected=f"shape ({inputs.ndim}, ...)")
    return jax.scipy.ndimage.map_coordinates(inputs, list(coordinates), order, fill_mode, fill_value)


@op
def scale_and_translate(
    images: Any, output_shape: Sequence[int | None], scale: Any, translation: Any, spatial_dims: Sequence[int],
    method: str, antialias: bool = True,
) -> Array:
    """Images scaled and moved along some axes: element i of the result lies at (i + 0.5 - translation) / scale.

    Args:
        images: any shape.
        output_shape: shape of the result, None for a size that stays.
        scale, translation: one number for each of `spatial_dims`.
        spatial_dims: the axes.
        method: "linear", "cubic", "lanczos3" or "lanczos5" ("bilinear", "bicubic", ... mean the same).
        antialias: whether to smooth where images become smaller.

    >>> import kyeo
    >>> x = kyeo.ops.reshape(kyeo.ops.arange(4.0), (1, 4, 1))
    >>> kyeo.ops.image.scale_and_translate(x, (1, 4, 1), [1.0], [1.0], (1,), "linear")[0, :, 0].tolist()
    [0.0, 0.0, 1.0, 2.0]
    """
    where, images = "ops.image.scale_and_translate", to_array(images)
    method = one_of(where, _SCALERS, method=method)
    if len(output_shape) != images.ndim:
        raise problem("`output_shape` does not fit the images.", received=f"output_shape={tuple(output_shape)} for "
                      f"images of shape {images.shape}", expected="a size for each axis of the images", where=where)
    shape = tuple(have if wanted is None else wanted for have, wanted in zip(images.shape, output_shape))
    return jax.image.scale_and_translate(
        images, shape, tuple(spatial_dims), to_array(scale), to_array(translation), method, antialias)


@op
def elastic_transform(
    images: Any, alpha: Any = 20.0, sigma: Any = 5.0, interpolation: str = "bilinear", fill_mode: str = "reflect",
    fill_value: Any = 0.0, seed: Any = None, data_format: str | None = None,
) -> Array:
    """Images bent at random, as if printed on rubber: every pixel is read at a place nearby.

    Args:
        images: an image or a batch.
        alpha: how far the places are moved.
        sigma: how smooth the movement is, in pixels: noise of this standard deviation is blurred by it.
        interpolation: "bilinear" or "nearest".
        fill_mode, fill_value: what is outside, as in `affine_transform`.
        seed: an int, a `SeedGenerator` or None.
        data_format: "channels_last", "channels_first", or None for the setting.

    Simard, Steinkraus, Platt, "Best practices for convolutional neural networks applied to visual document
    analysis", ICDAR 2003.

    >>> import kyeo
    >>> kyeo.ops.image.elastic_transform(kyeo.ops.ones((8, 8, 1)), seed=0).shape
    (8, 8, 1)
    """
    where = "ops.image.elastic_transform"
    order = _ORDERS[one_of(where, _ORDERS, interpolation=interpolation)]
    mode, key = one_of(where, FILL_MODES, fill_mode=fill_mode), key_of(seed, where)
    size = int(6 * number(where, low=0, sigma=sigma)) | 1
    return as_batch(where, images, data_format, lambda batch: bent(
        batch, key, alpha, sigma, size, order, mode, fill_value))


def bent(batch: Array, key: Array, alpha: Any, sigma: Any, size: int, order: int, mode: str, fill_value: Any) -> Array:
    """A batch with its pixels moved by blurred noise; `size` is the largest window that `sigma` can need."""
    y, x = _grid(batch)
    noise = normal_numbers(key, (batch.shape[0], *batch.shape[1:3], 2)) * sigma
    window = bell(size, sigma, reach=jnp.floor(6 * jnp.asarray(sigma, "float32")) // 2)
    for axis in (1, 2):
        noise = filtered(noise, window, axis)
    return sample(batch, y + alpha * noise[..., 0], x + alpha * noise[..., 1], order, mode, fill_value)
