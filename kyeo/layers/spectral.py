"""SpectralNormalization: keeps a weight's largest singular value at one."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.dtypes import is_float
from kyeo.core.errors import positive_int, problem
from kyeo.core.variable import Variable
from kyeo.initializers import TruncatedNormal
from kyeo.layers.core import Wrapper
from kyeo.layers.layer import InputSpec, Layer

__all__ = ["SpectralNormalization"]


class SpectralNormalization(Wrapper):
    """Divides the kernel of a layer by its largest singular value before each training step.

    The value is followed by power iteration, begun where the last step ended. T. Miyato et al., "Spectral Normalization
    for Generative Adversarial Networks" (2018), https://arxiv.org/abs/1802.05957

    Args:
        layer: a layer with a `kernel`, or with `embeddings`.
        power_iterations: how many iterations in a step.

    >>> import kyeo
    >>> layer = kyeo.layers.SpectralNormalization(kyeo.layers.Dense(3), power_iterations=20)
    >>> y = layer(kyeo.ops.ones((2, 5)), training=True)
    >>> round(float(kyeo.ops.norm(layer.kernel, 2)), 1)
    1.0
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.power_iterations = positive_int(self, power_iterations=power_iterations)

    def build(self, input_shape: Any = None) -> None:
        """Build the layer inside, and make the vector the iteration goes on with."""
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if not isinstance(kernel, Variable):
            raise problem("The layer inside has no weight to be normalized.", where=self, received=self.layer,
                          expected="a layer with a `kernel` or `embeddings`, without LoRA")
        self.kernel = kernel
        self.vector_u = self.add_weight(
            (1, kernel.shape[-1]), TruncatedNormal(stddev=0.02), trainable=False, name="vector_u", dtype=kernel.dtype)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The layer's output; while training, its kernel is normalized first."""
        if training:
            kernel, vector = self.kernel.value, self.vector_u.value
            vector, kernel = jax.lax.cond(
                jnp.all(kernel == 0), lambda *values: values[::-1], self.normalized_weights, kernel, vector)
            self.vector_u.assign(vector)
            self.kernel.assign(kernel)
        outputs = self.layer(inputs)
        return outputs.astype(inputs.dtype) if is_float(inputs.dtype) else outputs

    def normalized_weights(self, kernel: Any, vector: Any) -> tuple[Any, Any]:
        """The vector after some iterations, and the kernel divided by the singular value found."""
        weights = jnp.reshape(kernel, (-1, kernel.shape[-1]))
        for _ in range(self.power_iterations):
            other = _unit(vector @ weights.T)
            vector = _unit(other @ weights)
        vector, other = jax.lax.stop_gradient((vector, other))
        return vector, kernel / (other @ weights @ vector.T)[0, 0]


def _unit(vector: Any) -> Any:
    return vector * jnp.minimum(jax.lax.rsqrt(jnp.sum(jnp.square(vector))), 1e7)
