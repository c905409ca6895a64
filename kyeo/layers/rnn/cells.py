"""Cells: one step of a recurrent layer, `(output, new states) = cell(inputs, states)`.

A step falls into two parts: `project`, what the inputs give to the gates, and `advance`, what the states add. RNN
calls `project` once for all time steps, so that only the hidden part is left in its loop; where `run` knows a kernel
for the whole loop, it takes that.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from kyeo import activations
from kyeo.core.errors import boolean, fraction, one_of, positive_int
from kyeo.core.scope import current, scope
from kyeo.core.variable import unwrap
from kyeo.layers.arguments import activation_of, arguments_of, explain, make_weight, weight_rules
from kyeo.layers.layer import Layer
from kyeo.ops.kernels import gru, keep_mask, lstm, on_cpu, simple_rnn
from kyeo.random import SeedGenerator

__all__ = ["BuiltInCell", "GRUCell", "LSTMCell", "SimpleRNNCell"]

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


class BuiltInCell(Layer):
    """What the cells here share: weights, dropout, and the two parts of a step."""

    gates: int
    states = 1
    recurrent_activation: Any = staticmethod(activations.sigmoid)
    implementation = 2

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if cls.__module__ == __name__:
            explain(cls, _ARGUMENTS)

    def _set_up(self, given: dict[str, Any]) -> None:
        self.units = self.output_size = positive_int(self, units=given["units"])
        self.state_size: Any = [self.units] * self.states if self.states > 1 else self.units
        self.activation = activation_of(self, given["activation"])
        self.use_bias = boolean(self, use_bias=given["use_bias"])
        weight_rules(self, **{k: v for k, v in given.items() if k.endswith(("_initializer", "_regularizer", "_constraint"))})
        self.dropout = fraction(self, dropout=given["dropout"])
        self.recurrent_dropout = fraction(self, recurrent_dropout=given["recurrent_dropout"])
        self.seed = given["seed"]
        with scope(path=f"{current().path}/{self.name}".lstrip("/")):  # an unseeded draw goes by its path
            self.seed_generator = SeedGenerator(self.seed)

    def _set_gates(self, activation: Any, implementation: Any) -> None:
        self.recurrent_activation = activation_of(self, activation)
        # Keras's 1 drops inputs for each gate by itself; recurrent dropout asks for it
        self.implementation = 1 if self.recurrent_dropout else one_of(self, (0, 1, 2), implementation=implementation)

    # -- weights -------------------------------------------------------------------------------------------
    def build(self, input_shape: Any) -> None:
        """Make `kernel`, `recurrent_kernel` and `bias`."""
        width = self.gates * self.units
        self.kernel = make_weight(self, "kernel", (input_shape[-1], width))
        self.recurrent_kernel = make_weight(
            self, "recurrent_kernel", (self.units, width), initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer, constraint=self.recurrent_constraint)
        self.bias = self._make_bias(width) if self.use_bias else None

    def _make_bias(self, width: int) -> Any:
        return make_weight(self, "bias", (width,))

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for the states before the first step."""
        return [jnp.zeros((batch_size, self.units), self.compute_dtype) for _ in range(self.states)]

    # -- dropout -------------------------------------------------------------------------------------------
    def draw_masks(self, batch: Any, features: int, training: Any) -> tuple[Any, Any]:
        """What inputs and states are multiplied by: (1 or gates, batch, size) each, None where nothing is dropped."""
        if not training or current().symbolic:  # dropout changes no shape
            return None, None
        each_gate = self.gates if self.implementation == 1 else 1
        return (self._mask(self.dropout, (each_gate, batch, features)),
                self._mask(self.recurrent_dropout, (each_gate, batch, self.units)))

    def _mask(self, rate: float, shape: tuple[Any, ...]) -> Any:
        if not rate:
            return None
        if rate == 1:
            return jnp.zeros(shape, self.compute_dtype)
        # row by row, so that a row does not see how many rows there are
        gates, batch, size = shape
        kept = keep_mask(self.seed_generator.next(), (batch, gates, size), rate).swapaxes(0, 1)
        return kept.astype(self.compute_dtype) / (1 - rate)

    # -- a step --------------------------------------------------------------------------------------------
    def project(self, inputs: Any, mask: Any = None) -> Any:
        """The inputs' share of the gates; `inputs` may have any axes before (batch, features)."""
        kernel = unwrap(self.kernel)
        if mask is None or mask.shape[0] == 1:
            z = (inputs if mask is None else inputs * mask[0]) @ kernel
        else:
            parts = jnp.split(kernel, self.gates, axis=-1)
            z = jnp.concatenate([(inputs * m) @ part for m, part in zip(mask, parts)], -1)
        bias = self.input_bias()
        return z if bias is None else z + bias

    def input_bias(self) -> Any:
        """The bias added to the inputs' share; None without one."""
        return None if self.bias is None else self.bias.value

    def from_states(self, h: Any, mask: Any, first: int = 0, last: int | None = None) -> list[Any]:
        """The products of the state with the recurrent weights of the gates from `first` on."""
        parts = jnp.split(unwrap(self.recurrent_kernel), self.gates, axis=-1)[first:last]
        if mask is None:
            return jnp.split(h @ jnp.concatenate(parts, -1), len(parts), axis=-1)
        masks = [mask[0]] * self.gates if mask.shape[0] == 1 else mask
        return [(h * m) @ part for m, part in zip(masks[first:last], parts)]

    def advance(self, projected: Any, states: Sequence[Any], mask: Any = None) -> list[Any]:
        """The new states; the first is the output."""
        raise NotImplementedError

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """One step: the output, and the list of new states."""
        given = list(states) if isinstance(states, (list, tuple)) else [states]
        on_inputs, on_states = self.draw_masks(inputs.shape[0], inputs.shape[-1], training)
        new = self.advance(self.project(inputs, on_inputs), given, on_states)
        return new[0], new if isinstance(states, (list, tuple)) else new[0]

    # -- all steps -----------------------------------------------------------------------------------------
    def run(self, projected: Any, states: Any, mask: Any) -> Any:
        """By a kernel: the outputs of all steps and the last states; None where no kernel computes this cell."""
        plain = self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid
        return self.by_kernel(projected, states, mask) if plain and on_cpu() else None

    def by_kernel(self, projected: Any, states: Any, mask: Any) -> Any:
        """`run` for the usual activations."""
        raise NotImplementedError


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


class LSTMCell(BuiltInCell):
    """One step of LSTM. Two states: the output, and what the cell remembers.

    >>> import kyeo
    >>> x, h = kyeo.ops.ones((2, 4)), kyeo.ops.zeros((2, 3))
    >>> output, states = kyeo.layers.LSTMCell(3)(x, [h, h])
    >>> output.shape, len(states)
    ((2, 3), 2)
    """

    gates, states = 4, 2

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

    def _make_bias(self, width: int) -> Any:
        def with_ones(shape: Any, dtype: Any = None) -> Any:
            """The initializer's values, but 1 for the gate that forgets."""
            sizes = (self.units, 2 * self.units)
            first, rest = (np.asarray(self.bias_initializer((size,), dtype=dtype)) for size in sizes)
            return np.concatenate([first, np.ones_like(first), rest])

        return make_weight(self, "bias", (width,), **({"initializer": with_ones} if self.unit_forget_bias else {}))

    def advance(self, projected: Any, states: Sequence[Any], mask: Any = None) -> list[Any]:
        """The new output and the new memory."""
        h, c = states
        i, f, g, o = (a + b for a, b in zip(jnp.split(projected, 4, axis=-1), self.from_states(h, mask)))
        squash, gate = self.activation, self.recurrent_activation
        c = gate(f) * c + gate(i) * squash(g)
        return [gate(o) * squash(c), c]

    def by_kernel(self, projected: Any, states: Any, mask: Any) -> Any:
        """`run` by the kernel."""
        hidden, last = lstm(projected, *states, unwrap(self.recurrent_kernel), mask)
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
