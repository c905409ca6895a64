"""Brightness, contrast and the like: what changes the values of pixels by one number an image."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import problem
from kyeo.layers.images.base import Extent, ImageLayer, between, per_image, ranged, span, values_between
from kyeo.ops.image.layout import side_axes
from kyeo.ops.kernels import filtered, uniform_numbers

__all__ = [
    "RandomBrightness", "RandomContrast", "RandomInvert", "RandomPosterization", "RandomSharpness", "Solarization",
    "range_of",
]


def range_of(owner: Any, value_range: Any) -> list[float]:
    """Two numbers in order."""
    if not isinstance(value_range, (tuple, list)) or len(value_range) != 2:
        raise problem("`value_range` is not valid.", received=f"value_range={value_range!r}", where=owner,
                      expected="the least and the largest value of the images, as (0, 255) or (0, 1)")
    return sorted(value_range)


class RandomBrightness(ImageLayer):
    """Adds a random number to each image while training.

    Args:
        factor: how much at most, as a part of the range: one number f for [-f, f], or two from -1 to 1.
        value_range: least and largest value of the images; results are cut off there.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomBrightness((0.5, 0.5))(kyeo.ops.zeros((1, 1, 1, 3)))[0, 0, 0].tolist()
    [127.5, 127.5, 127.5]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.factor = span(self, -1, 1, strict=False, factor=factor)
        self.value_range = range_of(self, value_range)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """What is added to each image."""
        (part,) = values_between(key, extent.batch, self.factor)
        return {"rgb_delta": per_image(part * (self.value_range[1] - self.value_range[0]))}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """The sum, within the range."""
        delta = per_image(transformation["rgb_delta"]).astype(images.dtype)
        return jnp.clip(images + delta, *self.value_range)


class RandomContrast(ImageLayer):
    """Moves the values of each image away from, or towards, the mean of their channel while training.

    Args:
        factor: (lower, upper): distances from the mean are multiplied by a number from [1 - lower, 1 + upper]; one
            number f means (0, f).
        value_range: least and largest value of the images; results are cut off there.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> image = kyeo.ops.array([[[[100.0], [200.0]]]])
    >>> kyeo.layers.RandomContrast((1.0, 0.0), seed=0)(image).shape
    (1, 1, 2, 1)
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.factor = span(self, 0, 1, strict=False, factor=factor)
        self.value_range = range_of(self, value_range)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """By what the distances from the mean of each image are multiplied."""
        (factor,) = values_between(key, extent.batch, (1.0 - self.factor[0], 1.0 + self.factor[1]))
        return {"contrast_factor": per_image(factor)}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """The larger or smaller distances."""
        mean = images.mean(side_axes(self.data_format), keepdims=True)
        factor = per_image(transformation["contrast_factor"]).astype(images.dtype)
        return jnp.clip((images - mean) * factor + mean, *self.value_range)


class RandomInvert(ImageLayer):
    """Makes negatives of images, at random, while training.

    Args:
        factor: the probability: one number f for a draw from [0, f], or two.
        value_range: a value becomes the largest of the range less itself.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomInvert((1.0, 1.0))(kyeo.ops.zeros((1, 1, 1, 3)))[0, 0, 0].tolist()
    [255.0, 255.0, 255.0]
    """

    def __init__(self, factor: Any = 1.0, value_range: Any = (0, 255), seed: int | None = None,
                 data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = span(self, 0, 1, strict=False, factor=factor)
        self.value_range = range_of(self, value_range)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """Which images become negatives."""
        uniform = uniform_numbers(key, (extent.batch, 2))
        return {"apply_inversion": uniform[:, 1] < between(uniform[:, 0], self.factor)}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Negatives of those."""
        return jnp.where(per_image(transformation["apply_inversion"]), self.value_range[1] - images, images)


class RandomPosterization(ImageLayer):
    """Leaves each image only its highest bits while training.

    Args:
        factor: how many of 8 bits are left: one number f for from 1 to less than f, or two (from, to; the second
            is left out unless both are the same).
        value_range: least and largest value of the images.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> image = kyeo.ops.array([[[[100.0, 200.0, 255.0]]]])
    >>> kyeo.layers.RandomPosterization((2, 2))(image)[0, 0, 0].tolist()
    [64.0, 192.0, 192.0]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), data_format: str | None = None,
                 seed: int | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = span(self, 1, 8, strict=False, factor=factor)
        self.value_range = range_of(self, value_range)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """How many bits of each image are lost."""
        low, high = self.factor
        (bits,) = values_between(key, extent.batch, (low, high))
        bits = jnp.clip(jnp.floor(bits), low, max(low, high - 1)).astype("uint8")
        return {"shift_factor": jnp.uint8(8) - bits}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images without them."""
        lost = per_image(transformation["shift_factor"])
        values = ranged(images, self.value_range, (0, 255)).astype("uint8")
        values = jnp.left_shift(jnp.right_shift(values, lost), lost).astype(images.dtype)
        return ranged(values, (0, 255), self.value_range)


class RandomSharpness(ImageLayer):
    """Makes each image sharper or softer while training.

    Args:
        factor: 0 for soft, 0.5 for as it is, 1 for sharp: one number f for a draw from [0, f], or two.
        value_range: least and largest value of the images; results are cut off there.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomSharpness(0.5)(kyeo.Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), data_format: str | None = None,
                 seed: int | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = span(self, 0, 1, strict=False, factor=factor)
        self.value_range = range_of(self, value_range)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """The sharpness of each image."""
        (factor,) = values_between(key, extent.batch, self.factor)
        return {"factor": factor}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images mixed with, or held against, soft copies of themselves: windows of 3x3 ones, the middle a 5, by 13."""
        factor, soft = per_image(transformation["factor"] * 2).astype(images.dtype), images
        for axis in side_axes(self.data_format):
            soft = filtered(soft, [1, 1, 1], axis % images.ndim)
        soft = soft * (1.0 / 13.0) + images * (4.0 / 13.0)
        return jnp.clip(images + (1.0 - factor) * (soft - images), *self.value_range)


class Solarization(ImageLayer):
    """Brightens each image and inverts what comes above a threshold, both drawn, while training.

    Args:
        addition_factor: what is added, as a part of the range: one number f for a draw from [0, f], or two.
        threshold_factor: the threshold, likewise.
        value_range: least and largest value of the images.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> image = kyeo.ops.array([[[[100.0, 200.0]]]])
    >>> kyeo.layers.Solarization(threshold_factor=(0.5, 0.5))(image)[0, 0, 0].tolist()
    [100.0, 55.0]
    """

    def __init__(self, addition_factor: Any = 0.0, threshold_factor: Any = 0.0, value_range: Any = (0, 255),
                 seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.addition_factor = span(self, 0, 1, least=0, addition_factor=addition_factor)
        self.threshold_factor = span(self, 0, 1, least=0, threshold_factor=threshold_factor)
        self.value_range = range_of(self, value_range)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """What is added to each image and where its threshold lies, in 255 parts of the range."""
        bounds = [(low * 255.0, high * 255.0) for low, high in (self.addition_factor, self.threshold_factor)]
        addition, threshold = values_between(key, extent.batch, *bounds)
        return {"additions": per_image(addition), "thresholds": per_image(threshold)}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Brighter, and inverted above the threshold."""
        addition, threshold = (per_image(transformation[name]).astype(images.dtype)
                               for name in ("additions", "thresholds"))
        values = jnp.clip(ranged(images, self.value_range, (0, 255)) + addition, 0, 255)
        values = jnp.where(values < threshold, values, 255 - values)
        return ranged(values, (0, 255), self.value_range)
