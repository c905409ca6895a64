"""Bounding boxes and segmentation masks drawn into images, on the host."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kyeo.core.errors import one_of, problem
from kyeo.core.parameters import checked
from kyeo.core.settings import settings
from kyeo.ops.bounding_boxes import convert_format

__all__ = ["as_pictures", "draw_bounding_boxes", "draw_segmentation_masks"]


def as_pictures(where: str, images: Any, data_format: Any, name: str = "images") -> np.ndarray:
    """A batch of images as a NumPy array, channels last."""
    images = np.asarray(images)
    if images.ndim != 4:
        raise problem(f"`{name}` must be a batch.", received=images, where=where,
                      expected="4 axes: (batch, height, width, channels)",
                      fix=f"`{name}[None]` makes a batch of one image")
    layout = data_format or settings.image_data_format
    first = one_of(where, ("channels_last", "channels_first"), data_format=layout) == "channels_first"
    return images.transpose(0, 2, 3, 1) if first else images


@checked
def draw_bounding_boxes(
    images: Any, bounding_boxes: dict[str, Any], bounding_box_format: str,
    class_mapping: Mapping[Any, str] | None = None,
    color: Sequence[float] = (128, 128, 128), line_thickness: int = 2, text_thickness: int = 1, font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Images with their boxes, as bytes, channels last.

    Args:
        images: a batch; floats up to 1 are taken for parts of 255.
        bounding_boxes: "boxes" and "labels", and perhaps "confidences"; boxes of label -1 are left out.
        bounding_box_format: a format of `utils.bounding_boxes`.
        class_mapping: {label: text}; a text is written at its boxes (by Pillow).
        color: of lines and texts.
        line_thickness: in pixels.
        text_thickness: of the outline of letters.
        font_scale: size of the letters, 1 for about 20 pixels.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo, numpy as np
    >>> boxes = {"boxes": [[[1, 1, 4, 4]]], "labels": [[0]]}
    >>> drawn = kyeo.visualization.draw_bounding_boxes(np.zeros((1, 6, 6, 3)), boxes, "xyxy", line_thickness=1)
    >>> drawn[0, 1, :, 0].tolist()
    [0, 128, 128, 128, 128, 0]
    """
    where = "visualization.draw_bounding_boxes"
    pictures = _bytes(as_pictures(where, images, data_format))
    if not isinstance(bounding_boxes, dict) or not {"boxes", "labels"} <= bounding_boxes.keys():
        raise problem("Bounding boxes come as a dict.", received=bounding_boxes, where=where,
                      expected='{"boxes": ..., "labels": ...}',
                      kind=ValueError if isinstance(bounding_boxes, dict) else TypeError)
    boxes = np.asarray(convert_format(bounding_boxes["boxes"], bounding_box_format, "xyxy", *pictures.shape[1:3]))
    labels, sure = np.asarray(bounding_boxes["labels"]), bounding_boxes.get("confidences")
    for i, j in np.argwhere(labels.astype(int) != -1):
        corners, label = boxes[i, j].astype(int), int(labels[i, j])
        _rectangle(pictures[i], corners, color, line_thickness)
        if class_mapping and label in class_mapping:
            text = str(class_mapping[label]) + ("" if sure is None else f" | {float(np.asarray(sure)[i, j]):.2f}")
            _write(pictures[i], corners, text, color, font_scale, text_thickness or line_thickness)
    return pictures


def _bytes(images: np.ndarray) -> np.ndarray:
    if images.dtype.kind == "f" and images.size:
        images = np.clip(images, 0, 1) * 255 if images.max() <= 1 else np.clip(images, 0, 255)
    return np.array(images, "uint8")


def _rectangle(picture: np.ndarray, corners: Any, color: Any, thickness: int) -> None:
    """Draw the border of a rectangle, half of its thickness outside."""
    x1, y1, x2, y2 = corners
    shade, out, inner = np.asarray(color, "uint8")[: picture.shape[2]], thickness // 2, (thickness + 1) // 2
    left, right = max(x1 - out, 0), max(x2 + inner, 0)
    top, bottom = max(y1 - out, 0), max(y2 + inner, 0)
    for y in (y1, y2):
        picture[max(y - out, 0): max(y + inner, 0), left:right] = shade
    for x in (x1, x2):
        picture[top:bottom, max(x - out, 0): max(x + inner, 0)] = shade


def _write(picture: np.ndarray, corners: Any, text: str, color: Any, scale: float, thickness: int) -> None:
    """Write above the rectangle, or inside where there is no room above."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise problem("Texts are written by Pillow, which is not installed.", kind=ImportError,
                      fix='pip install "kyeo[images]", or leave `class_mapping` out') from None
    size = max(int(20 * scale), 6)
    x, y = int(corners[0]), int(corners[1])
    place = (x, y - 4 - size) if y - 4 - size > 0 else (x + 3, y + 3)
    canvas = Image.fromarray(picture if picture.shape[2] > 1 else picture[:, :, 0])
    shade = tuple(int(v) for v in color)[: picture.shape[2]]
    ImageDraw.Draw(canvas).text(place, text, fill=shade if len(shade) > 1 else shade[0],
                                font=ImageFont.load_default(size), stroke_width=max(thickness - 1, 0))
    picture[...] = np.asarray(canvas).reshape(picture.shape)


@checked
def draw_segmentation_masks(
    images: Any, segmentation_masks: Any, num_classes: int | None = None, color_mapping: Any = None,
    alpha: float = 0.8, blend: bool = True, ignore_index: int = -1, data_format: str | None = None,
) -> np.ndarray:
    """Images with each pixel in the color of its class.

    Args:
        images: a batch, values from 0 to 255.
        segmentation_masks: class numbers, integers, shape (batch, height, width, 1).
        num_classes: how many classes there are; one more than the largest number where None.
        color_mapping: {class: color}; colors are made up where None.
        alpha: how much of the color there is in the mixture.
        blend: whether to mix color and image (bytes come out), or to paint over the image (floats).
        ignore_index: the number of pixels to be left alone.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo, numpy as np
    >>> masks = np.array([[[[0], [1]]]])
    >>> colors = {0: (10, 10, 10), 1: (200, 0, 0)}
    >>> kyeo.visualization.draw_segmentation_masks(np.zeros((1, 1, 2, 3)), masks, 2, colors, alpha=0.5)[0, 0].tolist()
    [[5, 5, 5], [100, 0, 0]]
    """
    where = "visualization.draw_segmentation_masks"
    pictures = as_pictures(where, images, data_format).astype("float32")
    masks = as_pictures(where, segmentation_masks, data_format)[..., 0]
    if masks.dtype.kind not in "iu":
        raise problem("Segmentation masks are class numbers.", received=masks, expected="an integer dtype", where=where,
                      kind=TypeError)
    count = int(masks.max()) + 1 if num_classes is None else num_classes
    made_up = np.arange(count)[:, None] * np.array([2**25 - 1, 2**15 - 1, 2**21 - 1]) % 255
    colors = np.asarray(made_up if color_mapping is None else [color_mapping[i] for i in range(count)], "float32")
    known, wanted = ((masks >= 0) & (masks < count))[..., None], (masks != ignore_index)[..., None]
    painted = np.where(known & wanted, colors[np.clip(masks, 0, count - 1)], pictures)
    if not blend:
        return painted
    mixed = pictures * (1 - alpha) + painted * alpha
    return np.where(wanted, mixed, pictures).astype("uint8")
