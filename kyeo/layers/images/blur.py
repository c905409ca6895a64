"""Layers that blur, bend and erase parts of images."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import int_tuple, number, one_of, problem
from kyeo.core.keys import key_of
from kyeo.layers.images.base import Extent, ImageLayer, between, per_image, span
from kyeo.layers.images.color import range_of
from kyeo.ops.image import gaussian_blur
from kyeo.ops.image.layout import as_batch
from kyeo.ops.image.warp import bent
from kyeo.ops.kernels import derived_key, normal_numbers, uniform_numbers
from kyeo.ops.kernels.sample import FILL_MODES

__all__ = ["RandomElasticTransform", "RandomErasing", "RandomGaussianBlur", "rectangles"]


class RandomGaussianBlur(ImageLayer):
    """Blurs images by a Gaussian window, at random, while training.

    Args:
        factor: the probability: one number f for a draw from [0, f], or two.
        kernel_size: size of the window, odd; one for both sides, or two for width and height.
        sigma: standard deviation of the window in pixels, at most 1: one number s for a draw from [0, s], or two.
            All images of a batch get the same.
        value_range: least and largest value of the images; results are cut off there.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomGaussianBlur()(kyeo.Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    def __init__(self, factor: Any = 1.0, kernel_size: Any = 3, sigma: Any = 1.0, value_range: Any = (0, 255),
                 data_format: str | None = None, seed: int | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = span(self, 0, 1, strict=False, factor=factor)
        self.kernel_size = int_tuple(self, 2, kernel_size=kernel_size)
        if any(size % 2 == 0 for size in self.kernel_size):
            raise problem("`kernel_size` is not valid.", received=f"kernel_size={kernel_size}", where=self,
                          expected="odd ints: a window has a middle")
        self.sigma = span(self, 0, 1, strict=False, sigma=sigma)
        self.value_range = range_of(self, value_range)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """Which images are blurred, and the standard deviations along x and y."""
        uniform = uniform_numbers(key, (extent.batch, 2))
        sigma = between(uniform_numbers(derived_key(key, 0), (2,)), self.sigma)
        return {"should_apply_blur": uniform[:, 1] < between(uniform[:, 0], self.factor), "blur_factor": sigma + 1e-6}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Those blurred."""
        blurred = gaussian_blur(images, self.kernel_size, transformation["blur_factor"], self.data_format)
        chosen = jnp.where(per_image(transformation["should_apply_blur"]), blurred, images)
        return jnp.clip(chosen, *self.value_range)


class RandomElasticTransform(ImageLayer):
    """Bends images as if printed on rubber, at random, while training.

    Args:
        factor: the probability: one number f for a draw from [0, f], or two.
        scale: how strongly, drawn for all images of a batch from [0, scale], or between two numbers.
        interpolation: "bilinear" or "nearest".
        fill_mode, fill_value: what is outside of the image, as in `ops.image.affine_transform`.
        value_range: least and largest value of the images; results are cut off there.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`; boxes are refused.

    Simard, Steinkraus, Platt, "Best practices for convolutional neural networks applied to visual document
    analysis", ICDAR 2003.

    >>> import kyeo
    >>> kyeo.layers.RandomElasticTransform()(kyeo.Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    takes_integers = True

    def __init__(self, factor: Any = 1.0, scale: Any = 1.0, interpolation: str = "bilinear",
                 fill_mode: str = "reflect", fill_value: float = 0.0, value_range: Any = (0, 255),
                 seed: int | None = None, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = span(self, 0, 1, strict=False, factor=factor)
        self.scale = span(self, 0, 1, strict=False, scale=scale)
        self.interpolation = one_of(self, ("nearest", "bilinear"), interpolation=interpolation)
        self.fill_mode = one_of(self, FILL_MODES, fill_mode=fill_mode)
        self.fill_value, self.value_range = number(self, fill_value=fill_value), range_of(self, value_range)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any] | None:
        """Which images are bent, how strongly, and the seed of the bending."""
        if self.scale[1] == 0 or self.factor[1] == 0:
            return None
        uniform = uniform_numbers(key, (extent.batch, 2))
        factor = between(uniform_numbers(derived_key(key, 0), (1,))[0], self.scale)
        return {"apply_transform": uniform[:, 1] < between(uniform[:, 0], self.factor), "distortion_factor": factor,
                "seed": derived_key(key, 1)}

    def _bent(self, images: Any, transformation: Any, order: int) -> Any:
        extent, factor = self.extent_of(images), jnp.asarray(transformation["distortion_factor"], "float32")
        short = min(extent.height, extent.width)
        largest = int(6 * short * 0.05 * self.scale[1]) | 1
        alpha, sigma = max(extent.height, extent.width) * 0.1 * factor, short * 0.05 * factor
        moved = as_batch(type(self).__name__, images, self.data_format, lambda batch: bent(
            batch, key_of(transformation["seed"]), alpha, sigma, largest, order, self.fill_mode, self.fill_value))
        return jnp.where(per_image(transformation["apply_transform"]), moved, images)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Those bent."""
        order = 1 if self.interpolation == "bilinear" else 0
        return jnp.clip(self._bent(images, transformation, order), *self.value_range)

    def change_masks(self, masks: Any, transformation: Any) -> Any:
        """Masks likewise, without mixing classes."""
        return self._bent(masks, transformation, 0)

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """Refused: a bent box is none."""
        raise problem("Bounding boxes cannot be bent.", received='data with "bounding_boxes"', where=self,
                      expected="images, labels and segmentation masks", kind=NotImplementedError)


class RandomErasing(ImageLayer):
    """Fills a rectangle of each image with noise or a constant, at random, while training.

    Args:
        factor: the probability: one number f for a draw from [0, f], or two.
        scale: from what the two sides of the rectangle are drawn: the square of a side as a part of the image's.
        fill_value: a number, one for each of three channels, or None for noise.
        value_range: least and largest value of the images; the filling is cut off there.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    Zhong, Zheng, Kang, Li, Yang, "Random erasing data augmentation", AAAI 2020.

    >>> import kyeo
    >>> layer = kyeo.layers.RandomErasing((1.0, 1.0), scale=(0.25, 0.25), fill_value=0)
    >>> float(layer(kyeo.ops.ones((1, 8, 8, 1))).sum())  # a rectangle of 4x4 is gone
    48.0
    """

    takes_integers = True

    def __init__(self, factor: Any = 1.0, scale: Any = (0.02, 0.33), fill_value: Any = None,
                 value_range: Any = (0, 255), seed: int | None = None, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = span(self, 0, 1, strict=False, factor=factor)
        self.scale = span(self, 0, 1, strict=False, scale=scale)
        several = isinstance(fill_value, (tuple, list))
        if several and len(fill_value) != 3:
            raise problem("`fill_value` is not valid.", received=f"fill_value={fill_value}", where=self,
                          expected="a number, three numbers, or None for noise")
        self.fill_value = fill_value if several else number(self, optional=True, fill_value=fill_value)
        self.value_range = range_of(self, value_range)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """Which images lose a rectangle, which one, and what comes there."""
        uniform = uniform_numbers(key, (extent.batch, 6))
        sides = jnp.sqrt(between(uniform[:, 2:4], self.scale))
        masks, _ = rectangles(sides, uniform[:, 4:], extent, self.data_format)
        filling = self._filling(derived_key(key, 0), extent)
        return {"apply_erasing": uniform[:, 1] < between(uniform[:, 0], self.factor), "batch_masks": masks,
                "fill_value": jnp.clip(filling, *self.value_range).astype(self.compute_dtype)}

    def _filling(self, key: Any, extent: Extent) -> Any:
        first = self.data_format == "channels_first"
        if self.fill_value is not None:
            values = jnp.asarray(self.fill_value, "float32")
            return values.reshape(-1, 1, 1) if first and values.ndim else values
        sides = (extent.height, extent.width)
        shape = (extent.batch, extent.channels, *sides) if first else (extent.batch, *sides, extent.channels)
        return normal_numbers(key, shape) * self.value_range[1]

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images without the rectangle."""
        erased = jnp.where(transformation["batch_masks"], transformation["fill_value"], images)
        return jnp.where(per_image(transformation["apply_erasing"]), erased, images).astype(images.dtype)


def rectangles(sides: Any, places: Any, extent: Extent, data_format: str) -> tuple[Any, Any]:
    """A rectangle in each image, as a mask of one channel, and the part of the image outside of it.

    Args:
        sides: width and height as parts of the image's, shape (batch, 2).
        places: where, from 0 for left and up to 1 for right and down, shape (batch, 2).
        extent, data_format: of the images.
    """
    inside = []
    for i, size, axis in ((0, extent.width, 2), (1, extent.height, 1)):
        length = sides[:, i] * size
        start = places[:, i] * (size - length)
        grid = jnp.arange(size, dtype="float32")
        within = (grid >= start[:, None]) & (grid < (start + length)[:, None])
        inside.append(jnp.expand_dims(within, 3 - axis))
    masks = jnp.expand_dims(inside[0] & inside[1], 1 if data_format == "channels_first" else -1)
    return masks, 1.0 - sides[:, 0] * sides[:, 1]
