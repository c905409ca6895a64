"""Bounding boxes in other formats, and what moving images does to them."""

import math
from typing import Any

from kyeo.core.errors import describe, one_of, problem
from kyeo.core.parameters import checked
from kyeo.core.symbolic import SymbolicTensor
from kyeo.ops.core import cast, convert_to_tensor, unstack
from kyeo.ops.numpy import amax, amin, clip, cos, sin, stack, tan, where

__all__ = [
    "FORMATS", "affine_transform", "clip_to_image_size", "convert_format", "crop", "dense", "mapped", "pad", "parts_of",
]

FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


def parts_of(boxes: Any) -> tuple[Any, Any, Any, Any]:
    """The four numbers of boxes, each as an array."""
    return tuple(unstack(boxes, axis=-1))  # type: ignore[return-value]


def _swapped(parts: Any) -> tuple[Any, Any, Any, Any]:
    return parts[1], parts[0], parts[3], parts[2]


@checked
def convert_format(
    boxes: Any, source: str, target: str, height: Any = None, width: Any = None, dtype: Any = "float32",
) -> Any:
    """Boxes in another format.

    Args:
        boxes: boxes, or a dict whose "boxes" are meant (a new dict comes back).
        source, target: formats.
        height, width: of the image in pixels; needed between relative and absolute formats. A number, or an array
            that broadcasts against (batch, boxes, 1).
        dtype: of the result.

    >>> import kyeo
    >>> kyeo.utils.bounding_boxes.convert_format([[1.0, 2.0, 5.0, 8.0]], "xyxy", "center_xywh").tolist()
    [[3.0, 5.0, 4.0, 6.0]]
    """
    where_ = "utils.bounding_boxes.convert_format"
    if isinstance(boxes, dict):
        return {**boxes, "boxes": convert_format(boxes["boxes"], source, target, height, width, dtype)}
    source, target = one_of(where_, FORMATS, source=source), one_of(where_, FORMATS, target=target)
    boxes = boxes if isinstance(boxes, SymbolicTensor) else convert_to_tensor(boxes)
    if boxes.shape[-1] != 4:
        raise problem("Boxes are four numbers each.", received=boxes, expected="size 4 on the last axis", where=where_)
    boxes = cast(boxes, dtype)
    if source == target:
        return boxes
    relative = source.startswith("rel_"), target.startswith("rel_")
    if relative[0] != relative[1] and (height is None or width is None):
        raise problem("Relative boxes need the size of the image.", where=where_, expected="numbers",
                      received=f"source={source!r}, target={target!r}, height={height}, width={width}")
    corners = _recoded(boxes, source, "xyxy")
    if relative[0] != relative[1]:
        size = stack([_column(width, dtype), _column(height, dtype)] * 2, axis=-1)
        corners = corners * size if relative[0] else corners / size
    return _recoded(corners, "xyxy", target)


def _column(size: Any, dtype: Any) -> Any:
    """A size to stand against one number of each box: a last axis of 1 goes."""
    size = cast(convert_to_tensor(size), dtype)
    return size[..., 0] if len(size.shape) else size


def _recoded(boxes: Any, source: str, target: str) -> Any:
    """Boxes from one arrangement of numbers to another, relative or not."""
    source, target = source.removeprefix("rel_"), target.removeprefix("rel_")
    if source == target:
        return boxes
    a, b, c, d = _swapped(parts_of(boxes)) if "yx" in source.replace("xyxy", "") else parts_of(boxes)
    if "center" in source:
        a, b, c, d = a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0
    elif source == "xywh":
        c, d = a + c, b + d
    if "center" in target:
        a, b, c, d = a + (c - a) / 2.0, b + (d - b) / 2.0, c - a, d - b
    elif target == "xywh":
        c, d = c - a, d - b
    parts = _swapped((a, b, c, d)) if "yx" in target.replace("xyxy", "") else (a, b, c, d)
    return stack(parts, axis=-1)


@checked
def clip_to_image_size(
    bounding_boxes: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy",
) -> Any:
    """Boxes cut at the borders of the image; a box of which nothing is left gets the label -1.

    Args:
        bounding_boxes: a dict of "boxes" and, if there are any, "labels".
        height, width: of the image; needed for "xyxy".
        bounding_box_format: "xyxy" or "rel_xyxy".

    >>> import kyeo
    >>> boxes = {"boxes": [[-5.0, 0.0, 5.0, 20.0], [30.0, 0.0, 40.0, 9.0]], "labels": [1, 2]}
    >>> clipped = kyeo.utils.bounding_boxes.clip_to_image_size(boxes, 10, 10)
    >>> clipped["boxes"].tolist(), clipped["labels"].tolist()
    ([[0.0, 0.0, 5.0, 10.0], [10.0, 0.0, 10.0, 9.0]], [1, -1])
    """
    where_ = "utils.bounding_boxes.clip_to_image_size"
    kind = one_of(where_, ("xyxy", "rel_xyxy"), bounding_box_format=bounding_box_format)
    if kind == "xyxy" and (height is None or width is None):
        raise problem("Boxes in pixels need the size of the image.", where=where_, expected="numbers",
                      received=f"height={height}, width={width}")
    boxes = convert_to_tensor(bounding_boxes["boxes"])
    high, wide = (_column(v, boxes.dtype) for v in ((height, width) if kind == "xyxy" else (1.0, 1.0)))
    x1, y1, x2, y2 = parts_of(boxes)
    x1, y1, x2, y2 = clip(x1, 0, wide), clip(y1, 0, high), clip(x2, 0, wide), clip(y2, 0, high)
    result = {**bounding_boxes, "boxes": stack([x1, y1, x2, y2], axis=-1)}
    labels = bounding_boxes.get("labels")
    if labels is not None:
        labels = convert_to_tensor(labels)
        result["labels"] = where((x2 - x1) * (y2 - y1) > 0, labels, cast(-1, labels.dtype))
    return result


def _only_xyxy(where_: str, bounding_box_format: str) -> None:
    if bounding_box_format != "xyxy":
        raise problem("Only boxes as corners can be moved.", received=f"bounding_box_format={bounding_box_format!r}",
                      expected='"xyxy"', fix="convert_format gives the boxes another format", where=where_,
                      kind=NotImplementedError)


@checked
def crop(boxes: Any, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy") -> Any:
    """Boxes in an image that is cropped to `height` x `width`, beginning at (top, left).

    >>> import kyeo
    >>> kyeo.utils.bounding_boxes.crop([[1.0, 2.0, 5.0, 8.0]], 1, 2, 4, 4).tolist()
    [[0.0, 1.0, 3.0, 4.0]]
    """
    _only_xyxy("utils.bounding_boxes.crop", bounding_box_format)
    x1, y1, x2, y2 = parts_of(convert_to_tensor(boxes))
    return stack([clip(x1 - left, 0, width), clip(y1 - top, 0, height), clip(x2 - left, 0, width),
                  clip(y2 - top, 0, height)], axis=-1)


@checked
def pad(
    boxes: Any, top: Any, left: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy",
) -> Any:
    """Boxes in an image that got `top` rows above and `left` columns before it. The size does not matter.

    >>> import kyeo
    >>> kyeo.utils.bounding_boxes.pad([[1.0, 2.0, 5.0, 8.0]], top=1, left=2).tolist()
    [[3.0, 3.0, 7.0, 9.0]]
    """
    _only_xyxy("utils.bounding_boxes.pad", bounding_box_format)
    x1, y1, x2, y2 = parts_of(convert_to_tensor(boxes))
    return stack([x1 + left, y1 + top, x2 + left, y2 + top], axis=-1)


def mapped(boxes: Any, transform: Any) -> Any:
    """The upright boxes around "xyxy" boxes whose corners go through `transform`.

    Args:
        boxes: shape (batch, boxes, 4).
        transform: a0, a1, a2, b0, b1, b2, c0, c1 as in `ops.image.affine_transform`, shape (batch, 8).
    """
    x1, y1, x2, y2 = parts_of(boxes)
    x, y = stack([x1, x2, x2, x1], axis=-1), stack([y1, y1, y2, y2], axis=-1)
    a0, a1, a2, b0, b1, b2, c0, c1 = (part[:, None, None] for part in unstack(transform, axis=-1))
    k = c0 * x + c1 * y + 1.0
    x, y = (a0 * x + a1 * y + a2) / k, (b0 * x + b1 * y + b2) / k
    return stack([amin(x, -1), amin(y, -1), amax(x, -1), amax(y, -1)], axis=-1)


@checked
def affine_transform(
    boxes: Any, angle: Any, translate_x: Any, translate_y: Any, scale: Any, shear_x: Any, shear_y: Any, height: Any,
    width: Any, center_x: Any = None, center_y: Any = None, bounding_box_format: str = "xyxy",
) -> Any:
    """The upright boxes around boxes that are turned, moved, scaled and sheared with their images.

    Args:
        boxes: shape (batch, boxes, 4).
        angle: degrees, shape (batch,); as are the following.
        translate_x, translate_y: parts of the image's size.
        scale: factor.
        shear_x, shear_y: degrees.
        height, width: of the images.
        center_x, center_y: the point that stays, as parts of the size; the middle where None.
        bounding_box_format: "xyxy".

    >>> import kyeo
    >>> still, one = kyeo.ops.zeros((1,)), kyeo.ops.ones((1,))
    >>> turned = kyeo.utils.bounding_boxes.affine_transform(
    ...     [[[0.0, 1.0, 2.0, 4.0]]], kyeo.ops.array([180.0]), still, still, one, still, still, 11, 11)
    >>> [round(v) for v in turned[0, 0].tolist()]
    [8, 6, 10, 9]
    """
    _only_xyxy("utils.bounding_boxes.affine_transform", bounding_box_format)
    boxes, angle = convert_to_tensor(boxes), convert_to_tensor(angle)
    center_x, center_y = (0.5 if c is None else c for c in (center_x, center_y))
    middle_x, middle_y = center_x * (width - 1), center_y * (height - 1)
    turn, lean_x, lean_y = (-convert_to_tensor(v) * (math.pi / 180.0) for v in (angle, shear_x, shear_y))
    from_x, from_y = middle_x - translate_x * (width - 1), middle_y - translate_y * (height - 1)
    a, c = cos(turn - lean_y) / cos(lean_y), -sin(turn - lean_y) / cos(lean_y)
    a0, a1 = (cos(turn) - c * tan(lean_x)) * scale, -(a * tan(lean_x) + sin(turn)) * scale
    b0, b1 = -c * scale, a * scale
    matrix = stack([a0, a1, middle_x - a0 * from_x - a1 * from_y, b0, b1, middle_y - b0 * from_x - b1 * from_y,
                    0.0 * a0, 0.0 * a0], axis=-1)
    return mapped(cast(boxes, matrix.dtype), matrix)


def dense(bounding_boxes: Any, where_: Any = None) -> dict[str, Any]:
    """Boxes and labels as float and int arrays; lists of different lengths are filled up by boxes with label -1."""
    if not isinstance(bounding_boxes, dict) or not {"boxes", "labels"} <= bounding_boxes.keys():
        raise problem("Bounding boxes come as a dict.", received=describe(bounding_boxes), where=where_,
                      expected='{"boxes": ..., "labels": ...}')
    boxes, labels = bounding_boxes["boxes"], bounding_boxes["labels"]
    if isinstance(boxes, list) and boxes and all(isinstance(one, list) for one in labels):
        most = max(map(len, boxes))
        boxes = [[*map(list, one), *[[0.0] * 4] * (most - len(one))] for one in boxes]
        labels = [[*one, *[-1] * (most - len(one))] for one in labels]
    boxes, labels = convert_to_tensor(boxes, "float32"), convert_to_tensor(labels)
    if len(boxes.shape) not in (2, 3) or boxes.shape[-1] != 4 or len(labels.shape) < len(boxes.shape) - 1:
        raise problem("Boxes and labels do not fit.", where=where_,
                      received=f"boxes of shape {boxes.shape}, labels of shape {labels.shape}",
                      expected="(boxes, 4) and (boxes,), or (batch, boxes, 4) and (batch, boxes)")
    return {**bounding_boxes, "boxes": boxes, "labels": labels}
