"""RNN: runs a cell over the time steps of a sequence."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.errors import boolean, problem
from kyeo.core.owned import VariableOwner
from kyeo.core.scope import scope
from kyeo.core.variable import Variable, pure, unwrap
from kyeo.layers.layer import Layer
from kyeo.layers.rnn.builtin import BuiltInCell
from kyeo.layers.rnn.protocol import call_cell, check_cell, initial_state_of
from kyeo.layers.rnn.stacked import StackedRNNCells

__all__ = ["RNN"]


def run_cell(cell: Any, xs: Any, states: Any, mask: Any, training: Any) -> tuple[Any, Any]:
    """The outputs of all steps and the last states; `xs` is time-major, `mask` boolean (time, batch, 1) or None."""
    if type(cell) is StackedRNNCells:  # cell after cell: a step of one depends on the earlier cells alone
        last = []
        for one, given in zip(cell.cells, states, strict=True):
            xs, new = run_cell(one, xs, given, mask, training)
            last.append(new)
        return xs, last
    if isinstance(cell, BuiltInCell) and type(cell).call is BuiltInCell.call and cell.activity_regularizer is None:
        with scope(compute_dtype=cell.compute_dtype if cell.compute_dtype != cell.variable_dtype else None):
            return _run_built_in(cell, xs.astype(cell.compute_dtype), states, mask, training)
    return _run_any(cell, xs, states, mask, training)


def _run_built_in(cell: BuiltInCell, xs: Any, states: Any, mask: Any, training: Any) -> tuple[Any, Any]:
    on_inputs, on_states = cell.draw_masks(xs.shape[1:], training)
    projected = cell.project(xs, on_inputs)
    found = cell.run(projected, states, mask) if on_states is None else None
    if found is not None:
        return found

    def step(x: Any, states: Any, values: Any) -> tuple[Any, ...]:
        new = cell.advance(x, states, on_states)
        return new[0], new, values, []

    outputs, last, _, _ = _loop(step, projected, states, mask)
    return outputs, last


def _run_any(cell: Any, xs: Any, states: Any, mask: Any, training: Any) -> tuple[Any, Any]:
    """A cell of the user's may hold layers with states and losses of their own; both come out of the loop here."""
    changing = cell.non_trainable_variables if isinstance(cell, Layer) else []
    owners: list[Any] = []

    def step(x: Any, states: Any, values: Any) -> tuple[Any, ...]:
        with scope(losses=[]) as inside:
            (output, new), values = pure(lambda: call_cell(cell, x, states, training), changing)(values)
        owners[:] = [owner for owner, _ in inside.losses or []]
        return output, new, values, [loss for _, loss in inside.losses or []]

    outputs, last, values, losses = _loop(step, xs, states, mask, [v.value for v in changing])
    for variable, value in zip(changing, values):
        variable.assign(value)
    for owner, loss in zip(owners, losses):
        owner._collect_loss(loss.sum())
    return outputs, last


def _loop(step: Callable[..., Any], xs: Any, states: Any, mask: Any, values: Any = ()) -> tuple[Any, ...]:
    """`lax.scan` of a step: all outputs, the last states and values, all losses.

    Where a step is masked, the states stay as they are; so does the output, which is then the first state (zeros, if
    that has another shape). `values` are carried too, but know no mask.
    """

    def keep(real: Any, new: Any, old: Any) -> Any:
        return jnp.where(real.reshape(real.shape[0], *(1,) * (new.ndim - 1)), new, old)

    def body(carried: Any, now: Any) -> tuple[Any, Any]:
        (states, values), (x, real) = carried, now
        output, new, values, losses = step(x, states, values)
        new = jax.tree.map(lambda n, o: n.astype(o.dtype), new, states)
        if real is not None:
            first = jax.tree.leaves(states)[0]
            output = keep(real, output, first if first.shape == output.shape else jnp.zeros_like(output))
            new = jax.tree.map(lambda n, o: keep(real, n, o), new, states)
        return (new, values), (output, losses)

    (last, values), (outputs, losses) = jax.lax.scan(body, (states, values), (xs, mask))
    return outputs, last, values, losses


class _States(VariableOwner):
    """The states a stateful layer keeps between batches: variables, but no weights of the layer."""

    def __init__(self, values: Any, dtype: str):
        self.tree = jax.tree.map(
            lambda value: Variable(value, dtype=dtype, trainable=False, name="rnn_state"), values)


class RNN(Layer):
    """Runs a cell over the time steps of a sequence.

    Args:
        cell: a cell: an object with `call(inputs, states)`, which gives an output and new states, and `state_size`. A
            list of cells is stacked.
        return_sequences: whether the outputs of all steps are given, or only the last one.
        return_state: whether the last states are given too, after the output.
        go_backwards: whether the sequence is read from its end.
        stateful: whether a batch begins with the states the one before ended with.
        unroll: kept for files; the loop is compiled in the form that is fastest.
        zero_output_for_mask: whether the output of masked steps is zero instead of the one before.

    Input of shape (batch, time, ...), output of shape (batch, units) or (batch, time, units). The call also takes
    `initial_state`, a list of states, and `mask`, boolean of shape (batch, time): a step that is False changes nothing.

    >>> import kyeo
    >>> class Sum(kyeo.layers.Layer):
    ...     state_size = 3
    ...     def call(self, inputs, states):
    ...         return inputs + states[0], [inputs + states[0]]
    >>> kyeo.layers.RNN(Sum())(kyeo.ops.ones((1, 4, 3))).tolist()
    [[4.0, 4.0, 4.0]]
    """

    def __init__(
        self, cell: Any, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
        stateful: bool = False, unroll: bool = False, zero_output_for_mask: bool = False, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.cell = StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else check_cell(self, cell)
        self.return_sequences = boolean(self, return_sequences=return_sequences)
        self.return_state = boolean(self, return_state=return_state)
        self.go_backwards = boolean(self, go_backwards=go_backwards)
        self.stateful = boolean(self, stateful=stateful)
        self.unroll = boolean(self, unroll=unroll)
        self.zero_output_for_mask = boolean(self, zero_output_for_mask=zero_output_for_mask)
        self.supports_masking = True
        if self.stateful or not isinstance(self.cell, Layer):
            self.mixes_rows = True  # rows go on in the next batch; or nobody knows what the cell does
        size = self.cell.state_size
        self.single_state = not isinstance(size, (list, tuple))
        self.state_size = [size] if self.single_state else list(size)
        self._held: _States | None = None

    # -- states --------------------------------------------------------------------------------------------
    @property
    def states(self) -> Any:
        """The variables a stateful layer keeps its states in; None before it is built."""
        return None if self._held is None else self._held.tree

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Build the cell for one step; make the states of a stateful layer."""
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful and self._held is None:
            if sequences_shape[0] is None:
                raise problem("A stateful layer needs to know the size of the batch.", where=self,
                              received=f"an input of shape {sequences_shape}", expected="a known first size",
                              fix="give the input a `batch_size`, as in Input(shape, batch_size=32)")
            self._held = _States(self.get_initial_state(sequences_shape[0]), self.variable_dtype)

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states before the first step."""
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        first = initial_state_of(self.cell, batch_size, dtype)
        return list(first) if isinstance(first, (list, tuple)) else [first]

    def reset_state(self) -> None:
        """Set the states of a stateful layer to zero."""
        for variable in jax.tree.leaves(self.states):
            variable.assign(jnp.zeros_like(variable._value))

    reset_states = reset_state

    def _first_states(self, batch: Any, given: Any) -> list[Any]:
        if given is None and self.stateful:
            kept = jax.tree.leaves(self.states)[0].shape[0]
            if isinstance(batch, int) and batch != kept:
                raise problem("A stateful layer takes batches of one size.", received=f"a batch of {batch}", where=self,
                              expected=f"a batch of {kept}", fix="leave out the last, smaller batch")
        if given is None:
            given = jax.tree.map(unwrap, self.states) if self.stateful else self.get_initial_state(batch)
        given = list(given) if isinstance(given, (list, tuple)) else [given]
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return jax.tree.map(lambda state: jnp.asarray(state).astype(dtype), given)

    # -- the call ------------------------------------------------------------------------------------------
    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """The outputs of the cell, step by step."""
        if sequences.shape[1] == 0:
            raise problem("The sequences have no time steps.", received=sequences, where=self, expected="one at least")
        states = self._first_states(sequences.shape[0], initial_state)
        xs, real = jnp.swapaxes(sequences, 0, 1), self._time_major(mask)
        if self.go_backwards:
            xs, real = jnp.flip(xs, 0), None if real is None else jnp.flip(real, 0)
        outputs, states = run_cell(self.cell, xs, states, real, training)
        if real is not None and self.zero_output_for_mask:
            fits = real.reshape(*real.shape[:2], *(1,) * (outputs.ndim - 2))
            outputs = jnp.where(fits, outputs, jnp.zeros((), outputs.dtype))
        outputs, states = jax.tree.map(lambda value: value.astype(self.compute_dtype), (outputs, states))
        if self.stateful:
            jax.tree.map(lambda box, state: box.assign(state), self.states, states)
        output = jnp.swapaxes(outputs, 0, 1) if self.return_sequences else outputs[-1]
        return (output, *states) if self.return_state else output

    def _time_major(self, mask: Any) -> Any:
        leaves = jax.tree.leaves(mask)  # a list where the call was given one of inputs and states
        if not leaves:
            return None
        real = jnp.asarray(leaves[0]).astype(bool)
        real = real[..., None] if real.ndim == 2 else real.any(tuple(range(2, real.ndim)))[..., None]
        return jnp.swapaxes(real, 0, 1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the input for the outputs of all steps; none for a last output and for states."""
        leaves = jax.tree.leaves(mask)
        mask = leaves[0] if leaves and self.return_sequences else None
        return [mask] + [None] * len(self.state_size) if self.return_state else mask
