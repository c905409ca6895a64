"""What every convolution shares: the geometry of its window, bias and activation, and where the channels are."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import boolean, int_tuple, one_of, problem
from kyeo.core.naming import is_kyeos
from kyeo.layers.arguments import (
    activated,
    activation_of,
    explain_each,
    format_of,
    make_weight,
    spatial_axes,
    weight_rules,
)
from kyeo.layers.layer import InputSpec, Layer

__all__ = ["Sliding"]

_ARGUMENTS = {
    "filters": "how many channels the output has.",
    "kernel_size": "size of the window, one int or one for each spatial axis.",
    "strides": "steps of the window.",
    "padding": '"valid" (whole windows only), "same" (zeros around, `ceil(size / stride)` outputs), and for Conv1D '
               '"causal" (zeros before, so that no output sees a later input).',
    "output_padding": "how much longer than needed the output becomes on each axis, less than the stride; where None, "
                      '"same" gives `size * stride` outputs.',
    "depth_multiplier": "how many channels come of each channel of the input.",
    "data_format": '"channels_last" or "channels_first"; `image_data_format()` where None.',
    "dilation_rate": "distance of neighbours in the window.",
    "groups": "in how many groups the channels are convolved apart from each other.",
    "activation": "function of the result; none where None.",
    "use_bias": "whether a bias is added to each channel.",
    "activity_regularizer": "penalty on the output.",
    "*_initializer": "how the weights begin.",
    "*_regularizer": "penalties on the weights.",
    "*_constraint": "applied to the weights after each step.",
}


class Sliding(Layer):
    """Base of layers that slide a window over `rank` axes and add a bias to what comes of it.

    A family checks its own arguments in `__init__`, makes its kernels in `_make_kernels`, and slides in `_slide`.
    """

    rank: int
    paddings: tuple[str, ...] = ("valid", "same")
    shrinks = True  # whether a window larger than the input leaves nothing

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "rank") and is_kyeos(cls):
            explain_each(cls, _ARGUMENTS)

    def __init__(self, **kwargs: Any):
        if "rank" in kwargs:  # of a class of a library's, derived from a family as from Keras's BaseConv
            self.rank = kwargs.pop("rank")
        super().__init__(**kwargs)

    def _set_window(
        self, *, kernel_size: Any, strides: Any, padding: Any, data_format: Any, dilation_rate: Any, activation: Any,
        use_bias: Any, **rules: Any,
    ) -> None:
        """Check and keep the arguments every convolution has; `rules` are those for its weights."""
        self.kernel_size = int_tuple(self, self.rank, kernel_size=kernel_size)
        self.strides = int_tuple(self, self.rank, strides=strides)
        self.padding = one_of(self, self.paddings, padding=padding)
        self.data_format = format_of(self, data_format)
        self.dilation_rate = int_tuple(self, self.rank, dilation_rate=dilation_rate)
        self.activation = activation_of(self, activation)
        self.use_bias = boolean(self, use_bias=use_bias)
        weight_rules(self, **rules)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _refuse_both(self) -> None:
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise problem("`strides` and `dilation_rate` cannot both be above 1.", where=self,
                          received=f"strides={self.strides}, dilation_rate={self.dilation_rate}")

    def _make_kernels(self, channels: Any, input_shape: Any) -> Any:
        """Make the weights for an input of so many channels; return how many channels come out."""
        raise NotImplementedError

    def _slide(self, x: Any) -> Any:
        """The result for an input with channels last, before the bias."""
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        """Make the kernels and the bias."""
        axis = -1 if self.data_format == "channels_last" else 1
        filters = self._make_kernels(input_shape[axis], input_shape)
        self.bias = make_weight(self, "bias", (filters,)) if self.use_bias else None
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: input_shape[axis]})

    def call(self, inputs: Any) -> Any:
        """The sums over windows, for each output channel."""
        self._check_window(inputs.shape)
        first = self.data_format == "channels_first"
        x = self._slide(jnp.moveaxis(inputs, 1, -1) if first else inputs)
        if self.bias is not None:
            x = x + self.bias.value
        return activated(self, jnp.moveaxis(x, -1, 1) if first else x)

    def _check_window(self, shape: tuple[Any, ...]) -> None:
        sizes = [shape[axis] for axis in spatial_axes(self.data_format, len(shape))]
        windows = [(k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate)]
        if not self.shrinks or self.padding != "valid":
            return
        if any(isinstance(s, int) and s < w for s, w in zip(sizes, windows)):
            raise problem("The window is larger than the input, so there is no output.", where=self,
                          received=f"an input of shape {shape}", expected=f"spatial sizes of at least {windows}",
                          fix='use padding="same", or fewer pooling layers before this one')
