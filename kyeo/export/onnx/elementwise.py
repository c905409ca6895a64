"""Primitives that work element by element. Their tensors may be stored in any layout."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from kyeo.export.onnx import patterns
from kyeo.export.onnx.graph import Builder, Tensor

__all__ = ["LAZY"]

_ONE = {
    "exp": "Exp", "log": "Log", "tanh": "Tanh", "logistic": "Sigmoid", "neg": "Neg", "sqrt": "Sqrt",
    "floor": "Floor", "ceil": "Ceil", "sign": "Sign", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin",
    "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh",
    "atanh": "Atanh", "erf": "Erf",
}
_TWO = {"sub": "Sub", "mul": "Mul", "min": "Min", "pow": "Pow"}
_COMPARED = {"eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual",
             "eq_to": "Equal", "lt_to": "Less", "le_to": "LessOrEqual"}
_BITS = {"and": "And", "or": "Or", "xor": "Xor", "not": "Not"}
_SAME = ("stop_gradient", "copy", "copy_p", "reduce_precision", "sharding_constraint", "optimization_barrier", "pvary",
         "device_put", "name")


def _rank(eqn: Any) -> int:
    return len(eqn.outvars[0].aval.shape)


def _simple(op: str) -> Any:
    return lambda b, eqn, *args: b.elementwise(op, args, _rank(eqn))


def _compared(op: str) -> Any:
    def compare(b: Builder, eqn: Any, one: Tensor, two: Tensor) -> Tensor:
        if one.dtype.kind == "b" and op != "Equal":
            one, two = b.cast(one, np.int32), b.cast(two, np.int32)
        return b.elementwise(op, [one, two], _rank(eqn), bool)

    return compare


def _bits(op: str) -> Any:
    return lambda b, eqn, *args: b.elementwise(op if args[0].dtype.kind == "b" else f"Bitwise{op}", args, _rank(eqn))


def _like(b: Builder, tensor: Tensor, value: float) -> Tensor:
    return b.const(value, tensor.dtype)


def _chain(b: Builder, eqn: Any, x: Tensor, *steps: Any) -> Tensor:
    """One operator after the other: a name, or a name and a number at its right."""
    for step in steps:
        op, *numbers = (step,) if isinstance(step, str) else step
        x = b.elementwise(op, [x, *(_like(b, x, n) for n in numbers)], _rank(eqn))
    return x


def _steps(*steps: Any) -> Any:
    return lambda b, eqn, x: _chain(b, eqn, x, *steps)


def _ne(b: Builder, eqn: Any, one: Tensor, two: Tensor) -> Tensor:
    return b.elementwise("Not", [b.elementwise("Equal", [one, two], _rank(eqn), bool)], _rank(eqn))


def _integer_pow(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    power = eqn.params["y"]
    if power == 2:
        return b.elementwise("Mul", [x, x], _rank(eqn))
    return b.elementwise("Pow", [x, b.const(power, x.dtype if x.dtype.kind == "f" else np.int64)], _rank(eqn))


def _square(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    return b.elementwise("Mul", [x, x], _rank(eqn))


def _remainder(b: Builder, eqn: Any, one: Tensor, two: Tensor) -> Tensor:
    return b.elementwise("Mod", [one, two], _rank(eqn), fmod=1)


def _expm1(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    """exp(x) - 1 as 2 tanh(x / 2) / (1 - tanh(x / 2)), which keeps its digits near zero; plain where that overflows."""
    half = _chain(b, eqn, x, ("Mul", 0.5), "Tanh")
    below = b.elementwise("Sub", [_like(b, x, 1), half], _rank(eqn))
    near = b.elementwise("Div", [_chain(b, eqn, half, ("Mul", 2)), below], _rank(eqn))
    far = _chain(b, eqn, x, "Exp", ("Sub", 1))
    small = b.elementwise("Less", [_chain(b, eqn, x, "Abs"), _like(b, x, 0.5)], _rank(eqn), bool)
    return b.elementwise("Where", [small, near, far], _rank(eqn), x.dtype)


def _log1p(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    """log(u) x / (u - 1) with u = 1 + x, which keeps its digits near zero (Goldberg, 1991); x where u is 1."""
    rank, one = _rank(eqn), _like(b, x, 1)
    u = b.elementwise("Add", [x, one], rank)
    log = b.elementwise("Log", [u], rank)
    less = b.elementwise("Sub", [u, one], rank)
    exact = b.elementwise("Or", [b.elementwise("Equal", [less, _like(b, x, 0)], rank, bool),
                                 b.elementwise("Equal", [u, _like(b, x, np.inf)], rank, bool)], rank)
    near = b.elementwise("Div", [b.elementwise("Mul", [log, x], rank), less], rank)
    return b.elementwise("Where", [exact, x, near], rank, x.dtype)


def _erfc(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    return b.elementwise("Sub", [_like(b, x, 1), b.elementwise("Erf", [x], _rank(eqn))], _rank(eqn))


def _cbrt(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    root = _chain(b, eqn, x, "Abs", ("Pow", 1 / 3))
    return b.elementwise("Mul", [b.elementwise("Sign", [x], _rank(eqn)), root], _rank(eqn))


def _exp2(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    return b.elementwise("Pow", [_like(b, x, 2), x], _rank(eqn))


def _round(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    if int(eqn.params["rounding_method"]) == 1:
        return b.elementwise("Round", [x], _rank(eqn))
    up = _chain(b, eqn, x, "Abs", ("Add", 0.5), "Floor")
    return b.elementwise("Mul", [b.elementwise("Sign", [x], _rank(eqn)), up], _rank(eqn))


def _finite(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    limit = b.elementwise("Abs", [x], _rank(eqn))
    return b.elementwise("Less", [limit, _like(b, x, np.inf)], _rank(eqn), bool)


def _atan2(b: Builder, eqn: Any, y: Tensor, x: Tensor) -> Tensor:
    """atan(y / x), turned by half a circle where x is negative; a quarter where it is zero."""
    rank, zero, pi = _rank(eqn), _like(b, x, 0), _like(b, x, np.pi)
    sign = b.elementwise("Where", [b.elementwise("Less", [y, zero], rank, bool), _like(b, x, -1), _like(b, x, 1)],
                         rank, x.dtype)
    none = b.elementwise("Equal", [x, zero], rank, bool)
    safe = b.elementwise("Where", [none, _like(b, x, 1), x], rank, x.dtype)
    angle = b.elementwise("Atan", [b.elementwise("Div", [y, safe], rank)], rank)
    turned = b.elementwise("Add", [angle, b.elementwise("Mul", [sign, pi], rank)], rank)
    angle = b.elementwise("Where", [b.elementwise("Less", [x, zero], rank, bool), turned, angle], rank, x.dtype)
    quarter = b.elementwise("Mul", [b.elementwise("Sign", [y], rank), _like(b, x, np.pi / 2)], rank)
    return b.elementwise("Where", [none, quarter, angle], rank, x.dtype)


def _choose(b: Builder, rank: int, where: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    if yes.dtype.kind == "b":  # Where takes no booleans
        outside = b.elementwise("And", [b.elementwise("Not", [where], rank), no], rank)
        return b.elementwise("Or", [b.elementwise("And", [where, yes], rank), outside], rank)
    return b.elementwise("Where", [where, yes, no], rank, yes.dtype)


def _select(b: Builder, eqn: Any, which: Tensor, *cases: Tensor) -> Tensor:
    rank = _rank(eqn)
    if which.dtype.kind == "b":
        return _choose(b, rank, which, *reversed(cases)) if len(cases) == 2 else cases[0]
    found = cases[0]
    for number, case in enumerate(cases[1:], 1):
        here = b.elementwise("Equal", [which, b.const(number, which.dtype)], rank, bool)
        found = _choose(b, rank, here, case, found)
    return found


def _clamp(b: Builder, eqn: Any, low: Tensor, x: Tensor, high: Tensor) -> Tensor:
    return b.elementwise("Min", [b.elementwise("Max", [x, low], _rank(eqn)), high], _rank(eqn))


def _convert(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    return b.cast(x, eqn.params["new_dtype"])


def _part(number: int) -> Any:
    def part(b: Builder, eqn: Any, x: Tensor) -> Tensor:
        return x if x.parts is None else x.parts[number]

    return part


def _abs(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    if x.parts is None:
        return b.elementwise("Abs", [x], _rank(eqn))
    squares = [b.elementwise("Mul", [part, part], _rank(eqn)) for part in x.parts]
    return b.elementwise("Sqrt", [b.elementwise("Add", squares, _rank(eqn))], _rank(eqn))


def _shift(direction: str) -> Any:
    def shift(b: Builder, eqn: Any, one: Tensor, two: Tensor) -> Tensor:
        return b.elementwise("BitShift", [one, two], _rank(eqn), direction=direction)

    return shift


def _signed_shift(direction: str) -> Any:
    """Of signed numbers: a product with a power of two, or a quotient that is rounded down."""

    def shift(b: Builder, eqn: Any, one: Tensor, two: Tensor) -> Tensor:
        if one.dtype.kind == "u" and direction == "LEFT":
            return b.elementwise("BitShift", [one, two], _rank(eqn), direction=direction)
        rank, wide = _rank(eqn), b.cast(one, np.int64)
        power = b.cast(b.elementwise("Pow", [b.const(2.0, np.float64), b.cast(two, np.float64)], rank), np.int64)
        if direction == "LEFT":
            return b.cast(b.elementwise("Mul", [wide, power], rank), one.dtype)
        less = b.elementwise("Sub", [wide, b.elementwise("Mod", [wide, power], rank)], rank)
        return b.cast(b.elementwise("Div", [less, power], rank), one.dtype)

    return shift


def _dimension(b: Builder, eqn: Any) -> Tensor:
    return b.cast(b.reshape(b.size(eqn.params["dim"]), ()), jnp.dtype(eqn.outvars[0].aval.dtype))


LAZY: dict[str, Any] = {
    **{name: _simple(op) for name, op in (_ONE | _TWO).items()},
    **{name: _compared(op) for name, op in _COMPARED.items()},
    **{name: _bits(op) for name, op in _BITS.items()},
    **{name: (lambda b, eqn, *args: list(args)) for name in _SAME},
    "abs": _abs, "real": _part(0), "imag": _part(1),
    "add": patterns.add, "add_any": patterns.add, "div": patterns.divide, "max": patterns.maximum, "ne": _ne,
    "integer_pow": _integer_pow, "square": _square, "rem": _remainder, "expm1": _expm1, "log1p": _log1p,
    "rsqrt": _steps("Sqrt", "Reciprocal"), "erfc": _erfc, "cbrt": _cbrt, "exp2": _exp2, "round": _round,
    "is_finite": _finite, "atan2": _atan2, "select_n": _select, "clamp": _clamp, "convert_element_type": _convert,
    "shift_left": _signed_shift("LEFT"), "shift_right_arithmetic": _signed_shift("RIGHT"),
    "shift_right_logical": _shift("RIGHT"), "dim_as_value": _dimension,
}
