"""Convolution over one to three axes, channels last. Layers and ops call this one function."""

from collections.abc import Sequence

import jax
from jax import lax

__all__ = ["conv"]


def conv(x: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: str | Sequence[tuple[int, int]],
         dilation: Sequence[int], groups: int = 1) -> jax.Array:
    """Slide `kernel` over `x`.

    Args:
        x: shape (batch, *sizes, channels).
        kernel: shape (*window, channels / groups, output channels).
        strides: step on each axis.
        padding: "valid", "same", "causal" (one axis: an output sees no later input), or (before, after) for each axis.
        dilation: distance between the taps of the window on each axis.
        groups: in how many groups the channels are kept apart.
    """
    rank = x.ndim - 2
    axes = "DHW"[-rank:]
    if padding == "causal":
        padding = [(dilation[0] * (kernel.shape[0] - 1), 0)]
    return lax.conv_general_dilated(
        x, kernel, tuple(strides), padding.upper() if isinstance(padding, str) else tuple(padding),
        rhs_dilation=tuple(dilation), dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        feature_group_count=groups)
