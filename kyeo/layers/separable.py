"""Convolutions that keep channels apart: depthwise, and with a mixing of the channels after it, separable."""

from typing import Any

from kyeo.core.errors import positive_int
from kyeo.layers.arguments import make_weight
from kyeo.layers.sliding import Sliding
from kyeo.ops.conv import conv, depthwise_conv

__all__ = [
    "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D",
    "SeparableConvolution2D",
]


class _Apart(Sliding):
    """A window for each channel."""

    def _make_depthwise(self, name: str, channels: Any) -> Any:
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        return make_weight(self, name, shape, rules_of="depthwise")

    def _slide_depthwise(self, x: Any, kernel: Any) -> Any:
        return depthwise_conv(x, kernel, self.strides, self.padding, "channels_last", self.dilation_rate)


class _DepthwiseConv(_Apart):
    def __init__(
        self, kernel_size: Any, strides: Any = 1, padding: str = "valid", depth_multiplier: int = 1,
        data_format: str | None = None, dilation_rate: Any = 1, activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        depthwise_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.depth_multiplier = positive_int(self, depth_multiplier=depth_multiplier)
        self._set_window(
            kernel_size=kernel_size, strides=strides, padding=padding, data_format=data_format,
            dilation_rate=dilation_rate, activation=activation, use_bias=use_bias,
            depthwise_initializer=depthwise_initializer, bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer, bias_regularizer=bias_regularizer,
            depthwise_constraint=depthwise_constraint, bias_constraint=bias_constraint)

    def _make_kernels(self, channels: Any, input_shape: Any) -> int:
        self.kernel = self._make_depthwise("kernel", channels)
        return channels * self.depth_multiplier

    def _slide(self, x: Any) -> Any:
        return self._slide_depthwise(x, self.kernel.value)


class DepthwiseConv1D(_DepthwiseConv):
    """Each channel of (batch, time, channels) is convolved with its own window; channels are not mixed.

    `kernel` has shape (*kernel_size, channels, depth_multiplier).

    >>> import kyeo
    >>> kyeo.layers.DepthwiseConv1D(3, depth_multiplier=2)(kyeo.ops.ones((2, 10, 5))).shape
    (2, 8, 10)
    """

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """Each channel of (batch, height, width, channels) is convolved with its own window; channels are not mixed.

    `kernel` has shape (*kernel_size, channels, depth_multiplier).

    >>> import kyeo
    >>> kyeo.layers.DepthwiseConv2D(3, strides=2, padding="same")(kyeo.ops.ones((2, 28, 28, 4))).shape
    (2, 14, 14, 4)
    """

    rank = 2


class _SeparableConv(_Apart):
    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
        dilation_rate: Any = 1, depth_multiplier: int = 1, activation: Any = None, use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform", pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", depthwise_regularizer: Any = None, pointwise_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, depthwise_constraint: Any = None,
        pointwise_constraint: Any = None, bias_constraint: Any = None, **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int(self, filters=filters)
        self.depth_multiplier = positive_int(self, depth_multiplier=depth_multiplier)
        self._set_window(
            kernel_size=kernel_size, strides=strides, padding=padding, data_format=data_format,
            dilation_rate=dilation_rate, activation=activation, use_bias=use_bias,
            depthwise_initializer=depthwise_initializer, pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer, depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer, bias_regularizer=bias_regularizer,
            depthwise_constraint=depthwise_constraint, pointwise_constraint=pointwise_constraint,
            bias_constraint=bias_constraint)

    def _make_kernels(self, channels: Any, input_shape: Any) -> int:
        self.depthwise_kernel = self._make_depthwise("depthwise_kernel", channels)
        shape = (*(1,) * self.rank, channels * self.depth_multiplier, self.filters)
        self.pointwise_kernel = make_weight(self, "pointwise_kernel", shape, rules_of="pointwise")
        return self.filters

    def _slide(self, x: Any) -> Any:
        x = self._slide_depthwise(x, self.depthwise_kernel.value)
        return conv(x, self.pointwise_kernel.value, data_format="channels_last")


class SeparableConv1D(_SeparableConv):
    """A depthwise convolution along (batch, time, channels), then a mixing of the channels into `filters`.

    `depthwise_kernel` has shape (*kernel_size, channels, depth_multiplier), `pointwise_kernel` (1,
    channels * depth_multiplier, filters).

    >>> import kyeo
    >>> kyeo.layers.SeparableConv1D(4, 3)(kyeo.ops.ones((2, 10, 5))).shape
    (2, 8, 4)
    """

    rank = 1


class SeparableConv2D(_SeparableConv):
    """A depthwise convolution over (batch, height, width, channels), then a mixing of the channels into `filters`.

    `depthwise_kernel` has shape (*kernel_size, channels, depth_multiplier), `pointwise_kernel` (1, 1,
    channels * depth_multiplier, filters). F. Chollet, "Xception" (2016), https://arxiv.org/abs/1610.02357

    >>> import kyeo
    >>> kyeo.layers.SeparableConv2D(8, 3, activation="relu")(kyeo.ops.ones((2, 28, 28, 3))).shape
    (2, 26, 26, 8)
    """

    rank = 2


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
