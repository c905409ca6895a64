"""Convolutions: one class with the number of spatial axes as a parameter."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import boolean, int_tuple, one_of, positive_int, problem
from kyeo.core.variable import unwrap
from kyeo.layers.arguments import activation_of, explain, format_of, make_weight, spatial_axes, weight_rules
from kyeo.layers.layer import InputSpec
from kyeo.layers.low_rank import Adaptable, adapted
from kyeo.ops.kernels import conv

__all__ = ["Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D"]

_ARGUMENTS = """
Args:
    filters: how many channels the output has.
    kernel_size: size of the window, one int or one for each spatial axis.
    strides: steps of the window.
    padding: "valid" (whole windows only), "same" (zeros around, `ceil(size / stride)` outputs), and for Conv1D
        "causal" (zeros before, so that no output sees a later input).
    data_format: "channels_last" or "channels_first"; `image_data_format()` where None.
    dilation_rate: distance of neighbours in the window; strides and dilation cannot both be above 1.
    groups: in how many groups the channels are convolved apart from each other.
    activation: function of the result; none where None.
    use_bias: whether a bias is added to each channel.
    kernel_initializer, bias_initializer: how the weights begin.
    kernel_regularizer, bias_regularizer: penalties on the weights.
    activity_regularizer: penalty on the output.
    kernel_constraint, bias_constraint: applied to the weights after each step.

`kernel` has shape (*kernel_size, channels / groups, filters). LoRA is had by `enable_lora`, as in Dense.
"""


class _Conv(Adaptable):
    rank: int
    kernel = adapted("kernel")

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if cls.__module__ == __name__:
            explain(cls, _ARGUMENTS)

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
        dilation_rate: Any = 1, groups: int = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int(self, filters=filters)
        self.kernel_size = int_tuple(self, self.rank, kernel_size=kernel_size)
        self.strides = int_tuple(self, self.rank, strides=strides)
        self.padding = one_of(self, ("valid", "same") + ("causal",) * (self.rank == 1), padding=padding)
        self.data_format = format_of(self, data_format)
        self.dilation_rate = int_tuple(self, self.rank, dilation_rate=dilation_rate)
        self.groups = positive_int(self, groups=groups)
        self.activation = activation_of(self, activation)
        self.use_bias = boolean(self, use_bias=use_bias)
        weight_rules(
            self, kernel_initializer=kernel_initializer, bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint, bias_constraint=bias_constraint)
        self._set_lora(None, None)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._check_together()

    def _check_together(self) -> None:
        if self.filters % self.groups:
            raise problem("`filters` must be a multiple of `groups`.", where=self,
                          received=f"filters={self.filters}, groups={self.groups}")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise problem("`strides` and `dilation_rate` cannot both be above 1.", where=self,
                          received=f"strides={self.strides}, dilation_rate={self.dilation_rate}")

    def build(self, input_shape: Any) -> None:
        """Make `kernel` and `bias`."""
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is not None and channels % self.groups:
            raise problem("The input's channels must be a multiple of `groups`.", where=self,
                          received=f"{channels} channels in shape {input_shape}, groups={self.groups}")
        per_group = channels and channels // self.groups
        self._kernel = make_weight(self, "kernel", (*self.kernel_size, per_group, self.filters))
        self.bias = make_weight(self, "bias", (self.filters,)) if self.use_bias else None
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})

    def call(self, inputs: Any) -> Any:
        """The sums over windows, for each filter."""
        self._check_window(inputs.shape)
        first = self.data_format == "channels_first"
        kernel = unwrap(self.kernel)
        x = (jnp.moveaxis(inputs, 1, -1) if first else inputs).astype(kernel.dtype)  # images may come as bytes
        x = conv(x, kernel, self.strides, self.padding, self.dilation_rate, self.groups)
        if self.bias is not None:
            x = x + self.bias.value
        return self.activation(jnp.moveaxis(x, -1, 1) if first else x)

    def _check_window(self, shape: tuple[Any, ...]) -> None:
        sizes = [shape[axis] for axis in spatial_axes(self.data_format, len(shape))]
        windows = [(k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate)]
        if self.padding == "valid" and any(isinstance(s, int) and s < w for s, w in zip(sizes, windows)):
            raise problem("The window is larger than the input, so there is no output.", where=self,
                          received=f"an input of shape {shape}", expected=f"spatial sizes of at least {windows}",
                          fix='use padding="same", or fewer pooling layers before this one')


class Conv1D(_Conv):
    """A window slides along a sequence: (batch, time, channels) gives (batch, new time, filters).

    >>> import kyeo
    >>> kyeo.layers.Conv1D(4, 3, padding="causal")(kyeo.ops.ones((2, 10, 5))).shape
    (2, 10, 4)
    """

    rank = 1


class Conv2D(_Conv):
    """A window slides over an image: (batch, height, width, channels) gives (batch, new height, new width, filters).

    >>> import kyeo
    >>> kyeo.layers.Conv2D(8, 3, activation="relu")(kyeo.ops.ones((2, 28, 28, 1))).shape
    (2, 26, 26, 8)
    """

    rank = 2


class Conv3D(_Conv):
    """A window slides through a volume: (batch, depth, height, width, channels) gives (batch, ..., filters).

    >>> import kyeo
    >>> kyeo.layers.Conv3D(2, 2, strides=2)(kyeo.ops.ones((1, 4, 4, 4, 3))).shape
    (1, 2, 2, 2, 2)
    """

    rank = 3


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
