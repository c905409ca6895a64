"""Several cells as one."""

from typing import Any

from kyeo.core.errors import describe, problem
from kyeo.layers.layer import Layer
from kyeo.layers.rnn.protocol import call_cell, check_cell, initial_state_of, output_size_of

__all__ = ["StackedRNNCells"]


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
