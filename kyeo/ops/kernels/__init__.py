"""Numeric kernels on plain JAX arrays, each in its fastest form on a CPU: convolution, products, pooling, attention,
random bits.

Nothing here knows about layers, variables or settings. The ops and layers above call these functions; on
other platforms than the CPU each one is the plain `jax.lax` operation.
"""

from kyeo.ops.kernels.adaptive import adaptive_average_pool, adaptive_max_pool
from kyeo.ops.kernels.attention import attend
from kyeo.ops.kernels.bits import keep_mask, uniform_bits
from kyeo.ops.kernels.conv import conv, conv_transpose
from kyeo.ops.kernels.pool import average_pool, max_pool
from kyeo.ops.kernels.product import product

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "attend", "average_pool", "conv", "conv_transpose", "keep_mask",
    "max_pool", "product", "uniform_bits",
]
