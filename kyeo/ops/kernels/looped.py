"""A convolution for the inside of a loop, where XLA's CPU runs its own many times slower.

In a step that is compiled for it, oneDNN convolves inside of loops too. Measured on two cores of a Sapphire Rapids, 8
steps of ConvLSTM2D on 16 x 24 x 24 with 16 filters 3x3: 16 ms by oneDNN, 38 by products.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax

from kyeo.ops.kernels import onednn
from kyeo.ops.kernels.conv import conv
from kyeo.ops.kernels.derivative import own_gradient
from kyeo.ops.kernels.windows import Pads, on_cpu, pads_of, pads_of_transpose, slices, spread, turned

__all__ = ["gradient_of_kernel", "looped_by", "looped_conv", "looped_transpose", "suits_onednn"]


def looped_conv(x: Array, kernel: Array) -> Array:
    """`conv` without strides and with "same" padding; on a CPU one matrix product with moved copies of the input.

    Measured, 10 steps of ConvLSTM2D on 8 x 32 x 32 with 32 filters 3x3 and all gradients: 230 ms, as much as the steps
    written one by one with convolutions, which take three times as long to compile. A product for each tap: 275 ms.
    Keras on JAX, with its convolutions in the loop: 7,000 ms for a training step that takes 200 ms here.

    Args:
        x: shape (batch, *sizes, channels).
        kernel: shape (*window, channels, output channels), of the dtype of x.

    >>> import jax.numpy as jnp
    >>> looped_conv(jnp.arange(4.0).reshape(1, 4, 1), jnp.ones((2, 1, 1))).ravel().tolist()
    [1.0, 3.0, 5.0, 3.0]
    """
    return _by_product(x, kernel) if on_cpu() else _by_xla(x, kernel)


def _by_xla(x: Array, kernel: Array) -> Array:
    axes = "DHW"[2 - x.ndim:]
    return lax.conv_general_dilated(
        x, kernel, (1,) * (x.ndim - 2), "SAME", dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"))


@own_gradient()
def _by_product(x: Array, kernel: Array) -> Array:
    y = _moved(x, kernel) @ kernel.reshape(-1, kernel.shape[-1])
    return y.reshape(*x.shape[:-1], kernel.shape[-1])


def _same(x: Array, kernel: Array) -> Pads:
    return pads_of("same", x.shape[1:-1], kernel.shape[:-2], (1,) * (x.ndim - 2))


def _moved(x: Array, kernel: Array) -> Array:
    """What each place's window sees: shape (places, taps * channels)."""
    window = kernel.shape[:-2]
    parts = slices(x, 0, window, (1,) * len(window), _same(x, kernel))
    return jnp.concatenate(parts, -1).reshape(math.prod(x.shape[:-1]), math.prod(window) * x.shape[-1])


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _by_product(x, kernel), (x, kernel)  # the copies are made again: to keep them costs more


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    return _spread(g, kernel), (_moved(x, kernel).T @ g.reshape(-1, g.shape[-1])).reshape(kernel.shape)


_by_product.defvjp(_forward, _backward)


def _spread(g: Array, kernel: Array) -> Array:
    *window, channels, filters = kernel.shape
    wide = math.prod(window) * channels
    moved = (g.reshape(-1, filters) @ kernel.reshape(-1, filters).T).reshape(*g.shape[:-1], wide)
    parts = [moved[..., at:at + channels] for at in range(0, moved.shape[-1], channels)]
    return spread(parts, tuple(window), (1,) * len(window), _same(g, kernel), g.shape[1:-1])


# The parts of a loop that has a gradient of its own ----------------------------------------------------------------


def suits_onednn(x: Array, kernel: Array) -> bool:
    """Whether oneDNN takes the convolution of one step."""
    ones = (1,) * (x.ndim - 2)
    return onednn.takes(x, kernel, ones, _same(x, kernel), ones)


def looped_by(x: Array, kernel: Array, by_onednn: bool) -> Array:
    """`looped_conv`, by oneDNN where asked."""
    return onednn.convolve(x, kernel, (1, 1), _same(x, kernel)) if by_onednn else _by_product(x, kernel)


def looped_transpose(g: Array, kernel: Array, by_onednn: bool) -> Array:
    """The gradient of `looped_conv` by its input, from that of its output.

    >>> import jax.numpy as jnp
    >>> looped_transpose(jnp.array([1.0, 0.0, 0.0]).reshape(1, 3, 1), jnp.ones((2, 1, 1)), False).ravel().tolist()
    [1.0, 1.0, 0.0]
    """
    if not by_onednn:
        return _spread(g, kernel)
    pads = pads_of_transpose(_same(g, kernel), kernel.shape)
    return onednn.convolve(g, turned(kernel), (1, 1), pads)


def gradient_of_kernel(x: Array, g: Array, kernel: Array) -> Array:
    """The gradient of `looped_conv` by its kernel, for all steps of a loop at once: (time, batch, *sizes, channels)."""
    x, g = (a.reshape(a.shape[0] * a.shape[1], *a.shape[2:]) for a in (x, g))
    ones = (1,) * (x.ndim - 2)
    return jax.vjp(lambda kernel: conv(x, kernel, ones, _same(x, kernel), ones), kernel)[1](g)[0]
