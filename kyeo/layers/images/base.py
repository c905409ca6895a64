"""What layers on images share: dicts of images, labels, boxes and masks, one draw for all of them, the compiled call.

A subclass writes `draw` (random numbers -> a dict of arrays) and `change_images`, and where they change too
`change_labels`, `change_boxes` and `change_masks`. These see batches, and only while there is something to do. The
public methods around them are those of Keras.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kyeo.core.dtypes import is_float
from kyeo.core.errors import number, problem
from kyeo.core.keys import key_of
from kyeo.core.scope import current, scope
from kyeo.layers.arguments import format_of
from kyeo.layers.data_layer import DataLayer
from kyeo.layers.images.program import call_program
from kyeo.ops.bounding_boxes import FORMATS, dense
from kyeo.ops.core import convert_to_tensor, saturate_cast
from kyeo.ops.image.layout import channel_axis, side_axes
from kyeo.ops.kernels import uniform_numbers
from kyeo.random import SeedGenerator

__all__ = ["Extent", "ImageLayer", "between", "per_image", "ranged", "span", "values_between"]

PARTS = ("images", "labels", "bounding_boxes", "segmentation_masks")


class Extent(NamedTuple):
    """The sizes of a batch of images."""

    batch: Any
    height: Any
    width: Any
    channels: Any


class ImageLayer(DataLayer):
    """Base of the layers on images.

    Args:
        bounding_box_format: of the boxes, where a dict has any: one of the formats of `utils.bounding_boxes`.
        data_format: "channels_last", "channels_first", or None for the setting.

    Called on images, shape (batch, height, width, channels) or without the batch; or on a dict of "images" and any
    of "labels", "bounding_boxes" ({"boxes": ..., "labels": ...}) and "segmentation_masks", which change together.
    Floats come out, in the layer's compute dtype. A layer that draws does nothing when `training=False`.
    """

    always = False  # whether there is something to do when not training
    takes_integers = False  # whether `change_images` is right for integers as they are; else it gets floats

    def __init__(self, *, bounding_box_format: str | None = None, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.autocast = False  # boxes keep their digits under a half precision policy; images are cast here
        if bounding_box_format is not None and str(bounding_box_format).lower() not in FORMATS:
            raise problem("`bounding_box_format` is not valid.", received=f"{bounding_box_format=}", where=self,
                          expected="one of " + ", ".join(FORMATS))
        self.bounding_box_format: Any = bounding_box_format
        self.data_format = format_of(self, data_format)

    def _set_seed(self, seed: Any) -> None:
        self.seed = seed
        with scope(path=f"{current().path}/{self.name}".lstrip("/")):  # an unseeded draw goes by its path
            self.generator = SeedGenerator(seed)

    # -- to be written by subclasses -----------------------------------------------------------------------
    def draw(self, key: jax.Array, extent: Extent) -> Any:
        """What happens to each image, as a dict of arrays; None where nothing does or nothing is drawn."""
        return None

    def change_images(self, images: Any, transformation: Any) -> Any:
        """A batch of images changed."""
        return images

    def change_labels(self, labels: Any, transformation: Any) -> Any:
        """Their labels."""
        return labels

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """Their boxes; height and width are those of the images before."""
        return bounding_boxes

    def change_masks(self, masks: Any, transformation: Any) -> Any:
        """Their segmentation masks."""
        return masks

    # -- as in Keras ---------------------------------------------------------------------------------------
    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Draw what is to happen to the images in `data`; the other methods take it."""
        if not training and not self.always:
            return None
        images = data["images"] if isinstance(data, dict) else data
        extent = self.extent_of(images)
        generator = getattr(self, "generator", None) if seed is None else seed
        drawn = None if generator is None else self.draw(key_of(generator), extent)
        return self.described(drawn, tuple(images.shape), extent)

    def described(self, drawn: Any, shape: tuple[Any, ...], extent: Extent) -> Any:
        """What was drawn with the shape of the images beside it."""
        return {**drawn, "input_shape": shape} if isinstance(drawn, dict) else drawn

    def size_from(self, transformation: Any) -> tuple[Any, Any]:
        """Height and width of the images before, as the transformation tells them."""
        known = transformation if isinstance(transformation, dict) else {}
        shape = known.get("input_shape", (None,) * 3)  # one that was written by hand may leave it out
        return tuple(shape[axis] for axis in side_axes(self.data_format))  # type: ignore[return-value]

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        """Images as a transformation has them; without one they are left as they are."""
        images = self.prepared(convert_to_tensor(images))
        if not self._acts(transformation, training):
            return images
        known = self.takes_integers or is_float(images.dtype)
        batch = images if known else images.astype("float32")
        batch = self.change_images(batch[None] if images.ndim == 3 else batch, transformation)
        changed = batch[0] if images.ndim == 3 else batch
        return changed if known else saturate_cast(jnp.round(changed), images.dtype)

    def transform_labels(self, labels: Any, transformation: Any = None, training: bool = True) -> Any:
        """The labels of images that were transformed."""
        return self.change_labels(labels, transformation) if self._acts(transformation, training) else labels

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any = None, training: bool = True) -> Any:
        """The bounding boxes of images that were transformed."""
        if not self._acts(transformation, training):
            return bounding_boxes
        boxes = dense(bounding_boxes, self)
        if boxes["boxes"].ndim == 2:
            return self.transform_single_bounding_box(boxes, transformation, training)
        return self.change_boxes(boxes, transformation, *self.size_from(transformation))

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any = None,
                                     training: bool = True) -> Any:
        """The masks of images that were transformed; they keep their dtype."""
        if not self._acts(transformation, training):
            return segmentation_masks
        masks = convert_to_tensor(segmentation_masks)
        if masks.ndim == 3:
            return self.change_masks(masks[None], transformation)[0]
        return self.change_masks(masks, transformation)

    def transform_single_image(self, image: Any, transformation: Any, training: bool = True) -> Any:
        """`transform_images` of one image."""
        return self.transform_images(convert_to_tensor(image)[None], transformation, training)[0]

    def transform_single_label(self, label: Any, transformation: Any, training: bool = True) -> Any:
        """`transform_labels` of one label."""
        return self.transform_labels(convert_to_tensor(label)[None], transformation, training)[0]

    def transform_single_bounding_box(self, bounding_box: Any, transformation: Any, training: bool = True) -> Any:
        """`transform_bounding_boxes` of the boxes of one image."""
        batch = {k: convert_to_tensor(v)[None] for k, v in dense(bounding_box, self).items()}
        return {k: v[0] for k, v in self.transform_bounding_boxes(batch, transformation, training).items()}

    def transform_single_segmentation_mask(self, segmentation_mask: Any, transformation: Any,
                                           training: bool = True) -> Any:
        """`transform_segmentation_masks` of one mask."""
        batch = convert_to_tensor(segmentation_mask)[None]
        return self.transform_segmentation_masks(batch, transformation, training)[0]

    # -- the call ------------------------------------------------------------------------------------------
    def call(self, data: Any, training: bool = True) -> Any:
        """The data with its images changed, and what belongs to them."""
        if not isinstance(data, dict):
            return self._of_parts({"images": data}, training)["images"]
        if "images" not in data:
            raise problem('The dict has no "images".', received=f"keys {list(data)}", where=self,
                          expected="a dict of " + ", ".join(PARTS))
        if "bounding_boxes" in data:
            if self.bounding_box_format is None:
                raise problem("The format of the bounding boxes is not known.", received="bounding_box_format=None",
                              where=self, expected="one of " + ", ".join(FORMATS),
                              fix=f'{type(self).__name__}(..., bounding_box_format="xyxy")')
            data = {**data, "bounding_boxes": dense(data["bounding_boxes"], self)}
        return {**data, **self._of_parts({k: data[k] for k in PARTS if k in data}, training)}

    def _of_parts(self, parts: dict[str, Any], training: bool) -> dict[str, Any]:
        parts = {k: v if isinstance(v, dict) else convert_to_tensor(v) for k, v in parts.items()}
        if not training and not self.always:
            return {**parts, "images": self.prepared(parts["images"])}
        return call_program(self, self._changed, parts, training)

    def _changed(self, parts: dict[str, Any], training: bool) -> dict[str, Any]:
        single = parts["images"].ndim == 3
        parts = jax.tree.map(lambda part: part[None], parts) if single else parts
        transformation = self.get_random_transformation(parts["images"], training)
        changes = (self.transform_images, self.transform_labels, self.transform_bounding_boxes,
                   self.transform_segmentation_masks)
        done = {name: change(parts[name], transformation, training)
                for name, change in zip(PARTS, changes) if name in parts}
        return jax.tree.map(lambda part: part[0], done) if single else done

    # -- small things --------------------------------------------------------------------------------------
    def _acts(self, transformation: Any, training: bool) -> bool:
        return self.always or (training and (transformation is not None or not hasattr(self, "generator")))

    def prepared(self, images: Any) -> Any:
        """Images as floats of the compute dtype, and of the right number of axes."""
        self.extent_of(images)
        return images if images.dtype == self.compute_dtype else images.astype(self.compute_dtype)

    def extent_of(self, images: Any) -> Extent:
        """The sizes of images; one image is a batch of one."""
        shape = tuple(images.shape)
        if len(shape) not in (3, 4):
            raise problem("The input is neither an image nor a batch of images.", received=images, where=self,
                          expected="3 axes (height, width, channels), or 4 with the batch first")
        height, width = (shape[axis] for axis in side_axes(self.data_format))
        return Extent(shape[0] if len(shape) == 4 else 1, height, width, shape[channel_axis(self.data_format)])


def per_image(values: Any, ndim: int = 4) -> Any:
    """One number for each image, shaped to stand against batches of images."""
    values = jnp.asarray(values)
    return values.reshape(-1, *(1,) * (ndim - 1))


def between(uniform: Any, bounds: Any, dtype: Any = "float32") -> Any:
    """Numbers in [0, 1) spread over bounds."""
    low, high = bounds
    return (low + (high - low) * uniform).astype(dtype)


def values_between(key: Any, batch: Any, *bounds: Any) -> list[Any]:
    """For each pair of bounds, one number an image; what an image gets does not depend on how many there are."""
    uniform = uniform_numbers(key, (batch, len(bounds)))
    return [between(uniform[:, i], pair) for i, pair in enumerate(bounds)]


def ranged(images: Any, source: Any, target: Any) -> Any:
    """Values of the range `source` moved to the range `target`."""
    if tuple(source) == tuple(target):
        return images
    (low, high), (goal_low, goal_high) = source, target
    images = images if is_float(images.dtype) else images.astype("float32")
    return (images - low) / (high - low) * (goal_high - goal_low) + goal_low


def span(owner: Any, low: float, high: float, *, least: float | None = None, strict: bool = True,
         **named: Any) -> tuple[float, float]:
    """`span(self, -1, 1, factor=factor)`: (lower, upper) from two numbers in order, or from one number f as (-f, f).

    Args:
        owner: the layer.
        low, high: what the numbers may be.
        least: the lower end that goes with one number, where it is not -f (but never below `low`).
        strict: whether two numbers must both be within the bounds, or only overlap them.
    """
    ((name, value),) = named.items()
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise problem(f"`{name}` is not valid.", received=f"{name}={value}", where=owner,
                          expected=f"a number, or two, from {low} to {high}")
        pair = sorted(number(owner, **{name: v}) for v in value)
        if strict or pair[0] > high or pair[1] < low:
            pair = [number(owner, low=low, high=high, **{name: v}) for v in pair]
        return pair[0], pair[1]
    size = abs(number(owner, low=low, high=high, **named))
    return (max(-size, low) if least is None else least), size
