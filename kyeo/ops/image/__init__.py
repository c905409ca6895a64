"""The ops on images under one name, as `keras.ops.image` has them.

Images are (height, width, channels) or a batch of those; (channels, height, width) with
data_format="channels_first". A `data_format` of None means what `kyeo.config.image_data_format()` says.
"""

from typing import TYPE_CHECKING

from kyeo.ops.image.color import *
from kyeo.ops.image.color import __all__ as _color
from kyeo.ops.image.cut import *
from kyeo.ops.image.cut import __all__ as _cut
from kyeo.ops.image.filters import *
from kyeo.ops.image.filters import __all__ as _filters
from kyeo.ops.image.warp import *
from kyeo.ops.image.warp import __all__ as _warp

if not TYPE_CHECKING:  # checkers understand lists alone; without one they take what the stars bring
    __all__ = sorted([*_color, *_cut, *_filters, *_warp])
