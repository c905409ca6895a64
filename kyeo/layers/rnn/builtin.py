"""BuiltInCell: what the cells of SimpleRNN, LSTM and GRU share.

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
from kyeo.layers.arguments import activation_of, make_weight, weight_rules
from kyeo.layers.layer import Layer
from kyeo.ops.kernels import keep_mask, on_cpu, product
from kyeo.random import SeedGenerator

__all__ = ["BuiltInCell", "LSTMGates"]


class BuiltInCell(Layer):
    """What the cells here share: weights, dropout, and the two parts of a step."""

    gates: int
    states = 1
    recurrent_activation: Any = staticmethod(activations.sigmoid)
    implementation = 2

    def _set_up(self, given: dict[str, Any], size_name: str = "units") -> None:
        self.units = self.output_size = positive_int(self, **{size_name: given["units"]})
        self.state_size: Any = [self.units] * self.states if self.states > 1 else self.units
        self.activation = activation_of(self, given["activation"])
        self.use_bias = boolean(self, use_bias=given["use_bias"])
        kinds = ("_initializer", "_regularizer", "_constraint")
        weight_rules(self, **{name: value for name, value in given.items() if name.endswith(kinds)})
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
        return [jnp.zeros(self.state_shape(batch_size), self.compute_dtype) for _ in range(self.states)]

    def state_shape(self, batch_size: Any) -> tuple[Any, ...]:
        """The shape of each state."""
        return batch_size, self.units

    # -- dropout -------------------------------------------------------------------------------------------
    def draw_masks(self, shape: Any, training: Any) -> tuple[Any, Any]:
        """What inputs, of this shape in a step, and states are multiplied by: (1 or gates, *shape) each, None where
        nothing is dropped."""
        if not training or current().symbolic:  # dropout changes no shape
            return None, None
        each_gate = self.gates if self.implementation == 1 else 1
        return (self._mask(self.dropout, (each_gate, *shape)),
                self._mask(self.recurrent_dropout, (each_gate, *self.state_shape(shape[0]))))

    def _mask(self, rate: float, shape: tuple[Any, ...]) -> Any:
        if not rate:
            return None
        if rate == 1:
            return jnp.zeros(shape, self.compute_dtype)
        # row by row, so that a row does not see how many rows there are
        gates, batch, *sizes = shape
        kept = keep_mask(self.seed_generator.next(), (batch, gates, *sizes), rate).swapaxes(0, 1)
        return kept.astype(self.compute_dtype) / (1 - rate)

    # -- a step --------------------------------------------------------------------------------------------
    def project(self, inputs: Any, mask: Any = None) -> Any:
        """The inputs' share of the gates; `inputs` may have any axes before (batch, features)."""
        kernel = unwrap(self.kernel)
        if mask is None or mask.shape[0] == 1:
            z = product(inputs if mask is None else inputs * mask[0], kernel)
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
        on_inputs, on_states = self.draw_masks(inputs.shape, training)
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


class LSTMGates(BuiltInCell):
    """The gates of LSTM, whatever makes their sums."""

    gates, states = 4, 2
    unit_forget_bias: bool

    def _make_bias(self, width: int) -> Any:
        def with_ones(shape: Any, dtype: Any = None) -> Any:
            """The initializer's values, but 1 for the gate that forgets."""
            sizes = (self.units, 2 * self.units)
            first, rest = (np.asarray(self.bias_initializer((size,), dtype=dtype)) for size in sizes)
            return np.concatenate([first, np.ones_like(first), rest])

        rules: dict[str, Any] = {"initializer": with_ones} if self.unit_forget_bias else {}
        return make_weight(self, "bias", (width,), **rules)

    def advance(self, projected: Any, states: Sequence[Any], mask: Any = None) -> list[Any]:
        """The new output and the new memory."""
        h, c = states
        i, f, g, o = (a + b for a, b in zip(jnp.split(projected, 4, axis=-1), self.from_states(h, mask)))
        squash, gate = self.activation, self.recurrent_activation
        c = gate(f) * c + gate(i) * squash(g)
        return [gate(o) * squash(c), c]
