"""The operators of symbolic tensors and variables, from one table."""

from collections.abc import Callable
from typing import Any

from kyeo.core.dtypes import is_float
from kyeo.core.symbolic import SymbolicTensor
from kyeo.core.variable import Variable
from kyeo.ops import core, elementwise, products, shape

__all__ = ["SymbolicTensor", "Variable"]

# operator: the op; those of two operands get their reflected form (`__radd__`) too
_BINARY = {
    "add": elementwise.add, "sub": elementwise.subtract, "mul": elementwise.multiply, "matmul": products.matmul,
    "truediv": elementwise.true_divide, "floordiv": elementwise.floor_divide, "mod": elementwise.mod,
    "pow": elementwise.power, "and": elementwise.logical_and, "or": elementwise.logical_or,
    "xor": elementwise.logical_xor,
}
_COMPARE = {
    "lt": elementwise.less, "le": elementwise.less_equal, "gt": elementwise.greater,
    "ge": elementwise.greater_equal, "ne": elementwise.not_equal,
}
_UNARY = {
    "neg": elementwise.negative, "pos": core.convert_to_tensor, "abs": elementwise.absolute,
    "invert": elementwise.logical_not,
}


def _forward(fn: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: fn(self, other)


def _reflected(fn: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: fn(other, self)


def _attach(cls: type) -> None:
    for name, fn in {**_BINARY, **_COMPARE}.items():
        setattr(cls, f"__{name}__", _forward(fn))
    for name, fn in _BINARY.items():
        setattr(cls, f"__r{name}__", _reflected(fn))
    for name, fn in _UNARY.items():
        setattr(cls, f"__{name}__", lambda self, fn=fn: fn(self))
    cls.__getitem__ = _forward(core.get_item)  # type: ignore[attr-defined]
    cls.__round__ = lambda self, ndigits=None: elementwise.round(self, ndigits or 0)  # type: ignore[attr-defined]
    cls.__array_priority__ = 1000  # type: ignore[attr-defined]  # NumPy arrays on the left leave the work to us


_attach(SymbolicTensor)
_attach(Variable)
SymbolicTensor.reshape = lambda self, newshape: shape.reshape(self, newshape)  # type: ignore[attr-defined]
SymbolicTensor.squeeze = lambda self, axis=None: shape.squeeze(self, axis)  # type: ignore[attr-defined]
# `~` turns over the bits of a variable of integers, as it does of an array.
Variable.__invert__ = lambda self: (  # type: ignore[method-assign]
    elementwise.logical_not if is_float(self.dtype) else elementwise.bitwise_not)(self)
# A symbolic tensor is equal to itself only (graphs look tensors up); a variable compares its values.
Variable.__eq__ = _forward(elementwise.equal)  # type: ignore[method-assign]
