"""Numeric kernels on plain JAX arrays, each in its fastest form on a CPU: convolution, products, pooling, attention,
recurrence, random bits.

Nothing here knows about layers, variables or settings. The ops and layers above call these functions; on
other platforms than the CPU each one is the plain `jax.lax` operation.
"""

from kyeo.ops.kernels.adaptive import adaptive_average_pool, adaptive_max_pool
from kyeo.ops.kernels.attention import attend
from kyeo.ops.kernels.bits import keep_mask, uniform_bits
from kyeo.ops.kernels.conv import conv, conv_transpose
from kyeo.ops.kernels.looped import looped_conv
from kyeo.ops.kernels.pool import average_pool, max_pool
from kyeo.ops.kernels.product import product
from kyeo.ops.kernels.recurrent import gru, lstm, simple_rnn
from kyeo.ops.kernels.windows import on_cpu

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "attend", "average_pool", "conv", "conv_transpose", "gru",
    "keep_mask", "looped_conv", "lstm", "max_pool", "on_cpu", "product", "simple_rnn", "uniform_bits",
]
