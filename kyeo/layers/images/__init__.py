"""Layers on images: sizes, augmentation while training, mixtures, policies that choose among them.

A layer is its parameters, what it draws, and what a draw does to images; `base.py` has all they share.
"""

from typing import TYPE_CHECKING

from kyeo.layers.images import blend, blur, box_count, color, flip, histogram, policy, rgb, size, warp
from kyeo.layers.images.blend import *
from kyeo.layers.images.blur import *
from kyeo.layers.images.box_count import *
from kyeo.layers.images.color import *
from kyeo.layers.images.flip import *
from kyeo.layers.images.histogram import *
from kyeo.layers.images.policy import *
from kyeo.layers.images.rgb import *
from kyeo.layers.images.size import *
from kyeo.layers.images.warp import *

_PARTS = (blend, blur, box_count, color, flip, histogram, policy, rgb, size, warp)
if not TYPE_CHECKING:  # checkers understand lists alone; without one they take what the stars bring
    __all__ = sorted(name for part in _PARTS for name in part.__all__ if name[0].isupper())  # helpers begin small
