"""Images moved, turned, stretched: layers that read an image at the places to which a transform takes its pixels.

A layer says which transform (the eight numbers of `ops.image.affine_transform`) belongs to each image; images, masks
and boxes follow from it. Boxes go the other way, through its inverse, and become the upright boxes around their
corners.
"""

import math
from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import number, one_of
from kyeo.layers.images.base import Extent, ImageLayer, between, span, values_between
from kyeo.ops.bounding_boxes import clip_to_image_size, convert_format, mapped
from kyeo.ops.image import affine_transform
from kyeo.ops.kernels import homography, inverted, uniform_numbers

__all__ = ["RandomPerspective", "RandomRotation", "RandomShear", "RandomTranslation", "RandomZoom"]

_FILLS = ("reflect", "wrap", "constant", "nearest")


class Warp(ImageLayer):
    """Base: a subclass writes `draw` and `transforms`."""

    takes_integers = True

    def _set_reading(self, fill_mode: str, interpolation: str, fill_value: float, seed: Any) -> None:
        self.fill_mode = one_of(self, _FILLS, fill_mode=fill_mode)
        self.interpolation = one_of(self, ("nearest", "bilinear"), interpolation=interpolation)
        self.fill_value = number(self, fill_value=fill_value)
        self._set_seed(seed)

    def transforms(self, transformation: Any, height: Any, width: Any) -> Any:
        """The transform from places in the result to places in the image, shape (batch, 8)."""
        raise NotImplementedError

    def _read(self, images: Any, transformation: Any, interpolation: str) -> Any:
        extent = self.extent_of(images)
        transforms = jnp.asarray(self.transforms(transformation, extent.height, extent.width), "float32")
        return affine_transform(images, transforms, interpolation, self.fill_mode, self.fill_value, self.data_format)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images read at their transformed places."""
        return self._read(images, transformation, self.interpolation)

    def change_masks(self, masks: Any, transformation: Any) -> Any:
        """Masks likewise, without mixing classes."""
        return self._read(masks, transformation, "nearest")

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """The upright boxes around the boxes as they lie now."""
        form = self.bounding_box_format
        boxes = convert_format(bounding_boxes, form, "xyxy", height, width)
        back = inverted(jnp.asarray(self.transforms(transformation, height, width), "float32"))
        boxes = clip_to_image_size({**boxes, "boxes": mapped(boxes["boxes"], back)}, height, width)
        return convert_format(boxes, "xyxy", form, height, width)


def _stacked(*parts: Any) -> Any:
    """Eight numbers or arrays of the shape (batch,) side by side."""
    return jnp.stack(jnp.broadcast_arrays(*parts), -1)


class RandomTranslation(Warp):
    """Moves each image by a random part of its height and width while training.

    Args:
        height_factor: how far down at most, and up: one number f for [-f, f], or two; parts of the height.
        width_factor: likewise to the right and left.
        fill_mode, interpolation, seed, fill_value: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomTranslation(0.2, 0.2)(kyeo.Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    def __init__(self, height_factor: Any, width_factor: Any, fill_mode: str = "reflect",
                 interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0,
                 data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._bounds = (span(self, -1.0, 1.0, height_factor=height_factor),
                        span(self, -1.0, 1.0, width_factor=width_factor))
        self._set_reading(fill_mode, interpolation, fill_value, seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """How far each image goes: "translations", (x, y) in pixels, shape (batch, 2)."""
        y, x = values_between(key, extent.batch, *self._bounds)
        return {"translations": jnp.stack([x * extent.width, y * extent.height], -1)}

    def transforms(self, transformation: Any, height: Any, width: Any) -> Any:
        """A shift back."""
        x, y = jnp.unstack(jnp.asarray(transformation["translations"]), axis=-1)
        return _stacked(1.0, 0.0, -x, 0.0, 1.0, -y, 0.0, 0.0)


class RandomRotation(Warp):
    """Turns each image by a random angle around its middle while training.

    Args:
        factor: how far at most, in parts of a full turn against the clock: one number f for [-f, f], or two.
        fill_mode: what comes to where the image was not: "reflect" (d c b a | a b c d), "wrap" (a b c d | a b c d),
            "nearest" (the edge goes on), or "constant".
        interpolation: "bilinear" or "nearest".
        seed: makes the draws repeat.
        fill_value: the constant.
        data_format: "channels_last", "channels_first", or None for the setting.
        bounding_box_format: of the boxes, where a dict has any.

    Called on an image, a batch, or a dict of "images" with any of "labels", "bounding_boxes" and
    "segmentation_masks", which change together; outside of a model too. With `training=False`, as in `predict` and
    `evaluate`, it does nothing. The shape stays; the dtype is the layer's compute dtype.

    >>> import kyeo
    >>> layer = kyeo.layers.RandomRotation(0.1, bounding_box_format="xyxy", seed=0)
    >>> boxes = {"boxes": [[[2.0, 2.0, 5.0, 5.0]]], "labels": [[7]]}
    >>> out = layer({"images": kyeo.ops.ones((1, 8, 8, 3)), "bounding_boxes": boxes})
    >>> out["images"].shape, out["bounding_boxes"]["boxes"].shape
    ((1, 8, 8, 3), (1, 1, 4))
    """

    def __init__(self, factor: Any, fill_mode: str = "reflect", interpolation: str = "bilinear",
                 seed: int | None = None, fill_value: float = 0.0, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = span(self, -1, 1, strict=False, factor=factor)
        self._set_reading(fill_mode, interpolation, fill_value, seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """The angle of each image in degrees, and the transform it gives."""
        (angle,) = values_between(key, extent.batch, (self.factor[0] * 360.0, self.factor[1] * 360.0))
        turn, middle_x, middle_y = angle * (math.pi / 180.0), 0.5 * (extent.width - 1), 0.5 * (extent.height - 1)
        c, s = jnp.cos(turn), jnp.sin(turn)
        return {"angle": angle, "rotation_matrix": _stacked(
            c, -s, middle_x - middle_x * c + middle_y * s, s, c, middle_y - middle_x * s - middle_y * c, 0.0, 0.0)}

    def described(self, drawn: Any, shape: tuple[Any, ...], extent: Extent) -> Any:
        """With the sizes of the images."""
        return {**drawn, "image_height": extent.height, "image_width": extent.width, "batch_size": extent.batch}

    def size_from(self, transformation: Any) -> tuple[Any, Any]:
        """Height and width of the images."""
        return transformation["image_height"], transformation["image_width"]

    def transforms(self, transformation: Any, height: Any, width: Any) -> Any:
        """The rotation."""
        return jnp.reshape(transformation["rotation_matrix"], (-1, 8))


class RandomZoom(Warp):
    """Makes each image larger or smaller by a random factor while training.

    Args:
        height_factor: how much more of the height is seen at most, as a part of it, and how much less: one number f
            for [-f, f], or two. Above 0 zooms out, below 0 zooms in.
        width_factor: likewise for the width; None keeps the shape of things.
        fill_mode, interpolation, seed, fill_value: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomZoom(0.2)(kyeo.Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    def __init__(self, height_factor: Any, width_factor: Any = None, fill_mode: str = "reflect",
                 interpolation: str = "bilinear", seed: int | None = None, fill_value: float = 0.0,
                 data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._bounds = [span(self, -1.0, 1.0, height_factor=height_factor)]
        if width_factor is not None:
            self._bounds.append(span(self, -1.0, 1.0, width_factor=width_factor))
        for factor, name in ((height_factor, "height_factor"), (width_factor, "width_factor")):
            if isinstance(factor, (tuple, list)):  # one number may be 1: hardly a draw is just -1
                named: Any = {name: min(factor)}
                number(self, check=lambda v: v > -1, expected="numbers above -1: nothing is left to see", **named)
        self._set_reading(fill_mode, interpolation, fill_value, seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """The factor of each image, "height_zoom" and "width_zoom", shape (batch, 1)."""
        zooms = values_between(key, extent.batch, *((1.0 + low, 1.0 + high) for low, high in self._bounds))
        return {"height_zoom": zooms[0][:, None], "width_zoom": zooms[-1][:, None]}

    def transforms(self, transformation: Any, height: Any, width: Any) -> Any:
        """Stretching around the middle."""
        x, y = (jnp.reshape(transformation[name], (-1,)) for name in ("width_zoom", "height_zoom"))
        return _stacked(x, 0.0, (width - 1.0) / 2.0 * (1.0 - x), 0.0, y, (height - 1.0) / 2.0 * (1.0 - y), 0.0, 0.0)


class RandomShear(Warp):
    """Leans each image to a side by a random factor while training.

    Args:
        x_factor: how much further every next row is moved along x: one number f for [-f, f], or two, from 0 to 1,
            with a sign that is drawn.
        y_factor: how much further every next column is moved along y, likewise.
        interpolation, fill_mode, fill_value, seed: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomShear(0.2, 0.2)(kyeo.Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    def __init__(self, x_factor: Any = 0.0, y_factor: Any = 0.0, interpolation: str = "bilinear",
                 fill_mode: str = "reflect", fill_value: float = 0.0, data_format: str | None = None,
                 seed: int | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.x_factor, self.y_factor = (self._factor(x_factor=x_factor), self._factor(y_factor=y_factor))
        self._set_reading(fill_mode, interpolation, fill_value, seed)

    def _factor(self, **named: Any) -> tuple[float, float]:
        """One number f is kept as (-f, f), as in Keras, and read again from a config."""
        ((name, value),) = named.items()
        if isinstance(value, (tuple, list)) and len(value) == 2 and value[0] == -value[1]:
            return self._factor(**{name: value[1]})
        if isinstance(value, (tuple, list)):
            return span(self, 0, 1, **named)
        return span(self, 0, 1, least=-float(value) if isinstance(value, (int, float)) else None, **named)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """How far each image leans: "shear_factor", (x, y), shape (batch, 2)."""
        sign, y, x = values_between(key, extent.batch, (0.0, 1.0), self.y_factor, self.x_factor)
        return {"shear_factor": jnp.stack([x, y], -1) * jnp.where(sign > 0.5, -1.0, 1.0)[:, None]}

    def transforms(self, transformation: Any, height: Any, width: Any) -> Any:
        """Leaning, with the left upper corner where it is."""
        x, y = jnp.unstack(jnp.asarray(transformation["shear_factor"]), axis=-1)
        return _stacked(1.0, x, 0.0, y, 1.0, 0.0, 0.0, 0.0)


class RandomPerspective(Warp):
    """Shows each image as if seen from another side, at random, while training.

    Args:
        factor: the probability: one number f for a draw from [0, f], or two.
        scale: how far the corners move at most, as twice the part of their distance from the left upper corner.
        interpolation, fill_value, seed: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.RandomPerspective(scale=0.3)(kyeo.Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    def __init__(self, factor: Any = 1.0, scale: float = 1.0, interpolation: str = "bilinear", fill_value: float = 0.0,
                 seed: int | None = None, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = span(self, 0, 1, strict=False, factor=factor)
        self.scale = number(self, low=0, high=1, scale=scale)
        self._set_reading("constant", interpolation, fill_value, seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """Which images change, and where their corners are and go: (batch, 4, 2)."""
        uniform = uniform_numbers(key, (extent.batch, 10))
        right, bottom = extent.width - 1.0, extent.height - 1.0
        corners = jnp.array([[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]])
        moved = between(uniform[:, 2:], (-0.5 * self.scale, 0.5 * self.scale)).reshape(-1, 4, 2)
        start = jnp.broadcast_to(corners, moved.shape)
        return {"apply_perspective": uniform[:, 1] < between(uniform[:, 0], self.factor), "start_points": start,
                "end_points": start + start * moved}

    def transforms(self, transformation: Any, height: Any, width: Any) -> Any:
        """The homography, and nothing for images that stay."""
        start, end = (jnp.asarray(transformation[f"{n}_points"], "float32") for n in ("start", "end"))
        still = jnp.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        return jnp.where(jnp.asarray(transformation["apply_perspective"])[:, None], homography(start, end), still)
