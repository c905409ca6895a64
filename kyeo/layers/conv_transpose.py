"""Transposed convolutions: one class with the number of spatial axes as a parameter."""

from typing import Any

from kyeo.core.errors import int_tuple, positive_int, problem
from kyeo.layers.arguments import make_weight
from kyeo.layers.sliding import Sliding
from kyeo.ops.conv import conv_transpose

__all__ = [
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Convolution1DTranspose", "Convolution2DTranspose",
    "Convolution3DTranspose",
]


class _ConvTranspose(Sliding):
    shrinks = False

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
        data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int(self, filters=filters)
        self._set_window(
            kernel_size=kernel_size, strides=strides, padding=padding, data_format=data_format,
            dilation_rate=dilation_rate, activation=activation, use_bias=use_bias,
            kernel_initializer=kernel_initializer, bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint, bias_constraint=bias_constraint)
        self._refuse_both()
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = int_tuple(self, self.rank, minimum=0, output_padding=output_padding)
            if any(more >= stride for more, stride in zip(self.output_padding, self.strides)):
                raise problem("`output_padding` must be less than `strides` on each axis.", where=self,
                              received=f"output_padding={self.output_padding}, strides={self.strides}")

    def _make_kernels(self, channels: Any, input_shape: Any) -> int:
        self.kernel = make_weight(self, "kernel", (*self.kernel_size, self.filters, channels))
        return self.filters

    def _slide(self, x: Any) -> Any:
        return conv_transpose(x, self.kernel.value, self.strides, self.padding, self.output_padding, "channels_last",
                              self.dilation_rate)


class Conv1DTranspose(_ConvTranspose):
    """Makes a sequence longer: each step of (batch, time, channels) adds a window of (batch, new time, filters).

    It is the gradient of a Conv1D with respect to its input. `kernel` has shape (*kernel_size, filters, channels).

    >>> import kyeo
    >>> kyeo.layers.Conv1DTranspose(4, 3, strides=2, padding="same")(kyeo.ops.ones((2, 10, 5))).shape
    (2, 20, 4)
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """Makes an image larger: each pixel of (batch, height, width, channels) adds a window of the output.

    It is the gradient of a Conv2D with respect to its input. `kernel` has shape (*kernel_size, filters, channels).
    M. Zeiler et al., "Deconvolutional Networks" (2010)

    >>> import kyeo
    >>> kyeo.layers.Conv2DTranspose(8, 3, strides=2, padding="same")(kyeo.ops.ones((2, 14, 14, 4))).shape
    (2, 28, 28, 8)
    """

    rank = 2


class Conv3DTranspose(_ConvTranspose):
    """Makes a volume larger: each place of (batch, depth, height, width, channels) adds a window of the output.

    It is the gradient of a Conv3D with respect to its input. `kernel` has shape (*kernel_size, filters, channels).
    `data_format` comes before `output_padding` here, as Keras has it.

    >>> import kyeo
    >>> kyeo.layers.Conv3DTranspose(2, 2, strides=2)(kyeo.ops.ones((1, 2, 2, 2, 3))).shape
    (1, 4, 4, 4, 2)
    """

    rank = 3

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
        output_padding: Any = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ):
        super().__init__(
            filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate, activation, use_bias,
            kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint, **kwargs)


Convolution1DTranspose, Convolution2DTranspose, Convolution3DTranspose = (
    Conv1DTranspose, Conv2DTranspose, Conv3DTranspose)
