"""As many bounding boxes for each image as for every other."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.dtypes import is_integer
from kyeo.core.errors import positive_int
from kyeo.layers.images.base import ImageLayer

__all__ = ["MaxNumBoundingBoxes"]


class MaxNumBoundingBoxes(ImageLayer):
    """Cuts off or fills up the boxes of each image, so that there are `max_number`. Images stay as they are.

    Args:
        max_number: how many.
        fill_value: what stands in the boxes and labels that are added.

    Further arguments and inputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> boxes = {"boxes": [[[0.0, 0.0, 1.0, 1.0]]], "labels": [[5]]}
    >>> layer = kyeo.layers.MaxNumBoundingBoxes(2, bounding_box_format="xyxy")
    >>> layer({"images": kyeo.ops.ones((1, 4, 4, 3)), "bounding_boxes": boxes})["bounding_boxes"]["labels"].tolist()
    [[5, -1]]
    """

    always = takes_integers = True

    def __init__(self, max_number: int, fill_value: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.max_number, self.fill_value = positive_int(self, max_number=max_number), int(fill_value)

    def get_config(self) -> dict[str, Any]:
        """As in Keras, which does not know `fill_value` there; kept where it is not the usual one."""
        config = super().get_config()
        return config if self.fill_value != -1 else {k: v for k, v in config.items() if k != "fill_value"}

    def prepared(self, images: Any) -> Any:
        """Integers stay what they are."""
        return images if is_integer(images.dtype) else super().prepared(images)

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """Boxes and labels, cut off or filled up."""
        added = max(self.max_number - bounding_boxes["boxes"].shape[1], 0)

        def fitted(values: Any) -> Any:
            pads = [(0, 0), (0, added), *((0, 0),) * (values.ndim - 2)]
            return jnp.pad(values[:, : self.max_number], pads, constant_values=self.fill_value)

        return {name: fitted(values) for name, values in bounding_boxes.items()}
