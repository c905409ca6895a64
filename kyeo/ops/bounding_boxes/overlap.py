"""How much bounding boxes overlap, and how they are told by their distance from anchors."""

import math
from typing import Any

from kyeo.core.errors import one_of, problem
from kyeo.core.parameters import checked
from kyeo.core.settings import settings
from kyeo.ops.bounding_boxes.formats import convert_format, parts_of
from kyeo.ops.core import cast, convert_to_tensor
from kyeo.ops.numpy import (
    amax,
    arctan,
    concatenate,
    exp,
    expand_dims,
    log,
    logical_or,
    maximum,
    minimum,
    swapaxes,
    where,
)

__all__ = ["compute_ciou", "compute_iou", "decode_deltas_to_boxes", "encode_box_to_deltas"]

_ENCODINGS = ("center_xywh", "center_yxhw")


@checked
def compute_iou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, use_masking: bool = False, mask_val: Any = -1,
    image_shape: Any = None,
) -> Any:
    """Intersection over union of every box of the first with every box of the second.

    Args:
        boxes1: shape (n, 4) or (batch, n, 4).
        boxes2: shape (m, 4) or (batch, m, 4).
        bounding_box_format: of both.
        use_masking: whether pairs with a box of negative corners, which is none, get `mask_val`.
        mask_val: what they get.
        image_shape: (height, width, channels); needed for relative formats.

    Returns: shape (n, m) or (batch, n, m).

    >>> import kyeo
    >>> a, b = [[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 2.0, 2.0]]
    >>> kyeo.utils.bounding_boxes.compute_iou(a, b, "xyxy").round(3).tolist()
    [[0.333..., 1.0]]
    """
    where_ = "utils.bounding_boxes.compute_iou"
    one, two = (_corners(where_, boxes, bounding_box_format, image_shape) for boxes in (boxes1, boxes2))
    if len(one.shape) not in (2, 3) or len(two.shape) not in (2, 3):
        raise problem("Boxes have a wrong number of axes.", where=where_, expected="(boxes, 4) or (batch, boxes, 4)",
                      received=f"shapes {one.shape} and {two.shape}")
    first, second = (expand_dims(one, -2), expand_dims(two, -3))
    shared = _overlap(parts_of(first), parts_of(second))
    iou = shared / (_area(parts_of(first)) + _area(parts_of(second)) - shared + settings.epsilon)
    if not use_masking:
        return iou
    nothing = logical_or(amax(one, -1, keepdims=True) < 0.0, swapaxes(amax(two, -1, keepdims=True) < 0.0, -1, -2))
    return where(nothing, cast(mask_val, iou.dtype), iou)


@checked
def compute_ciou(boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Any = None) -> Any:
    """Complete intersection over union of boxes, pair by pair: overlap, less distance of the middles and
    difference of shape.

    Args:
        boxes1, boxes2: shape (..., 4).
        bounding_box_format: of both.
        image_shape: (height, width, channels); needed for relative formats.

    Zheng et al., "Distance-IoU loss: faster and better learning for bounding box regression", AAAI 2020.

    >>> import kyeo
    >>> box = [[0.0, 0.0, 2.0, 2.0]]
    >>> kyeo.utils.bounding_boxes.compute_ciou(box, box, "xyxy").round(3).tolist()
    [1.0]
    """
    where_, tiny = "utils.bounding_boxes.compute_ciou", settings.epsilon
    one, two = (parts_of(_corners(where_, boxes, bounding_box_format, image_shape)) for boxes in (boxes1, boxes2))
    (x1, y1, x2, y2), (u1, v1, u2, v2) = one, two
    width, height, width2, height2 = x2 - x1, y2 - y1 + tiny, u2 - u1, v2 - v1 + tiny
    shared = _overlap(one, two)
    iou = shared / (width * height + width2 * height2 - shared + 2 * tiny)
    diagonal = (maximum(x2, u2) - minimum(x1, u1)) ** 2 + (maximum(y2, v2) - minimum(y1, v1)) ** 2 + tiny
    distance = ((x1 + x2) / 2 - (u1 + u2) / 2) ** 2 + ((y1 + y2) / 2 - (v1 + v2) / 2) ** 2
    shape = 4 / math.pi**2 * (arctan(width2 / height2) - arctan(width / height)) ** 2
    return iou - (distance / diagonal + shape * (shape / (shape - iou + (1 + tiny))))


def _corners(where_: str, boxes: Any, bounding_box_format: str, image_shape: Any) -> Any:
    if "rel" in bounding_box_format and image_shape is None:
        raise problem("Relative boxes need the size of the image.", where=where_, expected="(height, width, channels)",
                      received=f"bounding_box_format={bounding_box_format!r}, image_shape=None")
    height, width = (None, None) if image_shape is None else image_shape[:2]
    return convert_format(boxes, bounding_box_format, "xyxy", height, width)


def _area(parts: Any) -> Any:
    return (parts[2] - parts[0]) * (parts[3] - parts[1])


def _overlap(one: Any, two: Any) -> Any:
    width = minimum(one[2], two[2]) - maximum(one[0], two[0])
    height = minimum(one[3], two[3]) - maximum(one[1], two[1])
    return maximum(width, 0.0) * maximum(height, 0.0)


def _variances(where_: str, variance: Any) -> Any:
    if variance is None:
        return None
    variance = convert_to_tensor(variance, "float32")
    if not variance.ndim or variance.shape[-1] != 4:
        raise problem("`variance` must have four numbers.", received=variance, expected="4 numbers", where=where_)
    return variance


@checked
def encode_box_to_deltas(
    anchors: Any, boxes: Any, anchor_format: str, box_format: str, encoding_format: str = "center_yxhw",
    variance: Any = None, image_shape: Any = None,
) -> Any:
    """What takes anchors to boxes: the way of the middle in sizes of the anchor, and logarithms of the sizes' ratios.

    Args:
        anchors, boxes: boxes that broadcast.
        anchor_format, box_format: their formats.
        encoding_format: "center_xywh" or "center_yxhw", the order of the result.
        variance: four numbers by which the result is divided.
        image_shape: (height, width, channels); needed for relative formats.

    >>> import kyeo
    >>> b = kyeo.utils.bounding_boxes
    >>> b.encode_box_to_deltas([[2.0, 2.0, 4.0, 4.0]], [[3.0, 2.0, 4.0, 4.0]], "center_xywh", "center_xywh").tolist()
    [[0.0, 0.25, 0.0, 0.0]]
    """
    where_ = "utils.bounding_boxes.encode_box_to_deltas"
    variance, code = _variances(where_, variance), one_of(where_, _ENCODINGS, encoding_format=encoding_format)
    height, width = (None, None) if image_shape is None else image_shape[:2]
    anchors = convert_format(anchors, anchor_format, code, height, width)
    boxes = convert_format(boxes, box_format, code, height, width)
    sizes = maximum(anchors[..., 2:], settings.epsilon)
    deltas = concatenate([(boxes[..., :2] - anchors[..., :2]) / sizes,
                          log(maximum(boxes[..., 2:], settings.epsilon) / sizes)], axis=-1)
    return deltas if variance is None else deltas / variance


@checked
def decode_deltas_to_boxes(
    anchors: Any, boxes_delta: Any, anchor_format: str, box_format: str, encoded_format: str = "center_yxhw",
    variance: Any = None, image_shape: Any = None,
) -> Any:
    """The reverse of `encode_box_to_deltas`.

    Args:
        anchors: boxes, or a dict of them by level.
        boxes_delta: what was encoded, likewise.
        anchor_format, box_format: formats of the anchors and of the result.
        encoded_format: "center_xywh" or "center_yxhw".
        variance: four numbers by which the deltas are multiplied.
        image_shape: (height, width, channels); needed for relative formats.

    >>> import kyeo
    >>> b = kyeo.utils.bounding_boxes
    >>> b.decode_deltas_to_boxes([[2.0, 2.0, 4.0, 4.0]], [[0.0, 0.25, 0.0, 0.0]], "center_xywh", "xyxy").tolist()
    [[1.0, 0.0, 5.0, 4.0]]
    """
    where_ = "utils.bounding_boxes.decode_deltas_to_boxes"
    if isinstance(anchors, dict) and isinstance(boxes_delta, dict):
        return {level: decode_deltas_to_boxes(anchor, boxes_delta[level], anchor_format, box_format, encoded_format,
                                              variance, image_shape) for level, anchor in anchors.items()}
    variance, code = _variances(where_, variance), one_of(where_, _ENCODINGS, encoded_format=encoded_format)
    height, width = (None, None) if image_shape is None else image_shape[:2]
    anchors = convert_format(anchors, anchor_format, code, height, width)
    deltas = convert_to_tensor(boxes_delta)
    deltas = deltas if variance is None else deltas * variance
    sizes = anchors[..., 2:]
    boxes = concatenate([deltas[..., :2] * sizes + anchors[..., :2], exp(deltas[..., 2:]) * sizes], axis=-1)
    return convert_format(boxes, code, box_format, height, width)
