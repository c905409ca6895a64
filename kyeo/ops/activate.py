"""Activation functions as ops."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import nn

from kyeo.core.arrays import as_floats, to_array
from kyeo.core.op import op
from kyeo.core.plain import warn
from kyeo.core.tracing import step_by_step
from kyeo.ops import kernels
from kyeo.ops.rows import tuple_axis, unary

__all__ = [
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "log_sigmoid", "log_softmax", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
    "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
    "swish", "tanh_shrink", "threshold",
]


def _sigmoid(x: jax.Array) -> jax.Array:
    return kernels.note_origin(nn.sigmoid(x), "sigmoid", x)


hard_sigmoid = unary(
    "hard_sigmoid", nn.hard_sigmoid, "x / 6 + 0.5, kept within 0 and 1.", "[-4.0, 0.0]", "[0.0, 0.5]")
hard_silu = unary("hard_silu", nn.hard_silu, "x times `hard_sigmoid(x)`.", "[0.0, 3.0]", "[0.0, 3.0]")
hard_tanh = unary("hard_tanh", nn.hard_tanh, "x, kept within -1 and 1.", "[-4.0, 0.5]", "[-1.0, 0.5]")
log_sigmoid = unary("log_sigmoid", nn.log_sigmoid, "log(sigmoid(x)).", "[-1000.0]", "[-1000.0]")
relu = unary("relu", kernels.relu, "x where positive, else 0.", "[-1.0, 2.0]", "[0.0, 2.0]")
relu6 = unary("relu6", nn.relu6, "x, kept within 0 and 6.", "[-1.0, 8.0]", "[0.0, 6.0]")
selu = unary("selu", nn.selu, "Scaled `elu` that keeps mean and variance.", "[0.0]", "[0.0]")
sigmoid = unary("sigmoid", _sigmoid, "1 / (1 + exp(-x)), from 0 to 1.", "[0.0]", "[0.5]")
silu = unary("silu", nn.silu, "x times `sigmoid(x)`; also called swish.", "[0.0]", "[0.0]")
softplus = unary("softplus", nn.softplus, "log(1 + exp(x)), a smooth `relu`.", "[1000.0]", "[1000.0]")
softsign = unary("softsign", nn.soft_sign, "x / (1 + |x|), from -1 to 1.", "[1.0]", "[0.5]")
sparse_plus = unary(
    "sparse_plus", nn.sparse_plus, "0 up to -1, x from 1 on, (x + 1)^2 / 4 between.", "[-2.0]", "[0.0]")
sparse_sigmoid = unary(
    "sparse_sigmoid", nn.sparse_sigmoid, "(x + 1) / 2, kept within 0 and 1.", "[-2.0, 0.0]", "[0.0, 0.5]")
tanh_shrink = unary("tanh_shrink", lambda x: x - jnp.tanh(x), "x - tanh(x).", "[0.0]", "[0.0]")

swish, hard_swish = silu, hard_silu


@op
def leaky_relu(x: Any, negative_slope: float = 0.2) -> jax.Array:
    """x where positive, else `negative_slope` times x.

    >>> import kyeo
    >>> kyeo.ops.leaky_relu([-10.0, 2.0]).tolist()
    [-2.0, 2.0]
    """
    return nn.leaky_relu(to_array(x), negative_slope)


@op
def elu(x: Any, alpha: float = 1.0) -> jax.Array:
    """x where positive, else `alpha * (exp(x) - 1)` (Clevert et al., 2015, https://arxiv.org/abs/1511.07289).

    >>> import kyeo
    >>> kyeo.ops.elu([-1000.0, 2.0]).tolist()
    [-1.0, 2.0]
    """
    return nn.elu(to_array(x), alpha)


@op
def celu(x: Any, alpha: float = 1.0) -> jax.Array:
    """max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0) (Barron, 2017, https://arxiv.org/abs/1704.07483).

    >>> import kyeo
    >>> kyeo.ops.celu([-1000.0, 2.0]).tolist()
    [-1.0, 2.0]
    """
    return _celu(to_array(x), alpha)


@kernels.as_one()
def _celu(x: jax.Array, alpha: Any) -> jax.Array:
    return kernels.maximum(x, 0.0) + alpha * jnp.expm1(kernels.minimum(x, 0.0) / alpha)


@op
def gelu(x: Any, approximate: bool = True) -> jax.Array:
    """x times the normal distribution function of x, or its approximation with tanh.

    Hendrycks and Gimpel, 2016 (https://arxiv.org/abs/1606.08415).

    >>> import kyeo
    >>> kyeo.ops.gelu([0.0, 100.0]).tolist()
    [0.0, 100.0]
    """
    return _gelu(to_array(x), approximate)


@kernels.as_one(1)
def _gelu(x: jax.Array, approximate: bool) -> jax.Array:
    if x.dtype == "float16":  # the square of 300 is infinite there, and the gradient NaN
        return nn.gelu(x.astype("float32"), approximate).astype("float16")
    return nn.gelu(x, approximate)


@op
def glu(x: Any, axis: int = -1) -> jax.Array:
    """One half of x times the sigmoid of the other (Dauphin et al., 2016, https://arxiv.org/abs/1612.08083).

    >>> import kyeo
    >>> kyeo.ops.glu([3.0, 0.0]).tolist()
    [1.5]
    """
    return nn.glu(to_array(x), axis)


@op
def squareplus(x: Any, b: float = 4) -> jax.Array:
    """(x + sqrt(x^2 + b)) / 2, a smooth `relu` (Barron, 2021, https://arxiv.org/abs/2112.11687).

    >>> import kyeo
    >>> kyeo.ops.squareplus([0.0]).tolist()
    [1.0]
    """
    x = to_array(x)
    if x.dtype == "float16":
        return nn.squareplus(x.astype("float32"), b).astype("float16")
    return nn.squareplus(x, b)


@op
def soft_shrink(x: Any, threshold: float = 0.5) -> jax.Array:
    """x moved towards 0 by `threshold`, and 0 within it.

    >>> import kyeo
    >>> kyeo.ops.soft_shrink([-2.0, 0.2, 2.0]).tolist()
    [-1.5, 0.0, 1.5]
    """
    return _soft_shrink(to_array(x), threshold)


@kernels.as_one()
def _soft_shrink(x: jax.Array, threshold: Any) -> jax.Array:
    return jnp.where(x > threshold, x - threshold, jnp.where(x >= -threshold, 0.0, x + threshold))


@op
def hard_shrink(x: Any, threshold: float = 0.5) -> jax.Array:
    """x where |x| is above `threshold`, else 0.

    >>> import kyeo
    >>> kyeo.ops.hard_shrink([-2.0, 0.2]).tolist()
    [-2.0, 0.0]
    """
    return _hard_shrink(to_array(x), threshold)


@kernels.as_one()
def _hard_shrink(x: jax.Array, threshold: Any) -> jax.Array:
    return jnp.where(jnp.abs(x) <= threshold, 0.0, x)


@op
def threshold(x: Any, threshold: float, default_value: float) -> jax.Array:
    """x where above `threshold`, else `default_value`.

    >>> import kyeo
    >>> kyeo.ops.threshold([-2.0, 2.0], 1.0, 0.0).tolist()
    [0.0, 2.0]
    """
    return _threshold(to_array(x), threshold, default_value)


@kernels.as_one()
def _threshold(x: jax.Array, threshold: Any, default_value: Any) -> jax.Array:
    return jnp.where(x <= threshold, default_value, x)


@kernels.as_one(0, 2)
def _in_float32(fn: Any, x: jax.Array, axis: Any) -> jax.Array:
    """Half precision computed in float32: a sum of hundreds of classes loses its last digits otherwise."""
    if x.dtype in (jnp.float16, jnp.bfloat16):
        return fn(x.astype("float32"), axis=axis).astype(x.dtype)
    return fn(as_floats(x), axis=axis)


@op
def softmax(x: Any, axis: Any = -1) -> jax.Array:
    """exp(x) divided by its sum along `axis` (or several): probabilities from logits.

    >>> import kyeo
    >>> kyeo.ops.softmax([[0.0, 0.0], [1000.0, 0.0]]).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    x = to_array(x)
    if isinstance(axis, int) and -x.ndim <= axis < x.ndim and x.shape[axis] == 1:
        warn(f"Softmax over axis {axis}, of size 1, of a tensor of shape {x.shape} is 1 everywhere; "
             "for one unit `sigmoid` is meant.")
    return _in_float32(_softmax, x, tuple_axis(axis))


@step_by_step
def _softmax(x: jax.Array, axis: Any) -> jax.Array:
    result = nn.softmax(x, axis)
    axes = axis if isinstance(axis, tuple) else (axis,)
    if len(axes) != 1 or axes[0] is None:  # over several, or all
        return result
    return kernels.note_origin(result, ("softmax", axes[0] % x.ndim), x)


@op
def log_softmax(x: Any, axis: Any = -1) -> jax.Array:
    """log(softmax(x)), exact where softmax rounds to 0.

    >>> import kyeo
    >>> kyeo.ops.log_softmax([1000.0, 0.0]).tolist()
    [0.0, -1000.0]
    """
    return _in_float32(nn.log_softmax, to_array(x), tuple_axis(axis))


@op
def sparsemax(x: Any, axis: int = -1) -> jax.Array:
    """The nearest probabilities to x: like softmax, but with zeros.

    Martins and Astudillo, 2016 (https://arxiv.org/abs/1602.02068).

    >>> import kyeo
    >>> kyeo.ops.sparsemax([2.0, 1.5, 0.0]).tolist()
    [0.75, 0.25, 0.0]
    """
    return _sparsemax(as_floats(to_array(x)), axis)


@kernels.as_one(1)
def _sparsemax(x: jax.Array, axis: int) -> jax.Array:
    z = jnp.moveaxis(x, axis, -1)
    falling = -jnp.sort(-z, axis=-1)
    sums = jnp.cumsum(falling, axis=-1) - 1
    kept = falling > sums / jnp.arange(1, z.shape[-1] + 1)  # a prefix: those that stay above 0
    count = jnp.sum(kept, axis=-1, keepdims=True)
    tau = jnp.take_along_axis(sums, count - 1, axis=-1) / count
    return jnp.moveaxis(kernels.maximum(z - tau, 0), -1, axis)
