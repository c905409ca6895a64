"""Numeric kernels on plain JAX arrays, each in its fastest form on a CPU: convolution, products, pooling, attention,
recurrence, reading images between pixels, random bits.

Nothing here knows about layers, variables or settings. The ops and layers above call these functions; on
other platforms than the CPU each one is the plain `jax.lax` operation.
"""

from kyeo.ops.kernels.adaptive import adaptive_average_pool, adaptive_max_pool
from kyeo.ops.kernels.attention import attend
from kyeo.ops.kernels.bits import derived_key, keep_mask, normal_numbers, uniform_bits, uniform_numbers
from kyeo.ops.kernels.conv import conv, conv_transpose
from kyeo.ops.kernels.derivative import as_one
from kyeo.ops.kernels.extreme import largest, maximum, minimum, smallest
from kyeo.ops.kernels.length import at_unit_length, root
from kyeo.ops.kernels.looped import looped_conv
from kyeo.ops.kernels.norm import moments, rescaled, standardized
from kyeo.ops.kernels.origins import carry_origin, note_origin, origin
from kyeo.ops.kernels.pool import average_pool, max_pool
from kyeo.ops.kernels.product import int_product, matrix_product, product, suits_ints
from kyeo.ops.kernels.rectify import before_relu, relu
from kyeo.ops.kernels.recurrent import gru, lstm, simple_rnn
from kyeo.ops.kernels.sample import bell, filtered, homography, inverted, projected, sample
from kyeo.ops.kernels.windows import on_cpu

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "as_one", "at_unit_length", "attend", "average_pool", "before_relu",
    "bell", "carry_origin", "conv", "conv_transpose", "derived_key", "filtered", "gru", "homography", "int_product",
    "inverted", "keep_mask", "largest", "looped_conv", "lstm", "matrix_product", "max_pool", "maximum", "minimum",
    "moments", "normal_numbers", "note_origin", "on_cpu", "origin", "product", "projected", "relu", "rescaled", "root",
    "sample", "simple_rnn", "smallest", "standardized", "suits_ints", "uniform_bits", "uniform_numbers",
]
