"""What the ops on images share: where the channels are, and one image as a batch of one."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

from kyeo.core.arrays import to_array
from kyeo.core.errors import one_of, problem
from kyeo.core.settings import settings

__all__ = ["as_batch", "channel_axis", "format_of", "image_of", "side_axes"]


def format_of(where: str, data_format: Any) -> str:
    """The layout asked for, or that of the settings where None."""
    if data_format is None:
        return settings.image_data_format
    return one_of(where, ("channels_last", "channels_first"), data_format=data_format)


def channel_axis(data_format: str) -> int:
    """The axis of the channels, counted from the end.

    >>> channel_axis("channels_last"), channel_axis("channels_first")
    (-1, -3)
    """
    return -1 if data_format == "channels_last" else -3


def side_axes(data_format: str) -> tuple[int, int]:
    """The axes of height and width, counted from the end.

    >>> side_axes("channels_last"), side_axes("channels_first")
    ((-3, -2), (-2, -1))
    """
    return (-3, -2) if data_format == "channels_last" else (-2, -1)


def image_of(where: str, images: Any, **named: Any) -> Array:
    """Images as an array of 3 or 4 axes; anything else raises."""
    images = to_array(images)
    if images.ndim not in (3, 4):
        raise problem(f"`{next(iter(named), 'images')}` must be an image or a batch of images.", received=images,
                      expected="3 axes (height, width, channels), or 4 with the batch first", where=where)
    return images


def as_batch(where: str, images: Any, data_format: Any, run: Callable[[Array], Array]) -> Array:
    """`run` on images as (batch, height, width, channels); its result laid out as the images were.

    What `run` adds behind the channels stays there.
    """
    images, first = image_of(where, images), format_of(where, data_format) == "channels_first"
    single = images.ndim == 3
    images = images[None] if single else images
    result = run(jnp.moveaxis(images, 1, 3) if first else images)
    result = jnp.moveaxis(result, 3, 1) if first else result
    return result[0] if single else result
