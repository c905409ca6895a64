"""Ops that slide a window: convolutions and pools. The one place that calls their kernels."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.arrays import to_array
from kyeo.core.errors import int_tuple, one_of, problem
from kyeo.core.op import op
from kyeo.core.settings import settings
from kyeo.ops import kernels

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "average_pool", "conv", "conv_transpose", "depthwise_conv",
    "max_pool", "separable_conv",
]

Sizes = int | Sequence[int]
Back = Callable[[jax.Array], jax.Array]
_FORMATS = ("channels_last", "channels_first")


def _batch(where: str, inputs: Any, data_format: str | None) -> tuple[jax.Array, Back]:
    """The input with channels last, and the function that puts a result back into the caller's format."""
    x = to_array(inputs)
    found = one_of(where, _FORMATS, data_format=data_format or settings.image_data_format)
    if not 3 <= x.ndim <= 5:
        raise problem("A window slides over one to three axes between batch and channels.", received=x,
                      expected="an input of 3, 4 or 5 axes", where=where)
    if found == "channels_last":
        return x, lambda out: out
    return jnp.moveaxis(x, 1, -1), lambda out: jnp.moveaxis(out, -1, 1)


def _padding(where: str, padding: str) -> str:
    return one_of(where, ("valid", "same"), padding=padding)


def _check_window(where: str, x: jax.Array, kernel: jax.Array, rates: tuple[int, ...]) -> None:
    reach = [(size - 1) * rate + 1 for size, rate in zip(kernel.shape, rates)]
    if any(isinstance(size, int) and 0 < size < needed for size, needed in zip(x.shape[1:], reach)):
        dilated = f", dilated to {tuple(reach)}" if max(rates) > 1 else ""
        raise problem("The input is smaller than the window, so nothing is left.", where=where,
                      received=f"input {x.shape}, window {kernel.shape[:-2]}{dilated}",
                      expected="an input of at least the size of the window",
                      fix='use padding="same", a smaller kernel, or a larger input')


def _convolve(where: str, x: jax.Array, kernel: jax.Array, strides: Sizes, padding: str, dilation_rate: Sizes,
              groups: int) -> jax.Array:
    rank = x.ndim - 2
    if kernel.ndim != x.ndim:
        raise problem("The kernel does not fit the input.", where=where,
                      received=f"input {x.shape}, kernel {kernel.shape}",
                      expected=f"a kernel of {x.ndim} axes: {rank} sizes, input and output channels")
    rates, steps = int_tuple(where, rank, dilation_rate=dilation_rate), int_tuple(where, rank, strides=strides)
    padding = _padding(where, padding)
    if padding == "valid":
        _check_window(where, x, kernel, rates)
    return kernels.conv(x.astype(kernel.dtype), kernel, steps, padding, rates, groups)


@op
def conv(
    inputs: Any, kernel: Any, strides: Sizes = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> jax.Array:
    """Convolution over one, two or three axes.

    Args:
        inputs: shape (batch, *sizes, channels), or (batch, channels, *sizes) for "channels_first".
        kernel: shape (*window, channels in one group, output channels); the groups follow from it.
        strides: steps of the window, one int or one for each axis.
        padding: "valid" (whole windows only) or "same" (as many outputs as inputs, for stride 1).
        data_format: "channels_last" or "channels_first"; None takes that of `kyeo.config`.
        dilation_rate: distance between the places a window looks at.

    >>> import kyeo
    >>> kyeo.ops.conv(kyeo.ops.ones((1, 5, 5, 3)), kyeo.ops.ones((3, 3, 3, 8))).shape
    (1, 3, 3, 8)
    """
    x, back = _batch("ops.conv", inputs, data_format)
    kernel = to_array(kernel)
    channels, own = x.shape[-1], kernel.shape[-2]
    if channels % own or kernel.shape[-1] % (channels // own):
        raise problem("The channels do not fit the kernel.", where="ops.conv",
                      received=f"{channels} channels, kernel {kernel.shape}",
                      expected="channels, and filters, that are multiples of the groups")
    return back(_convolve("ops.conv", x, kernel, strides, padding, dilation_rate, channels // own))


@op
def depthwise_conv(
    inputs: Any, kernel: Any, strides: Sizes = 1, padding: str = "valid", data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> jax.Array:
    """Convolution of each channel by itself.

    The kernel has shape (*window, channels, outputs of each channel); the rest is as for `conv`.

    >>> import kyeo
    >>> kyeo.ops.depthwise_conv(kyeo.ops.ones((1, 5, 5, 3)), kyeo.ops.ones((3, 3, 3, 2))).shape
    (1, 3, 3, 6)
    """
    x, back = _batch("ops.depthwise_conv", inputs, data_format)
    kernel = to_array(kernel)
    *window, channels, each = kernel.shape
    if channels != x.shape[-1]:
        raise problem("The channels do not fit the kernel.", where="ops.depthwise_conv",
                      received=f"{x.shape[-1]} channels, kernel {kernel.shape}",
                      expected=f"{channels} channels")
    kernel = kernel.reshape(*window, 1, channels * each)
    return back(_convolve("ops.depthwise_conv", x, kernel, strides, padding, dilation_rate, channels))


@op
def separable_conv(
    inputs: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: Sizes = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: Sizes = 1,
) -> jax.Array:
    """`depthwise_conv`, then a `conv` with windows of size 1 that mixes the channels.

    >>> import kyeo
    >>> ones = kyeo.ops.ones
    >>> kyeo.ops.separable_conv(ones((1, 5, 5, 3)), ones((3, 3, 3, 2)), ones((1, 1, 6, 4))).shape
    (1, 3, 3, 4)
    """
    x = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(x, pointwise_kernel, data_format=data_format)


def _transpose_pads(
    window: int, stride: int, dilation: int, padding: str, more: int | None,
) -> tuple[int, int]:
    """What is added before and after an axis whose elements are `stride` apart, for a transposed convolution.

    "valid" gives (size - 1) * stride + max(window, stride) outputs, "same" size * stride; with an output
    padding `more`, (size - 1) * stride + window + more, and + window % 2 + more.
    """
    window = (window - 1) * dilation + 1
    if padding == "valid":
        return window - 1, window - 1 + (max(window, stride) - window if more is None else more)
    total = stride + window - 2 if more is None else window + window % 2 - 2 + more
    before = min(-(-total // 2), window - 1)
    return before, total - before


@op
def conv_transpose(
    inputs: Any, kernel: Any, strides: Sizes = 1, padding: str = "valid", output_padding: Any = None,
    data_format: str | None = None, dilation_rate: Sizes = 1,
) -> jax.Array:
    """The gradient of a convolution with respect to its input: it makes sizes larger.

    Args:
        inputs, strides, padding, data_format, dilation_rate: as for `conv`.
        kernel: shape (*window, output channels, input channels).
        output_padding: how much longer each axis becomes than needed; None gives size * stride for "same".

    >>> import kyeo
    >>> kyeo.ops.conv_transpose(kyeo.ops.ones((1, 4, 3)), kyeo.ops.ones((2, 5, 3)), strides=2).shape
    (1, 8, 5)
    """
    where = "ops.conv_transpose"
    x, back = _batch(where, inputs, data_format)
    kernel, rank, padding = to_array(kernel), x.ndim - 2, _padding(where, padding)
    if kernel.ndim != x.ndim or kernel.shape[-1] != x.shape[-1]:
        raise problem("The channels do not fit the kernel.", where=where,
                      received=f"input {x.shape}, kernel {kernel.shape}",
                      expected=f"a kernel (*window, output channels, {x.shape[-1]})")
    strides = int_tuple(where, rank, strides=strides)
    dilation = int_tuple(where, rank, dilation_rate=dilation_rate)
    more = (None,) * rank
    if output_padding is not None:
        more = int_tuple(where, rank, minimum=0, output_padding=output_padding)
    pads = tuple(_transpose_pads(*axis) for axis in zip(kernel.shape, strides, dilation, (padding,) * rank, more))
    return back(kernels.conv_transpose(x.astype(kernel.dtype), kernel, strides, pads, dilation))


def _pool(where: str, kernel: Any, inputs: Any, pool_size: Sizes, strides: Any, padding: str,
          data_format: str | None) -> jax.Array:
    x, back = _batch(where, inputs, data_format)
    rank = x.ndim - 2
    window = int_tuple(where, rank, pool_size=pool_size)
    steps = window if strides is None else int_tuple(where, rank, strides=strides)
    return back(kernel(x, window, steps, _padding(where, padding)))


@op
def max_pool(
    inputs: Any, pool_size: Sizes, strides: Any = None, padding: str = "valid",
    data_format: str | None = None,
) -> jax.Array:
    """The largest element of each window.

    Args:
        inputs: as for `conv`.
        pool_size: size of the window, one int or one for each axis.
        strides: steps of the window; None means `pool_size`.
        padding, data_format: as for `conv`.

    >>> import kyeo
    >>> kyeo.ops.max_pool(kyeo.ops.reshape(kyeo.ops.arange(4.0), (1, 4, 1)), 2)[0, :, 0].tolist()
    [1.0, 3.0]
    """
    return _pool("ops.max_pool", kernels.max_pool, inputs, pool_size, strides, padding, data_format)


@op
def average_pool(
    inputs: Any, pool_size: Sizes, strides: Any = None, padding: str = "valid",
    data_format: str | None = None,
) -> jax.Array:
    """The mean of each window; of what lies outside of the input nothing is counted. Arguments as `max_pool`.

    >>> import kyeo
    >>> kyeo.ops.average_pool(kyeo.ops.reshape(kyeo.ops.arange(4.0), (1, 4, 1)), 2)[0, :, 0].tolist()
    [0.5, 2.5]
    """
    return _pool("ops.average_pool", kernels.average_pool, inputs, pool_size, strides, padding, data_format)


def _adaptive_pool(where: str, kernel: Any, inputs: Any, output_size: Sizes, data_format: str | None) -> jax.Array:
    x, back = _batch(where, inputs, data_format)
    return back(kernel(x, int_tuple(where, x.ndim - 2, output_size=output_size)))


@op
def adaptive_max_pool(inputs: Any, output_size: Sizes, data_format: str | None = None) -> jax.Array:
    """The largest element of each window, the windows chosen so that `output_size` of them cover each axis.

    Args:
        inputs: as for `conv`; its sizes need not be multiples of the output's.
        output_size: how many windows, one int or one for each axis.
        data_format: as for `conv`.

    >>> import kyeo
    >>> kyeo.ops.adaptive_max_pool(kyeo.ops.reshape(kyeo.ops.arange(5.0), (1, 5, 1)), 2)[0, :, 0].tolist()
    [2.0, 4.0]
    """
    return _adaptive_pool("ops.adaptive_max_pool", kernels.adaptive_max_pool, inputs, output_size, data_format)


@op
def adaptive_average_pool(inputs: Any, output_size: Sizes, data_format: str | None = None) -> jax.Array:
    """The mean of each window, the windows chosen so that `output_size` of them cover each axis.

    Arguments as `adaptive_max_pool`.

    >>> import kyeo
    >>> kyeo.ops.adaptive_average_pool(kyeo.ops.reshape(kyeo.ops.arange(5.0), (1, 5, 1)), 2)[0, :, 0].tolist()
    [1.0, 3.0]
    """
    return _adaptive_pool("ops.adaptive_average_pool", kernels.adaptive_average_pool, inputs, output_size, data_format)
