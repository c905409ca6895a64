"""Begin anew within one process."""

import gc
from typing import Any

from kyeo.core.naming import reset_names
from kyeo.core.symbolic import SymbolicTensor

__all__ = ["clear_session", "is_keras_tensor"]


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
