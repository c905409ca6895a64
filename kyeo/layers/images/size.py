"""Layers that give images another size."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.dtypes import is_integer
from kyeo.core.errors import boolean, number, one_of, positive_int, problem
from kyeo.layers.images.base import Extent, ImageLayer
from kyeo.ops.bounding_boxes import clip_to_image_size, convert_format
from kyeo.ops.image import resize
from kyeo.ops.image.layout import side_axes
from kyeo.ops.image.warp import crop_window
from kyeo.ops.kernels import uniform_numbers

__all__ = ["CenterCrop", "RandomCrop", "Resizing"]

_INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


class Sized(ImageLayer):
    """Base of the layers whose images have `height` and `width`; they do so when not training too."""

    always = takes_integers = True

    def _set_size(self, height: int, width: int) -> None:
        self.height, self.width = positive_int(self, height=height), positive_int(self, width=width)

    def _sides_of(self, images: Any) -> tuple[Any, Any]:
        extent = self.extent_of(images)
        return extent.height, extent.width

    def _cut(self, images: Any, top: Any, left: Any) -> Any:
        for axis, start, length in zip(side_axes(self.data_format), (top, left), (self.height, self.width)):
            images = jax.lax.dynamic_slice_in_dim(images, start, length, axis % images.ndim)
        return images

    def _fitted(self, images: Any, interpolation: str) -> Any:
        """The largest part in the middle that has the right shape, in the right size."""
        return resize(images, (self.height, self.width), interpolation, crop_to_aspect_ratio=True,
                      data_format=self.data_format)

    def _placed(self, bounding_boxes: dict[str, Any], size: Any, scales: Any, shifts: Any) -> Any:
        """Boxes scaled and then shifted, (along y, along x), cut at the borders."""
        form, (down, right), (high, wide) = self.bounding_box_format, shifts, scales
        boxes = convert_format(bounding_boxes, form, "xyxy", *size)
        moved = boxes["boxes"] * jnp.array([wide, high, wide, high]) + jnp.stack(
            [jnp.asarray(v, "float32") for v in (right, down, right, down)])
        clipped = clip_to_image_size({**boxes, "boxes": moved}, self.height, self.width)
        return convert_format(clipped, "xyxy", form, self.height, self.width)

    def _fitted_boxes(self, bounding_boxes: dict[str, Any], size: Any) -> Any:
        windows, goal = crop_window(size, (self.height, self.width)), (self.height, self.width)
        scales = [wanted / length for wanted, (_, length) in zip(goal, windows)]
        return self._placed(bounding_boxes, size, scales, [-start * s for s, (start, _) in zip(scales, windows)])


class Resizing(Sized):
    """Images in another size.

    Args:
        height, width: of the result.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5". Masks are read by "nearest".
        crop_to_aspect_ratio: whether to cut off what would distort the picture.
        pad_to_aspect_ratio: whether to add what would keep it from distorting.
        fill_mode: "constant".
        fill_value: what is added.
        antialias: whether to smooth where images become smaller.

    Integers come out as integers. Further arguments and inputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.Resizing(4, 6)(kyeo.Input((8, 8, 3))).shape
    (None, 4, 6, 3)
    """

    def __init__(self, height: int, width: int, interpolation: str = "bilinear", crop_to_aspect_ratio: bool = False,
                 pad_to_aspect_ratio: bool = False, fill_mode: str = "constant", fill_value: float = 0.0,
                 antialias: bool = False, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self._set_size(height, width)
        self.interpolation = one_of(self, _INTERPOLATIONS, interpolation=interpolation)
        self.crop_to_aspect_ratio = boolean(self, crop_to_aspect_ratio=crop_to_aspect_ratio)
        self.pad_to_aspect_ratio = boolean(self, pad_to_aspect_ratio=pad_to_aspect_ratio)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise problem("An image is either cropped or padded.", where=self, expected="one of the two",
                          received="crop_to_aspect_ratio=True, pad_to_aspect_ratio=True")
        self.fill_mode = one_of(self, ("constant",), fill_mode=fill_mode)
        self.fill_value, self.antialias = number(self, fill_value=fill_value), bool(antialias)

    def prepared(self, images: Any) -> Any:
        """Integers stay what they are."""
        return images if is_integer(images.dtype) else super().prepared(images)

    def described(self, drawn: Any, shape: tuple[Any, ...], extent: Extent) -> Any:
        """Height and width of the images before."""
        return extent.height, extent.width

    def size_from(self, transformation: Any) -> tuple[Any, Any]:
        """They are the transformation."""
        return transformation

    def _resized(self, images: Any, interpolation: str) -> Any:
        return resize(images, (self.height, self.width), interpolation, self.antialias, self.crop_to_aspect_ratio,
                      self.pad_to_aspect_ratio, self.fill_mode, self.fill_value, self.data_format)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """The resized images."""
        return self._resized(images, self.interpolation)

    def change_masks(self, masks: Any, transformation: Any) -> Any:
        """Masks, without mixing classes."""
        return self._resized(masks, "nearest")

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """Boxes where they are in the resized images; boxes of only 0 or only -1, which are none, become 0."""
        scales, shifts = (self.height / height, self.width / width), (0.0, 0.0)
        if self.crop_to_aspect_ratio or self.pad_to_aspect_ratio:
            scale = max(scales) if self.crop_to_aspect_ratio else min(scales)
            scales, goal = (scale, scale), (self.height, self.width)
            rests = [wanted - have * scale for have, wanted in zip((height, width), goal)]
            shifts = tuple(rest // 2 if self.pad_to_aspect_ratio else -(-rest // 2) for rest in rests)
        old = bounding_boxes["boxes"]
        none = ((old == -1).all(-1) | (old == 0).all(-1))[..., None]
        placed = self._placed(bounding_boxes, (height, width), scales, shifts)
        return {**placed, "boxes": jnp.where(none, 0.0, placed["boxes"])}


class CenterCrop(Sized):
    """The middle of images; of images that are too small the largest part of the right shape, enlarged.

    Args:
        height, width: of the result.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.CenterCrop(4, 6)(kyeo.Input((8, 8, 3))).shape
    (None, 4, 6, 3)
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self._set_size(height, width)

    def described(self, drawn: Any, shape: tuple[Any, ...], extent: Extent) -> Any:
        """The shape of the images before."""
        return {"input_shape": shape}

    def _cropped(self, images: Any, interpolation: str) -> Any:
        height, width = self._sides_of(images)
        if height < self.height or width < self.width:
            return self._fitted(images, interpolation)
        return self._cut(images, (height - self.height) // 2, (width - self.width) // 2)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """The middle."""
        return self._cropped(images, "bilinear")

    def change_masks(self, masks: Any, transformation: Any) -> Any:
        """The middle, without mixing classes."""
        return self._cropped(masks, "nearest")

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """What of the boxes is in the middle."""
        if height < self.height or width < self.width:
            return self._fitted_boxes(bounding_boxes, (height, width))
        corner = -((height - self.height) // 2), -((width - self.width) // 2)
        return self._placed(bounding_boxes, (height, width), (1.0, 1.0), corner)


class RandomCrop(Sized):
    """While training a part of the images at a random place, the same for all images of a batch.

    When not training, and where images are not larger than the part on both sides: the largest part in the middle of
    the right shape, in the right size.

    Args:
        height, width: of the result.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> layer = kyeo.layers.RandomCrop(4, 6)
    >>> layer(kyeo.Input((8, 8, 3))).shape, layer(kyeo.Input((8, 8, 3)), training=False).shape
    ((None, 4, 6, 3), (None, 4, 6, 3))
    """

    def __init__(self, height: int, width: int, seed: int | None = None, data_format: str | None = None,
                 name: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, name=name, **kwargs)
        self._set_size(height, width)
        self._set_seed(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """(top, left, height, width): where the part begins, None for the middle, and the size of the images."""
        if training:
            return super().get_random_transformation(data, True, seed)
        return None, None, *self._sides_of(data["images"] if isinstance(data, dict) else data)

    def draw(self, key: Any, extent: Extent) -> Any:
        """Where the part begins."""
        if not (extent.height > self.height and extent.width > self.width):
            return None, None
        part = uniform_numbers(key, (2,))
        return tuple((part[i] * float(size - length + 1)).astype("int32") for i, (size, length) in enumerate(
            ((extent.height, self.height), (extent.width, self.width))))

    def described(self, drawn: Any, shape: tuple[Any, ...], extent: Extent) -> Any:
        """With the size of the images."""
        return *drawn, extent.height, extent.width

    def size_from(self, transformation: Any) -> tuple[Any, Any]:
        """Height and width of the images before."""
        return transformation[2], transformation[3]

    def _cropped(self, images: Any, transformation: Any, interpolation: str) -> Any:
        top, left = transformation[:2] if transformation is not None else (None, None)
        height, width = self._sides_of(images)
        if top is not None and height > self.height and width > self.width:
            return self._cut(images, top, left)
        return self._fitted(images, interpolation)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """The part."""
        return self._cropped(images, transformation, "bilinear")

    def change_masks(self, masks: Any, transformation: Any) -> Any:
        """The part, without mixing classes."""
        return self._cropped(masks, transformation, "nearest")

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """What of the boxes is in the part."""
        top, left = transformation[:2]
        if top is None:
            return self._fitted_boxes(bounding_boxes, (height, width))
        return self._placed(bounding_boxes, (height, width), (1.0, 1.0), (-top, -left))
