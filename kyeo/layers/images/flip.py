"""Mirror images."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import one_of
from kyeo.layers.images.base import Extent, ImageLayer, per_image
from kyeo.ops.bounding_boxes import clip_to_image_size, convert_format, parts_of
from kyeo.ops.image.layout import as_batch
from kyeo.ops.kernels import uniform_numbers

__all__ = ["RandomFlip"]


class RandomFlip(ImageLayer):
    """Mirrors each image with probability 1/2 while training.

    Args:
        mode: "horizontal" (left to right), "vertical", or "horizontal_and_vertical", each by its own coin.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> row = kyeo.ops.reshape(kyeo.ops.arange(3.0), (1, 1, 3, 1))
    >>> flip = kyeo.layers.RandomFlip("horizontal", seed=1)
    >>> sorted({tuple(flip(row).ravel().tolist()) for _ in range(9)})
    [(0.0, 1.0, 2.0), (2.0, 1.0, 0.0)]
    """

    takes_integers = True

    def __init__(self, mode: str = "horizontal_and_vertical", seed: int | None = None, data_format: str | None = None,
                 **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.mode = one_of(self, ("horizontal", "vertical", "horizontal_and_vertical"), mode=mode)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """Whether to flip each image: "flips", and for two directions "vertical_flips"."""
        coins = uniform_numbers(key, (extent.batch, 2)) <= 0.5
        both = {"vertical_flips": per_image(coins[:, 1])} if self.mode == "horizontal_and_vertical" else {}
        return {"flips": per_image(coins[:, 0]), **both}

    def _ways(self, transformation: Any) -> list[tuple[int, Any]]:
        """(0 for upside down or 1 for left to right, which images) for each direction."""
        flips = jnp.asarray(transformation["flips"])
        ways = [(1, flips)] if "horizontal" in self.mode else []
        if "vertical" in self.mode:
            ways.append((0, jnp.asarray(transformation.get("vertical_flips", flips))))
        return ways

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images flipped where the coins say so."""
        return as_batch(type(self).__name__, images, self.data_format,
                        lambda batch: self._flipped(batch, transformation))

    def _flipped(self, batch: Any, transformation: Any) -> Any:
        """One gather of pixels: XLA's reversal with a choice behind it is many times slower on a CPU."""
        count, height, width, channels = batch.shape
        places = [jnp.arange(height)[:, None], jnp.arange(width)]
        for way, flips in self._ways(transformation):
            places[way] = jnp.where(per_image(flips, 3), (height, width)[way] - 1 - places[way], places[way])
        index = jnp.arange(count)[:, None, None] * (height * width) + places[0] * width + places[1]
        return batch.reshape(-1, channels).at[index].get(mode="promise_in_bounds")

    change_masks = change_images

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """Boxes mirrored with their images."""
        form = self.bounding_box_format
        relative = convert_format(bounding_boxes, form, "rel_xyxy", height, width)
        for way, flips in self._ways(transformation):
            x1, y1, x2, y2 = parts_of(relative["boxes"])
            mirrored = (1 - x2, y1, 1 - x1, y2) if way else (x1, 1 - y2, x2, 1 - y1)
            relative["boxes"] = jnp.where(per_image(flips, 3), jnp.stack(mirrored, -1), relative["boxes"])
        clipped = clip_to_image_size(relative, bounding_box_format="rel_xyxy")
        return convert_format(clipped, "rel_xyxy", form, height, width)
