"""Numbers in few bits: scales, rounding, packing two to a byte. Plain functions on arrays."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.errors import describe, one_of, problem
from kyeo.core.op import op
from kyeo.core.variable import unwrap

__all__ = [
    "abs_max_quantize", "abs_max_quantize_grouped_with_zero_point", "compute_float8_amax_history",
    "compute_float8_scale", "fake_quant_with_min_max_vars", "pack_int4", "quantize_and_dequantize", "unpack_int4",
]


def abs_max_quantize(
    inputs: Any, axis: Any, value_range: tuple[int, int] = (-127, 127), dtype: Any = "int8", epsilon: float = 1e-7,
    to_numpy: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Round to ints so that the largest value of each slice fits: `(ints, scale)`, with `inputs = ints / scale`.

    Args:
        inputs: an array of any shape.
        axis: the axis, or axes, whose values share a scale; they have size 1 in the scale.
        value_range: the smallest and the largest int.
        dtype: dtype of the ints.
        epsilon: added to the largest value, so that zeros have a scale.
        to_numpy: compute on the host.

    >>> import kyeo
    >>> ints, scale = kyeo.quantizers.abs_max_quantize([[1.0, -2.0]], axis=-1)
    >>> ints.tolist(), round(float(scale[0, 0]), 2)
    ([[64, -127]], 63.5)
    """
    xp: Any = np if to_numpy else jnp
    values = xp.asarray(unwrap(inputs))
    axis = tuple(axis) if isinstance(axis, (list, tuple)) else axis
    scale = (value_range[1] / (xp.abs(values).max(axis=axis, keepdims=True) + epsilon)).astype(values.dtype)
    ints = xp.clip(xp.round(values * scale), *value_range).astype(dtype)
    return jnp.asarray(ints), jnp.asarray(scale)


def abs_max_quantize_grouped_with_zero_point(
    inputs: Any, block_size: int, value_range: tuple[int, int] = (-8, 7), dtype: Any = "int8", epsilon: float = 1e-7,
    to_numpy: bool = False,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Round each block of rows of a matrix by a scale and a zero of its own: `(ints, scale, zero)`, with
    `inputs = (ints - zero) * scale`.

    Args:
        inputs: shape (rows, columns).
        block_size: how many rows share a scale; the last block may be smaller.
        value_range: the smallest and the largest int.
        dtype: dtype of the ints.
        epsilon: added to the range of a block.
        to_numpy: compute on the host.

    Scale and zero have shape (blocks, columns); the zeros are int8.

    >>> import kyeo
    >>> kyeo.quantizers.abs_max_quantize_grouped_with_zero_point([[0.0], [1.5], [5.0]], 2)[0].ravel().tolist()
    [-8, 7, 7]
    """
    xp: Any = np if to_numpy else jnp
    values = xp.asarray(unwrap(inputs))
    if values.ndim != 2 or not isinstance(block_size, int) or block_size < 1:
        raise problem("This cannot be quantized in blocks.", received=f"{describe(values)}, block_size={block_size!r}",
                      expected="a matrix and a positive int", where="kyeo.quantizers")
    rows, columns = values.shape
    blocks = math.ceil(rows / block_size)
    block_size = block_size if to_numpy or blocks > 1 else rows  # on the host Keras lets the zeros it adds count
    padded = xp.concatenate([values, xp.zeros((blocks * block_size - rows, columns), values.dtype)])
    grouped = padded.reshape(blocks, block_size, columns)
    low, high = grouped.min(1, keepdims=True), grouped.max(1, keepdims=True)
    flat = low == high  # a block of one value: any range around it serves
    low, high = xp.where(flat, low - 1, low), xp.where(flat, high + 1, high)
    least, most = value_range
    scale = ((high - low + epsilon) / (most - least)).astype(values.dtype)
    zero = xp.clip(xp.round(-low / scale) + least, least, most)
    ints = xp.clip(xp.round(grouped / scale) + zero, least, most).astype(dtype).reshape(-1, columns)[:rows]
    return jnp.asarray(ints), jnp.asarray(scale[:, 0]), jnp.asarray(zero[:, 0].astype("int8"))


# -- for training ------------------------------------------------------------------------------------------


@op
def fake_quant_with_min_max_vars(
    inputs: Any, min_vals: Any, max_vals: Any, num_bits: int = 8, narrow_range: bool = False, axis: int | None = None,
) -> jax.Array:
    """Round to one of 2**num_bits values between two bounds and back, with gradients, so that a net learns to bear it.

    Args:
        inputs: floats of any shape.
        min_vals, max_vals: the bounds: scalars, or one for each index of `axis`. They are moved so that 0 is among the
            values, and have gradients too.
        num_bits: how many bits a value has.
        narrow_range: whether the smallest value is left out.
        axis: the axis that has bounds of its own for each index.

    >>> import kyeo
    >>> kyeo.quantizers.fake_quant_with_min_max_vars([-1.0, 0.4, 9.0], 0.0, 1.0, num_bits=1).tolist()
    [0.0, 0.0, 1.0]
    """
    inputs, low, high = jnp.asarray(inputs), jnp.asarray(min_vals), jnp.asarray(max_vals)
    if axis is not None and axis % inputs.ndim != inputs.ndim - 1:
        moved = fake_quant_with_min_max_vars(
            jnp.moveaxis(inputs, axis, -1), low, high, num_bits, narrow_range, inputs.ndim - 1)
        return jnp.moveaxis(moved, -1, axis)
    return _fake_quant(inputs, low.astype("float32"), high.astype("float32"), int(num_bits), bool(narrow_range))


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _fake_quant(x: jax.Array, low: jax.Array, high: jax.Array, bits: int, narrow: bool) -> jax.Array:
    least, most, scale = _nudged(low, high, bits, narrow)
    zero = jnp.floor(-least / scale + 0.5)
    steps = jnp.floor((jnp.clip(x.astype("float32"), least, most) - least) / scale - zero + 0.5)
    return (steps * scale).astype(x.dtype)


def _nudged(low: jax.Array, high: jax.Array, bits: int, narrow: bool) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The bounds moved so that 0 is a value, and the distance of values."""
    first, last = int(narrow), 2**bits - 1
    scale = (high - low) / (last - first)
    zero = jnp.round(jnp.clip(first - low / scale, first, last))
    return (first - zero) * scale, (last - zero) * scale, scale


def _fake_quant_forward(x: Any, low: Any, high: Any, bits: int, narrow: bool) -> Any:
    return _fake_quant(x, low, high, bits, narrow), (x, low, high)


def _fake_quant_backward(bits: int, narrow: bool, saved: Any, g: jax.Array) -> tuple[jax.Array, ...]:
    x, low, high = saved
    least, most, _ = _nudged(low, high, bits, narrow)

    def of_bound(chosen: jax.Array, bound: jax.Array) -> jax.Array:
        total = jnp.where(chosen, g, 0).astype(bound.dtype)
        return total.sum(tuple(range(x.ndim - bound.ndim))) if bound.ndim else total.sum()

    inside = (x >= least) & (x <= most)
    return jnp.where(inside, g, 0), of_bound(x <= least, low), of_bound(x >= most, high)


_fake_quant.defvjp(_fake_quant_forward, _fake_quant_backward)


def compute_float8_scale(amax: Any, scale: Any, dtype_max: Any, margin: int = 0) -> jax.Array:
    """The scale that brings values up to `amax` into the range of a float8 type; the old one where `amax` says nothing.

    >>> import kyeo
    >>> float(kyeo.quantizers.compute_float8_scale(2.0, 1.0, 448.0))
    0.004464285913854837
    """
    amax, scale = jnp.asarray(unwrap(amax)), jnp.asarray(unwrap(scale))
    usable = (amax > 0) & jnp.isfinite(amax)
    factor = jnp.where(usable, dtype_max / jnp.where(usable, amax, 1) / 2**margin, 1 / scale)
    return 1 / factor


def compute_float8_amax_history(x: Any, amax_history: Any) -> jax.Array:
    """The history of largest values, moved on by one, with that of `x` at the front.

    >>> import kyeo
    >>> kyeo.quantizers.compute_float8_amax_history([3.0, -4.0], [1.0, 2.0]).tolist()
    [4.0, 1.0]
    """
    history = jnp.asarray(unwrap(amax_history))
    return jnp.roll(history, -1).at[0].set(jnp.abs(jnp.asarray(unwrap(x))).max().astype(history.dtype))


def quantize_and_dequantize(inputs: Any, scale: Any, quantized_dtype: Any, compute_dtype: Any) -> jax.Array:
    """To a float8 type and back.

    >>> import kyeo
    >>> kyeo.quantizers.quantize_and_dequantize([1.0, 1.01], 1.0, "float8_e4m3fn", "float32").tolist()
    [1.0, 1.0]
    """
    scale = jnp.asarray(unwrap(scale), compute_dtype)
    most = float(jnp.finfo(quantized_dtype).max)
    small = jnp.clip(jnp.asarray(unwrap(inputs)) / scale, -most, most).astype(quantized_dtype)
    return small.astype(compute_dtype) * scale


# -- two to a byte -----------------------------------------------------------------------------------------


def pack_int4(arr: Any, axis: int = 0, dtype: Any = "int8") -> tuple[jax.Array, tuple[int, ...], int]:
    """Pack neighbours along an axis into one byte, the first in the low half: `(packed, its shape, old size)`.

    Args:
        arr: ints from -8 to 7 (0 to 15 for "uint8"), of the dtype.
        axis: the axis; its size is halved, rounded up.
        dtype: "int8" or "uint8".

    >>> import kyeo, numpy as np
    >>> kyeo.quantizers.pack_int4(np.array([-3, 7], "int8"))[0].tolist()
    [125]
    """
    dtype = one_of("pack_int4", ("int8", "uint8"), dtype=dtype)
    ints = np.asarray(unwrap(arr))
    if ints.dtype != dtype:
        raise problem("`arr` is not valid.", received=describe(ints), expected=f"dtype {dtype}", where="pack_int4",
                      kind=TypeError)
    rows = np.moveaxis(ints, axis, 0).view("uint8")
    size = rows.shape[0]
    rows = np.concatenate([rows, np.zeros((size % 2, *rows.shape[1:]), "uint8")])
    packed = np.moveaxis((rows[::2] & 15) | (rows[1::2] << 4), 0, axis).view(dtype)
    return jnp.asarray(packed), tuple(packed.shape), size


def unpack_int4(packed: Any, orig_len: int, axis: int = 0, dtype: Any = "int8") -> jax.Array:
    """What `pack_int4` packed.

    Args:
        packed: int8 or uint8.
        orig_len: the old size of the axis.
        axis: the axis it was packed along.
        dtype: "int8" for ints from -8 to 7, "uint8" for 0 to 15.

    >>> import kyeo, numpy as np
    >>> kyeo.quantizers.unpack_int4(np.array([125], "int8"), 2).tolist()
    [-3, 7]
    """
    dtype = one_of("unpack_int4", ("int8", "uint8"), dtype=dtype)
    values = jnp.asarray(unwrap(packed))
    if values.dtype not in (jnp.int8, jnp.uint8):
        raise problem("`packed` is not valid.", received=describe(values), expected="dtype int8 or uint8",
                      where="unpack_int4", kind=TypeError)
    axis = axis % values.ndim
    halves = jnp.stack([values & 15, (values >> 4) & 15], axis + 1)
    if dtype == "int8":
        halves = (halves ^ 8).astype("int8") - 8
    joined = halves.reshape(*values.shape[:axis], -1, *values.shape[axis + 1:])
    return jax.lax.slice_in_dim(joined, 0, orig_len, axis=axis).astype(dtype)
