"""Numeric kernels on plain JAX arrays: pooling, convolution, recurrence, random bits; each in the form that is
fastest on a CPU.

Nothing here knows about layers, variables or settings. The ops and layers above call these functions; on
other platforms than the CPU each one is the plain `jax.lax` operation.
"""

from kyeo.ops.kernels.bits import keep_mask, uniform_bits
from kyeo.ops.kernels.conv import conv
from kyeo.ops.kernels.pool import average_pool, max_pool
from kyeo.ops.kernels.recurrent import gru, lstm, simple_rnn
from kyeo.ops.kernels.windows import on_cpu

__all__ = [
    "average_pool", "conv", "gru", "keep_mask", "lstm", "max_pool", "on_cpu", "simple_rnn", "uniform_bits",
]
