"""The ops that NumPy has too under one name, as `keras.ops.numpy` has them."""
# ruff: noqa: F403 - a namespace is what star imports are for

from kyeo.ops.choose import *
from kyeo.ops.choose import __all__ as _choose
from kyeo.ops.create import *
from kyeo.ops.create import __all__ as _create
from kyeo.ops.elementwise import *
from kyeo.ops.elementwise import __all__ as _elementwise
from kyeo.ops.reduce import *
from kyeo.ops.reduce import __all__ as _reduce
from kyeo.ops.shape import *
from kyeo.ops.shape import __all__ as _shape

__all__ = sorted([*_choose, *_create, *_elementwise, *_reduce, *_shape])
