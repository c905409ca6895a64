"""Images convolved by oneDNN, which jaxlib holds for x86 processors and XLA uses only when told to.

With the option below XLA still prefers its other library, YNNPACK, which knows only convolutions of two axes; one of
three axes goes to oneDNN. So a first axis of length one chooses the library for each convolution by itself, with its
bias and activation computed on the way out. Measured on two cores with JAX 0.12.0.1, float32, windows of 3x3, as
processor time of oneDNN / YNNPACK: forward and the input's gradient 0.8 (32 x 28 x 28 x 32 into 32 channels), 0.65
(32 x 7 x 7 x 64 into 128), 0.5 (64 x 32 x 32 x 16 into 16), on an AMD Zen 4. The kernel's gradient has a form of its
own, `kernel_gradient`; alone on an Intel Sapphire Rapids it takes, in ms of oneDNN / YNNPACK, 3.0 / 5.4 (64 x 32 x 32 x
16 into 16), 2.1 / 3.4 (64 x 16 x 16 x 32 into 32), 2.9 / 6.7 (32 x 28 x 28 x 32 into 32).
Convolutions with stride 2, forward and by the kernel, 0.6 / 0.95 and 1.9 / 2.9 (64 x 32 x 32 x 16 into 32).

JAX cannot write a program that holds a call of oneDNN into its compile cache and must not try (see `unwritten`), so
only the steps of long trainings are compiled like that.
"""

import functools
import math
import platform
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
from jax import Array, lax

from kyeo.core.compile_cache import unwritten
from kyeo.core.scope import current
from kyeo.ops.kernels.windows import Pads, Sizes, on_cpu, output_size, padded

__all__ = ["compiler_options", "convolve", "few_rows_options", "kernel_gradient", "large_options", "takes"]

OPTIONS = {"xla_cpu_experimental_onednn_custom_call": True}
# For a few rows neither library is worth its call (measured, one row by XLA's own code: the tutorial's CNN 0.53 instead
# of 0.59 ms, ResNet-20 1.6 instead of 1.9, a transformer 0.91 instead of 1.03).
FEW_ROWS_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}
# Where it is known to be there, and where not (the newest for Python 3.11). Another version of jaxlib is asked, which
# costs 50 to 150 ms.
KNOWN = {("0.12.0.1", "Linux", "x86_64"): True, ("0.10.2", "Linux", "x86_64"): False}
# Below this many operations the call costs more than it gains; a single digit stays below.
LEAST_FLOPS = 1e8
# More products in a sum than this are added in parts of the images: oneDNN adds them in one row, which may cost digits
# (measured against float64 on an Intel: 1e-6 of the largest element at 1e5 products, 1.3e-5 at 4e5). XLA's way has
# 1e-3 at 2e6 products of positive numbers, where parts have 3e-7, and takes 2 to 5 times as long.
LONGEST_SUM = 2**18
# Images of at most so many channels are given their padded columns for the kernel's gradient: 32 x 32 x 32 x 3 into 64
# channels, windows of 5x5, 20 -> 8 ms, 16 x 128 x 128 x 3 into 64, 7x7 with stride 2, 70 -> 27. No change with more.
PADDED_CHANNELS = 5
# For the kernel's gradient images are channels where there are more channels and fewer places than this.
FEW_CHANNELS = 32
MANY_PLACES = 100
NUMBERS = ("NDHWC", "DHWIO", "NDHWC")


@functools.cache
def compiler_options() -> dict[str, Any]:
    """The options to compile a step with, for `scope(onednn=True)`; empty where there is no oneDNN."""
    if not on_cpu() or platform.machine() not in ("x86_64", "AMD64"):
        return {}
    here = (jaxlib.__version__, platform.system(), platform.machine())
    return OPTIONS if (KNOWN[here] if here in KNOWN else answers()) else {}


def few_rows_options() -> dict[str, Any]:
    """The options to compile a prediction of a few rows with."""
    return FEW_ROWS_OPTIONS if compiler_options() else {}


def large_options() -> dict[str, Any]:
    """The options to compile a large prediction with: what YNNPACK leaves to oneDNN are its products."""
    options = compiler_options()
    return options and options | FEW_ROWS_OPTIONS


def answers() -> bool:
    """Whether this jaxlib knows the options and hands a convolution of three axes to oneDNN."""
    x, kernel = (jax.ShapeDtypeStruct(shape, "float32") for shape in ((1, 1, 4, 4, 32), (1, 3, 3, 32, 32)))
    convolve = jax.jit(
        lambda x, kernel: lax.conv_general_dilated(x, kernel, (1, 1, 1), "SAME", dimension_numbers=NUMBERS),
        compiler_options=OPTIONS)
    try:
        jax.jit(lambda x: x + 1, compiler_options=FEW_ROWS_OPTIONS).lower(x).compile()
        with unwritten():
            return "__onednn$convolution" in (convolve.lower(x, kernel).compile().as_text() or "")
    except Exception:  # whatever a jaxlib says to an option that it does not know
        return False


def takes(
    x: Array, kernel: Array | jax.ShapeDtypeStruct, strides: Sizes, pads: Pads, dilation: Sizes, part: float = 1,
) -> bool:
    """Whether a convolution is one that is faster with oneDNN, inside a step that is compiled for it. `part`: of the
    operations that it usually takes to be worth the call.
    """
    if not current().onednn or x.ndim != 4 or x.dtype != "float32" or not isinstance(x.shape[0], int):
        return False
    fitting = all(min(pad) >= 0 and max(pad) < k for pad, k in zip(pads, kernel.shape))
    if max(dilation) > 1 or not fitting:
        return False
    outs = map(output_size, x.shape[1:-1], kernel.shape, strides, pads)
    return 2.0 * x.shape[0] * math.prod(outs) * math.prod(kernel.shape) >= part * LEAST_FLOPS


def convolve(x: Array, kernel: Array, strides: Sizes, pads: Pads) -> Array:
    """The convolution of images, shape (batch, height, width, channels)."""
    return lax.conv_general_dilated(
        x[:, None], kernel[None], (1, *strides), ((0, 0), *pads), dimension_numbers=NUMBERS)[:, 0]


def kernel_gradient(x: Array, g: Array, window: Sizes, strides: Sizes, pads: Pads) -> Array:
    """The gradient of `convolve` by its kernel, from its input and the gradient of its output.

    It is a convolution of three axes too. Everything lies where it is: images, rows and columns are the axes, the
    images of `g` its window, its channels those of the result. The channels of `x` are on one axis with its columns,
    along which the window's elements are that many channels apart.

    Small pictures with many channels are turned instead: their images are the channels that oneDNN sums over, and the
    channels a third axis, along which the window has one element. Measured, ms lying / turned: 64 x 32 x 32 x 16 into
    16 channels 3.2 / 3.9, 64 x 16 x 16 x 32 into 32 2.2 / 2.8, 128 x 14 x 14 x 32 into 64 6.4 / 9.7, 32 x 14 x 14 x 128
    into 128 7.4 / 10.7, 32 x 7 x 7 x 64 into 128 1.2 / 1.05, 16 x 7 x 7 x 512 into 512 19 / 11.
    """
    parts = min(-(-math.prod(g.shape[:-1]) // LONGEST_SUM), g.shape[0])
    if parts > 1:
        images = zip(jnp.array_split(x, parts), jnp.array_split(g, parts), strict=True)
        return functools.reduce(jnp.add, [kernel_gradient(*part, window, strides, pads) for part in images])
    if x.shape[-1] <= PADDED_CHANNELS:
        x, pads = padded(x, [(0, 0), pads[1]]), (pads[0], (0, 0))
    batch, height, width, channels = x.shape
    filters = g.shape[-1]
    counts = [n + sum(pad) - (m - 1) * s for n, pad, m, s in zip(x.shape[1:], pads, g.shape[1:], strides)]
    edges: Any
    if channels <= FEW_CHANNELS or math.prod(g.shape[1:-1]) >= MANY_PLACES:
        x, g = x.reshape(1, batch, height, width * channels, 1), g[..., None, :]
        steps, edges = (1, strides[0], strides[1] * channels), ((0, 0), pads[0], tuple(n * channels for n in pads[1]))
    else:
        x, g = x.transpose(1, 2, 3, 0)[None], g.transpose(1, 2, 0, 3)[:, :, None]
        steps, edges = (*strides, 1), (*pads, (0, 0))
    dk = lax.conv_general_dilated(x, g, (1, 1, 1), edges, rhs_dilation=steps, dimension_numbers=NUMBERS)
    return dk.reshape(*counts, channels, filters)[: window[0], : window[1]]
