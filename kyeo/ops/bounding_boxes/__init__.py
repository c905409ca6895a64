"""Bounding boxes: their formats, what moving images does to them, how much two of them overlap.

A box is four numbers, in one of nine formats:

| format | numbers |
|---|---|
| "xyxy", "yxyx" | two opposite corners |
| "xywh" | the left upper corner, width and height |
| "center_xywh", "center_yxhw" | the middle, width and height |
| "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh" | the same as parts of the image's width and height |

Boxes have the shape (boxes, 4), or (batch, boxes, 4). Together with labels they are a dict of "boxes" and "labels";
a label of -1 is no box.
"""

from typing import TYPE_CHECKING

from kyeo.ops.bounding_boxes.formats import *
from kyeo.ops.bounding_boxes.formats import __all__ as _formats
from kyeo.ops.bounding_boxes.overlap import *
from kyeo.ops.bounding_boxes.overlap import __all__ as _overlap

if not TYPE_CHECKING:  # checkers understand lists alone; without one they take what the stars bring
    __all__ = sorted([*_formats, *_overlap])
