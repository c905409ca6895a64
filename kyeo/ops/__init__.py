"""Functions on tensors with the names of `keras.ops`: on arrays, on variables, and on symbolic tensors."""

from typing import TYPE_CHECKING

from kyeo.core.gone import answer_for_missing
from kyeo.ops import image as image
from kyeo.ops import linalg as linalg
from kyeo.ops import nn as nn
from kyeo.ops import numpy as numpy
from kyeo.ops import operators as operators
from kyeo.ops.control import *
from kyeo.ops.control import __all__ as _control
from kyeo.ops.core import *
from kyeo.ops.core import __all__ as _core
from kyeo.ops.fourier import *
from kyeo.ops.fourier import __all__ as _fourier
from kyeo.ops.linalg import *
from kyeo.ops.linalg import __all__ as _linalg
from kyeo.ops.nn import *
from kyeo.ops.nn import __all__ as _nn
from kyeo.ops.numpy import *
from kyeo.ops.numpy import __all__ as _numpy
from kyeo.ops.rearrange import *
from kyeo.ops.rearrange import __all__ as _rearrange
from kyeo.ops.segments import *
from kyeo.ops.segments import __all__ as _segments

if not TYPE_CHECKING:  # checkers understand lists alone; without one they take what the stars bring
    __all__ = sorted({
        *_control, *_core, *_fourier, *_linalg, *_nn, *_numpy, *_rearrange, *_segments,
        "image", "linalg", "nn", "numpy",
    })

answer_for_missing(__name__)
