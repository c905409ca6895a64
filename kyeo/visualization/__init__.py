"""Pictures of images with what belongs to them: boxes, masks, labels; galleries by matplotlib (the extra `plot`)."""

from kyeo.visualization.draw import draw_bounding_boxes, draw_segmentation_masks
from kyeo.visualization.gallery import (
    plot_bounding_box_gallery,
    plot_image_gallery,
    plot_segmentation_mask_gallery,
)

__all__ = [
    "draw_bounding_boxes", "draw_segmentation_masks", "plot_bounding_box_gallery", "plot_image_gallery",
    "plot_segmentation_mask_gallery",
]
