"""Ops on every element: arithmetic, comparison, logic, special functions. One row each."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import as_floats, to_array
from kyeo.core.errors import describe, problem
from kyeo.core.op import op
from kyeo.ops import kernels
from kyeo.ops.kernels import as_one
from kyeo.ops.rows import Function, binary, bits, operands, unary

__all__ = [
    "abs", "absolute", "add", "allclose", "angle", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "cbrt", "ceil", "clip", "conj", "conjugate", "cos", "cosh", "deg2rad",
    "divide", "divide_no_nan", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "fabs", "floor",
    "floor_divide", "fmax", "fmin", "fmod", "gcd", "greater", "greater_equal", "heaviside", "hypot", "i0", "imag",
    "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf", "isreal", "lcm", "ldexp", "left_shift", "less",
    "less_equal", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not",
    "logical_or", "logical_xor", "maximum", "minimum", "mod", "multiply", "nan_to_num", "negative", "nextafter",
    "not_equal", "power", "rad2deg", "real", "reciprocal", "right_shift", "round", "rsqrt", "sign", "signbit",
    "sin", "sinc", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "true_divide", "trunc",
]


def _in_floats(fn: Function) -> Function:
    """fn of two arrays, integers and booleans as floats of the width that promotion gives them."""
    @as_one()
    def wide(x1: Any, x2: Any) -> jax.Array:
        x1, x2 = to_array(x1), to_array(x2)
        dtype = jnp.result_type(x1.dtype, x2.dtype, float)
        return fn(x1.astype(dtype), x2.astype(dtype))

    return wide


def _ldexp(x1: Any, x2: Any) -> jax.Array:
    x2 = to_array(x2)
    if not jnp.issubdtype(x2.dtype, jnp.integer):
        raise problem("The exponent of 2 is an integer.", received=f"x2: {describe(x2)}", expected="an array of ints",
                      where="ops.ldexp", kind=TypeError)
    return jnp.ldexp(x1, x2)


def _power(x1: Any, x2: Any) -> jax.Array:
    """x1 to the power of x2, in the type of both: of a number that is known, JAX would not count the type."""
    if type(x2) is int:
        return jnp.power(x1, x2)
    x1, x2 = to_array(x1), to_array(x2)
    x1 = x1 if x2.weak_type else x1.astype(jnp.result_type(x1, x2))
    if not jnp.issubdtype(x2.dtype, jnp.floating):
        return jnp.power(x1, x2)
    return _float_power(x1, x2)


@as_one()
def _float_power(x1: jax.Array, x2: jax.Array) -> jax.Array:
    return jnp.power(jnp.where((x1 == 0) & (x2 == 0), 1, x1), x2)  # x ** 0.0 has a gradient at 0 too


@as_one()
def _hypot(x1: jax.Array, x2: jax.Array) -> jax.Array:
    nothing = (x1 == 0) & (x2 == 0)
    return jnp.where(nothing, 0, jnp.hypot(jnp.where(nothing, 1, x1), x2))


def _logaddexp(x1: jax.Array, x2: jax.Array) -> jax.Array:
    nothing = (x1 == -jnp.inf) & (x2 == -jnp.inf)
    return jnp.where(nothing, -jnp.inf, jnp.logaddexp(jnp.where(nothing, 0, x1), x2))


@as_one()
def _no_nan(x1: jax.Array, x2: jax.Array) -> jax.Array:
    zero = x2 == 0
    return jnp.where(zero, 0, jnp.divide(x1, jnp.where(zero, 1, x2)))


def _beyond(x: jax.Array, number: int, _: Any) -> tuple[Any, Any]:
    """To compare: in floats, where the number lies on its side of all the integers."""
    return x.astype("float32"), float(number)


def _nearest(x: jax.Array, number: int, limits: Any) -> tuple[Any, Any]:
    """The nearest integer that the type of x has."""
    return x, min(max(number, limits.min), limits.max)


absolute = unary("absolute", jnp.absolute, "Size without sign.", "[-1.0, 2.0]", "[1.0, 2.0]")
angle = unary("angle", lambda x: jnp.angle(as_floats(x)), "Angle of a complex number in radians.", "[1j]", "[1.57...]")
arccos = unary("arccos", jnp.arccos, "Angle in radians whose cosine is x.", "[1.0]", "[0.0]")
arccosh = unary("arccosh", jnp.arccosh, "Inverse of `cosh`.", "[1.0]", "[0.0]")
arcsin = unary("arcsin", jnp.arcsin, "Angle in radians whose sine is x.", "[0.0]", "[0.0]")
arcsinh = unary("arcsinh", jnp.arcsinh, "Inverse of `sinh`.", "[0.0]", "[0.0]")
arctan = unary("arctan", jnp.arctan, "Angle in radians whose tangent is x.", "[0.0]", "[0.0]")
arctanh = unary("arctanh", jnp.arctanh, "Inverse of `tanh`.", "[0.0]", "[0.0]")
bitwise_invert = unary("bitwise_invert", jnp.invert, "Every bit turned over.", "[0, 1]", "[-1, -2]")
bitwise_not = unary("bitwise_not", jnp.invert, "Every bit turned over.", "[0, 1]", "[-1, -2]")
cbrt = unary("cbrt", jnp.cbrt, "Cube root.", "[8.0]", "[2.0]")
ceil = unary("ceil", lambda x: jnp.ceil(as_floats(x)), "Whole number above, as a float.", "[1.2]", "[2.0]")
conjugate = unary("conjugate", jnp.conjugate, "Complex conjugate.", "[1 + 2j]", "[(1-2j)]")
cos = unary("cos", jnp.cos, "Cosine of an angle in radians.", "[0.0]", "[1.0]")
cosh = unary("cosh", jnp.cosh, "Hyperbolic cosine.", "[0.0]", "[1.0]")
deg2rad = unary("deg2rad", jnp.deg2rad, "Degrees to radians.", "[0.0]", "[0.0]")
erf = unary("erf", lambda x: jax.lax.erf(as_floats(x)), "Error function.", "[0.0]", "[0.0]")
erfc = unary("erfc", lambda x: jax.lax.erfc(as_floats(x)), "One minus the error function.", "[0.0]", "[1.0]")
erfinv = unary("erfinv", lambda x: jax.lax.erf_inv(as_floats(x)), "Inverse of `erf`.", "[0.0]", "[0.0]")
exp = unary("exp", jnp.exp, "e to the power of x.", "[0.0]", "[1.0]")
exp2 = unary("exp2", jnp.exp2, "2 to the power of x.", "[3.0]", "[8.0]")
expm1 = unary("expm1", jnp.expm1, "exp(x) - 1, exact near 0.", "[0.0]", "[0.0]")
fabs = unary("fabs", jnp.fabs, "Size without sign, as a float.", "[-1, 2]", "[1.0, 2.0]")
floor = unary("floor", lambda x: jnp.floor(as_floats(x)), "Whole number below, as a float.", "[1.8]", "[1.0]")
i0 = unary("i0", lambda x: jnp.i0(as_floats(x)), "Modified Bessel function of order 0.", "[0.0]", "[1.0...]")
imag = unary("imag", jnp.imag, "Imaginary part.", "[1 + 2j]", "[2.0]")
isfinite = unary("isfinite", jnp.isfinite, "Neither infinite nor NaN.", "[float('nan')]", "[False]")
isinf = unary("isinf", jnp.isinf, "Infinite.", "[1.0, float('inf')]", "[False, True]")
isnan = unary("isnan", jnp.isnan, "Not a number.", "[1.0, float('nan')]", "[False, True]")
isneginf = unary("isneginf", jnp.isneginf, "Minus infinity.", "[-float('inf')]", "[True]")
isposinf = unary("isposinf", jnp.isposinf, "Plus infinity.", "[float('inf')]", "[True]")
isreal = unary("isreal", jnp.isreal, "Imaginary part is zero.", "[1 + 2j, 1]", "[False, True]")
log = unary("log", jnp.log, "Natural logarithm.", "[1.0]", "[0.0]")
log10 = unary("log10", jnp.log10, "Logarithm to base 10.", "[1.0]", "[0.0]")
log1p = unary("log1p", jnp.log1p, "log(1 + x), exact near 0.", "[0.0]", "[0.0]")
log2 = unary("log2", jnp.log2, "Logarithm to base 2.", "[8.0]", "[3.0]")
logical_not = unary("logical_not", jnp.logical_not, "Not x.", "[True, False]", "[False, True]")
negative = unary("negative", jnp.negative, "-x.", "[1.0]", "[-1.0]")
rad2deg = unary("rad2deg", jnp.rad2deg, "Radians to degrees.", "[0.0]", "[0.0]")
real = unary("real", jnp.real, "Real part.", "[1 + 2j]", "[1.0]")
reciprocal = unary("reciprocal", jnp.reciprocal, "1 / x.", "[2.0]", "[0.5]")
rsqrt = unary("rsqrt", jax.lax.rsqrt, "1 / sqrt(x).", "[4.0]", "[0.5]")
sign = unary("sign", jnp.sign, "-1, 0 or 1.", "[-3.0, 0.0]", "[-1.0, 0.0]")
signbit = unary("signbit", jnp.signbit, "The sign bit is set (also of -0.0).", "[-3.0, 1.0]", "[True, False]")
sin = unary("sin", jnp.sin, "Sine of an angle in radians.", "[0.0]", "[0.0]")
sinc = unary("sinc", jnp.sinc, "sin(pi x) / (pi x), 1 at 0.", "[0.0]", "[1.0]")
sinh = unary("sinh", jnp.sinh, "Hyperbolic sine.", "[0.0]", "[0.0]")
sqrt = unary("sqrt", jnp.sqrt, "Square root; NaN below 0.", "[4.0]", "[2.0]")
square = unary("square", jnp.square, "x times x.", "[3.0]", "[9.0]")
tan = unary("tan", jnp.tan, "Tangent of an angle in radians.", "[0.0]", "[0.0]")
tanh = unary("tanh", jnp.tanh, "Hyperbolic tangent, from -1 to 1.", "[0.0]", "[0.0]")
trunc = unary("trunc", jnp.trunc, "Whole part, towards 0.", "[-1.8]", "[-1.0]")

add = binary("add", jnp.add, "x1 + x2.", "[1.0], 2", "[3.0]")
arctan2 = binary("arctan2", _in_floats(jnp.arctan2), "Angle of the point (x2, x1).", "[0.0], [1.0]", "[0.0]")
bitwise_left_shift = bits("bitwise_left_shift", jnp.left_shift, "x times 2 ** y.", "[1], [3]", "[8]")
bitwise_right_shift = bits("bitwise_right_shift", jnp.right_shift, "x over 2 ** y.", "[8], [3]", "[1]")
bitwise_and = bits("bitwise_and", jnp.bitwise_and, "Bits set in both.", "[6], [3]", "[2]")
bitwise_or = bits("bitwise_or", jnp.bitwise_or, "Bits set in either.", "[6], [3]", "[7]")
bitwise_xor = bits("bitwise_xor", jnp.bitwise_xor, "Bits set in one only.", "[6], [3]", "[5]")
left_shift = bits("left_shift", jnp.left_shift, "x times 2 ** y.", "[1], [3]", "[8]")
right_shift = bits("right_shift", jnp.right_shift, "x over 2 ** y.", "[8], [3]", "[1]")
divide = binary("divide", jnp.divide, "x1 / x2, in floats.", "[1.0], [2.0]", "[0.5]")
divide_no_nan = binary("divide_no_nan", _no_nan, "x1 / x2, and 0 where x2 is 0.", "[1.0], [0.0]", "[0.0]")
equal = binary("equal", jnp.equal, "x1 == x2.", "[1, 2], 2", "[False, True]", _beyond)
floor_divide = binary("floor_divide", jnp.floor_divide, "x1 // x2.", "[7], [2]", "[3]")
fmax = binary("fmax", jnp.fmax, "The larger one that is not NaN.", "[1.0, 2.0], float('nan')", "[1.0, 2.0]", _nearest)
fmin = binary("fmin", jnp.fmin, "The smaller one that is not NaN.", "[1.0, 2.0], float('nan')", "[1.0, 2.0]", _nearest)
fmod = binary("fmod", jnp.fmod, "Remainder with the sign of x1.", "[-7], [3]", "[-1]")
gcd = binary("gcd", jnp.gcd, "Greatest common divisor of integers.", "[12], [18]", "[6]")
greater = binary("greater", jnp.greater, "x1 > x2.", "[1, 2], 1", "[False, True]", _beyond)
greater_equal = binary("greater_equal", jnp.greater_equal, "x1 >= x2.", "[1, 2], 2", "[False, True]", _beyond)
heaviside = binary("heaviside", jnp.heaviside, "0 below 0, 1 above, and x2 at 0.", "[-1.0, 0.0], 0.5", "[0.0, 0.5]")
hypot = binary("hypot", _hypot, "sqrt(x1 ** 2 + x2 ** 2).", "[3.0], [4.0]", "[5.0]")
lcm = binary("lcm", jnp.lcm, "Least common multiple of integers.", "[4], [6]", "[12]")
ldexp = binary("ldexp", _ldexp, "x1 times 2 to the power of the integer x2.", "[3.0], [2]", "[12.0]")
less = binary("less", jnp.less, "x1 < x2.", "[1, 2], 2", "[True, False]", _beyond)
less_equal = binary("less_equal", jnp.less_equal, "x1 <= x2.", "[1, 2], 1", "[True, False]", _beyond)
logaddexp = binary("logaddexp", _in_floats(_logaddexp), "log(exp(x1) + exp(x2)).", "[0.0], [-1000.0]", "[0.0]")
logaddexp2 = binary("logaddexp2", _in_floats(jnp.logaddexp2), "log2(2 ** x1 + 2 ** x2).", "[1.0], [1.0]", "[2.0]")
logical_and = binary("logical_and", jnp.logical_and, "x1 and x2.", "[True, False], True", "[True, False]")
logical_or = binary("logical_or", jnp.logical_or, "x1 or x2.", "[True, False], False", "[True, False]")
logical_xor = binary("logical_xor", jnp.logical_xor, "One, not both.", "[True, False], True", "[False, True]")
maximum = binary("maximum", kernels.maximum, "The larger of two.", "[1, 5], 3", "[3, 5]", _nearest)
minimum = binary("minimum", kernels.minimum, "The smaller of two.", "[1, 5], 3", "[1, 3]", _nearest)
mod = binary("mod", jnp.mod, "Remainder with the sign of x2.", "[-7], [3]", "[2]")
multiply = binary("multiply", jnp.multiply, "x1 * x2.", "[2, 3], 2", "[4, 6]")
nextafter = binary("nextafter", jnp.nextafter, "The number after x1 on the way to x2.", "[1.0], [2.0]", "[1.00...]")
not_equal = binary("not_equal", jnp.not_equal, "x1 != x2.", "[1, 2], 2", "[True, False]", _beyond)
power = binary("power", _power, "x1 to the power of x2.", "[2, 3], 2", "[4, 9]")
subtract = binary("subtract", jnp.subtract, "x1 - x2.", "[3, 4], 1", "[2, 3]")
true_divide = binary("true_divide", jnp.divide, "x1 / x2, in floats.", "[1.0], [2.0]", "[0.5]")

abs, conj = absolute, conjugate


@op
def clip(x: Any, x_min: Any, x_max: Any) -> jax.Array:
    """x, but at least `x_min` and at most `x_max`.

    >>> import kyeo
    >>> kyeo.ops.clip([-2.0, 0.5, 3.0], 0, 1).tolist()
    [0.0, 0.5, 1.0]
    """
    x = to_array(x)
    x = x.astype("int32") if x.dtype == bool else x
    low, high = (bound if bound is None else operands(x, _within(bound, x.dtype))[1] for bound in (x_min, x_max))
    return jnp.clip(x, low, high)


def _within(bound: Any, dtype: Any) -> Any:
    """A Python int as the nearest number that integers of this type have: JAX would take it modulo their count."""
    if type(bound) is not int or not jnp.issubdtype(dtype, jnp.integer):
        return bound
    limits = jnp.iinfo(dtype)
    return min(max(bound, limits.min), limits.max)


@op
def round(x: Any, decimals: int = 0) -> jax.Array:
    """Nearest number of so many decimals; halves go to the even one.

    Negative `decimals` round to tens, hundreds, ...

    >>> import kyeo
    >>> kyeo.ops.round([1.26, 2.5]).tolist(), kyeo.ops.round([126], -1).tolist()
    ([1.0, 2.0], [130])
    """
    x = to_array(x)
    if decimals < 0 and jnp.issubdtype(x.dtype, jnp.integer):
        return _to_tens(x, 10**-decimals)
    return jnp.round(x, decimals)


def _to_tens(x: jax.Array, unit: int) -> jax.Array:
    """Integers rounded to multiples of `unit`, at most the nearest that their type has; floats would lose digits."""
    limits, dtype = jnp.iinfo(x.dtype), x.dtype
    x = x.astype("int32") if dtype.itemsize < 4 else x
    if unit > jnp.iinfo(x.dtype).max:
        return jnp.zeros_like(x, dtype)
    low, high, ten = (np.asarray(number, x.dtype) for number in (limits.min, limits.max, unit))
    rest = jax.lax.rem(x, jnp.broadcast_to(ten, x.shape))
    near, size = x - rest, jnp.abs(rest)  # `near` is nearer to 0
    away = (size > ten - size) | ((size == ten - size) & (near // ten % 2 != 0))
    step = jnp.minimum(jnp.where(x > 0, high - near, near - low), ten)
    return jnp.where(away, jnp.where(x > 0, near + step, near - step), near).astype(dtype)


@op
def nan_to_num(x: Any, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> jax.Array:
    """x with NaN, plus and minus infinity replaced; None stands for the largest and smallest finite number.

    >>> import kyeo
    >>> kyeo.ops.nan_to_num([float("nan"), float("inf")], posinf=9).tolist()
    [0.0, 9.0]
    """
    return jnp.nan_to_num(to_array(x), nan=nan, posinf=posinf, neginf=neginf)


@op
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> jax.Array:
    """Whether |x1 - x2| <= atol + rtol * |x2|.

    >>> import kyeo
    >>> kyeo.ops.isclose([1.0, 1.1], [1.0, 1.0]).tolist()
    [True, False]
    """
    return jnp.isclose(to_array(x1), to_array(x2), rtol, atol, equal_nan)


@op
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> jax.Array:
    """Whether all elements are close, as `isclose` means it.

    >>> import kyeo
    >>> bool(kyeo.ops.allclose([1.0], [1.0 + 1e-7]))
    True
    """
    return jnp.allclose(to_array(x1), to_array(x2), rtol, atol, equal_nan)
