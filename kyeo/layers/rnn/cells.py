"""The cells of SimpleRNN, LSTM and GRU: `(output, new states) = cell(inputs, states)`."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import boolean
from kyeo.core.variable import unwrap
from kyeo.layers.arguments import arguments_of, explain, make_weight
from kyeo.layers.rnn.builtin import BuiltInCell, LSTMGates
from kyeo.ops.kernels import gru, lstm, simple_rnn

__all__ = ["GRUCell", "LSTMCell", "SimpleRNNCell"]

_ARGUMENTS = """
Args:
    units: size of the state and of the output.
    activation: function of what goes into the state.
    recurrent_activation: function of the gates.
    use_bias: whether biases are added.
    kernel_initializer, recurrent_initializer, bias_initializer: how the weights begin.
    kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on the weights.
    kernel_constraint, recurrent_constraint, bias_constraint: applied to the weights after each step.
    dropout: the share of the inputs that is dropped while training, the same ones at each time step.
    recurrent_dropout: the share of the state that is dropped while training, for each gate by itself.
    seed: an int for the two; the process's seed and the layer's path decide where None.

Called on inputs of shape (batch, features) and a list of states, each (batch, units).
"""


class SimpleRNNCell(BuiltInCell):
    """One step of SimpleRNN: `h = activation(inputs @ kernel + h @ recurrent_kernel + bias)`.

    >>> import kyeo
    >>> x, h = kyeo.ops.ones((2, 4)), kyeo.ops.zeros((2, 3))
    >>> output, states = kyeo.layers.SimpleRNNCell(3)(x, [h])
    >>> output.shape, len(states)
    ((2, 3), 1)
    """

    gates = 1

    def __init__(
        self, units: int, activation: Any = "tanh", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, seed: Any = None, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._set_up(arguments_of(locals()))

    def advance(self, projected: Any, states: Sequence[Any], mask: Any = None) -> list[Any]:
        """The new state."""
        return [self.activation(projected + self.from_states(states[0], mask)[0])]

    def by_kernel(self, projected: Any, states: Any, mask: Any) -> Any:
        """`run` by the kernel."""
        hidden = simple_rnn(projected, states[0], unwrap(self.recurrent_kernel), mask)
        return hidden, [hidden[-1]]


class LSTMCell(LSTMGates):
    """One step of LSTM. Two states: the output, and what the cell remembers.

    >>> import kyeo
    >>> x, h = kyeo.ops.ones((2, 4)), kyeo.ops.zeros((2, 3))
    >>> output, states = kyeo.layers.LSTMCell(3)(x, [h, h])
    >>> output.shape, len(states)
    ((2, 3), 2)
    """

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", unit_forget_bias: bool = True, kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, seed: Any = None, **kwargs: Any,
    ):
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._set_up(arguments_of(locals()))
        self._set_gates(recurrent_activation, implementation)
        self.unit_forget_bias = boolean(self, unit_forget_bias=unit_forget_bias)

    def by_kernel(self, projected: Any, states: Any, mask: Any) -> Any:
        """`run` by the kernel."""
        hidden, last = lstm(projected, states[0], states[1], unwrap(self.recurrent_kernel), mask)
        return hidden, [hidden[-1], last]


class GRUCell(BuiltInCell):
    """One step of GRU. `reset_after` says whether the reset gate is applied after the product with the recurrent
    weights (the usual form now, with a bias of its own there: `bias` has shape (2, 3 * units)) or before it.

    >>> import kyeo
    >>> x, h = kyeo.ops.ones((2, 4)), kyeo.ops.zeros((2, 3))
    >>> output, states = kyeo.layers.GRUCell(3)(x, [h])
    >>> output.shape, len(states)
    ((2, 3), 1)
    """

    gates = 3

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, recurrent_regularizer: Any = None,
        bias_regularizer: Any = None, kernel_constraint: Any = None, recurrent_constraint: Any = None,
        bias_constraint: Any = None, dropout: float = 0.0, recurrent_dropout: float = 0.0, reset_after: bool = True,
        seed: Any = None, **kwargs: Any,
    ):
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._set_up(arguments_of(locals()))
        self._set_gates(recurrent_activation, implementation)
        self.reset_after = boolean(self, reset_after=reset_after)

    def _make_bias(self, width: int) -> Any:
        return make_weight(self, "bias", (2, width) if self.reset_after else (width,))

    def input_bias(self) -> Any:
        """The bias added to the inputs' share."""
        bias = super().input_bias()
        return bias[0] if bias is not None and self.reset_after else bias

    def _inner_bias(self) -> Any:
        return self.bias.value[1] if self.bias is not None else jnp.zeros(3 * self.units, self.compute_dtype)

    def advance(self, projected: Any, states: Sequence[Any], mask: Any = None) -> list[Any]:
        """The new state."""
        h = states[0]
        from_z, from_r, from_x = jnp.split(projected, 3, axis=-1)
        squash, gate = self.activation, self.recurrent_activation
        if self.reset_after:
            biases = jnp.split(self._inner_bias(), 3)
            z, r, inner = (product + bias for product, bias in zip(self.from_states(h, mask), biases))
            z, r = gate(from_z + z), gate(from_r + r)
            inner = r * inner
        else:
            z, r = self.from_states(h, mask, 0, 2)
            z, r = gate(from_z + z), gate(from_r + r)
            (inner,) = self.from_states(r * h, mask, 2)
        return [z * h + (1 - z) * squash(from_x + inner)]

    def by_kernel(self, projected: Any, states: Any, mask: Any) -> Any:
        """`run` by the kernel."""
        if not self.reset_after:
            return None
        hidden = gru(projected, states[0], unwrap(self.recurrent_kernel), self._inner_bias(), mask)
        return hidden, [hidden[-1]]


for _class in (SimpleRNNCell, LSTMCell, GRUCell):
    explain(_class, _ARGUMENTS)
