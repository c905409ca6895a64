"""Layers on colors: images of three channels, red, green and blue."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import fraction
from kyeo.core.settings import settings
from kyeo.layers.images.base import Extent, ImageLayer, per_image, ranged, span, values_between
from kyeo.layers.images.color import range_of
from kyeo.ops.image import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from kyeo.ops.image.layout import channel_axis
from kyeo.ops.kernels import uniform_numbers

__all__ = ["RandomColorDegeneration", "RandomGrayscale", "RandomHue", "RandomSaturation"]


class Rgb(ImageLayer):
    """Base of the layers that draw one factor an image."""

    def _set_up(self, low: float, factor: Any, value_range: Any, seed: Any) -> None:
        self.factor = span(self, low, 1, strict=False, factor=factor)
        self.value_range = range_of(self, value_range)
        self._set_seed(seed)

    def _in_hsv(self, images: Any, change: Any) -> Any:
        """Images with `change` made to their hue and saturation."""
        axis = channel_axis(self.data_format)
        hue, saturation, value = jnp.unstack(rgb_to_hsv(images, self.data_format), axis=axis)
        return hsv_to_rgb(jnp.stack([*change(hue, saturation), value], axis), self.data_format)


class RandomColorDegeneration(Rgb):
    """Takes some color out of each image while training.

    Args:
        factor: how much of it, from 0 for none to 1 for all: one number f for [-f, f], or two from -1 to 1; below 0
            colors become stronger.
        value_range: least and largest value of the images; results are cut off there.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> red = kyeo.ops.array([[[[100.0, 0.0, 0.0]]]])
    >>> kyeo.layers.RandomColorDegeneration((1.0, 1.0))(red).round(1)[0, 0, 0].tolist()
    [29.8999..., 29.8999..., 29.8999...]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), data_format: str | None = None,
                 seed: int | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self._set_up(-1, factor, value_range, seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """How much color each image loses."""
        (factor,) = values_between(key, extent.batch, self.factor)
        return {"factor": per_image(factor)}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images on their way to gray ones."""
        factor = per_image(transformation["factor"]).astype(images.dtype)
        gray = rgb_to_grayscale(images, self.data_format)
        return jnp.clip(images + factor * (gray - images), *self.value_range)


class RandomGrayscale(ImageLayer):
    """Makes images gray, at random, while training. They keep their three channels.

    Args:
        factor: the probability.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomGrayscale(1.0)(kyeo.ops.array([[[[100.0, 0.0, 0.0]]]])).round(1)[0, 0, 0].tolist()
    [29.8999..., 29.8999..., 29.8999...]
    """

    def __init__(self, factor: float = 0.5, data_format: str | None = None, seed: int | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = fraction(self, factor=factor)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> Any:
        """Which images become gray: an array, as in Keras."""
        return per_image(uniform_numbers(key, (extent.batch,)) < self.factor)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Those gray, the others as they are."""
        return jnp.where(per_image(transformation), rgb_to_grayscale(images, self.data_format), images)


class RandomHue(Rgb):
    """Turns the colors of each image around the color circle while training.

    Args:
        factor: how far at most, to either side, in half turns: one number f for a draw from [0, f], or two.
        value_range: least and largest value of the images.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomHue((1.0, 1.0))(kyeo.ops.array([[[[255.0, 0.0, 0.0]]]]))[0, 0, 0].tolist()
    [0.0, 255.0, 255.0]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), data_format: str | None = None,
                 seed: int | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self._set_up(0, factor, value_range, seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """How far each image is turned."""
        sign, factor = values_between(key, extent.batch, (0.0, 1.0), self.factor)
        return {"factor": jnp.where(sign > 0.5, -1.0, 1.0) * factor * 0.5}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images of other hues."""
        def turn(hue: Any, saturation: Any) -> Any:
            hue = hue + per_image(transformation["factor"], 3).astype(hue.dtype)
            hue = jnp.where(hue > 1.0, hue - 1.0, hue)
            return jnp.where(hue < 0.0, hue + 1.0, hue), saturation

        turned = self._in_hsv(ranged(images, self.value_range, (0, 1)), turn)
        return ranged(jnp.clip(turned, 0, 1), (0, 1), self.value_range)


class RandomSaturation(Rgb):
    """Makes the colors of each image weaker or stronger while training.

    Args:
        factor: 0 for gray, 0.5 for as it is, towards 1 for as strong as can be: one number f for [-f, f] (below 0 is
            gray), or two.
        value_range: least and largest value of the images.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomSaturation((0.0, 0.0))(kyeo.ops.array([[[[255.0, 0.0, 0.0]]]]))[0, 0, 0].tolist()
    [255.0, 255.0, 255.0]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), data_format: str | None = None,
                 seed: int | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self._set_up(-1, factor, value_range, seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """By what the saturation of each image is multiplied."""
        (factor,) = values_between(key, extent.batch, self.factor)
        return {"factor": factor / (1 - factor + settings.epsilon)}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images of other saturation, which is always from 0 to 1."""
        factor = per_image(transformation["factor"], 3)
        return self._in_hsv(images, lambda hue, saturation: (
            hue, jnp.clip(saturation * factor.astype(saturation.dtype), 0.0, 1.0)))
