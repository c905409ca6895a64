"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: LSTM whose products are convolutions, for sequences of images.

The inputs of all steps are convolved at once, as one large batch. What is left in the loop is the kernel of
LSTM with a product for the convolution of the state, since XLA's CPU runs its own many times slower inside of a loop.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import boolean, int_tuple, one_of, problem
from kyeo.core.variable import unwrap
from kyeo.layers.arguments import arguments_of, format_of, make_weight
from kyeo.layers.rnn.builtin import LSTMGates
from kyeo.layers.rnn.sequence import OfCell
from kyeo.ops.kernels import conv, looped_conv, lstm

__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"]

_ARGUMENTS = """
Args:
    filters: how many channels state and output have.
    kernel_size: size of the window, one int or one for each spatial axis.
    strides: steps of the window over the inputs; over the state it always goes in steps of one.
    padding: "valid" or "same", for the inputs; the state is always padded.
    data_format: "channels_last" or "channels_first"; `image_data_format()` where None.
    dilation_rate: distance of neighbours in the window over the inputs.
    activation: function of what goes into the state.
    recurrent_activation: function of the gates.
    use_bias: whether a bias is added to each gate.
    kernel_initializer, recurrent_initializer, bias_initializer: how the weights begin.
    unit_forget_bias: begin with a bias of 1 at the gate that forgets.
    kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
    activity_regularizer: penalty on the output.
    kernel_constraint, recurrent_constraint, bias_constraint: applied to the weights after each step.
    dropout: the share of the inputs that is dropped while training, for each gate by itself.
    recurrent_dropout: the share of the state that is dropped while training, for each gate by itself.
    seed: an int for the two; the process's seed and the layer's path decide where None.
    return_sequences, return_state, go_backwards, stateful: as in `RNN`.

Input of shape (batch, time, *sizes, channels), output of shape (batch, *new sizes, filters), or with `time` after the
batch; for "channels_first" the channels stand before the sizes.

X. Shi et al., "Convolutional LSTM Network" (2015), https://arxiv.org/abs/1506.04214
"""


class ConvLSTMCell(LSTMGates):
    """One step of ConvLSTM: as LSTMCell, with convolutions over `rank` axes for products. Inside, channels are last."""

    def __init__(
        self, rank: int, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: Any = None, dilation_rate: Any = 1, activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", unit_forget_bias: bool = True,
        kernel_regularizer: Any = None, recurrent_regularizer: Any = None, bias_regularizer: Any = None,
        kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: Any = None, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._set_up({**arguments_of(locals()), "units": filters}, size_name="filters")
        self._set_gates(recurrent_activation, 1)
        self.rank, self.filters = rank, self.units
        self.kernel_size = int_tuple(self, rank, kernel_size=kernel_size)
        self.strides = int_tuple(self, rank, strides=strides)
        self.padding = one_of(self, ("valid", "same"), padding=padding)
        self.data_format = format_of(self, data_format)
        self.dilation_rate = int_tuple(self, rank, dilation_rate=dilation_rate)
        self.unit_forget_bias = boolean(self, unit_forget_bias=unit_forget_bias)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise problem("`strides` and `dilation_rate` cannot both be above 1.", where=self,
                          received=f"strides={self.strides}, dilation_rate={self.dilation_rate}")
        self._sizes: tuple[int, ...] = ()

    def build(self, input_shape: Any) -> None:
        """Make `kernel`, `recurrent_kernel` and `bias`; find the sizes of the state."""
        first = self.data_format == "channels_first"
        sizes, channels = (input_shape[2:], input_shape[1]) if first else (input_shape[1:-1], input_shape[-1])
        if None in (*sizes, channels):
            raise problem("ConvLSTM needs to know every size but those of batch and time.", where=self,
                          received=f"steps of shape {input_shape}", fix="give the input its sizes, as in "
                          "Input((None, 32, 32, 3))")
        spans = [(k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate)]
        lost = [span - 1 if self.padding == "valid" else 0 for span in spans]
        self._sizes = tuple(math.ceil((n - less) / s) for n, less, s in zip(sizes, lost, self.strides))
        if min(self._sizes) < 1:
            raise problem("The window is larger than the input, so there is no output.", where=self,
                          received=f"steps of shape {input_shape}", expected=f"spatial sizes of at least {spans}",
                          fix='use padding="same"')
        width = 4 * self.filters
        self.kernel = make_weight(self, "kernel", (*self.kernel_size, channels, width))
        self.recurrent_kernel = make_weight(
            self, "recurrent_kernel", (*self.kernel_size, self.filters, width), rules_of="recurrent")
        self.bias = self._make_bias(width) if self.use_bias else None

    def state_shape(self, batch_size: Any) -> tuple[Any, ...]:
        """The shape of both states, in the layer's data format."""
        if self.data_format == "channels_first":
            return batch_size, self.filters, *self._sizes
        return batch_size, *self._sizes, self.filters

    def project(self, inputs: Any, mask: Any = None) -> Any:
        """The inputs' share of the gates; `inputs` may have any axes before those of one step."""
        if self.data_format == "channels_first":
            inputs = jnp.moveaxis(inputs, -self.rank - 1, -1)
            mask = mask if mask is None else jnp.moveaxis(mask, 2, -1)
        kernel = unwrap(self.kernel)
        if mask is None:
            z = self._convolve(inputs, kernel)
        else:
            parts = jnp.split(kernel, self.gates, axis=-1)
            z = jnp.concatenate([self._convolve(inputs * m, part) for m, part in zip(mask, parts)], -1)
        return z if self.bias is None else z + self.bias.value

    def _convolve(self, inputs: Any, kernel: Any) -> Any:
        step = inputs.shape[-self.rank - 1:]
        leading = inputs.shape[:-self.rank - 1]
        z = conv(inputs.reshape(math.prod(leading), *step), kernel, self.strides, self.padding, self.dilation_rate)
        return z.reshape(*leading, *z.shape[1:])

    def from_states(self, h: Any, mask: Any, first: int = 0, last: int | None = None) -> list[Any]:
        """The convolutions of the state with the recurrent weights of each gate."""
        kernel = unwrap(self.recurrent_kernel)
        if mask is None:
            return jnp.split(looped_conv(h, kernel), self.gates, axis=-1)
        if self.data_format == "channels_first":
            mask = jnp.moveaxis(mask, 2, -1)
        return [looped_conv(h * m, part) for m, part in zip(mask, jnp.split(kernel, self.gates, axis=-1))]

    def advance(self, projected: Any, states: Sequence[Any], mask: Any = None) -> list[Any]:
        """The new output and the new memory."""
        if self.data_format == "channels_last":
            return super().advance(projected, states, mask)
        new = super().advance(projected, [jnp.moveaxis(state, 1, -1) for state in states], mask)
        return [jnp.moveaxis(state, -1, 1) for state in new]

    def by_kernel(self, projected: Any, states: Any, mask: Any) -> Any:
        """`run` by the kernel."""
        first = self.data_format == "channels_first"
        h, c = [jnp.moveaxis(state, 1, -1) for state in states] if first else states
        hidden, last = lstm(projected, h, c, unwrap(self.recurrent_kernel), mask)
        if first:
            hidden, last = jnp.moveaxis(hidden, -1, 2), jnp.moveaxis(last, -1, 1)
        return hidden, [hidden[-1], last]


class _ConvLSTM(OfCell):
    """The layer over `rank` axes."""

    cell_class, cell_name = ConvLSTMCell, "conv_lstm_cell"
    explained = _ARGUMENTS
    rank: int

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: Any = None,
        dilation_rate: Any = 1, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, activity_regularizer: Any = None,
        kernel_constraint: Any = None, recurrent_constraint: Any = None, bias_constraint: Any = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: Any = None, return_sequences: bool = False,
        return_state: bool = False, go_backwards: bool = False, stateful: bool = False, **kwargs: Any,
    ):
        self._set_up(arguments_of(locals()), kwargs)

    def _of_family(self) -> dict[str, Any]:
        return {"rank": self.rank}


class ConvLSTM1D(_ConvLSTM):
    """LSTM with convolutions along one axis, for sequences of sequences.

    >>> import kyeo
    >>> kyeo.layers.ConvLSTM1D(4, 3, padding="same")(kyeo.ops.ones((2, 5, 8, 3))).shape
    (2, 8, 4)
    """

    rank, input_axes = 1, 4


class ConvLSTM2D(_ConvLSTM):
    """LSTM with convolutions over two axes, for sequences of images.

    >>> import kyeo
    >>> kyeo.layers.ConvLSTM2D(4, 3, return_sequences=True)(kyeo.ops.ones((2, 5, 8, 8, 3))).shape
    (2, 5, 6, 6, 4)
    """

    rank, input_axes = 2, 5


class ConvLSTM3D(_ConvLSTM):
    """LSTM with convolutions over three axes, for sequences of volumes.

    >>> import kyeo
    >>> kyeo.layers.ConvLSTM3D(2, 2, padding="same")(kyeo.ops.ones((1, 3, 4, 4, 4, 1))).shape
    (1, 4, 4, 4, 2)
    """

    rank, input_axes = 3, 6
