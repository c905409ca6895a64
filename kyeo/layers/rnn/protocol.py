"""What RNN asks of a cell, also of one that a user wrote."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import describe, problem
from kyeo.layers.call_spec import call_spec
from kyeo.layers.layer import Layer

__all__ = ["call_cell", "check_cell", "initial_state_of", "output_size_of"]


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
