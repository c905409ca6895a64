"""Begin anew within one process."""

import gc
from typing import Any

from kyeo.core.naming import reset_names
from kyeo.core.parameters import checked
from kyeo.core.symbolic import SymbolicTensor

__all__ = ["clear_session", "get_source_inputs", "is_keras_tensor"]


@checked
def clear_session(free_memory: bool = True) -> None:
    """Count automatic names from the beginning: the next Dense is `dense` again.

    Nothing else needs clearing: models, their weights and compiled steps go when the last reference goes.

    Args:
        free_memory: also collect garbage now.

    >>> import kyeo
    >>> kyeo.utils.clear_session()
    >>> kyeo.layers.Dense(1).name, kyeo.layers.Dense(1).name
    ('dense', 'dense_1')
    """
    reset_names()
    if free_memory:
        gc.collect()


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a symbolic tensor.

    >>> import kyeo
    >>> kyeo.utils.is_keras_tensor(kyeo.Input((3,))), kyeo.utils.is_keras_tensor(3)
    (True, False)
    """
    return isinstance(x, SymbolicTensor)


@checked
def get_source_inputs(tensor: Any) -> Any:
    """The symbolic inputs that a symbolic tensor is computed from, as a list; anything else as it is.

    >>> import kyeo
    >>> x = kyeo.Input((3,))
    >>> kyeo.utils.get_source_inputs(kyeo.layers.Dense(2)(x * 2))[0] is x
    True
    """
    if not isinstance(tensor, SymbolicTensor):
        return tensor
    found: dict[SymbolicTensor, None] = {}
    met: set[int] = set()
    queue = [tensor]
    while queue:
        one = queue.pop()
        if id(one) in met:
            continue
        met.add(id(one))
        if one.node is None or not one.node.inputs:
            found[one] = None
        else:
            queue.extend(reversed(one.node.inputs))
    return list(found)
