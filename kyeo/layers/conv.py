"""Convolutions: one class with the number of spatial axes as a parameter."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import positive_int, problem
from kyeo.core.variable import unwrap
from kyeo.layers.arguments import make_weight
from kyeo.layers.low_rank import Adaptable, adapted
from kyeo.layers.sliding import Sliding
from kyeo.ops.kernels import conv

__all__ = ["Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D"]


class _Conv(Sliding, Adaptable):
    kernel = adapted("kernel")

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
        dilation_rate: Any = 1, groups: int = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, lora_rank: int | None = None, lora_alpha: float | None = None, **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int(self, filters=filters)
        self._set_window(
            kernel_size=kernel_size, strides=strides, padding=padding, data_format=data_format,
            dilation_rate=dilation_rate, activation=activation, use_bias=use_bias,
            kernel_initializer=kernel_initializer, bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint, bias_constraint=bias_constraint)
        self.groups = positive_int(self, groups=groups)
        if self.filters % self.groups:
            raise problem("`filters` must be a multiple of `groups`.", where=self,
                          received=f"filters={self.filters}, groups={self.groups}")
        self._refuse_both()
        self._set_lora(lora_rank, lora_alpha)

    def build(self, input_shape: Any) -> None:
        """Make the kernel, the bias, and what LoRA learns."""
        super().build(input_shape)
        self._lora_from_arguments()

    def _make_kernels(self, channels: Any, input_shape: Any) -> int:
        if channels is not None and channels % self.groups:
            raise problem("The input's channels must be a multiple of `groups`.", where=self,
                          received=f"{channels} channels in shape {input_shape}, groups={self.groups}")
        per_group = channels and channels // self.groups
        self._kernel = make_weight(self, "kernel", (*self.kernel_size, per_group, self.filters))
        return self.filters

    def _slide(self, x: Any) -> Any:
        kernel = unwrap(self.kernel)
        x = x.astype(kernel.dtype)  # images may come as bytes
        if self.data_format == "channels_last":
            return self.convolution_op(x, kernel)
        return jnp.moveaxis(self.convolution_op(jnp.moveaxis(x, -1, 1), kernel), 1, -1)  # XLA drops both turns

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """The sliding products of `inputs` with `kernel`; a subclass may prepare the kernel here, or call it itself."""
        first = self.data_format == "channels_first"
        x = jnp.moveaxis(inputs, 1, -1) if first else inputs
        x = conv(x, kernel, self.strides, self.padding, self.dilation_rate, self.groups)
        return jnp.moveaxis(x, -1, 1) if first else x


class Conv1D(_Conv):
    """A window slides along a sequence: (batch, time, channels) gives (batch, new time, filters).

    `kernel` has shape (*kernel_size, channels / groups, filters). `lora_rank`, `lora_alpha`: as in Dense.

    >>> import kyeo
    >>> kyeo.layers.Conv1D(4, 3, padding="causal")(kyeo.ops.ones((2, 10, 5))).shape
    (2, 10, 4)
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(_Conv):
    """A window slides over an image: (batch, height, width, channels) gives (batch, new height, new width, filters).

    `kernel` has shape (*kernel_size, channels / groups, filters). `lora_rank`, `lora_alpha`: as in Dense.

    >>> import kyeo
    >>> kyeo.layers.Conv2D(8, 3, activation="relu")(kyeo.ops.ones((2, 28, 28, 1))).shape
    (2, 26, 26, 8)
    """

    rank = 2


class Conv3D(_Conv):
    """A window slides through a volume: (batch, depth, height, width, channels) gives (batch, ..., filters).

    `kernel` has shape (*kernel_size, channels / groups, filters). `lora_rank`, `lora_alpha`: as in Dense.

    >>> import kyeo
    >>> kyeo.layers.Conv3D(2, 2, strides=2)(kyeo.ops.ones((1, 4, 4, 4, 3))).shape
    (1, 2, 2, 2, 2)
    """

    rank = 3


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
