"""Colors: from RGB to gray, to HSV and back."""

from typing import Any

import jax.numpy as jnp
from jax import Array

from kyeo.core.dtypes import is_float
from kyeo.core.errors import problem
from kyeo.core.op import op
from kyeo.ops.agree import agreed
from kyeo.ops.image.layout import channel_axis, format_of, image_of
from kyeo.ops.kernels.extreme import maximum, minimum

__all__ = ["hsv_to_rgb", "rgb_to_grayscale", "rgb_to_hsv"]

_GRAY = (0.2989, 0.587, 0.114)  # how bright the eye finds red, green and blue (ITU-R BT.601)


def _of_colors(where: str, images: Any, data_format: Any) -> tuple[Array, int]:
    """Images, and the axis of their channels: three where that is not known yet."""
    images, axis = image_of(where, images), channel_axis(format_of(where, data_format))
    labels = ["c" if place == images.ndim + axis else place for place in range(images.ndim)]
    return agreed([labels], images, c=3)[0], axis


def _planes(where: str, images: Any, data_format: Any) -> tuple[list[Array], int]:
    """Three color planes of float images, and the axis to stack them on again."""
    images, axis = _of_colors(where, images, data_format)
    if not is_float(images.dtype):
        raise problem("This op computes on floats.", received=images, expected="images of a float dtype", where=where,
                      fix='images / 255 or kyeo.ops.cast(images, "float32") makes floats')
    if images.shape[axis] != 3:
        raise problem("The images do not have three channels.", received=images, where=where,
                      expected=f"size 3 on axis {axis}", fix="is `data_format` right?")
    return list(jnp.unstack(images, axis=axis)), axis


@op
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Array:
    """The brightness 0.2989 red + 0.587 green + 0.114 blue, as one channel, in the dtype of the images.

    Args:
        images: 3 channels; images of 1 channel are given back as they are.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo
    >>> kyeo.ops.image.rgb_to_grayscale([[[255, 255, 255], [0, 0, 0]]]).tolist()
    [[[254], [0]]]
    """
    where = "ops.image.rgb_to_grayscale"
    images, axis = _of_colors(where, images, data_format)
    if images.shape[axis] not in (1, 3):
        raise problem("The images have a wrong number of channels.", received=images, where=where,
                      expected=f"size 3 (RGB) or 1 (gray) on axis {axis}", fix="is `data_format` right?")
    if images.shape[axis] == 1:
        return images
    floats = images if is_float(images.dtype) else images.astype("float32")
    gray = jnp.tensordot(floats, jnp.asarray(_GRAY, floats.dtype), axes=(axis, -1))
    return jnp.expand_dims(gray, axis).astype(images.dtype)


@op
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Array:
    """Hue, saturation and value of red, green and blue, all from 0 to 1 (value keeps the range of the images).

    Args:
        images: floats, 3 channels.
        data_format: "channels_last", "channels_first", or None for the setting.

    Smith, "Color gamut transform pairs", SIGGRAPH 1978.

    >>> import kyeo
    >>> kyeo.ops.image.rgb_to_hsv([[[1.0, 0.0, 0.0], [0.0, 0.5, 0.0]]]).round(3).tolist()
    [[[0.0, 1.0, 1.0], [0.333..., 1.0, 0.5]]]
    """
    planes, axis = _planes("ops.image.rgb_to_hsv", images, data_format)
    small = jnp.finfo(planes[0].dtype).eps
    red, green, blue = (jnp.where(jnp.abs(plane) < small, 0.0, plane) for plane in planes)
    value, least = maximum(maximum(red, green), blue), minimum(minimum(red, green), blue)
    spread = value - least
    sixth = 1.0 / (6.0 * jnp.where(spread > 0, spread, 1.0))
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1.0), 0.0)
    hue = jnp.where(value == green, sixth * (blue - red) + 2.0 / 6.0, sixth * (red - green) + 4.0 / 6.0)
    hue = jnp.where(value == red, sixth * (green - blue), hue)
    hue = jnp.where(spread > 0, hue, 0.0) + (hue < 0.0).astype(hue.dtype)
    return jnp.stack([hue, saturation, value], axis)


@op
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Array:
    """Red, green and blue of hue, saturation and value: the reverse of `rgb_to_hsv`.

    Args:
        images: floats, 3 channels.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo
    >>> kyeo.ops.image.hsv_to_rgb([[[0.0, 1.0, 1.0], [0.5, 0.5, 1.0]]]).tolist()
    [[[1.0, 0.0, 0.0], [0.5, 1.0, 1.0]]]
    """
    (hue, saturation, value), axis = _planes("ops.image.hsv_to_rgb", images, data_format)
    turn = jnp.mod(hue, 1.0) * 6.0
    pure = (jnp.clip(jnp.abs(turn - 3.0) - 1.0, 0.0, 1.0), jnp.clip(2.0 - jnp.abs(turn - 2.0), 0.0, 1.0),
            jnp.clip(2.0 - jnp.abs(turn - 4.0), 0.0, 1.0))
    return jnp.stack([value * (1.0 - saturation + saturation * part) for part in pure], axis)
