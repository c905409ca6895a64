"""One seed for everything random."""

import random

import numpy as np

from kyeo.core.errors import positive_int
from kyeo.core.parameters import checked
from kyeo.core.settings import set_seed

__all__ = ["set_random_seed"]


@checked
def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy and Kyeo: first weights, dropout and shuffling repeat from here.

    Args:
        seed: an int of 0 or more, below 2**32.

    >>> import kyeo
    >>> kyeo.utils.set_random_seed(1)
    """
    seed = positive_int("set_random_seed", minimum=0, seed=seed)
    random.seed(seed)
    np.random.seed(seed)
    set_seed(seed)
