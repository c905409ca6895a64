"""The ops that NumPy has too under one name, as `keras.ops.numpy` has them."""
# ruff: noqa: F403 - a namespace is what star imports are for

from typing import TYPE_CHECKING

from kyeo.ops.choose import *
from kyeo.ops.choose import __all__ as _choose
from kyeo.ops.control import vectorize as vectorize
from kyeo.ops.core import get_item as get_item
from kyeo.ops.core import ndim as ndim
from kyeo.ops.core import size as size
from kyeo.ops.core import view as view
from kyeo.ops.create import *
from kyeo.ops.create import __all__ as _create
from kyeo.ops.elementwise import *
from kyeo.ops.elementwise import __all__ as _elementwise
from kyeo.ops.linalg import slogdet as slogdet
from kyeo.ops.nan import *
from kyeo.ops.nan import __all__ as _nan
from kyeo.ops.products import *
from kyeo.ops.products import __all__ as _products
from kyeo.ops.reduce import *
from kyeo.ops.reduce import __all__ as _reduce
from kyeo.ops.shape import *
from kyeo.ops.shape import __all__ as _shape
from kyeo.ops.statistics import *
from kyeo.ops.statistics import __all__ as _statistics
from kyeo.ops.windows import *
from kyeo.ops.windows import __all__ as _windows

if not TYPE_CHECKING:  # checkers understand lists alone; without one they take what the stars bring
    __all__ = sorted([
        *_choose, *_create, *_elementwise, *_nan, *_products, *_reduce, *_shape, *_statistics, *_windows,
        "get_item", "ndim", "size", "slogdet", "vectorize", "view",
    ])
