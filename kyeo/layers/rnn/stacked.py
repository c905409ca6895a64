"""What RNN asks of a cell, also of a user's, and several cells as one."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import describe, problem
from kyeo.layers.call_spec import call_spec
from kyeo.layers.layer import Layer

__all__ = ["StackedRNNCells", "call_cell", "check_cell", "initial_state_of", "output_size_of"]


def check_cell(owner: Any, cell: Any) -> Any:
    """The cell, if it has what a cell needs."""
    lacking = [name for name in ("call", "state_size") if not hasattr(cell, name)]
    if lacking:
        raise problem("A cell is not valid.", received=f"cell={describe(cell)}, without `{lacking[0]}`", where=owner,
                      expected="an object with `call(inputs, states)` and `state_size`", kind=TypeError)
    return cell


def output_size_of(cell: Any) -> Any:
    """The size of a cell's output; that of its first state where it says nothing."""
    size = getattr(cell, "output_size", None)
    if size is not None:
        return size
    return cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size


def initial_state_of(cell: Any, batch_size: Any, dtype: str) -> Any:
    """The states before the first step, as the cell makes them; zeros where it does not."""
    if hasattr(cell, "get_initial_state"):
        return cell.get_initial_state(batch_size=batch_size)
    if isinstance(cell.state_size, (list, tuple)):
        return [jnp.zeros((batch_size, size), dtype) for size in cell.state_size]
    return jnp.zeros((batch_size, cell.state_size), dtype)


def call_cell(cell: Any, inputs: Any, states: Any, training: Any) -> tuple[Any, Any]:
    """One step: the output, and the new states in the structure of the old ones."""
    several = isinstance(states, (list, tuple))
    words = {"training": training} if isinstance(cell, Layer) and call_spec(type(cell)).takes("training") else {}
    output, new = (cell if callable(cell) else cell.call)(inputs, list(states) if several else [states], **words)
    new = list(new) if isinstance(new, (list, tuple)) else [new]
    return output, new if several else new[0]


class StackedRNNCells(Layer):
    """Cells as one cell: the output of each is the input of the next.

    Args:
        cells: the cells, each with `call` and `state_size`.

    The states are a list with the states of each cell.

    >>> import kyeo
    >>> cells = [kyeo.layers.LSTMCell(3), kyeo.layers.GRUCell(2)]
    >>> kyeo.layers.RNN(kyeo.layers.StackedRNNCells(cells))(kyeo.ops.ones((2, 5, 4))).shape
    (2, 2)
    """

    def __init__(self, cells: Any, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(cells, (list, tuple)) or not cells:
            raise problem("`cells` is not valid.", received=f"cells={describe(cells)}", where=self,
                          expected="a list of cells", kind=TypeError)
        self.cells = [check_cell(self, cell) for cell in cells]

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """The size of the last cell's output."""
        return output_size_of(self.cells[-1])

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The states of each cell before the first step."""
        return [initial_state_of(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        """Build each cell for the output of the one before."""
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size_of(cell))

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """One step of each cell."""
        new_states = []
        for cell, given in zip(self.cells, states, strict=True):
            inputs, new = call_cell(cell, inputs, given, training)
            new_states.append(new)
        return inputs, new_states
