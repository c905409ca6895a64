"""The ops of neural networks under one name, as `keras.ops.nn` has them."""
# ruff: noqa: F403 - a namespace is what star imports are for

from typing import TYPE_CHECKING

from kyeo.ops.activate import *
from kyeo.ops.activate import __all__ as _activate
from kyeo.ops.classes import *
from kyeo.ops.classes import __all__ as _classes
from kyeo.ops.conv import *
from kyeo.ops.conv import __all__ as _conv
from kyeo.ops.ctc import *
from kyeo.ops.ctc import __all__ as _ctc
from kyeo.ops.fourier import polar as polar
from kyeo.ops.normalize import *
from kyeo.ops.normalize import __all__ as _normalize
from kyeo.ops.pixels import *
from kyeo.ops.pixels import __all__ as _pixels

if not TYPE_CHECKING:  # checkers understand lists alone; without one they take what the stars bring
    __all__ = sorted([*_activate, *_classes, *_conv, *_ctc, *_normalize, *_pixels, "polar"])
